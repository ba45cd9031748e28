"""SmoothGrad and VarGrad against closed forms."""

import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

NET = randomize(nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4), nn.GELU(), nn.Linear(4, 3)))


def autograd(model, inputs, score):
    leaves = [v.clone().requires_grad_() for v in inputs]
    return torch.autograd.grad(score(model(*(v.clone() for v in leaves))).sum(), leaves)


def smooth(model, inputs, target=1, **options):
    return sx.explain(model, inputs, target, method="smoothgrad", **options).relevance


def test_smoothgrad_of_a_linear_model_is_its_gradient():
    linear = randomize(nn.Linear(5, 3))
    found = smooth(linear, sample(4, 5), samples=7, noise=0.8)
    torch.testing.assert_close(found, linear.weight.detach()[1].expand(4, 5))


def test_smoothgrad_without_noise_is_the_gradient():
    x = sample(4, 5)
    torch.testing.assert_close(smooth(NET, x, noise=0.0), autograd(NET, (x,), lambda y: y[:, 1])[0])


def test_smoothgrad_of_a_quadratic():
    """∂(Σ x³/3) = x²; over noise of standard deviation s its mean is x² + s²."""
    x, noise, n = sample(3, 4), 0.3, 1000
    spread = noise * (x.amax(1, keepdim=True) - x.amin(1, keepdim=True))
    found = smooth(lambda v: (v**3 / 3).sum(1), x, None, samples=n, noise=noise)
    deviation = (4 * x**2 * spread**2 + 2 * spread**4).sqrt() / n**0.5
    assert ((found - x**2 - spread**2).abs() < 5 * deviation).all()


def test_smoothgrad_is_deterministic():
    x, state = sample(4, 5), torch.get_rng_state()
    first, again, other = (smooth(NET, x, samples=3, seed=seed) for seed in (0, 0, 7))
    assert torch.equal(first, again) and not torch.allclose(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_neighbouring_seeds_share_no_noise():
    x = sample(4, 5)
    two, first, second = (smooth(NET, x, samples=n, seed=seed) for n, seed in ((2, 0), (1, 0), (1, 1)))
    assert not torch.allclose(2 * two, first + second)


def test_the_inputs_have_noise_of_their_own():
    """With one noise for both, this model would see none at all."""
    x = sample(4, 5)
    a, _ = smooth(lambda p, q: ((p - q) ** 2).sum(1), (x, x), None, samples=1, noise=0.5)
    assert a.abs().min() > 0


@pytest.mark.parametrize("target", [1, None, torch.tensor([2, 0, 1, 2])])
def test_smoothgrad_in_any_batch(target):
    x = sample(4, 5)
    whole = smooth(NET, x, target, samples=4)
    for i in range(4):
        one = target[i : i + 1] if isinstance(target, torch.Tensor) else target
        torch.testing.assert_close(smooth(NET, x[i : i + 1], one, samples=4)[0], whole[i])


def test_smoothgrad_keeps_the_class_of_the_clean_input():
    x = sample(4, 5)
    predicted = NET(x).argmax(1)
    torch.testing.assert_close(smooth(NET, x, None, noise=3.0), smooth(NET, x, predicted, noise=3.0))


@pytest.mark.parametrize("options", [{"samples": 0}, {"noise": -0.1}])
def test_smoothgrad_options(options):
    with pytest.raises(sx.RuleError, match=r"expected samples >= 1 and noise >= 0"):
        smooth(NET, sample(4, 5), **options)


# -- VarGrad ---------------------------------------------------------------------------------------------------------


def variance(model, inputs, target=1, **options):
    return sx.explain(model, inputs, target, method="vargrad", **options).relevance


def test_the_gradient_of_a_linear_model_does_not_vary():
    assert variance(randomize(nn.Linear(5, 3)), sample(4, 5)).abs().max() < 1e-30


@pytest.mark.parametrize("chunk", [4, 12, None])
def test_vargrad_is_the_variance_of_what_smoothgrad_averages(chunk):
    """Var g = mean of g² − (mean of g)²; with f = Σ x²/2 and Σ x³/3, gradients are x and x²."""
    x, call = sample(4, 5), {"samples": 9, "noise": 0.4, "seed": 3, "chunk": chunk}
    first = smooth(lambda v: (v**2 / 2).sum(1), x, None, **call)
    second = smooth(lambda v: (v**3 / 3).sum(1), x, None, **call)
    torch.testing.assert_close(variance(lambda v: (v**2 / 2).sum(1), x, None, **call), second - first**2)


def test_vargrad_options():
    with pytest.raises(sx.RuleError, match=r"vargrad\(samples=0, noise=0.1\): expected samples >= 1"):
        variance(NET, sample(4, 5), samples=0)
