"""Empirical p-values and q-values against their definitions, and their calibration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from sciexplain.domains.genomics.statistics import benjamini_hochberg, empirical_p
from sciexplain.errors import InputError

scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


@given(scores, scores)
def test_empirical_p_counts_draws_as_extreme_ties_included(observed, null):
    expected = [(1 + sum(n >= o for n in null)) / (1 + len(null)) for o in observed]
    assert np.allclose(empirical_p(observed, null), expected, rtol=0, atol=1e-15)
    less = [(1 + sum(n <= o for n in null)) / (1 + len(null)) for o in observed]
    assert np.allclose(empirical_p(observed, null, side="less"), less, rtol=0, atol=1e-15)
    both = [min(1, 2 * min(a, b)) for a, b in zip(expected, less, strict=True)]
    assert np.allclose(empirical_p(observed, null, side="two-sided"), both, rtol=0, atol=1e-15)


def test_each_score_may_have_its_own_null():
    null = np.array([[0.0, 5.0], [1.0, 6.0], [2.0, 7.0]])
    assert empirical_p([1.0, 1.0], null).tolist() == [0.75, 1.0]


@pytest.mark.parametrize("draws", [9, 19])
def test_p_is_below_alpha_at_most_as_often_as_alpha_under_the_null(draws):
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 20, (draws + 1, 20_000))  # ties
    p = empirical_p(drawn[0], drawn[1:])
    for alpha in (0.1, 0.2, 0.5):
        assert (p <= alpha).mean() <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / 20_000)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), scores, st.integers(0, 9))
def test_what_is_left_out_counts_all_the_same(p, null, more):
    assert np.array_equal(benjamini_hochberg(p, tests=len(p) + more), benjamini_hochberg(p + [1.0] * more)[: len(p)])
    observed = [x for x in null if x > -5]
    assert np.array_equal(
        empirical_p(observed, null, draws=len(null) + more), empirical_p(observed, null + [-np.inf] * more)
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_q_values_are_scipys(p):
    assert np.allclose(benjamini_hochberg(p), false_discovery_control(p), rtol=1e-12, atol=0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.001, 1))
def test_calls_are_those_of_the_step_up_procedure(p, rate):
    ordered = sorted(p)
    passing = [k for k in range(1, len(p) + 1) if ordered[k - 1] <= rate * k / len(p)]
    # q ≤ rate and p ≤ rate·k/m are one statement in exact arithmetic; stay clear of the rounding between them
    if any(np.isclose(ordered[k - 1] * len(p), rate * k, rtol=1e-9) for k in range(1, len(p) + 1)):
        return
    assert (benjamini_hochberg(p) <= rate).sum() == (max(passing) if passing else 0)


def test_what_is_not_tested_does_not_count():
    q = benjamini_hochberg([0.01, np.nan, 0.02])
    assert np.allclose(q[[0, 2]], [0.02, 0.02]) and np.isnan(q[1])
    assert benjamini_hochberg([]).shape == (0,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: empirical_p([1.0], []), "no scores"),
        (lambda: empirical_p([1.0, 2.0], np.zeros((5, 3))), "expected \\(m,\\)"),
        (lambda: empirical_p([np.nan], [1.0]), "NaN"),
        (lambda: empirical_p([1.0], [1.0], side="up"), "side='up'"),
        (lambda: empirical_p([1.0], [1.0, 2.0], draws=1), "draws=1 for 2"),
        (lambda: benjamini_hochberg([0.5, 1.5]), "0 to 1"),
        (lambda: benjamini_hochberg([0.5, 0.5], tests=1), "tests=1 for 2"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
