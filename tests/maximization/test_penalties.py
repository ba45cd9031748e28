"""Penalties against their formulas, with loops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.maximization import L2, AlphaNorm, TotalVariation


def varied(x, beta):
    """Mahendran and Vedaldi 2015, section 2, for one sample (channels, …)."""
    total = 0.0
    for place in np.ndindex(*x.shape):
        squares = 0.0
        for axis in range(1, x.ndim):
            nextdoor = tuple(p + (a == axis) for a, p in enumerate(place))
            if nextdoor[axis] < x.shape[axis]:
                squares += (x[nextdoor] - x[place]) ** 2
        total += squares ** (beta / 2)
    return total


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 2, 4, 5), (1, 1, 3, 2, 4)])
def test_total_variation(beta, shape):
    x = np.random.default_rng(0).normal(size=shape)
    found = TotalVariation(0.3, beta)(torch.from_numpy(x))
    assert found.numpy() == pytest.approx([0.3 * varied(one, beta) for one in x], abs=1e-12)


def test_even_pictures_cost_nothing_and_have_a_slope():
    x = torch.full((1, 1, 4, 4), 0.5, requires_grad=True)
    cost = TotalVariation(1.0)(x)
    cost.sum().backward()
    assert float(cost.detach()) == 0
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_the_slope_of_total_variation():
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(TotalVariation(0.7), x)


def test_norms():
    x = torch.randn(3, 2, 4).double()
    center = torch.randn(2, 1).double()
    assert torch.allclose(L2(0.2)(x), 0.2 * x.flatten(1).norm(dim=1) ** 2)
    assert torch.allclose(L2(0.2, center)(x), 0.2 * (x - center).flatten(1).norm(dim=1) ** 2)
    assert torch.allclose(AlphaNorm(0.2, 6, center)(x), 0.2 * (x - center).flatten(1).norm(p=6, dim=1) ** 6)


@given(st.floats(-2, 2), st.floats(0.1, 3))
def test_total_variation_of_an_offset_and_a_factor(offset, factor):
    x = torch.randn(1, 1, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    tv = TotalVariation(1.0)
    assert torch.allclose(tv(factor * x + offset), factor * tv(x))
