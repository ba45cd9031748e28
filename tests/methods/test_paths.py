"""Integrated gradients: completeness, closed forms, and captum with the same nodes (its weights are float32)."""

import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

NET = randomize(nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4), nn.SiLU(), nn.Linear(4, 3)))
X = sample(4, 5)


def integrated(model, inputs, target=1, **options):
    return sx.explain(model, inputs, target, method="integrated_gradients", **options)


def two(a, b):
    return NET(a * b + a)


@pytest.mark.parametrize("baseline", [0.0, -1.5, sample(5, seed=3), sample(4, 5, seed=3), sample(1, 5, seed=3)])
def test_completeness(baseline):
    e = integrated(NET, X, baseline=baseline, steps=64)
    start = torch.as_tensor(baseline).double().expand(4, 5)
    torch.testing.assert_close(e.relevance.sum(1), (NET(X) - NET(start))[:, 1].detach(), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(e.score, NET(X)[:, 1].detach())


def test_completeness_of_two_inputs():
    a, b = X, sample(4, 5, seed=2)
    found = integrated(two, {"b": b, "a": a}, baseline=0.5, steps=64).relevance
    expected = (two(a, b) - two(torch.full_like(a, 0.5), torch.full_like(b, 0.5)))[:, 1].detach()
    torch.testing.assert_close(found["a"].sum(1) + found["b"].sum(1), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("baseline", [0.0, 2.0])
def test_quadratic(baseline, steps):
    """f = xᵀ Q x / 2 with Q symmetric: R = (x − x₀) ⊙ Q (x + x₀) / 2, for every number of nodes."""
    Q = sample(5, 5, seed=2)
    Q = Q + Q.T
    found = integrated(lambda x: (x @ Q * x).sum(1) / 2, X, None, baseline=baseline, steps=steps).relevance
    torch.testing.assert_close(found, (X - baseline) * ((X + baseline) @ Q) / 2)


@pytest.mark.parametrize(("degree", "steps"), [(4, 2), (6, 3), (10, 5)])
def test_n_nodes_integrate_degree_2n_minus_1_exactly(degree, steps):
    """f = Σ x^d has a gradient of degree d − 1 = 2n − 1."""
    found = integrated(lambda x: (x**degree).sum(1), X, None, steps=steps).relevance
    torch.testing.assert_close(found, X**degree, rtol=1e-9, atol=1e-12)
    fewer = integrated(lambda x: (x**degree).sum(1), X, None, steps=steps - 1).relevance
    assert not torch.allclose(fewer, X**degree)


def test_linear_model_is_input_times_weight():
    linear = randomize(nn.Linear(5, 3))
    found = integrated(linear, X, steps=1, baseline=0.3).relevance
    torch.testing.assert_close(found, (X - 0.3) * linear.weight.detach()[1])


@pytest.mark.parametrize("steps", [1, 5, 50])
@pytest.mark.parametrize("baseline", [0.0, sample(4, 5, seed=3)])
def test_captum(baseline, steps):
    captum = pytest.importorskip("captum.attr")
    target = torch.tensor([2, 0, 1, 2])
    expected = captum.IntegratedGradients(NET).attribute(
        X, baselines=baseline, target=target, n_steps=steps, method="gausslegendre"
    )
    found = integrated(NET, X, target, baseline=baseline, steps=steps).relevance
    torch.testing.assert_close(found, expected.detach(), rtol=1e-6, atol=1e-7)


def test_captum_of_two_inputs():
    captum = pytest.importorskip("captum.attr")
    inputs = (X, sample(4, 5, seed=2))
    expected = captum.IntegratedGradients(two).attribute(
        inputs, target=1, n_steps=9, method="gausslegendre", baselines=(0.25, 0.25)
    )
    found = integrated(two, inputs, baseline=0.25, steps=9).relevance
    torch.testing.assert_close(found, tuple(r.detach() for r in expected), rtol=1e-6, atol=1e-7)


def test_the_class_of_the_input_is_kept_along_the_path():
    found = integrated(NET, X, None)
    expected = integrated(NET, X, NET(X).argmax(1))
    assert torch.equal(found.relevance, expected.relevance) and torch.equal(found.target, expected.target)


def test_float32():
    net = nn.Linear(5, 3)
    e = integrated(net, X.float(), steps=8)
    assert e.relevance.dtype == torch.float32
    torch.testing.assert_close(e.relevance, X.float() * net.weight.detach()[1])


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_baseline_for_each_sample_is_split_with_the_batch(batch_size):
    baseline = sample(4, 5, seed=3)
    found = integrated(NET, X, baseline=baseline, batch_size=batch_size).relevance
    torch.testing.assert_close(found, integrated(NET, X, baseline=baseline).relevance)


ERRORS = {
    "steps": ({"steps": 0}, X, sx.RuleError, r"steps=0\): expected at least 1"),
    "baseline of several": ({"baseline": X}, (X, X), sx.InputError, "needs a single input tensor"),
    "baseline that does not fit": ({"baseline": sample(4, 4)}, X, sx.InputError, r"baseline.*\(4, 4\).*\(4, 5\)"),
    "baseline that is not finite": ({"baseline": torch.nan}, X, sx.InputError, "baseline.*NaN"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    options, inputs, error, message = ERRORS[case]
    model = two if isinstance(inputs, tuple) else NET
    with pytest.raises(error, match=message):
        integrated(model, inputs, **options)
