"""Cross-validation: what it says is what an independent count says, and nothing leaks from held-out patients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

import sciexplain as sx
from sciexplain.domains.genomics.expression import (
    Expression,
    GeneGraphCNN,
    GeneNetwork,
    cross_validate,
    evidence,
    explain,
    mlp,
)
from sciexplain.errors import InputError, ModelError


def small(part):
    return mlp(part.genes, part.classes, (8,))


def simulated(patients=40, genes=60, causal=4, shift=2.5, seed=0, classes=("a", "b")):
    """The first genes are higher in one class, or lower, in turns."""
    rng = np.random.default_rng(seed)
    columns = np.arange(patients) % len(classes)
    values = rng.normal(size=(patients, genes))
    for gene in range(causal):
        values[columns == gene % len(classes), gene] += shift
    names = tuple(f"g{i}" for i in range(genes)), tuple(f"p{i}" for i in range(patients))
    return Expression(values, *names, tuple(classes[c] for c in columns))


def test_figures_are_those_of_a_plain_count():
    table = simulated(classes=("a", "b", "c"), patients=45, shift=3.0)
    table = table[[*range(43)]]
    cv = cross_validate(table, build=small, folds=4, seeds=(3, 4))
    for s, figures in enumerate(cv.figures):
        own = [fold for fold in cv.folds if fold.seed == cv.plan.seeds[s]]
        assert sorted(np.concatenate([fold.test for fold in own])) == list(range(43))
        right, names, p = [], np.array(table.labels), np.zeros((43, 3))
        for fold in own:
            assert not set(fold.train) & set(fold.test)
            assert len(fold.train) + len(fold.test) == 43
            scaled = fold.model.standardizer.apply(table).values[fold.test]
            with torch.no_grad():
                p[fold.test] = fold.model(torch.from_numpy(scaled).float()).double().softmax(1).numpy()
        right = np.array(["a", "b", "c"])[p.argmax(1)] == names
        np.testing.assert_allclose(cv.probabilities[s], p, atol=1e-6)
        assert figures["accuracy"] == pytest.approx(right.mean())
        assert figures["balanced_accuracy"] == pytest.approx(np.mean([right[names == c].mean() for c in "abc"]))
        one_against_rest = [roc_auc_score(names == c, p[:, i]) for i, c in enumerate("abc")]
        assert figures["auroc"] == pytest.approx(np.mean(one_against_rest))
        assert figures["baseline"] <= 15 / 43 + 1e-9
    assert cv.mean("accuracy") > cv.mean("baseline") + 0.2
    different = [[f.test.tolist() for f in cv.folds if f.seed == seed] for seed in (3, 4)]
    assert different[0] != different[1]


def test_held_out_patients_are_explained_by_the_model_that_has_not_seen_them():
    table = simulated()
    cv = cross_validate(table, build=small, folds=4, keep=20, composite=sx.composites.get("epsilon", epsilon=1e-9))
    seen = np.zeros(len(table))
    for fold in cv.folds:
        e = fold.explanation
        assert e.patients == tuple(table.patients[i] for i in fold.test)
        columns = [table.classes.index(table.labels[i]) for i in fold.test]
        again = explain(fold.model, table[fold.test], evidence(columns))
        torch.testing.assert_close(again.relevance, e.relevance, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(e.relevance.sum(1), e.score, rtol=1e-3, atol=1e-3)
        for row, patient in enumerate(fold.test):
            whole = dict(zip(table.genes, cv.relevance[0, patient].tolist(), strict=True))
            assert all(whole[g] == r for g, r in zip(e.genes, e.relevance[row].tolist(), strict=True))
            assert all(whole[g] == 0 for g in set(table.genes) - set(e.genes))
        seen[fold.test] += 1
    assert (seen == 1).all()


def test_the_same_seed_gives_the_same_result_and_leaves_the_generator_alone():
    table = simulated()
    state = torch.random.get_rng_state()
    a, b = (cross_validate(table, build=small, folds=3) for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state())
    np.testing.assert_array_equal(a.relevance, b.relevance)
    other = cross_validate(table, build=small, folds=3, seeds=(1,))
    assert not np.array_equal(a.relevance, other.relevance)


# -- leakage ----------------------------------------------------------------------------------------------------------


def by_difference(k):
    """A gene filter that looks at the labels: what leaks where it sees held-out patients."""

    def keep(part):
        a, b = (part.values[[label == c for label in part.labels]].mean(0) for c in part.classes)
        return [part.genes[i] for i in np.argsort(-np.abs(a - b))[:k]]

    return keep


def test_a_filter_that_sees_labels_gives_chance_on_labels_that_mean_nothing():
    """On the whole table the same filter gives nearly all right, so that this fails if it is applied there."""
    honest, leaking = [], []
    for seed in range(4):
        table = simulated(patients=40, genes=2000, causal=0, seed=seed)
        honest.append(cross_validate(table, build=small, keep=by_difference(20), epochs=30).mean("accuracy"))
        chosen = table.with_genes(by_difference(20)(table))
        leaking.append(cross_validate(chosen, build=small, epochs=30).mean("accuracy"))
    assert np.mean(leaking) > 0.85
    assert abs(np.mean(honest) - 0.5) < 0.15


def test_nothing_is_learned_from_held_out_patients():
    """Held-out patients replaced by others: all that the model of that fold is made of stays bit for bit."""
    table = simulated(genes=40)
    built: list[Expression] = []

    def build(part):
        built.append(part)
        return GeneGraphCNN(GeneNetwork.from_correlation(part, 3), part.classes, channels=(2,), order=2, hidden=())

    options = {"build": build, "folds": 4, "keep": 25, "epochs": 3}
    first = cross_validate(table, **options).folds[0]
    values = table.values.copy()
    values[first.test] = 1e3 * np.random.default_rng(9).normal(size=values[first.test].shape)
    other = cross_validate(Expression(values, table.genes, table.patients, table.labels), **options).folds[0]
    assert other.test.tolist() == first.test.tolist()
    assert other.explanation.genes == first.explanation.genes
    np.testing.assert_array_equal(other.model.standardizer.mean, first.model.standardizer.mean)
    np.testing.assert_array_equal(other.model.standardizer.scale, first.model.standardizer.scale)
    np.testing.assert_array_equal(built[0].values, built[4].values)
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name


def test_deepshap_compares_with_the_training_part():
    table = simulated()
    cv = cross_validate(table, build=small, folds=4, method="deepshap")
    fold = cv.folds[2]
    columns = [table.classes.index(table.labels[i]) for i in fold.test]
    e = explain(fold.model, table[fold.test], evidence(columns), "deepshap", reference=table[fold.train])
    torch.testing.assert_close(fold.explanation.relevance, e.relevance)
    other = cross_validate(table, build=small, folds=4).explained("deepshap")
    np.testing.assert_array_equal(other.relevance, cv.relevance)
    np.testing.assert_array_equal(other.probabilities, cv.probabilities)


def test_one_output_is_enough_for_two_classes():
    table = simulated()
    cv = cross_validate(table, build=lambda part: mlp(part.genes, 1, (8,)), folds=4)
    assert cv.mean("accuracy") > 0.8
    assert cv.mean("auroc") > 0.9
    np.testing.assert_allclose(cv.probabilities.sum(2), 1)
    assert cv.relevance.mean(1)[0, :4].min() > np.abs(cv.relevance.mean(1)[0, 4:]).max()


WRONG = {
    "no labels": ({"table": np.zeros((4, 2))}, InputError, "Give labels="),
    "one class": ({"labels": ["a"] * 40}, InputError, "of 1 classes"),
    "too many folds": ({"labels": ["rare"] * 3 + ["b"] * 37}, InputError, "5 folds, but class 'rare' has 3 patients"),
    "too many genes": ({"keep": 61}, InputError, "keep=61 of 60 genes"),
    "no genes": ({"keep": lambda part: []}, InputError, "kept none"),
    "no seeds": ({"seeds": ()}, InputError, r"seeds=\(\)"),
    "no passes": ({"epochs": 0}, InputError, "epochs=0"),
    "other outputs": ({"build": lambda part: nn.Linear(60, 5)}, ModelError, r"shape \(32, 5\) for 32 patients of 2"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused(case):
    options, error, reason = WRONG[case]
    options = {"table": simulated(), "build": small} | options
    with pytest.raises(error, match=reason):
        cross_validate(**options)
