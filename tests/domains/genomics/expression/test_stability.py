"""Stability and agreement against counts by hand and the papers' own formulas."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom, spearmanr

from sciexplain.domains.genomics.expression import (
    Expression,
    GeneRanking,
    agreement,
    cross_validate,
    mlp,
    stability,
)
from sciexplain.domains.genomics.expression.stability import rank_biased_overlap, set_stability
from sciexplain.errors import InputError


@given(st.integers(2, 6), st.integers(1, 9), st.integers(0, 10_000))
def test_for_sets_of_one_size_it_is_kunchevas_index(m, k, seed):
    rng = np.random.default_rng(seed)
    sets = [set(rng.choice(10, k, replace=False).tolist()) for _ in range(m)]
    index = [(len(a & b) - k * k / 10) / (k - k * k / 10) for a, b in itertools.combinations(sets, 2)]
    chosen = [[gene in s for gene in range(10)] for s in sets]
    assert set_stability(chosen)[0] == pytest.approx(np.mean(index))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Sets drawn from known chances: the stability in the limit follows from these (Nogueira et al., theorem 7)."""
    rng = np.random.default_rng(0)
    chance = rng.beta(0.4, 1.2, 200)
    mean = chance.mean()
    truth = 1 - (chance * (1 - chance)).mean() / (mean * (1 - mean))
    inside = []
    for _ in range(300):
        _, (low, high) = set_stability(rng.random((30, 200)) < chance)
        inside.append(low <= truth <= high)
    assert np.mean(inside) > 0.9


def test_random_sets_have_none_and_equal_sets_all_of_it():
    rng = np.random.default_rng(0)
    random = np.zeros((50, 400), bool)
    for row in random:
        row[rng.choice(400, 40, replace=False)] = True
    assert abs(set_stability(random)[0]) < 0.02
    assert set_stability(random[[0, 0, 0]]) == (1.0, (1.0, 1.0))
    with pytest.raises(InputError, match="at least two"):
        set_stability(random[:1])


def plain_overlap(a, b, p):
    """Webber et al. 2010, equation 32, as it stands."""
    n = len(a)
    x = [len(set(a[:d]) & set(b[:d])) for d in range(1, n + 1)]
    return x[-1] / n * p**n + (1 - p) / p * sum(x[d - 1] / d * p**d for d in range(1, n + 1))


@given(st.permutations(range(8)), st.permutations(range(3, 11)), st.floats(0.1, 0.99))
def test_rank_biased_overlap_is_the_papers(a, b, p):
    assert rank_biased_overlap(a, b, p) == pytest.approx(plain_overlap(a, b, p), abs=1e-12)
    assert rank_biased_overlap(b, a, p) == pytest.approx(rank_biased_overlap(a, b, p))
    assert rank_biased_overlap(a, a, p) == pytest.approx(1)


def ranking(genes, score):
    score = np.asarray(score, float)
    return GeneRanking(tuple(genes), score, {"x": score}, ("x",) * len(score))


def test_agreement_is_over_the_genes_that_both_have():
    rng = np.random.default_rng(0)
    names = [f"g{i}" for i in range(60)]
    truth = rng.normal(size=60)
    a = ranking(names[:50], truth[:50] + 0.3 * rng.normal(size=50))
    mixed = rng.permutation(np.arange(10, 60))
    b = ranking([names[i] for i in mixed], truth[mixed] + 0.3 * rng.normal(size=50))
    found = agreement(a, b, 8)
    common = names[10:50]
    of_a, of_b = (dict(zip(r.genes, r.score, strict=True)) for r in (a, b))
    first, second = (sorted(common, key=lambda g: -scores[g]) for scores in (of_a, of_b))
    assert found.genes == 40
    assert found.only == (10, 10)
    assert found.shared == tuple(g for g in first[:8] if g in second[:8])
    assert found.overlap == len(found.shared)
    assert found.p == pytest.approx(sum(hypergeom.pmf(k, 40, 8, 8) for k in range(found.overlap, 9)))
    assert found.rbo == pytest.approx(plain_overlap(first, second, 0.98))
    assert found.spearman == pytest.approx(spearmanr([of_a[g] for g in common], [of_b[g] for g in common]).statistic)
    same = agreement(a, a, 8)
    assert (same.overlap, same.rbo, same.spearman) == (8, pytest.approx(1), pytest.approx(1))
    with pytest.raises(InputError, match="share 40 genes"):
        agreement(a, b, 40)


@pytest.fixture(scope="module")
def signal():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 100))
    values[::2, :10] += 3
    table = Expression.of(values, labels=["a", "b"] * 20)
    return cross_validate(table, build=lambda p: mlp(p.genes, p.classes, (6,)), folds=4, seeds=(0, 1, 2), epochs=20)


@pytest.mark.parametrize(("over", "runs"), [("folds", 12), ("seeds", 3)])
def test_the_same_causes_come_up_again(over, runs, signal):
    found = stability(signal, 10, over=over)
    assert (found.runs, found.k) == (runs, 10)
    assert found.similarity > 0.8
    assert found.interval[0] <= found.similarity <= found.interval[1] <= 1
    assert stability(signal, 60, over=over).similarity < 0.6


def test_stability_is_that_of_the_folds_own_scores(signal):
    found = stability(signal, 7)
    scores = []
    for fold in signal.folds:
        labels = np.array(fold.explanation.labels)
        r = fold.explanation.relevance.double().numpy()
        scores.append((r[labels == "a"].mean(0) + r[labels == "b"].mean(0)) / 2)
    chosen = [np.isin(np.arange(100), np.argsort(-s)[:7]) for s in scores]
    assert found.similarity == pytest.approx(set_stability(chosen)[0])
    pairs = [spearmanr(a, b).statistic for a, b in itertools.combinations(scores, 2)]
    assert found.spearman == pytest.approx(np.mean(pairs), abs=1e-4)


def test_one_ranking_has_no_stability(signal):
    one = cross_validate(signal.table, build=lambda p: mlp(p.genes, p.classes, ()), folds=2, epochs=1)
    with pytest.raises(InputError, match="1 rankings"):
        stability(one, 10, over="seeds")
    with pytest.raises(InputError, match="k=100 of 100 genes"):
        stability(one, 100)
    with pytest.raises(InputError, match="over='runs'"):
        stability(one, 10, over="runs")
