"""SVG logos, read back by a plain parser: each letter where matplotlib's logo has it."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from sciexplain.domains.genomics.alphabet import DNA, PROTEIN
from sciexplain.domains.genomics.drawing.letter_colours import CLASSIC, SAFE
from sciexplain.domains.genomics.drawing.logo import information, letters
from sciexplain.domains.genomics.drawing.logo_svg import letter_shapes, logo_svg
from sciexplain.errors import InputError


def outlines(alphabet=DNA) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Each letter's commands with their points."""
    found = {}
    for path in ElementTree.fromstring(letter_shapes(alphabet)).iter("path"):
        parts = re.findall(r"([MLQCZ])([^MLQCZ]*)", path.get("d"))
        found[path.get("id")] = [(c, np.array(text.split(), float).reshape(-1, 2)) for c, text in parts]
    return found


def placed(svg: str, alphabet=DNA) -> list[tuple[str, str, np.ndarray]]:
    """Letter, fill and all points in px of each letter in a logo."""
    shapes = outlines(alphabet)
    found = []
    for group in ElementTree.fromstring(svg).iter("g"):
        for use in group.iter("use"):
            a, b, c, d, e, f = map(float, re.fullmatch(r"matrix\((.*)\)", use.get("transform"))[1].split())
            points = np.concatenate([p for _, p in shapes[use.get("href")[1:]]])
            assert b == c == 0
            found.append((use.get("href")[-1], group.get("fill"), points * (a, d) + (e, f)))
    return found


def axis(svg: str) -> tuple[float, float, float]:
    """Left edge, top and bottom of the axis in px."""
    path = next(p for p in ElementTree.fromstring(svg).iter("path") if p.get("class") == "axis")
    x, top, bottom = map(float, re.match(r"M([\d.]+) ([\d.]+)V([\d.]+)", path.get("d")).groups())
    return x, top, bottom


@pytest.mark.parametrize("alphabet", [DNA, PROTEIN], ids=lambda a: a.name)
def test_every_letter_is_where_the_figure_has_it(alphabet):
    heights = np.random.default_rng(0).normal(size=(9, len(alphabet)))
    svg = logo_svg(heights, alphabet=alphabet)
    left, top, bottom = axis(svg)
    high, low = np.maximum(heights, 0).sum(1).max(), np.minimum(heights, 0).sum(1).min()
    expected = []
    for path in letters(heights, alphabet).get_paths():
        for place in range(9):
            points = path.vertices[(path.codes != 79) & (np.abs(path.vertices[:, 0] - place) < 0.5)]
            if len(points):
                expected.append((*points.min(0), *points.max(0)))
    found = []
    for _, _, points in placed(svg, alphabet):
        x = (points[:, 0] - left) / 17 - 0.5
        y = high - (points[:, 1] - top) / (bottom - top) * (high - low)
        found.append((x.min(), y.min(), x.max(), y.max()))
    tall = [box for box in expected if (box[3] - box[1]) * (bottom - top) / (high - low) > 0.2]
    assert len(found) == len(tall) >= 9 * len(alphabet) * 0.8
    np.testing.assert_allclose(sorted(found), sorted(tall), atol=0.02)


def test_letters_are_whole_and_upright_above_and_turned_below():
    up, down = placed(logo_svg([[0, 0, 0, 1.0], [0, 0, 0, -1.0]]))
    # The T's bar is wide: at the top of what stands, at the bottom of what hangs.
    for (_, _, points), wide_end in ((up, min), (down, max)):
        end = wide_end(points[:, 1])
        assert np.ptp(points[np.abs(points[:, 1] - end) < 1][:, 0]) == pytest.approx(np.ptp(points[:, 0]), abs=0.1)
    assert [c for c, _ in outlines()["letter-A"]].count("Z") == 2, "the A and its hole"
    assert {p.shape[0] for c, p in outlines()["letter-C"] if c == "Q"} == {2}


def test_colours_scale_and_words():
    ppm = np.array([[0.7, 0.1, 0.1, 0.1], [0.0, 1.0, 0.0, 0.0]])
    svg = logo_svg(ppm, kind="information", colours="classic", description='<"A">')
    assert {letter: fill for letter, fill, _ in placed(svg)} == {c: CLASSIC[c] for c in "ACGT"}
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == '<"A">'
    assert [t.text for t in root.iter("text")] == ["0", "2", "bits"]
    (c,) = [points for letter, _, points in placed(svg) if letter == "C" and np.ptp(points[:, 1]) > 30]
    assert np.ptp(c[:, 1]) == pytest.approx(72 * information(ppm)[1, 1] / 2, abs=0.02)
    assert [t.text for t in ElementTree.fromstring(logo_svg(-ppm)).iter("text")] == ["0", "−1", "relevance"]
    assert {fill for _, fill, _ in placed(logo_svg(ppm))} <= set(SAFE.values())
    assert not placed(logo_svg(np.zeros((3, 4))))


def test_logos_line_up():
    matrix = np.array([[0, 0, 0, 1.0]])
    alone, shifted = logo_svg(matrix, columns=12), logo_svg(matrix, columns=12, offset=5)
    (_, _, a), (_, _, b) = *placed(alone), *placed(shifted)
    np.testing.assert_allclose(b - a, np.tile([5 * 17, 0], (len(a), 1)), atol=0.01)
    assert ElementTree.fromstring(alone).get("width") == ElementTree.fromstring(shifted).get("width")


def test_what_is_no_logo_is_refused():
    with pytest.raises(InputError, match="expected probabilities"):
        logo_svg([[2.0, 0, 0, 0]], kind="information")
