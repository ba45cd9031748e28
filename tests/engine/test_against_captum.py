"""captum's LRP where it is right, and the small examples of its own tests worked out by hand."""

from __future__ import annotations

import pytest
import torch
from rule_tester import randomize, sample
from torch import Tensor, nn

import sciexplain as sx
from sciexplain.rules import Epsilon, Gamma, ZPlus

pytestmark = pytest.mark.filterwarnings("ignore:.*did not already require gradients")

captum = pytest.importorskip("captum.attr")
captum_rules = pytest.importorskip("captum.attr._utils.lrp_rules")


class Convolutions(nn.Module):
    """captum has no rule for ``nn.Flatten``."""

    def __init__(self, *features: nn.Module, flat: int) -> None:
        super().__init__()
        self.features, self.classifier = nn.Sequential(*features), nn.Linear(flat, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


#: network, input shape
NETWORKS = {
    "dense": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3)),
        (4, 6),
    ),
    "dense without bias": (
        lambda: nn.Sequential(nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False)),
        (4, 6),
    ),
    "dense in-place": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(True), nn.Dropout(), nn.Linear(8, 3)),
        (4, 6),
    ),
    "one convolution": (lambda: Convolutions(nn.Conv2d(3, 4, 3), nn.ReLU(), flat=48), (3, 3, 5, 6)),
    "convolutions": (
        lambda: Convolutions(
            nn.Conv2d(4, 6, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(6, 4, (2, 3), dilation=(1, 2), groups=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d((2, 1)),
            flat=8,
        ),
        (2, 4, 11, 13),
    ),
}

#: captum's rule, ours, the sign of the biases and of the input for which captum's is the rule of the paper:
#: its γ leaves biases as they are (ours: b + γ b⁺), its α1β0 keeps b < 0 and takes x w⁺ for (x w)⁺
RULES = {
    "epsilon": (lambda: captum_rules.EpsilonRule(1e-9), Epsilon(1e-9), "any", "both"),
    "epsilon big": (lambda: captum_rules.EpsilonRule(0.25), Epsilon(0.25), "any", "both"),
    "gamma": (captum_rules.GammaRule, Gamma(), "nonpositive", "both"),
    "gamma 1": (lambda: captum_rules.GammaRule(1.0), Gamma(1.0), "nonpositive", "both"),
    "alpha 1 beta 0": (captum_rules.Alpha1_Beta0_Rule, ZPlus(), "nonnegative", "nonnegative"),
}
BIAS = {
    "any": lambda b: b,
    "nonpositive": lambda b: b.clamp_(max=0),
    "nonnegative": lambda b: b.clamp_(min=0),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("rule", RULES)
def test_network(rule, network):
    theirs, ours, bias, sign = RULES[rule]
    make, shape = NETWORKS[network]
    model, x = randomize(make()), sample(*shape, sign=sign)
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.rule = theirs()
            if layer.bias is not None:
                BIAS[bias](layer.bias.data)
        elif isinstance(layer, nn.AdaptiveAvgPool2d):
            layer.rule = captum_rules.EpsilonRule(1e-30)  # captum's own default absorbs 1e-9 there
    target = torch.arange(len(x)) % 3
    found = sx.explain(model, x, target, composite=sx.Composite(default=ours), on_unknown="error")
    expected = captum.LRP(model).attribute(x, target).detach()
    assert (found.relevance - expected).abs().max() < 1e-9 * expected.abs().max()


class Simple(nn.Module):
    """Two layers of 2s and 3s; ``corner`` replaces the first weight."""

    def __init__(self, corner: float = 2.0, inplace: bool = False) -> None:
        super().__init__()
        self.linear, self.linear2 = nn.Linear(3, 3, bias=False), nn.Linear(3, 1, bias=False)
        self.relu, self.dropout = nn.ReLU(inplace), nn.Dropout(0.01)
        nn.init.constant_(self.linear.weight, 2.0)
        nn.init.constant_(self.linear2.weight, 3.0)
        self.linear.weight.data[0, 0] = corner

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.relu(self.linear(x))))


def diagonal_convolution() -> nn.Module:
    """A 2 × 2 kernel of ones on 0 … 15, then every value of a 2 × 2 pool with weight 1."""
    model = nn.Sequential(nn.Conv2d(1, 1, 2, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(9, 1, bias=False))
    for layer in (model[0], model[3]):
        nn.init.ones_(layer.weight)
    return model


def filled(module: nn.Module, value: float) -> nn.Module:
    nn.init.constant_(module.weight, value)
    return module


SKIP = filled(nn.Linear(2, 2, bias=False), 5.0)
DOUBLE = filled(nn.Linear(2, 2, bias=False), 2.0)
RAMP = torch.arange(16.0).view(1, 1, 4, 4)
#: how many of the nine 2 × 2 windows see a pixel
WINDOWS = torch.tensor([[1.0, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]])

#: model, input, class, rules by layer name, relevance
BY_HAND = {
    # z = 2 (1 + 2 + 3) = 12 three times, y = 3 · 36 = 108; R = 108 · (1, 2, 3) / 6
    "epsilon": (Simple(), [[1, 2, 3]], 0, {}, [[18, 36, 54]]),
    "epsilon in-place": (Simple(inplace=True), [[1, 2, 3]], 0, {}, [[18, 36, 54]]),
    "epsilon batch": (Simple(), [[1, 2, 3], [3, 6, 9]], 0, {}, [[18, 36, 54], [54, 108, 162]]),
    # z = (8, 12, 12), y = 96, hidden relevance (24, 36, 36); γ = 1 makes the first row (−2, 4, 4):
    # 24 · (−2, 8, 12) / 18 + 2 · 36 · (1, 2, 3) / 6
    "gamma": (
        Simple(-2.0),
        [[1, 2, 3]],
        0,
        {"linear": Gamma(1.0), "linear2": Gamma()},
        [[12 - 8 / 3, 24 + 32 / 3, 36 + 16]],
    ),
    # 24 · (0, 4, 6) / 10 + 2 · 36 · (1, 2, 3) / 6
    "alpha 1 beta 0": (
        Simple(-2.0),
        [[1, 2, 3]],
        0,
        {"linear": ZPlus(), "linear2": ZPlus()},
        [[12, 24 + 9.6, 36 + 14.4]],
    ),
    # layer (z = 25, 25) + input (2, 3) = (27, 28); class 1: 25 · (10, 15) / 25 + (0, 3)
    "skip connection": (lambda x: SKIP(x) + x, [[2, 3]], 1, {}, [[10, 18]]),
    # rows (6, 6) and (22, 22), pooled 6 and 22; class 1: 22 · (10, 12) / 22, to the first of equals
    "max-pool after a layer": (
        lambda x: nn.functional.max_pool1d(DOUBLE(x), 2)[..., 0],
        [[[1, 2], [5, 6]]],
        1,
        {},
        [[[0, 0], [10, 12]]],
    ),
    "max-pool 2-D": (nn.MaxPool2d(2), [[[[1, 2], [5, 6]]]], 0, {}, [[[[0, 0], [0, 6]]]]),
    "max-pool 3-D": (
        nn.MaxPool3d(2),
        [[[[[1, 2], [5, 6]], [[3, 4], [7, 8]]]]],
        0,
        {},
        [[[[[0, 0], [0, 0]], [[0, 0], [0, 8]]]]],
    ),
    # ones everywhere: each pixel counts as often as a window sees it
    "convolution": (diagonal_convolution(), RAMP.tolist(), 0, {}, (RAMP * WINDOWS).tolist()),
    # one Conv1d(1, 1, 2) of 2s on (1, 5, 7): z = (12, 24), R = (0, 3): 3 · (10, 14) / 24
    "one window": (
        filled(nn.Conv1d(1, 1, 2, bias=False), 2.0),
        [[[1, 5, 7]]],
        torch.tensor([[[0.0, 3.0]]]),
        {},
        [[[0, 1.25, 1.75]]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    model, x, target, by_name, expected = BY_HAND[case]
    if isinstance(model, nn.Module):
        model.eval()
    composite = sx.Composite(list(by_name.items()), default=Epsilon(1e-9))
    found = sx.explain(model, torch.tensor(x, dtype=torch.float32), target, composite=composite, on_unknown="error")
    torch.testing.assert_close(found.relevance, torch.tensor(expected, dtype=torch.float32), rtol=1e-5, atol=1e-5)


def test_tanh_passes_relevance():
    """captum skips activations, as does the secant: 3 · tanh(0.6) · 0.1 · (1, 2, 3) / 6."""
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Tanh(), nn.Linear(3, 1, bias=False))
    for layer in (model[0], model[2]):
        nn.init.constant_(layer.weight, 0.1)
    x = torch.tensor([[1.0, 2.0, 3.0]])
    found = sx.explain(model, x, 0, composite=sx.Composite(default=Epsilon(1e-9)))
    torch.testing.assert_close(found.relevance, 0.3 * torch.tensor(0.6).tanh() * x / 6)
    torch.testing.assert_close(found.relevance, torch.tensor([[0.0269, 0.0537, 0.0806]]), rtol=0, atol=1e-4)


def test_input_times_gradient():
    """LRP-ε with ε → 0 on a bias-free ReLU network is input × gradient."""
    make, shape = NETWORKS["dense without bias"]
    model, x = randomize(make()), sample(*shape)
    found = sx.explain(model, x, 1, composite=sx.Composite(default=Epsilon(0)))
    expected = captum.InputXGradient(model).attribute(x.clone().requires_grad_(), 1).detach()
    torch.testing.assert_close(found.relevance, expected, rtol=1e-12, atol=1e-14)
