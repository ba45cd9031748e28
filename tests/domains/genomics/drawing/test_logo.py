"""Logos: each letter where logomaker puts it, heights by the papers' formulas, colours that everyone tells apart."""

import io
from itertools import combinations, pairwise

import logomaker
import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from sciexplain.domains.genomics.alphabet import DNA, PROTEIN, RNA
from sciexplain.domains.genomics.drawing.letter_colours import CHEMISTRY, CLASSIC, SAFE
from sciexplain.domains.genomics.drawing.logo import draw_logo, information, letters
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import InputError

matplotlib.use("agg")

# sRGB (IEC 61966-2-1) to CIE XYZ, D65; Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
CONES = {
    "all": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def axes(width: float = 6.0) -> matplotlib.axes.Axes:
    figure = Figure(figsize=(width, 2), dpi=100)
    FigureCanvasAgg(figure)
    return figure.add_subplot()


MATRICES = ["crp_energy_matrix.txt", "nn_saliency_matrix.txt", "crp_counts_matrix.txt"]


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("flip", [True, False])
def test_every_letter_is_where_logomaker_puts_it(name, flip, shared_data):
    table = pd.read_csv(shared_data(f"genomics/logomaker/{name}"), sep="\t", comment="#", index_col="pos")
    theirs = logomaker.Logo(table, ax=axes(), flip_below=flip, color_scheme="classic")
    ours = draw_logo(table.to_numpy(), ax=axes(), flip_below=flip, colours="classic")
    expected = [g.patch for g in theirs.glyph_list if g.patch is not None]
    (collection,) = ours.collections
    points = {
        tuple(to_rgb(color)): np.concatenate([p.vertices for p in paths])
        for color, paths in _grouped(collection.get_paths(), collection.get_facecolors()).items()
    }
    for patch in expected:
        close = patch.get_path().codes != 79
        outline = patch.get_path().vertices[close]
        mine = points[min(points, key=lambda c, p=patch: np.abs(np.subtract(c, p.get_facecolor()[:3])).max())]
        gaps = np.abs(mine[:, None] - outline[[0, len(outline) // 2, -1]][None]).max(-1).min(0)
        assert gaps.max() < 1e-6 * max(1, np.abs(table.to_numpy()).max())
    assert sum((p.codes != 79).sum() for p in collection.get_paths()) == sum(
        (p.get_path().codes != 79).sum() for p in expected
    )


def _grouped(paths, colours) -> dict:
    found = {}
    for path, colour in zip(paths, colours, strict=True):
        found.setdefault(tuple(colour[:3]), []).append(path)
    return found


@given(arrays(np.float64, (3, 4), elements=st.integers(-50, 50).map(lambda n: n / 10)))
def test_letters_of_a_position_fill_its_column_without_meeting(heights):
    drawn = letters(heights)
    spans = {column: [] for column in range(3)}
    for path in drawn.get_paths():
        for column in range(3):
            points = path.vertices[(path.codes != 79) & (np.abs(path.vertices[:, 0] - column) <= 0.5)]
            if len(points):
                spans[column].append((points[:, 1].min(), points[:, 1].max()))
    for column, row in enumerate(heights):
        found = sorted(spans[column])
        assert [round(b - a, 9) for a, b in found] == pytest.approx(
            [*sorted(-row[row < 0], reverse=True), *sorted(row[row > 0])]
        )
        for (_, top), (bottom, _) in pairwise(found):
            assert bottom == pytest.approx(top)
        if found:
            assert found[0][0] == pytest.approx(row[row < 0].sum())
            assert found[-1][1] == pytest.approx(row[row > 0].sum())


def test_holes_are_holes_and_colours_are_the_letters():
    ax = draw_logo([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, -1.0]], ax=axes())
    ax.figure.savefig(buffer := io.BytesIO(), format="png")
    pixels = np.asarray(Image.open(buffer).convert("RGB")).astype(int)

    def colour(x: float, y: float) -> list[int]:
        column, row = ax.transData.transform((x, y))
        return pixels[len(pixels) - round(row), round(column)].tolist()

    white = [255, 255, 255]
    assert colour(0, 0.55) == white, "the hole of the A"
    assert colour(0, 0.05) == white, "between the legs of the A"
    assert colour(0, 0.9) == [round(255 * c) for c in to_rgb(SAFE["A"])]
    assert colour(1, 0.5) == white, "inside the C"
    assert colour(3, -0.05) == [round(255 * c) for c in to_rgb(SAFE["T"])], "the T's stem, its head below"
    assert colour(3.3, -0.05) == white and colour(3.3, -0.95) != white


def test_narrow_letters_are_not_stretched_to_the_full_width():
    matrix = np.zeros((2, 20))
    matrix[0, PROTEIN.letters.index("I")] = matrix[1, PROTEIN.letters.index("W")] = 1
    widths = {}
    for path in letters(matrix, PROTEIN, width=0.9).get_paths():
        x = path.vertices[path.codes != 79][:, 0]
        widths[round(x.mean())] = x.max() - x.min()
        assert (x.max() + x.min()) / 2 == pytest.approx(round(x.mean()))
    assert widths[1] == pytest.approx(0.9) and widths[0] < 0.6


@pytest.mark.parametrize("background", [None, [0.3, 0.2, 0.2, 0.3], [0.1, 0.4, 0.1, 0.4]])
def test_information_is_the_relative_entropy(background):
    p = np.random.default_rng(0).dirichlet([0.3] * 4, size=30)
    p[0] = [1, 0, 0, 0]
    b = np.full(4, 0.25) if background is None else np.array(background)
    expected = np.zeros_like(p)
    for i in range(30):
        told = sum(p[i, a] * np.log2(p[i, a] / b[a]) for a in range(4) if p[i, a] > 0)
        expected[i] = p[i] * told
    np.testing.assert_allclose(information(p, background=background), expected, atol=1e-12)


def test_information_of_real_sites_is_logomakers(shared_data):
    counts = pd.read_csv(
        shared_data("genomics/logomaker/crp_counts_matrix.txt"), sep="\t", comment="#", index_col="pos"
    )
    theirs = logomaker.transform_matrix(counts, from_type="counts", to_type="information", pseudocount=0)
    shares = counts.to_numpy() / counts.to_numpy().sum(1, keepdims=True)
    np.testing.assert_allclose(information(shares), theirs.to_numpy(), atol=1e-9)


def test_few_sequences_tell_less():
    """Over many draws of 40 letters from an even background, what they tell by chance is what is taken off."""
    rng = np.random.default_rng(0)
    counts = rng.multinomial(40, [0.25] * 4, size=4000) / 40
    mean = information(counts).sum(1).mean()
    assert mean == pytest.approx(3 / (2 * np.log(2) * 40), rel=0.05)
    corrected = information(counts, count=40)
    assert corrected.min() == 0
    sure = information([[1, 0, 0, 0]], count=40)[0, 0]
    assert sure == pytest.approx(2 - 3 / (2 * np.log(2) * 40))


def lab(colours: list[str], cones) -> np.ndarray:
    rgb = np.array([to_rgb(c) for c in colours])
    light = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ np.transpose(cones)
    t = np.clip(light, 0, 1) @ XYZ.T / XYZ.sum(1)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)


def closest(colours: list[str]) -> float:
    """The smallest ΔE*ab between two of them, for people with and without each kind of cone."""
    return min(np.linalg.norm(a - b) for cones in CONES.values() for a, b in combinations(lab(colours, cones), 2))


def test_everyone_can_tell_letters_apart():
    assert closest([SAFE[c] for c in "ACGT"]) >= 38
    assert closest([CLASSIC[c] for c in "ACGT"]) < 11
    assert closest(sorted(set(CHEMISTRY.values()))) >= 20
    assert SAFE["U"] == SAFE["T"] and set(CHEMISTRY) == set(PROTEIN.letters)
    # Against a white page, darker than L* = 70.
    assert lab(sorted({*SAFE.values(), *CHEMISTRY.values()}), np.eye(3))[:, 0].max() < 70


def test_axes_say_what_is_shown_and_where():
    p = np.full((12, 4), 0.25)
    ax = draw_logo(p, ax=axes(), kind="information")
    assert ax.get_ylabel() == "bits" and ax.get_ylim()[1] == pytest.approx(2.06) and ax.get_xlim() == (-0.5, 11.5)
    assert draw_logo(p, ax=axes(), kind="probability").get_ylabel() == "probability"
    assert draw_logo(-p, ax=axes(), label="kcal/mol").get_ylabel() == "kcal/mol"
    assert draw_logo(-p, ax=axes()).get_ylim() == pytest.approx((-1.03, 0.03))
    assert ticks(draw_logo(p, ax=axes(), start=-3)) == {i: f"{i - 3}".replace("-", "−") for i in range(1, 12, 2)}
    plus = draw_logo(p, ax=axes(), interval=Interval("chr7", 998, 1010))
    assert ticks(plus) == {1: "1,000", 6: "1,005", 11: "1,010"}
    minus = draw_logo(p, ax=axes(), interval=Interval("chr7", 998, 1010, "-"))
    assert ticks(minus) == {11 - place: text for place, text in ticks(plus).items()}
    assert plus.get_xlabel() == "chr7, base (counted from 1)"


def ticks(ax) -> dict[int, str]:
    ax.figure.draw_without_rendering()
    return {int(place): t.get_text() for place, t in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)}


def test_highlights_lie_behind_whole_letters_and_negative_letters_can_be_darker():
    ax = draw_logo([[1.0, 0, 0, -1.0]] * 5, ax=axes(), highlight=[(1, 3)], shade_below=0.5)
    (span,) = ax.patches
    assert (span.get_x(), span.get_x() + span.get_width()) == (0.5, 2.5)
    above, below = ax.collections[0].get_facecolors()[:, :3]
    np.testing.assert_allclose(below, np.array(to_rgb(SAFE["T"])) / 2)
    np.testing.assert_allclose(above, to_rgb(SAFE["A"]))


def test_a_long_or_empty_logo_is_drawn():
    rng = np.random.default_rng(0)
    ax = draw_logo(rng.normal(size=(20_000, 4)), ax=axes())
    ax.figure.canvas.draw()
    assert len(ax.collections[0].get_paths()) == 8
    flat = draw_logo(np.zeros((5, 4)), alphabet=RNA)
    flat.figure.canvas.draw()
    assert not flat.collections[0].get_paths()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_logo(np.zeros((4, 7))), r"shape \(4, 7\); expected \(L, 4\).* Give its transpose"),
        (lambda: draw_logo(np.zeros((0, 4))), r"shape \(0, 4\)"),
        (lambda: draw_logo(np.zeros(4)), r"shape \(4,\)"),
        (lambda: draw_logo([[0, np.nan, 0, 0]]), r"matrix\[0, 1\] is nan"),
        (lambda: draw_logo([[3, 1, 0, 0]], kind="information"), r"Row 0 is \[3.0, 1.0, 0.0, 0.0\]; expected probab"),
        (lambda: draw_logo([[1, 0, 0, 0], [2, -1, 0, 0]], kind="probability"), "Row 1 is"),
        (lambda: draw_logo([[1, 0, 0, 0]], kind="bits"), "kind='bits'; expected one of contributions"),
        (lambda: draw_logo([[1, 0, 0, 0]], colours="pretty"), "colours='pretty'"),
        (lambda: draw_logo([[1, 0, 0, 0]], colours={"A": "red"}), "No colour for C, G, T"),
        (lambda: draw_logo(np.eye(20), alphabet="protein", colours="classic"), "No colour for D, E"),
        (lambda: draw_logo([[1, 0, 0, 0]], interval=Interval("c", 0, 3)), "has 3 bp; expected .* 1"),
        (lambda: information([[1, 0, 0, 0]], background=[1, 0, 0, 0]), "expected 4 numbers above 0"),
        (lambda: information([[1, 0, 0, 0]], count=0), "count=0"),
    ],
)
def test_what_is_no_logo_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_all_alphabets_have_colours_and_outlines():
    for alphabet in (DNA, RNA, PROTEIN):
        drawn = letters(np.eye(len(alphabet)), alphabet)
        assert len(drawn.get_paths()) == len(alphabet)
        for path in drawn.get_paths():
            points = path.vertices[path.codes != 79]
            assert (points[:, 1].min(), points[:, 1].max()) == pytest.approx((0, 1))
