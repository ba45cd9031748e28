"""Training: the same model again, classes weighted alike, and a model that takes tables as they are."""

from __future__ import annotations

import numpy as np
import torch

from sciexplain.domains.genomics.expression import Expression, explain, mlp, train


def simulated(patients=30, genes=20):
    rng = np.random.default_rng(0)
    values = rng.normal(5, 1, size=(patients, genes))
    values[::2, :3] += 2
    return Expression.of(values, labels=["a", "b"] * (patients // 2))


def build(part):
    return mlp(part.genes, part.classes, (8,), dropout=0)


def test_a_trained_model_takes_raw_tables_in_any_order():
    table = simulated()
    model = train(build, table)
    assert not model.training
    order = tuple(np.random.default_rng(0).permutation(table.genes))
    a = explain(model, table, table.labels)
    b = explain(model, table.with_genes(order), table.labels)
    torch.testing.assert_close(a.relevance, b.relevance)
    assert (a.output.argmax(1).numpy() == [table.classes.index(label) for label in table.labels]).mean() > 0.95


def test_classes_weigh_alike_however_many_patients_they_have():
    """Each patient of one class three times: the same loss, and so the same model."""
    table = simulated()
    scaled = Expression(table.values - table.values.mean(0), table.genes, table.patients, table.labels)
    rows = np.concatenate([np.arange(30), np.arange(0, 30, 2), np.arange(0, 30, 2)])
    names = tuple(f"p{i}" for i in range(len(rows)))
    more = Expression(scaled.values[rows], table.genes, names, tuple(table.labels[i] for i in rows))
    for make in (build, lambda part: mlp(part.genes, 1, (8,), dropout=0)):
        one, other = (train(make, given, standardize=False) for given in (scaled, more))
        for name, value in one.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], value, rtol=1e-3, atol=1e-5)


def test_a_seed_decides_everything():
    table = simulated()
    state = torch.random.get_rng_state()
    one, again, other = (train(build, table, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(one[0].weight, again[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)
