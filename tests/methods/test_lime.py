"""LIME against closed forms and the weighted ridge regression on all coalitions."""

from itertools import product

import pytest
import torch
from rule_tester import randomize, sample
from sklearn.linear_model import Ridge
from torch import nn

import sciexplain as sx

NET = randomize(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)))
X = sample(3, 4)


def lime(model, x, target=1, **options):
    return sx.explain(model, x, target, "lime", **options).relevance


@pytest.mark.parametrize("kernel_width", [0.25, 3.0])
def test_a_linear_model_without_a_penalty(kernel_width):
    linear, x0 = randomize(nn.Linear(4, 3)), sample(4, seed=3)
    found = lime(linear, X, baseline=x0, samples=60, ridge=0.0, kernel_width=kernel_width)
    torch.testing.assert_close(found, (X - x0) * linear.weight.detach()[1], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kernel_width", [0.25, 1.0])
@pytest.mark.parametrize("ridge", [1.0, 200.0])
def test_the_regression_on_all_coalitions(ridge, kernel_width):
    """Each of the 16 coalitions comes samples / 16 times."""
    samples = 40000
    z = torch.tensor(list(product((0.0, 1.0), repeat=4))).double()
    distance = 1 - z.mean(1).sqrt()  # of cosines, to 1
    weight = (-(distance**2) / (2 * kernel_width**2)).exp() * samples / 16
    expected = []
    for x in X:
        score = NET(z * x)[:, 1].detach()
        coefficients = Ridge(ridge).fit(z.numpy(), score.numpy(), weight.numpy()).coef_
        expected.append(torch.as_tensor(coefficients))
    expected = torch.stack(expected)
    found = lime(NET, X, samples=samples, ridge=ridge, kernel_width=kernel_width)
    assert (found - expected).abs().max() < 0.03 * expected.abs().max()


def test_groups_share_their_coefficient():
    linear = randomize(nn.Linear(4, 3))
    found = lime(linear, X, features=torch.tensor([0, 1, 1, 0]), samples=40, ridge=0.0)
    terms = X * linear.weight.detach()[1]
    torch.testing.assert_close(found[:, 0], (terms[:, 0] + terms[:, 3]) / 2)
    torch.testing.assert_close(found[:, 1], found[:, 2])


def test_tokens():
    table, tokens = sample(6, 5), torch.tensor([[1, 2, 3], [5, 0, 4]])
    found = lime(lambda t: table[t].sum(1), tokens, samples=40, ridge=0.0)
    torch.testing.assert_close(found, table[tokens][..., 1] - table[0, 1])


@pytest.mark.parametrize("options", [{"samples": 1}, {"kernel_width": 0}, {"ridge": -1}])
def test_options(options):
    with pytest.raises(sx.RuleError, match="expected samples >= 2, kernel_width > 0 and ridge >= 0"):
        lime(NET, X, **options)
