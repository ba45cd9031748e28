"""Hits against a plain scan of every window, p-values against all words, and FIMO's places."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.encode import reverse_complement_of
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.formats.meme import read_motifs
from sciexplain.domains.genomics.hits import Hits, scan_hits, tail
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.motif import Motif
from sciexplain.domains.genomics.sequences import Record, Sequences
from sciexplain.errors import InputError

EVEN = [0.25] * 4


def random_texts(rng, number, length):
    return ["".join(rng.choice(list("ACGT"), length)) for _ in range(number)]


def word_motif(word, sharp=0.97, **others):
    ppm = np.full((len(word), 4), (1 - sharp) / 3)
    ppm[range(len(word)), ["ACGT".index(letter) for letter in word]] = sharp
    return Motif(word, ppm, **others)


def explained(sequences, seed=0):
    generator = torch.Generator().manual_seed(seed)
    relevance = torch.randn(len(sequences), sequences.length, generator=generator, dtype=torch.float64)
    return SequenceExplanation.of(sequences, nucleotides=relevance)


@given(st.integers(1, 5), st.integers(0, 10**6))
def test_p_values_are_exact(width, seed):
    """Against all words."""
    rng = np.random.default_rng(seed)
    odds, shares = rng.integers(-9, 9, (width, 4)), rng.dirichlet(np.ones(4))
    chances, least = tail(odds, shares)
    words = np.array(list(itertools.product(range(4), repeat=width)))
    scores, weights = odds[range(width), words].sum(1), shares[words].prod(1)
    for i, chance in enumerate(chances):
        assert chance == pytest.approx(weights[scores >= least + i].sum(), abs=1e-12)


@pytest.mark.parametrize("background", [EVEN, [0.4, 0.1, 0.2, 0.3]])
def test_hits_are_those_of_a_plain_scan(background):
    """Asymmetric motifs, both strands, N, hits at both ends: every window by itself, in plain Python."""
    rng = np.random.default_rng(1)
    motifs = [word_motif("GATTC", 0.8), word_motif("AACCG", 0.7), word_motif("TTG", 0.9)]
    texts = random_texts(rng, 6, 60)
    texts[0] = "GATTC" + texts[0][5:-5] + "GAATC"
    texts[1] = texts[1][:10] + "GATNC" + texts[1][15:]
    sequences = Sequences.of(texts)
    explanation = explained(sequences)
    expected = set()
    for motif in motifs:
        shares = (motif.ppm + 0.01 * np.array(background)) / 1.01
        odds = np.round(100 * np.log2(shares / background)).astype(int)
        words = np.array(list(itertools.product(range(4), repeat=len(motif))))
        scores = odds[range(len(motif)), words].sum(1)
        chances = np.array(background)[words].prod(1)
        for row, text in enumerate(texts):
            for start in range(len(text) - len(motif) + 1):
                window = text[start : start + len(motif)]
                for strand, read in (("+", window), ("-", reverse_complement_of(window))):
                    if "N" not in read:
                        score = sum(odds[i, "ACGT".index(letter)] for i, letter in enumerate(read))
                        if (p := chances[scores >= score].sum()) <= 0.02:
                            total = float(explanation.nucleotides[row, start : start + len(motif)].sum())
                            expected.add((row, start, strand, motif.name, score / 100, round(p, 10), round(total, 8)))
    hits = scan_hits(explanation, motifs, p=0.02, background=background)
    found = {(h.row, h.start, h.strand, h.motif, h.score, round(h.p, 10), round(h.contribution, 8)) for h in hits}
    assert len(expected) > 20 and found == expected and len(hits) == len(found)
    assert {(0, 0, "+"), (0, 55, "-")} <= {(h.row, h.start, h.strand) for h in hits if h.motif == "GATTC"}
    assert hits.counts == {name: sum(f[3] == name for f in found) for name in hits.counts}


@pytest.mark.parametrize("strand", ["+", "-", "."])
def test_genome_coordinates_and_strand(strand):
    """The motif reads on the strand of the interval that a hit names."""
    plus = random_texts(np.random.default_rng(2), 1, 50)[0]
    plus = plus[:7] + "GATTACC" + plus[14:30] + reverse_complement_of("GATTACC") + plus[37:]
    text = reverse_complement_of(plus) if strand == "-" else plus
    record = Record("x", text, Interval("chr1", 100, 150, strand))
    hits = scan_hits(explained(Sequences.of([record])), [word_motif("GATTACC")], p=1e-4)
    assert sorted((h.interval.start, h.interval.end, h.interval.strand) for h in hits) == [
        (107, 114, "+"),
        (130, 137, "-"),
    ]
    assert all((h.strand == h.interval.strand) == (strand != "-") for h in hits)


def test_similarity_is_of_contributions_read_with_the_motif():
    contributions = np.random.default_rng(3).random((6, 4)) * np.eye(4)[[2, 0, 3, 3, 0, 1]]
    motif = word_motif("GATTAC", contributions=contributions)
    text = "CCCC" + "GATTAC" + "GGGG" + reverse_complement_of("GATTAC") + "CC"
    sequences = Sequences.of(text)
    relevance = torch.zeros(1, len(text), dtype=torch.float64)
    relevance[0, 4:10] = 2 * torch.from_numpy(contributions.sum(1))
    relevance[0, 14:20] = -3 * torch.from_numpy(contributions.sum(1)[::-1].copy())
    first, second = scan_hits(SequenceExplanation.of(sequences, nucleotides=relevance), [motif], p=1e-3)
    assert (first.start, first.strand, second.start, second.strand) == (4, "+", 14, "-")
    assert first.similarity == pytest.approx(1) and second.similarity == pytest.approx(-1)
    assert np.isnan(scan_hits(explained(sequences), [word_motif("GATTAC")], p=1e-3)[0].similarity)


def test_fimo_finds_the_same_places(shared_data):
    """memelite rounds log-odds to tenths of a bit, so only windows away from the threshold are compared."""
    from memelite import fimo

    motifs = read_motifs(shared_data("genomics/motifs/jaspar_2024_consensus.meme"))[5:15]
    sequences = Sequences.of(random_texts(np.random.default_rng(4), 30, 400))
    hits = scan_hits(explained(sequences), motifs, p=1e-3, background=EVEN, pseudocount=4e-4)
    ours = {(h.motif, h.row, h.start, h.end, h.strand): h.p for h in hits}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        letters = sequences.one_hot.numpy().astype(np.int8)
        tables = fimo({m.name: m.ppm.T for m in motifs}, letters, threshold=1e-3)
    theirs = {
        (m.name, int(r["sequence_name"]), int(r["start"]), int(r["end"]), r["strand"]): r["p-value"]
        for m, table in zip(motifs, tables, strict=True)
        for _, r in table.iterrows()
    }
    assert len(ours) > 100
    for some, others in ((ours, theirs), (theirs, ours)):
        assert {place for place, p in some.items() if p < 7e-4} <= set(others)


def test_without_signal_hits_are_as_frequent_as_p_says():
    motifs = [word_motif(w, 0.85) for w in ("GATTACA", "CCAATCGG")]
    sequences = Sequences.of(random_texts(np.random.default_rng(5), 100, 500))
    hits = scan_hits(explained(sequences), motifs, p=0.001)
    windows = sum(2 * 100 * (500 - len(m) + 1) for m in motifs)
    assert 0.0005 < len(hits) / windows < 0.0011


def test_tables_and_bed(tmp_path):
    records = [Record("a", "CCTTGATCCAACC", Interval("chr2", 10, 23, "-")), Record("b", "CCTTGATCCAACC")]
    hits = scan_hits(explained(Sequences.of(records)), [word_motif("TTGA")], p=0.01)
    table = hits.to_pandas()
    assert table[["chrom", "start", "end", "strand"]].values.tolist() == [["chr2", 17, 21, "-"], ["b", 2, 6, "+"]]
    assert table[["start_in_sequence", "strand_in_sequence"]].values.tolist() == [[2, "+"], [2, "+"]]
    lines = hits.to_bed(tmp_path / "hits.bed").read_text().splitlines()
    assert [line.split("\t")[:4] for line in lines] == [["b", "2", "6", "TTGA"], ["chr2", "17", "21", "TTGA"]]
    assert len(Hits(()).to_pandas()) == 0 and hits[:1][0] == hits[0]


def test_nothing_fits_where_it_cannot():
    explanation = explained(Sequences.of("ACGTAC"))
    assert len(scan_hits(explanation, [word_motif("ACGTACGTA")])) == 0  # longer than the sequence
    assert len(scan_hits(explanation, [word_motif("ACG")], p=1e-6)) == 0  # no word is as rare
    assert len(scan_hits(explanation, [])) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [({"p": 0}, "p=0"), ({"pseudocount": 0}, "pseudocount=0"), ({"background": [0.5, 0.5]}, "four frequencies")],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(InputError, match=message):
        scan_hits(explained(Sequences.of("ACGT")), [word_motif("ACG")], **options)
    with pytest.raises(InputError, match="no two strands"):
        scan_hits(explained(Sequences.of("MKLV", "protein")), [])
