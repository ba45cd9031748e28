"""Figures of predictions, against scikit-learn's and SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, rankdata, spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from sciexplain.domains.genomics.reference.scores import (
    auroc,
    average_precision,
    pearson,
    profile_scores,
    ranks,
    scores,
)

RNG = np.random.default_rng(0)
ROWS = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40).filter(
    lambda rows: len({truth for truth, _ in rows}) == 2
)


@given(ROWS)
def test_ranking_with_ties(rows):
    truth, predicted = (np.array(column, float) for column in zip(*rows, strict=True))
    assert auroc(truth, predicted) == pytest.approx(roc_auc_score(truth, predicted))
    assert average_precision(truth, predicted) == pytest.approx(average_precision_score(truth, predicted))
    assert ranks(predicted).tolist() == rankdata(predicted).tolist()


def test_numbers_with_gaps():
    truth, predicted = RNG.normal(size=(30, 2)), RNG.normal(size=(30, 2)).round(1)
    truth[::3, 1] = np.nan
    found, known = scores(truth, predicted, "regression"), ~np.isnan(truth[:, 1])
    for name, peer in (("Pearson", pearsonr), ("Spearman", spearmanr)):
        expected = [peer(truth[:, 0], predicted[:, 0])[0], peer(truth[known, 1], predicted[known, 1])[0]]
        assert found[name] == pytest.approx(np.mean(expected))
    errors = (truth - predicted) ** 2
    assert found["RMSE"] == pytest.approx(np.mean([errors[:, 0].mean() ** 0.5, errors[known, 1].mean() ** 0.5]))


def test_classes_are_counted_by_the_largest_logit_and_tasks_by_zero():
    truth = np.eye(3)[[0, 1, 2, 2]]
    logits = np.array([[3, 1, 2], [1, 2, 3], [1, 2, 3], [-3, -2, -1]], float)
    assert scores(truth, logits, "classes")["accuracy"] == 0.75
    assert scores(truth, logits, "binary")["accuracy"] == np.mean((logits > 0) == (truth > 0))


def test_what_is_not_defined_is_nan():
    assert np.isnan(auroc(np.ones(3), np.arange(3.0))) and np.isnan(average_precision(np.zeros(3), np.arange(3.0)))
    assert np.isnan(pearson(np.full(3, 0.1), np.arange(3.0)))


def test_a_known_profile_costs_nothing_and_a_flat_one_its_information():
    truth = RNG.integers(1, 9, (5, 2, 8)).astype(float)
    truth[0, 0] = 0  # no read says nothing about where reads lie
    share = truth / np.maximum(truth.sum(2, keepdims=True), 1)
    best = profile_scores(truth, np.log(share + 1e-300), np.log1p(truth.sum(2)))
    assert best["cross-entropy"] == pytest.approx(0, abs=1e-9) and best["Pearson"] == pytest.approx(1)
    flat = profile_scores(truth, np.zeros_like(truth), np.zeros((5, 2)))
    entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(2)[truth.sum(2) > 0]
    assert flat["cross-entropy"] == pytest.approx(np.log(8) - entropy.mean())
