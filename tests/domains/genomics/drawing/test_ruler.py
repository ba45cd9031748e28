"""The axis: numbers, edges and ticks say the same of every letter, whichever way it runs."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.drawing.ruler import Ruler
from sciexplain.domains.genomics.interval import Interval


@st.composite
def rulers(draw) -> Ruler:
    length = draw(st.integers(1, 3000))
    if draw(st.booleans()):
        return Ruler(length, first=draw(st.integers(-500, 500)))
    start = draw(st.integers(0, 10**8))
    strand = draw(st.sampled_from("+-."))
    return Ruler(length, Interval("c", start, start + length, strand), draw(st.booleans()))


@given(rulers(), st.integers(1, 20))
def test_ticks_are_few_round_and_at_their_letters(ruler, most):
    places, texts = ruler.ticks(most)
    numbers = [int(text.replace(",", "").replace("−", "-")) for text in texts]
    assert len(places) <= most and places == sorted(places)
    assert [ruler.number(place) for place in places] == numbers
    assert all(0 <= place < ruler.length for place in places)
    steps = {abs(b - a) for a, b in pairwise(numbers)}
    assert len(steps) <= 1 and all(str(step).rstrip("0") in ("1", "2", "5") for step in steps)
    # No finer step would do: it would give more ticks than asked for.
    if steps and steps != {1}:
        (step,) = steps
        finer = step * 2 // 5 if str(step).startswith("5") else step // 2
        low, high = sorted((ruler.number(0), ruler.number(ruler.length - 1)))
        assert high // finer - (low - 1) // finer > most


@given(rulers(), st.data())
def test_a_base_has_its_edges_around_its_letter(ruler, data):
    letter = data.draw(st.integers(0, ruler.length - 1))
    base = ruler.number(letter) - (ruler.interval is not None)
    assert ruler.edges(base, base + 1) == (letter - 0.5, letter + 0.5)
    left, right = ruler.edges(base - 3, base + 5)
    assert right - left == 8


@pytest.mark.parametrize(
    ("ruler", "first", "last", "label"),
    [
        (Ruler(5), 0, 4, "position in the sequence (counted from 0)"),
        (Ruler(5, first=-2), -2, 2, "position in the sequence (counted from 0)"),
        (Ruler(5, Interval("chr1", 99, 104)), 100, 104, "chr1, base (counted from 1)"),
        (Ruler(5, Interval("chr1", 99, 104, "-"), True), 104, 100, "chr1, base (counted from 1)"),
    ],
)
def test_first_and_last_letter(ruler, first, last, label):
    assert (ruler.number(0), ruler.number(4), ruler.label) == (first, last, label)
