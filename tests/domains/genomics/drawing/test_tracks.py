"""Figures of sequences: everything at its own place on both strands and both ways round, and no words on others."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from sciexplain.domains.genomics.annotation import Annotation
from sciexplain.domains.genomics.drawing.gene_track import shown_exons
from sciexplain.domains.genomics.drawing.letter_colours import SAFE
from sciexplain.domains.genomics.drawing.track_parts import sign_colour
from sciexplain.domains.genomics.drawing.tracks import View, draw_tracks
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.gene import Gene, Transcript
from sciexplain.domains.genomics.hits import Hit
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record, Sequences
from sciexplain.domains.genomics.sites import Site
from sciexplain.errors import InputError

PLACE = Interval("chr3", 1000, 1040)


def hit(row: int, start: int, end: int, strand: str, motif: str, contribution: float = 1.0) -> Hit:
    return Hit(row, "peak", start, end, strand, motif, 9.0, 1e-6, contribution, 0.9, None)


def explained(interval: Interval | None, length: int = 40, seed: int = 0, alphabet: str = "DNA") -> SequenceExplanation:
    rng = np.random.default_rng(seed)
    letters = "ACGT" if alphabet == "DNA" else "ACDEFGHIKLMNPQRSTVWY"
    records = [Record("other", "A" * length), Record("peak", "".join(rng.choice(list(letters), length)), interval)]
    sequences = Sequences.of(records, alphabet)
    return SequenceExplanation.of(sequences, nucleotides=torch.tensor(rng.normal(size=(2, length))))


def site(e: SequenceExplanation, start: int, end: int, score: float = 1.0, row: int = 1) -> Site:
    interval = e.sequences.intervals[row]
    text = e.sequences.texts[row][start:end]
    place = None if interval is None else interval.part(start, end)
    return Site(row, e.sequences.names[row], start, end, place, score, 0.001, 0.002, text, text)


def axes(figure, name: str):
    (found,) = [ax for ax in figure.axes if ax.get_label() == name]
    return found


def numbers(figure) -> dict[str, float]:
    """Where the axis says that each number is."""
    ax = axes(figure, "axis")
    return {t.get_text(): x for t, x in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True)}


def drawn_letters(ax) -> list[tuple[str, float]]:
    """Letter and signed height at each place of a logo."""
    (logo,) = [c for c in ax.collections if len(c.get_paths()) > 1]
    found = {}
    for path, colour in zip(logo.get_paths(), logo.get_facecolors(), strict=True):
        letter = min("ACGT", key=lambda c: np.abs(np.array(_rgb(SAFE[c])) - colour[:3]).sum())
        points = path.vertices[path.codes != 79]
        for place in set(np.round(points[:, 0]).astype(int)):
            y = points[np.abs(points[:, 0] - place) < 0.5][:, 1]
            found[place] = (letter, round(y.max() if y.max() > 1e-9 else y.min(), 6))
    return [found[place] for place in sorted(found)]


def _rgb(text: str) -> list[float]:
    return [int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)]


@pytest.mark.parametrize("direction", ["genome", "sequence"])
@pytest.mark.parametrize("strand", ["+", "-", "."])
@pytest.mark.parametrize(("start", "end"), [(0, 40), (3, 21)])
def test_letters_relevance_and_coordinates_belong_together(strand, direction, start, end):
    """Read off the picture, each base has the letter and the relevance that the explanation has there."""
    e = explained(replace(PLACE, strand=strand))
    figure = draw_tracks(e, 1, direction=direction, start=start, end=end)
    letters = drawn_letters(axes(figure, "relevance"))
    complement = dict(zip("ACGT", "TGCA", strict=True))
    turned = strand == "-" and direction == "genome"
    expected = {}
    for i in range(start, end):
        base = e.sequences.intervals[1].part(i, i + 1).start + 1
        letter = e.sequences.texts[1][i]
        expected[base] = (complement[letter] if turned else letter, round(float(e.nucleotides[1, i]), 6))
    marks = numbers(figure)
    step = -1 if strand == "-" and direction == "sequence" else 1
    for text, x in marks.items():
        base = int(text.replace(",", ""))
        assert letters[int(x)] == expected[base]
        if int(x) + 1 < len(letters):
            assert letters[int(x) + 1] == expected[base + step]
    assert len(letters) == end - start and len(marks) >= 2
    assert axes(figure, "axis").get_xlabel() == "chr3, base (counted from 1)"
    said = figure.texts[1].get_text()
    assert ("− strand explained" in said) == (strand == "-") and ("along the + strand" in said) == turned


@pytest.mark.parametrize("direction", ["genome", "sequence"])
@pytest.mark.parametrize("strand", ["+", "-"])
def test_sites_hits_genes_and_effects_stand_above_their_bases(strand, direction):
    e = explained(replace(PLACE, strand=strand))
    own, other = site(e, 4, 9), site(e, 4, 9, row=0)
    at = own.interval
    gene = Gene("g", "GENE", replace(at, strand="+"))
    effects = np.zeros((4, 40))
    effects[2, 4] = -3.0
    figure = draw_tracks(
        e,
        1,
        sites=[own, other],
        hits=[hit(1, 4, 9, "+", "m", -1.0), hit(0, 4, 9, "+", "no")],
        genes=Annotation.of([gene]),
        mutagenesis=effects,
        direction=direction,
    )
    marks = numbers(figure)
    (text, x), *_ = marks.items()
    falls = strand == "-" and direction == "sequence"
    first = int(text.replace(",", ""))

    def place(base: int) -> float:
        return x + (base - first) * (-1 if falls else 1)

    left, right = sorted((place(at.start + 1), place(at.end)))
    for name in ("sites", "motif hits"):
        (bar,) = axes(figure, name).patches
        assert (bar.xy[:, 0].min(), bar.xy[:, 0].max()) == pytest.approx((left - 0.5, right + 0.5))
    assert axes(figure, "motif hits").patches[0].get_facecolor()[:3] == pytest.approx(sign_colour(-1))
    assert axes(figure, "sites").patches[0].get_facecolor()[:3] == pytest.approx(sign_colour(1))
    (body,) = [line for line in axes(figure, "genes").lines]
    assert sorted(body.get_xdata()) == pytest.approx([left - 0.5, right + 0.5])
    (shade,) = axes(figure, "relevance").patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == pytest.approx((left - 0.5, right + 0.5))
    # The tip of a hit on the sequence's own strand, and of a gene on the plus strand.
    points_right = not (strand == "-" and direction == "genome")
    tips = [p for p in axes(figure, "motif hits").patches[0].xy[:-1] if p[1] == 0]
    assert tips[0][0] == pytest.approx(right + 0.5 if points_right else left - 0.5)
    assert axes(figure, "genes").texts[0].get_text() == ("GENE ←" if falls else "GENE →")
    # G at letter 4 is C at its base where the plus strand is drawn.
    mesh = axes(figure, "mutagenesis").collections[0]
    row, column = np.argwhere(mesh.get_array() == -3.0)[0]
    turned = strand == "-" and direction == "genome"
    assert "ACGT"[row] == ("C" if turned else "G")
    assert column == place(e.sequences.intervals[1].part(4, 5).start + 1)
    dots = axes(figure, "mutagenesis").lines[0]
    shown = "".join("ACGT"[int(y)] for _, y in sorted(zip(dots.get_xdata(), dots.get_ydata(), strict=True)))
    text = e.sequences.texts[1]
    assert shown == (text.translate(str.maketrans("ACGT", "TGCA"))[::-1] if turned else text)
    assert mesh.get_clim() == (-3.0, 3.0)


def test_long_sequences_are_bars_that_lose_no_peak_and_sites_get_logos():
    e = explained(Interval("chr1", 0, 30_000, "-"), 30_000)
    strong = [site(e, 20_000, 20_010, 9.0), site(e, 5_000, 5_008, -7.0), site(e, 100, 110, 8.0), site(e, 900, 905, 0.1)]
    figure = draw_tracks(e, 1, sites=strong, signal={"reads": np.arange(30_000)})
    values = e.nucleotides[1].numpy()
    above, below = (p.get_data() for p in axes(figure, "relevance").patches if hasattr(p, "get_data"))
    assert len(above.values) < 1000
    assert above.values.max() == values.max() and below.values.min() == values.min()
    peak = 29_999 - values.argmax()
    bin_ = int(np.searchsorted(above.edges, peak, side="right")) - 1
    assert above.values[bin_] == values.max()
    reads = axes(figure, "reads").patches[0].get_data().values
    assert reads[0] == 29_999 and (np.diff(reads) < 0).all()
    zooms = [ax for ax in figure.axes if ax.get_label().startswith("zoom")]
    assert [ax.get_title(loc="left").split()[:3] for ax in zooms] == [
        ["1", "relevance", "9,"],
        ["2", "relevance", "−7,"],
        ["3", "relevance", "8,"],
    ]
    assert len({ax.get_ylim() for ax in zooms}) == 1
    for ax, chosen in zip(zooms, strong, strict=False):
        (ground,) = ax.patches
        text = ax.get_xticklabels()[0].get_text()
        offset = int(text.replace(",", "")) - ax.get_xticks()[0]
        low = ground.get_x() + 0.5 + offset
        assert (low - 1, low - 1 + ground.get_width()) == (chosen.interval.start, chosen.interval.end)
    words = [t.get_text() for t in axes(figure, "sites").texts]
    turned = strong[0].consensus.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    assert f"1   {turned}  q 0.002" in words
    assert not [ax for ax in draw_tracks(e, 1, sites=strong, zooms=0).axes if ax.get_label().startswith("zoom")]


def crowded() -> tuple[SequenceExplanation, dict]:
    rng = np.random.default_rng(3)
    e = explained(Interval("chr1", 5000, 6500, "-"), 1500)
    sites = [site(e, a, a + 8, float(rng.normal())) for a in rng.integers(0, 1490, 25).tolist()]
    hits = [hit(1, a, a + 12, "+-"[a % 2], f"pos_pattern_{a % 9}") for a in rng.integers(0, 1480, 25).tolist()]
    genes = [
        Gene(f"g{i}", "a gene with a long name " * (i % 3) + f"G{i}", Interval("chr1", a, a + 400, "+-."[i % 3]))
        for i, a in enumerate(rng.integers(4700, 6450, 14).tolist())
    ]
    return e, {
        "sites": sites,
        "hits": hits,
        "genes": Annotation.of(genes),
        "signal": {"a rather long name": np.ones(1500)},
    }


def test_no_words_lie_on_others_or_leave_the_page():
    e, found = crowded()
    figure = draw_tracks(
        e, 1, title="peak $x$ <b> " * 30, mutagenesis=np.random.default_rng(0).normal(size=(4, 1500)), **found
    )
    figure.canvas.draw()
    texts = [*figure.texts]
    for ax in figure.axes:
        texts += [*ax.texts, ax.xaxis.label, ax.yaxis.label, ax._left_title]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            texts += [tick.label2 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text().strip() and t.get_visible()]
    page = figure.bbox
    for text, box in boxes:
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, text
    for (a, one), (b, two) in combinations(boxes, 2):
        width = min(one.x1, two.x1) - max(one.x0, two.x0)
        height = min(one.y1, two.y1) - max(one.y0, two.y0)
        assert width <= 0.5 or height <= 1.0, (a, b)


def test_what_no_row_is_left_for_is_counted():
    e = explained(Interval("chr1", 0, 200, "+"), 200)
    genes = Annotation.of([Gene(str(i), f"G{i}", Interval("chr1", 0, 200)) for i in range(20)])
    hits = [hit(1, 0, 200, "+", "m")] * 15
    figure = draw_tracks(e, 1, genes=genes, hits=hits)
    assert "and 8\nmore" in [t.get_text() for t in axes(figure, "genes").texts]
    assert "and 3\nmore" in [t.get_text() for t in axes(figure, "motif hits").texts]


def test_a_gene_is_drawn_by_its_fullest_transcript_with_coding_parts_tall():
    whole = Interval("chr3", 1000, 1040, "-")
    short = Transcript("a", whole, ((1000, 1005),))
    full = Transcript("b", whole, ((1000, 1010), (1020, 1040)), ((1005, 1010), (1020, 1030)))
    gene = Gene("g", "GENE", whole, "protein_coding", (short, full))
    assert shown_exons(gene) == (full.exons, full.cds)
    assert shown_exons(replace(gene, transcripts=())) == (((1000, 1040),), ())
    ax = axes(draw_tracks(explained(PLACE), 1, genes=Annotation.of([gene])), "genes")
    blocks = {}
    for patch in ax.collections:
        (path,) = patch.get_paths()[:1]
        if len(path.vertices) > 4:
            x, y = path.vertices[:, 0], path.vertices[:, 1]
            blocks[round(x.min() + 1000.5), round(x.max() + 1000.5)] = round(y.max() - y.min(), 3)
    tall, low = max(blocks.values()), min(blocks.values())
    assert blocks == {(1000, 1010): low, (1020, 1040): low, (1005, 1010): tall, (1020, 1030): tall} and tall > 1.5 * low


def test_sequences_without_a_place_and_proteins_are_drawn():
    e = explained(None, alphabet="protein")
    figure = draw_tracks(e, -1, start=5, end=30, genes=Annotation.of([]), sites=[], hits=[])
    assert axes(figure, "axis").get_xlabel() == "position in the sequence (counted from 0)"
    assert numbers(figure) == {str(n): n - 5 for n in (5, 10, 15, 20, 25)}
    assert axes(figure, "genes").texts[0].get_text() == "not known where this sequence lies"
    assert axes(figure, "sites").texts[0].get_text() == "none in view"
    assert sign_colour(1)[0] > sign_colour(1)[2] and sign_colour(-1)[0] < sign_colour(-1)[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"row": 2}, "row=2; expected one of 2 sequences"),
        ({"start": 5, "end": 5}, "start=5, end=5; expected 0 ≤ start < end ≤ 40"),
        ({"end": 41}, "end=41"),
        ({"direction": "left"}, "direction='left'"),
        ({"mutagenesis": np.zeros((3, 40))}, r"mutagenesis has shape \(3, 40\); expected \(4, 40\), or \(2, 4, 40\)"),
        ({"signal": {"reads": np.zeros(39)}}, r"reads has shape \(39,\)"),
        ({"signal": {"reads": np.full(40, np.nan)}}, "reads has values that are not finite"),
    ],
)
def test_what_cannot_be_drawn_is_said(options, message):
    with pytest.raises(InputError, match=message):
        draw_tracks(explained(PLACE), **({"row": 1} | options))


def test_the_head_says_what_was_explained():
    e = replace(explained(PLACE), target=torch.tensor([0, 3]), strand="both", score=torch.tensor([0.0, -1.25]))
    figure = draw_tracks(e, 1, start=10, end=30)
    assert [t.get_text() for t in figure.texts[:2]] == [
        "peak",
        "lrp, output of target 3 is −1.25, mean of both strands   ·   chr3:1,011–1,030",
    ]
    assert draw_tracks(e, 1, title="Mine").texts[0].get_text() == "Mine"


def test_arrows_turn_with_the_sequence():
    plus, minus = (View.of(replace(PLACE, strand=s), 0, 40, "genome") for s in "+-")
    assert [plus.arrow(s) for s in "+-."] == ["+", "-", "."] and [minus.arrow(s) for s in "+-."] == ["-", "+", "."]
