"""Shapley values against the sum over all orders, closed forms of games, and captum."""

from itertools import permutations

import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

NET = randomize(nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)))
X = sample(4, 5)
METHODS = {"shapley_sampling": {"samples": 120}, "kernel_shap": {}}


def by_definition(f, x, baseline, groups=None):
    """A feature's mean contribution over all orders, one sample at a time."""
    groups = [[i] for i in range(x.shape[1])] if groups is None else groups
    rows = []
    for sample_ in x:
        values = torch.zeros(len(groups)).double()
        orders = list(permutations(range(len(groups))))
        for order in orders:
            z = baseline.clone()
            before = f(z[None])[0]
            for i in order:
                z[groups[i]] = sample_[groups[i]]
                after = f(z[None])[0]
                values[i] += (after - before) / len(orders)
                before = after
        rows.append(values)
    return torch.stack(rows).detach()


def shapley(model, x, method, target=1, **options):
    return sx.explain(model, x, target, method, **options)


@pytest.mark.parametrize("baseline", [torch.zeros(5).double(), sample(5, seed=3)])
def test_kernel_shap_of_all_coalitions_is_exact(baseline):
    e = shapley(NET, X, "kernel_shap", baseline=baseline)
    torch.testing.assert_close(e.relevance, by_definition(lambda v: NET(v)[:, 1], X, baseline), rtol=1e-9, atol=1e-11)
    assert e.convergence_error.abs().max() < 1e-12


def test_sampling_converges():
    expected = by_definition(lambda v: NET(v)[:, 1], X, torch.zeros(5).double())
    few, many = (shapley(NET, X, "shapley_sampling", samples=n).relevance for n in (4, 4000))
    assert (many - expected).abs().max() < 0.02 * expected.abs().max()
    assert (many - expected).abs().max() < (few - expected).abs().max()


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_orders_are_complete_for_any_number(samples):
    e = shapley(NET, X, "shapley_sampling", baseline=0.3, samples=samples)
    expected = (NET(X) - NET(torch.full_like(X, 0.3)))[:, 1].detach()
    torch.testing.assert_close(e.relevance.sum(1), expected)
    assert e.convergence_error.abs().max() < 1e-12


def test_kernel_shap_with_few_coalitions():
    """Twelve features, 300 of 4094 coalitions: complete, and near."""
    w, pairs = sample(12, seed=2), sample(12, 12, seed=3)
    x = sample(3, 12)

    def model(v):
        return v @ w + ((v @ pairs) * v).sum(1) / 10

    exact = x * w + x * (x @ (pairs + pairs.T)) / 20  # half of each pair's product to either
    e = shapley(model, x, "kernel_shap", None, samples=300)
    assert e.convergence_error.abs().max() < 1e-12
    torch.testing.assert_close(e.relevance, exact, rtol=0, atol=0.1 * float(exact.abs().max()))


@pytest.mark.parametrize("method", METHODS)
class TestGames:
    def test_linear(self, method):
        linear, x0 = randomize(nn.Linear(5, 3)), sample(5, seed=3)
        e = shapley(linear, X, method, baseline=x0)
        torch.testing.assert_close(e.relevance, (X - x0) * linear.weight.detach()[1])

    def test_products_of_pairs_are_exact_with_one_pair_of_orders(self, method):
        Q = sample(5, 5, seed=2)
        options = {"samples": 2} if method == "shapley_sampling" else {}
        e = shapley(lambda x: ((x @ Q) * x).sum(1), X, method, None, **options)
        torch.testing.assert_close(e.relevance, X * (X @ (Q + Q.T)) / 2)

    def test_and(self, method):
        """All features are needed: each gets the same."""
        e = shapley(lambda x: x.prod(1), torch.ones(2, 3).double(), method, None, **METHODS[method])
        error = 0.0 if method == "kernel_shap" else 0.15
        assert (e.relevance - 1 / 3).abs().max() <= error + 1e-12

    def test_max(self, method):
        """max(x₁, x₂, x₃) from 0: sorted values, each step shared by those that reach it."""
        x = torch.tensor([[1.0, 2.0, 4.0], [3.0, 0.0, 3.0]], dtype=torch.float64)
        expected = torch.tensor([[1 / 3, 1 / 3 + 1 / 2, 1 / 3 + 1 / 2 + 2], [1.5, 0, 1.5]], dtype=torch.float64)
        options = {"samples": 3000} if method == "shapley_sampling" else {}
        e = shapley(lambda v: v.amax(1), x, method, None, **options)
        atol = 1e-12 if method == "kernel_shap" else 0.1
        torch.testing.assert_close(e.relevance, expected, rtol=0, atol=atol)

    def test_a_feature_without_influence_gets_nothing(self, method):
        e = shapley(lambda x: NET(x * torch.tensor([1, 1, 0, 1, 1])), X, method, **METHODS[method])
        assert e.relevance[:, 2].abs().max() < 1e-12

    def test_groups(self, method):
        groups = [[0, 3], [1], [2, 4]]
        features = torch.tensor([0, 1, 2, 0, 2])
        options = {"samples": 400} if method == "shapley_sampling" else {}
        found = shapley(NET, X, method, features=features, **options).relevance
        expected = by_definition(lambda v: NET(v)[:, 1], X, torch.zeros(5).double(), groups)
        totals = torch.stack([found[:, g].sum(1) for g in groups], 1)
        atol = 1e-10 if method == "kernel_shap" else 0.05 * float(expected.abs().max())
        torch.testing.assert_close(totals, expected, rtol=0, atol=atol)
        assert torch.equal(found[:, 0], found[:, 3]) and torch.equal(found[:, 2], found[:, 4])

    def test_groups_of_each_sample(self, method):
        """Superpixels differ from image to image."""
        features = torch.stack([torch.arange(5) // 2, torch.arange(5) % 3, torch.zeros(5).long(), torch.arange(5)])
        call = {"baseline": 0.1, **METHODS[method]}
        for batch_size in (None, 3):
            found = shapley(NET, X, method, features=features, batch_size=batch_size, **call)
            assert found.convergence_error.abs().max() < 1e-12
            assert torch.equal(found.relevance[0, 0], found.relevance[0, 1])
            torch.testing.assert_close(found.relevance[2], found.relevance[2, :1].expand(5))

    def test_a_feature_across_inputs(self, method):
        a, b = X, sample(4, 5, seed=2)
        features = (torch.arange(5), torch.arange(5))
        found = shapley(lambda p, q: NET(p + q), (a, b), method, features=features, **METHODS[method])
        together = shapley(lambda v: NET(v[:, :5] + v[:, 5:]), torch.cat([a, b], 1), method,
                           features=torch.arange(10) % 5, **METHODS[method])  # fmt: skip
        torch.testing.assert_close(torch.cat(found.relevance, 1), together.relevance)

    def test_tokens(self, method):
        table, tokens = sample(6, 5), torch.tensor([[1, 2, 3], [5, 0, 4]])
        found = shapley(lambda t: table[t].sum(1), tokens, method, baseline=0, **METHODS[method])
        torch.testing.assert_close(found.relevance, table[tokens][..., 1] - table[0, 1])

    def test_squares_of_an_image(self, method):
        image, w = sample(2, 3, 40, 40), sample(3, 40, 40, seed=2)
        options = {"samples": 2} if method == "shapley_sampling" else {"samples": 400}
        e = shapley(lambda v: (v * w).sum((1, 2, 3)), image, method, None, **options)
        sums = (image * w).unfold(2, 3, 3).unfold(3, 3, 3).sum((1, 4, 5))  # the 13 × 13 whole squares of 3 × 3
        if method == "shapley_sampling":
            torch.testing.assert_close(e.relevance[:, 0, :39:3, :39:3], sums / 27)
        torch.testing.assert_close(e.relevance.sum((1, 2, 3)), (image * w).sum((1, 2, 3)))


def test_captum():
    captum = pytest.importorskip("captum.attr")
    torch.manual_seed(0)
    expected = captum.ShapleyValueSampling(NET).attribute(X, 0.2, 1, n_samples=800)
    found = shapley(NET, X, "kernel_shap", baseline=0.2).relevance
    assert (found - expected).abs().max() < 0.05 * found.abs().max()


ERRORS = {
    "samples": ({"samples": 0}, sx.RuleError, "samples=0.: expected at least 1"),
    "features as floats": ({"features": torch.ones(5)}, sx.InputError, "expected an integer tensor with the feature"),
    "features that do not fit": ({"features": torch.zeros(4).long()}, sx.InputError, r"features has shape \(4,\), the"),
    "negative features": ({"features": torch.arange(5) - 1}, sx.InputError, "number -1; features are numbered from 0"),
    "baseline": ({"baseline": torch.ones(3)}, sx.InputError, r"The baseline has shape \(3,\), the input \(4, 5\)"),
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", ERRORS)
def test_errors(case, method):
    options, error, message = ERRORS[case]
    with pytest.raises(error, match=message):
        shapley(NET, X, method, **options)
