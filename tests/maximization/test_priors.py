"""Decoders and densities as priors."""

import pytest
import torch
from torch import nn

from sciexplain.maximization import Decoder, Density, standard_normal
from sciexplain.maximization.priors import drawn, log_density_of


@pytest.mark.parametrize("shape", [(3,), (2, 4)])
def test_standard_normal(shape):
    codes = torch.randn(5, *shape).double()
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(codes).flatten(1).sum(1)
    assert torch.allclose(standard_normal(codes), expected)


def test_a_decoder_with_its_own_density_and_scale():
    linear = nn.Linear(2, 3)
    prior = Decoder(linear, (2,), log_density=lambda z: -z.abs().sum(1), to_input=lambda x: 2 * x - 1)
    codes = torch.randn(4, 2)
    assert torch.equal(prior.decode(codes), 2 * linear(codes) - 1)
    assert torch.equal(log_density_of(prior, codes), -codes.abs().sum(1))
    assert not hasattr(prior, "encode")


def test_codes_are_drawn_standard_normal_unless_the_prior_says():
    found = drawn(Decoder(nn.Identity(), (1000,)), 20, torch.Generator().manual_seed(0))
    assert float(found.mean()) == pytest.approx(0, abs=0.02)
    assert float(found.std()) == pytest.approx(1, abs=0.02)
    density = Density((3,), standard_normal, low=5.0, high=6.0)
    assert (drawn(density, 2, torch.Generator().manual_seed(0)) >= 5).all()


def test_what_has_no_density():
    class Bare:
        code_shape = (2,)

        def decode(self, codes):
            return codes

    assert log_density_of(Bare(), torch.zeros(1, 2)) is None
