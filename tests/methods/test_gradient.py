"""Gradient and input × gradient against autograd and closed forms."""

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


FOLLOW_GRADIENTS = [
    "gradient", "input_x_gradient", "smoothgrad", "vargrad", "integrated_gradients", "expected_gradients",
    "guided_backprop", "deconvnet",
]  # fmt: skip


def options(method, *references):
    return {"references": references} if method == "expected_gradients" else {}


@pytest.mark.filterwarnings("ignore:.*backprop|deconvnet")
@pytest.mark.parametrize("method", FOLLOW_GRADIENTS)
def test_integers_beside_floats_get_nothing(method):
    tokens, x = torch.tensor([1, 0, 5, 2]), sample(4, 5)
    more, alone = options(method, tokens, sample(2, 5)), options(method, sample(2, 5))
    found = sx.explain(lambda t, v: NET(F.embedding(t, TABLE) + v), (tokens, x), 1, method=method, **more).relevance
    (alone,) = sx.explain(lambda v: NET(F.embedding(tokens, TABLE) + v), (x,), 1, method=method, **alone).relevance
    torch.testing.assert_close(found, (torch.zeros(4).double(), alone))


@pytest.mark.parametrize("method", FOLLOW_GRADIENTS)
def test_integers_alone(method):
    with pytest.raises(
        sx.InputError, match=r'integer; .* method="lrp" handles tokens, and so does "deeplift"'
    ) as caught:
        sx.explain(lambda t: NET(F.embedding(t, TABLE)), torch.tensor([1, 0]), 1, method=method, **options(method, 0))
    assert "\n" not in str(caught.value)
