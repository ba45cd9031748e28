"""Rankings of genes: known causes come first, and nothing comes where nothing is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from sciexplain.domains.genomics.expression import (
    Expression,
    ExpressionExplanation,
    cross_validate,
    mlp,
    rank_genes,
)
from sciexplain.domains.genomics.expression.rank import p_values
from sciexplain.domains.genomics.statistics import benjamini_hochberg
from sciexplain.errors import InputError

FAST = {"folds": 3, "epochs": 60}


def small(part):
    return mlp(part.genes, part.classes, (6,))


def simulated(seed=0, patients=36, genes=80, causal=5, shift=2.5):
    """Genes in modules that vary together; the first are higher in class a (even) or b (odd)."""
    rng = np.random.default_rng(seed)
    module = rng.integers(8, size=genes)
    values = 0.6 * rng.normal(size=(patients, 8))[:, module] + 0.8 * rng.normal(size=(patients, genes))
    columns = np.arange(patients) % 2
    for gene in range(causal):
        values[columns == gene % 2, gene] += shift
    return Expression.of(values, labels=np.array(["a", "b"])[columns])


@pytest.fixture(scope="module")
def ranked():
    cv = cross_validate(simulated(), build=small, **FAST, seeds=(0, 1))
    return cv, rank_genes(cv, permutations=15)


def test_scores_are_means_over_held_out_patients_of_each_class(ranked):
    cv, ranking = ranked
    labels = np.array(cv.table.labels)
    for name in "ab":
        expected = cv.relevance[:, labels == name].astype(float).mean((0, 1))
        np.testing.assert_allclose(ranking.by_class[name], expected, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(ranking.score, (ranking.by_class["a"] + ranking.by_class["b"]) / 2)


def test_causes_come_first_with_the_class_in_which_they_are_high(ranked):
    cv, ranking = ranked
    causes = {f"gene_{i}" for i in range(5)}
    assert set(ranking.top(5)) == causes
    assert causes <= set(ranking.significant())
    assert len(ranking.significant()) <= 7
    assert [ranking.higher_in[i] for i in range(5)] == ["a", "b", "a", "b", "a"]
    signed = ranking.signed("a")
    assert [np.sign(signed[f"gene_{i}"]) for i in range(5)] == [1, -1, 1, -1, 1]
    assert ranking.accuracy == cv.mean("accuracy") > 0.85
    assert len(ranking.null_accuracy) == 15
    assert abs(ranking.null_accuracy.mean() - 0.5) < 0.15
    assert all(ranking.family_p[i] == 1 / 16 for i in range(5))


def test_the_null_is_calibrated_where_there_is_no_signal():
    p, family, found = [], [], 0
    for seed in range(8):
        table = simulated(seed, patients=24, genes=60, causal=0)
        ranking = rank_genes(cross_validate(table, build=small, folds=2, epochs=10), permutations=9, seed=seed)
        p.append(ranking.p)
        family.append(ranking.family_p.min())
        found += bool(len(ranking.significant(0.1)))
    p = np.concatenate(p)
    for level in (0.05, 0.1, 0.25, 0.5, 0.75):
        assert abs((p <= level).mean() - level) < 0.04 + 0.25 * level
    assert found <= 3
    assert sum(f <= 0.1 for f in family) <= 3


def test_p_values_are_exact_for_exchangeable_runs():
    """Runs drawn alike, genes with scales of their own and dependent: p ≤ α in a share of α, family-wise too."""
    rng = np.random.default_rng(0)
    share, family = [], []
    for _ in range(400):
        runs = rng.normal(size=(20, 30)) @ (np.eye(30) + 0.5 * rng.normal(size=(30, 30))) * rng.lognormal(0, 2, 30)
        p, own = p_values(runs[0], runs[1:])
        share.append([(p <= level).mean() for level in (0.05, 0.2, 0.5)])
        family.append(own.min() <= 0.05)
    np.testing.assert_allclose(np.mean(share, 0), [0.05, 0.2, 0.5], atol=0.02)
    assert abs(np.mean(family) - 0.05) < 0.03


def test_p_values_are_those_of_a_plain_loop():
    rng = np.random.default_rng(1)
    runs = rng.normal(size=(7, 5))
    runs[:, 4] = 0.0  # a gene that no model had
    spread, centre = np.zeros((7, 5)), np.zeros((7, 5))
    for run in range(7):
        others = np.delete(runs, run, 0)
        centre[run], spread[run] = others.mean(0), others.std(0, ddof=1)
    d = (runs - centre) / (spread + np.median(spread[spread > 0]))
    p, family = p_values(runs[0], runs[1:])
    for gene in range(5):
        assert p[gene] == pytest.approx((1 + (d[1:] >= d[0, gene]).sum()) / (1 + 6 * 5))
        assert family[gene] == pytest.approx((1 + (d[1:].max(1) >= d[0, gene]).sum()) / 7)


def test_tables_are_in_the_order_of_the_ranking(ranked, tmp_path):
    _, ranking = ranked
    table = pd.read_parquet(ranking.to_parquet(tmp_path / "r.parquet"))
    assert table.gene.tolist() == list(ranking.values) == list(ranking.top(80))
    assert table.score.is_monotonic_decreasing
    np.testing.assert_array_equal(table.q, benjamini_hochberg(ranking.p)[ranking.order])
    assert ranking.ranks[table.gene[6]] == 7
    assert list(table) == ["gene", "score", "higher_in", "score_a", "score_b", "p", "q", "family_p"]


def test_explanations_are_ranked_without_a_null():
    relevance = torch.tensor([[1.0, 5.0, 0.0], [3.0, 1.0, 0.0], [1.0, 0.0, 9.0]], dtype=torch.float64)
    values = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [1.0, 0.0, 5.0]])

    def part(rows, labels):
        names = tuple(f"p{i}" for i in rows)
        r = relevance[rows]
        return ExpressionExplanation(r, values[rows], r.sum(1), None, r, ("A", "B", "C"), names, labels=labels)

    ranking = rank_genes([part([0, 1], ("x", "x")), part([2], ("y",))])
    np.testing.assert_allclose(ranking.score, [1.5, 1.5, 4.5])
    np.testing.assert_allclose(ranking.by_class["x"], [2, 3, 0])
    assert (ranking.top(2), ranking.higher_in) == (("C", "A"), ("y", "x", "y"))
    assert ranking.p is None
    with pytest.raises(InputError, match="no null"):
        ranking.significant()
    with pytest.raises(InputError, match="cross_validate is needed"):
        rank_genes(part([0, 1], ("x", "y")), permutations=10)
    with pytest.raises(InputError, match="no labels"):
        rank_genes(part([0], None))
    with pytest.raises(InputError, match="no class 'z'"):
        ranking.signed("z")
