"""In half precision, by autocast or as a whole, relevance is close to that of the same model in float64."""

import copy

import pytest
import torch
import torch.nn.functional as F
from rule_tester import HIGH, LOW, randomize, sample
from torch import nn

import sciexplain as sx

COMPOSITES = {
    "epsilon": "epsilon",
    "plus": "epsilon_plus",
    "flat": "epsilon_plus_flat",
    "alpha": "epsilon_alpha2_beta1",
    "box": sx.composites.get("epsilon_gamma_box", low=LOW, high=HIGH),
    "w square": sx.Composite([("first", sx.rules.WSquare())]),
    "attention": "attention",
}
#: how far relevance may be from float64's, relative to its norm: a few roundings of the activations
TOLERANCE = {torch.bfloat16: 0.04, torch.float16: 0.006}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, groups=2, bias=False)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.last, self.hidden, self.head = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        x = F.gelu(self.deep(x)).flatten(2).transpose(1, 2)
        x = self.last(x + self.attention(x, x, x, need_weights=False)[0])
        return self.head((x + F.silu(self.hidden(x))).mean(1))


def model() -> nn.Module:
    net = randomize(Net())
    with torch.no_grad():
        for module in (net.conv, net.norm, net.deep, net.last, net.hidden, net.head):
            module.weight.mul_(0.5)
    return net


X = sample(2, 3, 8, 8)


def half(made, dtype, explain):
    """``explain(model, x)`` under autocast, or on a model that is all in ``dtype``."""
    net = model()
    if made == "whole":
        return explain(net.to(dtype), X.to(dtype))
    with torch.autocast("cpu", dtype=dtype):
        return explain(net.float(), X.float())


def assert_close(found, expected, dtype):
    assert torch.isfinite(found).all()
    distance = (found.double() - expected).norm() / expected.norm()
    assert distance < TOLERANCE[dtype], f"{distance:.2e}"


@pytest.mark.parametrize("made", ["autocast", "whole"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("composite", COMPOSITES)
def test_close_to_float64(composite, dtype, made):
    options = {"composite": COMPOSITES[composite], "on_unknown": "error", "layers": ["deep"]}
    expected = sx.explain(model(), X, 1, **options)
    found = half(made, dtype, lambda net, x: sx.explain(net, x, 1, **options))
    assert_close(found.relevance, expected.relevance, dtype)
    assert_close(found.layers["deep"], expected.layers["deep"], dtype)
    assert found.relevance.dtype == (dtype if made == "whole" else torch.float32)


@pytest.mark.parametrize("made", ["autocast", "whole"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("method", ["gradient", "input_x_gradient", "integrated_gradients"])
def test_methods(method, dtype, made):
    found = half(made, dtype, lambda net, x: sx.explain(net, x, 1, method))
    assert_close(found.relevance, sx.explain(model(), X, 1, method).relevance, dtype)


@pytest.mark.parametrize("made", ["autocast", "whole"])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_weights_and_pairs(dtype, made):
    found = half(made, dtype, lambda net, x: sx.weight_relevance(net, x, 1, composite="epsilon_plus"))
    expected = sx.weight_relevance(model(), X, 1, composite="epsilon_plus")
    for name in ("conv.weight", "deep.weight", "hidden.weight", "last.bias"):
        assert_close(found.relevance[name], expected.relevance[name], dtype)
    net, x = (model().to(dtype), X.to(dtype)) if made == "whole" else (model().float(), X.float())
    with torch.autocast("cpu", dtype=dtype, enabled=made == "autocast"):
        pairs = sx.bilrp(net, x, x.flip(0), reduce=lambda r: r.sum(1).flatten(1))
    expected = sx.bilrp(model(), X, X.flip(0), reduce=lambda r: r.sum(1).flatten(1))
    distance = (pairs.relevance.double() - expected.relevance).norm() / expected.relevance.norm()
    assert distance < 2 * TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_stabilizers_hold(dtype):
    """A layer whose contributions cancel to 0, or of which there are none, makes no NaN."""
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -1, 0, 0], [-1, -1, -1, -1]]))
        layer.bias.zero_()
    x = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0], [2, 1, 0, 3]])
    for composite in ("epsilon", "epsilon_plus", "deep_taylor", "epsilon_alpha2_beta1_flat"):
        found = sx.explain(copy.deepcopy(layer).to(dtype), x.to(dtype), 0, composite=composite)
        expected = sx.explain(layer, x, 0, composite=composite)
        torch.testing.assert_close(found.relevance.float(), expected.relevance, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("norm", [nn.LayerNorm(4), nn.RMSNorm(4), nn.GroupNorm(2, 4)])
def test_large_activations(norm):
    """Their squares are beyond float16; torch's own normalisations compute in float32 too."""
    x = sample(3, 4) * 1000
    net = nn.Sequential(norm, nn.Linear(4, 2)).double()
    expected = sx.explain(net, x, 1).relevance
    found = sx.explain(copy.deepcopy(net).half(), x.half(), 1).relevance
    assert_close(found, expected, torch.float16)
    assert expected.abs().max() > 0


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_gamma(dtype):
    """On inputs >= 0 and in front of a ReLU; elsewhere its denominators may be 0, and any rounding decides."""
    net = randomize(nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, 4, 3), nn.ReLU(), nn.Flatten()))
    x, start, composite = sample(2, 2, 8, sign="nonnegative"), torch.ones(2, 16), sx.Composite(default=sx.rules.Gamma())
    expected = sx.explain(net, x, start, composite=composite).relevance
    assert_close(sx.explain(net.to(dtype), x.to(dtype), start, composite=composite).relevance, expected, dtype)


def test_ledger_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = sx.explain(model().float(), X.float(), 1, composite="epsilon_plus", ledger=True)
    assert (found.ledger.gap.abs() < 0.01 * found.relevance.abs().flatten(1).sum(1)).all()
