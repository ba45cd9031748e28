"""Gradient, input × gradient and SmoothGrad against autograd and closed forms."""

import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

NET = randomize(nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4), nn.GELU(), nn.Linear(4, 3)))
IMAGE_NET = randomize(
    nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(24, 3))
)
TABLE = sample(6, 5, seed=4)


def two(a, b):
    return NET(a * b)


#: model, inputs
CASES = {
    "dense": (NET, (sample(4, 5),)),
    "convolution": (IMAGE_NET, (sample(2, 3, 5, 4),)),
    "softmax": (nn.Sequential(NET, nn.Softmax(1)), (sample(4, 5),)),
    "two inputs": (two, (sample(4, 5), sample(4, 5, seed=2))),
    "float32": (nn.Linear(5, 3), (sample(4, 5).float(),)),
    "changed in place": (lambda a: NET(a.mul_(2)), (sample(4, 5),)),
}
TARGETS = {
    "class": (1, lambda y: y[:, 1]),
    "predicted": (None, lambda y: y.amax(1)),
    "callable": (lambda y: y[:, 0] - y[:, 2], lambda y: y[:, 0] - y[:, 2]),
    "negative": (-1, lambda y: y[:, 2]),
}


def autograd(model, inputs, score):
    leaves = [v.clone().requires_grad_() for v in inputs]
    return torch.autograd.grad(score(model(*(v.clone() for v in leaves))).sum(), leaves)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CASES)
def test_gradient(case, target):
    (model, inputs), (target, score) = CASES[case], TARGETS[target]
    expected = autograd(model, inputs, score)
    e = sx.explain(model, inputs, target, method="gradient")
    torch.testing.assert_close(e.relevance, expected)
    times_input = sx.explain(model, inputs, target, method="input_x_gradient")
    torch.testing.assert_close(times_input.relevance, tuple(v * g for v, g in zip(inputs, expected, strict=True)))
    for found in (e, times_input):
        torch.testing.assert_close(found.score, score(model(*(v.clone() for v in inputs))).detach())
    assert (e.method, times_input.method) == ("gradient", "input_x_gradient")


def test_structure_of_a_dict():
    a, b = CASES["two inputs"][1]
    found = sx.explain(two, {"b": b, "a": a}, 1, method="gradient").relevance
    expected = autograd(two, (a, b), lambda y: y[:, 1])
    torch.testing.assert_close(found, {"b": expected[1], "a": expected[0]})


def test_start_relevance_is_a_weighted_sum_of_outputs():
    x, start = sample(4, 5), sample(4, 3, seed=6)
    weights = start / NET(x).detach()
    found = sx.explain(NET, x, start, method="gradient").relevance
    torch.testing.assert_close(found, autograd(NET, (x,), lambda y: y * weights)[0])


def test_input_x_gradient_of_a_homogeneous_model_sums_to_the_score():
    net = randomize(nn.Sequential(nn.Linear(5, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False)))
    e = sx.explain(net, sample(4, 5), method="input_x_gradient")
    torch.testing.assert_close(e.relevance.sum(1), e.score)


def test_parameters_get_no_gradient():
    sx.explain(NET, sample(4, 5), method="gradient")
    assert all(p.grad is None and p.requires_grad for p in NET.parameters())


@pytest.mark.parametrize("method", ["gradient", "input_x_gradient", "smoothgrad", "integrated_gradients"])
def test_integers_beside_floats_get_nothing(method):
    tokens, x = torch.tensor([1, 0, 5, 2]), sample(4, 5)
    found = sx.explain(lambda t, v: NET(F.embedding(t, TABLE) + v), (tokens, x), 1, method=method).relevance
    alone = sx.explain(lambda v: NET(F.embedding(tokens, TABLE) + v), x, 1, method=method).relevance
    torch.testing.assert_close(found, (torch.zeros(4).double(), alone))


@pytest.mark.parametrize("method", ["gradient", "input_x_gradient", "smoothgrad", "integrated_gradients"])
def test_integers_alone(method):
    with pytest.raises(sx.InputError, match=r'inputs are integer; .* method="lrp" handles tokens'):
        sx.explain(lambda t: NET(F.embedding(t, TABLE)), torch.tensor([1, 0]), 1, method=method)


# -- SmoothGrad ------------------------------------------------------------------------------------------------------


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
