"""Variants share forward passes where rows are samples of their own, and only there."""

import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

NET = randomize(nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)))
X = sample(4, 5)
EDGES = torch.tensor([[0, 1, 2, 3, 1], [1, 2, 3, 0, 3]])


class Counted:
    """The rows of each forward pass."""

    def __init__(self, model):
        self.model, self.rows = model, []

    def __call__(self, x):
        self.rows.append(len(x))
        return self.model(x)


#: method, options, rows of each forward pass for four samples: as given, in shared passes, the baseline
PASSES = {
    "integrated_gradients": ({"steps": 16}, [4, 68, 4]),
    "integrated_gradients in chunks": ({"steps": 16, "chunk": 24}, [4, 28, 24, 16, 4]),
    "integrated_gradients one by one": ({"steps": 3, "chunk": 1}, [4, 4, 4, 4, 4]),
    "smoothgrad": ({"samples": 10}, [4, 44]),
    "occlusion": ({}, [4, 24]),
    "occlusion in chunks": ({"chunk": 8}, [4, 12, 8, 4]),
    "shapley_sampling": ({"samples": 2}, [4, 4 * 9 + 4]),
    "kernel_shap": ({}, [4, 4, 4 * 30 + 4]),
    "gradient": ({}, [4]),
}


@pytest.mark.parametrize("case", PASSES)
def test_passes(case):
    options, expected = PASSES[case]
    model = Counted(NET)
    sx.explain(model, X, 1, method=case.split(" ")[0], **options)
    assert model.rows == expected


def on_edges(x):
    return x.index_add(0, EDGES[1], x[EDGES[0]])


#: models of which rows are no samples, or that take no other number of them
MIXED = {
    "a graph": lambda x: NET(on_edges(x)),
    "neighbouring rows": lambda x: NET(x + x.roll(1, 0)),
    "batch statistics": lambda x: NET((x - x.mean(0)) / (x.std(0) + 1)),
    "one batch size": lambda x: NET(x.view(4, 5)),
    "one score for all": lambda x: NET(on_edges(x)).sum(0, keepdim=True),
}


@pytest.mark.parametrize("method", ["integrated_gradients", "smoothgrad"])
@pytest.mark.parametrize("case", MIXED)
def test_rows_that_are_no_samples(case, method):
    """As if no passes were shared, which ``chunk=1`` says."""
    model = MIXED[case]
    found = sx.explain(model, X, 1, method)
    alone = sx.explain(model, X, 1, method, chunk=1)
    torch.testing.assert_close(found.relevance, alone.relevance)
    if method == "integrated_gradients":
        assert found.convergence_error.abs().max() < 1e-6 or case in (
            "a graph",
            "neighbouring rows",
            "batch statistics",
        )
        assert found.convergence_error.sum().abs() < 1e-6


@pytest.mark.parametrize("case", MIXED)
def test_occlusion_of_rows_that_are_no_samples(case):
    model = MIXED[case]
    found = sx.explain(model, X, 1, "occlusion").relevance
    score = model(X)[:, 1]
    for i in range(5):
        hidden = X.clone()
        hidden[:, i] = 0
        torch.testing.assert_close(found[:, i], (score - model(hidden)[:, 1]).detach().expand(4))


def test_a_tensor_that_the_samples_share():
    shift = sample(1, 5, seed=3)
    for method in ("integrated_gradients", "smoothgrad"):
        found = sx.explain(lambda x, s: NET(x + s), (X, shift), 1, method).relevance
        assert found[1].shape == (1, 5)
        split = sx.explain(lambda x, s: NET(x + s), (X, shift), 1, method, batch_size=2).relevance
        torch.testing.assert_close(found, split)


#: targets that know their own batch
TARGETS = {
    "classes": torch.tensor([2, 0, 1, 2]),
    "start relevance": sample(4, 3, seed=6),
    "callable on each row": lambda y: (y * sample(4, 3, seed=6)).sum(1),
    "callable on classes": lambda y: y[torch.arange(4), torch.tensor([2, 0, 1, 2])],
}
OUTPUTS = {
    "tensor": (lambda x: NET(x), lambda o: o),
    "tuple": (lambda x: (NET(x), "also", NET(-x)), lambda o: o[0]),
    "dict": (lambda x: {"logits": NET(x), "n": 3}, lambda o: o["logits"]),
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("target", TARGETS)
def test_targets_in_shared_passes(target, output):
    (model, pick), target = OUTPUTS[output], TARGETS[target]
    if callable(target):
        target = (lambda inner: lambda o: inner(pick(o)))(target)
    counted = Counted(model)
    found = sx.explain(counted, X, target, "integrated_gradients", steps=8)
    assert counted.rows == [4, 36, 4]
    alone = sx.explain(model, X, target, "integrated_gradients", steps=8, chunk=1)
    torch.testing.assert_close(found.relevance, alone.relevance)


def test_errors_of_the_model_come_through():
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes"):
        sx.explain(NET, X[:, :3], 1, "occlusion")
    with pytest.raises(sx.RuleError, match="chunk=0: expected a positive number of rows"):
        sx.explain(NET, X, 1, "occlusion", chunk=0)
