"""Maximal stretches against the definition, by trying all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.stretches import maximal_stretches

tracks = st.lists(st.integers(-4, 4).map(float) | st.just(-np.inf), min_size=1, max_size=25)


def by_definition(track):
    """Ruzzo and Tompa's recursion: the best stretch (the first and shortest of equal ones), then both sides of it."""
    best, span = 0.0, None
    for a in range(len(track)):
        for b in range(a + 1, len(track) + 1):
            if sum(track[a:b]) > best:
                best, span = sum(track[a:b]), (a, b)
    if span is None:
        return []
    a, b = span
    return by_definition(track[:a]) + [span] + [(b + s, b + e) for s, e in by_definition(track[b:])]


@given(tracks)
def test_stretches_are_those_of_the_recursive_definition(track):
    # unequal decimals decide between stretches of equal sums, which the definition leaves open
    track = [x + 0.001 * np.sin(17 * i + 1) for i, x in enumerate(track)]
    found = maximal_stretches(np.array([track]))
    assert list(zip(found.starts.tolist(), found.ends.tolist(), strict=True)) == by_definition(track)
    assert np.allclose(
        found.sums(np.array([track])), [sum(track[a:b]) for a, b in zip(found.starts, found.ends, strict=True)]
    )


@given(st.lists(st.lists(st.floats(-2, 1, width=16), min_size=12, max_size=12), min_size=2, max_size=4))
def test_each_track_is_on_its_own(many):
    together = maximal_stretches(np.array(many))
    for row, track in enumerate(many):
        alone, here = maximal_stretches(np.array([track])), together.rows == row
        assert np.array_equal(alone.starts, together.starts[here]) and np.array_equal(alone.ends, together.ends[here])


@given(st.lists(st.floats(-1, 2, width=16), min_size=1, max_size=60), st.integers(1, 9))
def test_long_ones_are_cut_into_parts_within_them(track, longest):
    whole, parts = maximal_stretches(np.array([track])), maximal_stretches(np.array([track]), max_length=longest)
    assert ((parts.ends - parts.starts) <= longest).all()
    assert (parts.starts[1:] >= parts.ends[:-1]).all()
    for a, b in zip(parts.starts, parts.ends, strict=True):
        assert ((whole.starts <= a) & (b <= whole.ends)).any()
        assert track[a] > 0 and track[b - 1] > 0


@given(tracks, st.integers(0, 3))
def test_wide_gaps_are_not_bridged(track, gap):
    """As if each group of runs less apart stood alone."""
    track = [x + 0.001 * np.sin(17 * i + 1) for i, x in enumerate(track)]
    above = [i for i, x in enumerate(track) if x > 0]
    groups = np.split(above, [k + 1 for k in range(len(above) - 1) if above[k + 1] - above[k] > gap + 1])
    expected = [(g[0] + a, g[0] + b) for g in groups if len(g) for a, b in by_definition(track[g[0] : g[-1] + 1])]
    found = maximal_stretches(np.array([track]), max_gap=gap)
    assert list(zip(found.starts.tolist(), found.ends.tolist(), strict=True)) == expected


def test_a_plateau_is_cut_and_not_lost():
    found = maximal_stretches(np.ones((1, 100)), max_length=30)
    assert (found.ends - found.starts).sum() >= 90


@pytest.mark.parametrize(("least", "starts"), [(1, [0, 3]), (2, [3]), (3, [])])
def test_short_ones_are_left_out(least, starts):
    assert maximal_stretches(np.array([[1.0, -5, -5, 1, 1, -5]]), min_length=least).starts.tolist() == starts
