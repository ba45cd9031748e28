"""The running sum written out, and its null."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciexplain.domains.genomics.gsea import Ranking, enrichment_scores, null_scores, significance


def running_sum(values: Sequence[float], members: set[int], weight: float) -> float:
    """Subramanian et al. (2005), gene by gene; genes of equal value in one step."""
    order = sorted(range(len(values)), key=lambda i: -values[i])
    total = math.fsum(abs(values[i]) ** weight for i in members)
    if total == 0:
        return 0.0
    now, high, low = 0.0, 0.0, 0.0
    for place, i in enumerate(order):
        now += abs(values[i]) ** weight / total if i in members else -1 / (len(values) - len(members))
        if place + 1 == len(order) or values[order[place + 1]] != values[i]:
            high, low = max(high, now), min(low, now)
    return high if high >= -low else low


VALUES = st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats(-5, 5)), min_size=2, max_size=30)


@given(VALUES, st.data(), st.sampled_from([0.0, 1.0, 2.0]))
@settings(max_examples=200)
def test_scores_are_the_running_sum_written_out(values: list[float], data: st.DataObject, weight: float) -> None:
    members = data.draw(st.sets(st.integers(0, len(values) - 1), min_size=1, max_size=len(values) - 1))
    ranking = Ranking.of(np.array(values), weight)
    hits = np.flatnonzero(np.isin(ranking.order, list(members)))
    (score,), _ = enrichment_scores(ranking, hits[None])
    expected = running_sum(values, members, weight)
    # where the sum is as far above zero as below, either is the largest deviation
    assert abs(score) == pytest.approx(abs(expected), abs=1e-9)
    assert -1 - 1e-12 <= score <= 1 + 1e-12
    shuffled = data.draw(st.permutations(range(len(values))))
    other = Ranking.of(np.array(values)[list(shuffled)], weight)
    again = np.flatnonzero(np.isin([shuffled[i] for i in other.order], list(members)))
    assert abs(enrichment_scores(other, again[None])[0][0]) == pytest.approx(abs(score), abs=1e-9)


def test_the_null_is_drawn_from_all_sets_of_the_size() -> None:
    """Of 6 genes and sets of 2, all 15 can be tried."""
    values = [3.0, 2.0, 1.0, -1.0, -1.5, -2.0]
    ranking = Ranking.of(np.array(values))
    pairs = np.array([(i, j) for i in range(6) for j in range(i + 1, 6)])
    every = enrichment_scores(ranking, pairs)[0]
    drawn = null_scores(ranking, [1, 2, 4], permutations=30_000, seed=0)[2]
    for score in set(every.round(9).tolist()):
        share = np.isclose(every, score).mean()
        assert np.isclose(drawn, score).mean() == pytest.approx(share, abs=5 * (share / 30_000) ** 0.5)


def test_p_counts_scores_as_large_on_the_same_side() -> None:
    null = np.array([0.5, 0.3 + 1e-16, 0.1 + 0.2, 0.1, 0.0, -0.9, -0.2])
    nes, p = significance(np.array([0.3, -0.2, 0.6, 0.0, 0.3]), [null, null, null, null, -np.abs(null)])
    assert p.tolist() == [4 / 6, 3 / 4, 1 / 6, 1.0, 1 / 2]
    assert nes.tolist() == pytest.approx([0.25 / 0.25, -0.2 / 0.55, 0.6 / 0.3, math.nan, math.nan], nan_ok=True)
