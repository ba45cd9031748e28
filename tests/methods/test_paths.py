"""Integrated and expected gradients: completeness, closed forms, captum with the same nodes (in float32 weights)."""

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


def midpoints(model, x, x0, target, n=20000):
    """The integral by the midpoint rule, one sample at a time."""
    rows = []
    for a, b in zip(x, x0.expand_as(x), strict=True):
        points = (b + (torch.arange(n).double()[:, None] + 0.5) / n * (a - b)).requires_grad_()
        (gradient,) = torch.autograd.grad(model(points)[:, target].sum(), points)
        rows.append((a - b) * gradient.mean(0))
    return torch.stack(rows)


def test_the_integral():
    x0 = sample(5, seed=3)
    torch.testing.assert_close(
        integrated(NET, X, baseline=x0, steps=64).relevance, midpoints(NET, X, x0, 1), rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_the_error_of_the_quadrature_is_told(steps):
    e = integrated(NET, X, baseline=0.5, steps=steps)
    difference = (NET(X) - NET(torch.full_like(X, 0.5)))[:, 1].detach()
    torch.testing.assert_close(e.convergence_error, difference - e.relevance.sum(1))
    if steps > 1:
        fewer = integrated(NET, X, baseline=0.5, steps=steps // 2).convergence_error
        assert e.convergence_error.abs().max() < fewer.abs().max()


def test_the_error_of_samples_that_share_an_input_is_nobodys():
    e = integrated(lambda a, b: NET(a + b), (X, X[:1]))
    assert e.convergence_error is None


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


@pytest.mark.parametrize("structure", [tuple, dict])
def test_a_baseline_for_each_input(structure):
    x0, b = sample(5, seed=3), sample(4, 5, seed=2)
    inputs, baseline = (X, b), (x0, 0.5)
    if structure is dict:
        inputs, baseline = {"b": b, "a": X}, {"a": x0, "b": 0.5}
    e = integrated(two, inputs, baseline=baseline, steps=64)
    assert e.convergence_error.abs().max() < 1e-10
    expected = (two(X, b) - two(x0.expand_as(X), torch.full_like(b, 0.5)))[:, 1].detach()
    found = e.relevance.values() if structure is dict else e.relevance
    torch.testing.assert_close(sum(r.sum(1) for r in found), expected, rtol=1e-9, atol=1e-10)


def test_a_baseline_of_features_is_not_split_with_a_batch_as_large():
    """Five samples of five features."""
    x, baseline = sample(5, 5), sample(5, seed=3)
    found = integrated(NET, x, baseline=baseline, batch_size=2).relevance
    torch.testing.assert_close(found, integrated(NET, x, baseline=baseline).relevance)


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
    "baselines": ({"baseline": (0, 0, 0)}, (X, X), sx.InputError, "3 parts; expected one for each of the 2"),
    "baseline that is not finite": ({"baseline": torch.nan}, X, sx.InputError, "baseline.*NaN"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    options, inputs, error, message = ERRORS[case]
    model = two if isinstance(inputs, tuple) else NET
    with pytest.raises(error, match=message):
        integrated(model, inputs, **options)


# -- expected gradients ----------------------------------------------------------------------------------------------

REFERENCES = sample(6, 5, seed=7)


def expected(model, inputs, target=1, **options):
    return sx.explain(model, inputs, target, "expected_gradients", **{"references": REFERENCES, **options})


@pytest.mark.parametrize("samples", [6, 12])
def test_expected_gradients_of_a_linear_model(samples):
    linear = randomize(nn.Linear(5, 3))
    e = expected(linear, X, samples=samples)
    torch.testing.assert_close(e.relevance, (X - REFERENCES.mean(0)) * linear.weight.detach()[1])
    assert e.convergence_error.abs().max() < 1e-12


def test_expected_gradients_converge_to_the_mean_of_integrated_gradients():
    exact = torch.stack([integrated(NET, X, baseline=r, steps=64).relevance for r in REFERENCES]).mean(0)
    few, many = (expected(NET, X, samples=n) for n in (12, 6000))
    assert (many.relevance - exact).abs().max() < 0.01 * exact.abs().max()
    assert (many.relevance - exact).abs().max() < (few.relevance - exact).abs().max()
    assert many.convergence_error.abs().max() < few.convergence_error.abs().max()
    torch.testing.assert_close(
        many.convergence_error, many.score - NET(REFERENCES).mean(0)[1].detach() - many.relevance.sum(1)
    )


def test_one_reference_is_integrated_gradients_with_even_points():
    """The points are one in each of the intervals between multiples of 1 / samples."""
    e = expected(NET, X, references=sample(1, 5, seed=3), samples=500)
    exact = integrated(NET, X, baseline=sample(1, 5, seed=3), steps=64).relevance
    assert (e.relevance - exact).abs().max() < 1e-3 * exact.abs().max()


def test_references_of_each_sample():
    each = sample(4, 6, 5, seed=7)
    whole = expected(NET, X, references=each, samples=9)
    for i in range(4):
        alone = expected(NET, X[i : i + 1], references=each[i], samples=9)
        torch.testing.assert_close(alone.relevance[0], whole.relevance[i])
        torch.testing.assert_close(alone.convergence_error[0], whole.convergence_error[i])
    split = expected(NET, X, references=each, samples=9, batch_size=3)
    torch.testing.assert_close(split.relevance, whole.relevance)


def test_as_many_references_as_samples_are_not_split_with_the_batch():
    shared = expected(NET, X, references=REFERENCES[:4], samples=8)
    split = expected(NET, X, references=REFERENCES[:4], samples=8, batch_size=1)
    torch.testing.assert_close(split.relevance, shared.relevance)


def test_references_of_two_inputs_go_together():
    """With f = a · b, (a − a')(b' + α (b − b')) + (b − b')(a' + α (a − a')) needs both from the same reference."""
    a, b = X, sample(4, 5, seed=2)
    references = (REFERENCES, REFERENCES * 2)
    e = expected(lambda p, q: (p * q).sum(1), (a, b), None, references=references, samples=6000)
    differences = (a * b).sum(1)[:, None] - (2 * REFERENCES**2).sum(1)
    torch.testing.assert_close(sum(r.sum(1) for r in e.relevance), differences.mean(1), rtol=0.02, atol=0.02)


REFERENCE_ERRORS = {
    "shape": (sample(6, 4), r"references has shape \(6, 4\); expected \(K, \*\(5,\)\)"),
    "number": (0.0, "references is float; expected"),
    "none": (sample(0, 5), r"references has shape \(0, 5\): there is none"),
    "of other samples": (sample(3, 6, 5), r"shape \(3, 6, 5\); expected .* or \(4, K, \*\(5,\)\)"),
    "NaN": (sample(6, 5) * torch.nan, "references has values that are NaN"),
}


@pytest.mark.parametrize("case", REFERENCE_ERRORS)
def test_errors_of_references(case):
    references, message = REFERENCE_ERRORS[case]
    with pytest.raises(sx.InputError, match=message):
        expected(NET, X, references=references)
    with pytest.raises(sx.RuleError, match=r"samples=0\): expected at least 1"):
        expected(NET, X, samples=0)
