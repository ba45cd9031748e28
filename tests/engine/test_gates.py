"""Gates are found however they are written, and where they multiply a signal the signal takes all."""

import math

import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

MODES = ("constant", "attnlrp")

#: by hand, and torch's own: the same function, so the same relevance
SAME = {
    "gelu by erf": (lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0))), F.gelu),
    "gelu by erf, halved last": (lambda x: 0.5 * (x * (torch.special.erf(x * 2**-0.5) + 1)), F.gelu),
    "gelu by tanh": (
        lambda x: 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0)))),
        lambda x: F.gelu(x, approximate="tanh"),
    ),
    "gelu by tanh, factored": (
        lambda x: x * 0.5 * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * x * (1 + 0.044715 * x * x))),
        lambda x: F.gelu(x, approximate="tanh"),
    ),
    "silu by sigmoid": (lambda x: x * torch.sigmoid(x), F.silu),
    "silu by exp": (lambda x: x / (1 + torch.exp(-x)), F.silu),
    "silu by tanh": (lambda x: x * (0.5 * torch.tanh(x / 2) + 0.5), F.silu),
    "silu by a minus": (lambda x: x * (1 - torch.sigmoid(-x)), F.silu),
    "mish": (lambda x: x * torch.tanh(F.softplus(x)), F.mish),
    "hardswish by relu6": (lambda x: x * F.relu6(x + 3.0) / 6.0, F.hardswish),
    "hardswish by clamp": (lambda x: x * ((x + 3).clamp(0, 6) / 6), F.hardswish),
    "hardswish by hardtanh": (lambda x: x * F.hardtanh(3 + x, 0.0, 6.0).div(6), F.hardswish),
    "hardswish by two clamps": (lambda x: x * torch.clamp(torch.clamp(x + 3, min=0), max=6) / 6, F.hardswish),
    "hardswish by relu and minimum": (lambda x: x * F.relu(x + 3).clamp_max(6) / 6, F.hardswish),
    "softsign": (lambda x: x / (1 + x.abs()), F.softsign),
    "softmax by one exp": (lambda x: (lambda e: e / e.sum(1, keepdim=True))(torch.exp(x)), lambda x: F.softmax(x, 1)),
    "logsumexp": (lambda x: torch.exp(x).sum(1, keepdim=True).log(), lambda x: torch.logsumexp(x, 1, keepdim=True)),
}


class Between(nn.Module):
    def __init__(self, operation):
        super().__init__()
        self.operation = operation
        self.inner = randomize(nn.Linear(5, 6))
        self.head = randomize(nn.Linear(operation(sample(1, 6)).shape[1], 2), 1)

    def forward(self, x):
        return self.head(self.operation(self.inner(x)))


@pytest.mark.parametrize("composite", ["epsilon", "attention", "epsilon_plus_flat"])
@pytest.mark.parametrize("name", SAME)
def test_by_hand_is_torchs_own(name, composite):
    found, expected = (sx.explain(Between(f), sample(3, 5), 1, composite=composite).relevance for f in SAME[name])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)


INDEX = torch.tensor([[1, 0], [2, 2], [0, 3]])
KEEP = torch.tensor([True, False, True, True])

#: gates (3, 4) from logits (3, 4), under both attention modes
GATES = {
    "sigmoid": torch.sigmoid,
    "sigmoid, scaled": lambda g: 2 * torch.sigmoid(g) / 3,
    "one minus": lambda g: 1 - torch.sigmoid(g),
    "one plus": lambda g: torch.sigmoid(g) + 1.0,
    "one plus tanh": lambda g: torch.tanh(g).add(1),
    "scaled tanh": lambda g: 0.5 + torch.tanh(g / 2) * 0.5,
    "one plus cosine": lambda g: 0.5 * (torch.cos(g) + 1.0),
    "exp": torch.exp,
    "decay": lambda g: torch.exp(-F.softplus(g)),
    "exp2": lambda g: torch.exp2(g),
    "power of two": lambda g: 2**g,
    "softplus": F.softplus,
    "deviation": lambda g: torch.exp(g / 2).sqrt().clamp(min=1e-6),
    "hardsigmoid": F.hardsigmoid,
    "product": lambda g: torch.sigmoid(g) * torch.exp(-g),
    "sum": lambda g: torch.sigmoid(g) + torch.sigmoid(-2 * g),
    "renormalised": lambda g: (lambda w: w / w.sum(1, keepdim=True))(torch.sigmoid(g)),
    "sorted": lambda g: torch.sigmoid(g).sort(1, descending=True)[0],
    "greatest": lambda g: torch.sigmoid(g).max(1, keepdim=True).values.expand(3, 4),
    "scattered": lambda g: torch.zeros(3, 4).double().scatter(1, INDEX, torch.sigmoid(g)[:, :2]),
    "added at an index": lambda g: torch.zeros(3, 4).double().index_add(0, torch.tensor([2, 0, 0]), torch.sigmoid(g)),
    "masked": lambda g: torch.where(KEEP, torch.sigmoid(g), 0.0),
    "cumulative": lambda g: torch.sigmoid(g).cumsum(1),
    "cumulative product": lambda g: torch.sigmoid(g).cumprod(1),
    "one-hot einsum": lambda g: torch.einsum("ij,jk->ik", torch.sigmoid(g), torch.eye(4).double()[[1, 1, 0, 3]]),
    "one-hot matrix": lambda g: torch.sigmoid(g) @ torch.eye(4).double()[[1, 1, 0, 3]],
    "dropout": lambda g: F.dropout(torch.sigmoid(g), 0.5, training=False),
    "softmax, then top-k": lambda g: _routed(*torch.softmax(g, -1).topk(2)),
    "softmax, then top-k, renormalised": lambda g: _renormalised(*torch.topk(torch.softmax(g, -1), 2)),
    "top-k, then softmax": lambda g: (lambda v, i: _routed(v.softmax(-1), i))(*g.topk(2)),
    "sigmoid scores, gathered": lambda g: _renormalised(torch.sigmoid(g).gather(1, g.topk(2)[1]), g.topk(2)[1]),
    "softmax scores, gathered": lambda g: _routed(F.softmax(g, 1).gather(1, g.topk(2)[1]), g.topk(2)[1]),
    "best expert": lambda g: _routed(*torch.softmax(g, -1).max(-1, keepdim=True)),
    "top-k into a full softmax": lambda g: torch.softmax(
        torch.full((3, 4), -math.inf).double().scatter(1, g.topk(2)[1], g.topk(2)[0]), 1
    ),
}


def _routed(weights, index):
    return torch.zeros(3, 4, dtype=weights.dtype).scatter(1, index, weights)


def _renormalised(weights, index):
    return _routed(weights / (weights.sum(-1, keepdim=True) + 1e-20), index)


def _takes_all(gate, mode):
    """Relevance of (signal, logits) of ``signal × gate``; both went through a layer, so that they are no raw input."""
    layer = randomize(nn.Linear(4, 4, bias=False))
    found = sx.explain(
        lambda x, g: (layer(x) * gate(layer(g))).sum(1, keepdim=True),
        (sample(3, 4), sample(3, 4, seed=2)),
        0,
        composite=sx.Composite(default=sx.rules.Epsilon(0), attention=mode),
        on_unknown="error",
    )
    signal, logits = found.relevance
    torch.testing.assert_close(signal.sum(1), found.score, rtol=1e-9, atol=1e-12)
    return logits


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gate", GATES)
def test_the_signal_takes_all(gate, mode):
    assert (_takes_all(GATES[gate], mode) == 0).all()


SOFTMAX = {
    "softmax": lambda g: torch.softmax(g, 1),
    "softmax by hand": lambda g: (lambda e: e / e.sum(1, keepdim=True))(torch.exp(g - g.amax(1, keepdim=True))),
    "softmax by segments": lambda g: _segments(g),
}


def _segments(g):
    """As graph networks have it: over groups of entries that an index tells."""
    flat, index = g.flatten(), torch.arange(3).repeat_interleave(4)
    highest = torch.zeros(3).double().scatter_reduce(0, index, flat.detach(), "amax", include_self=False)
    powers = (flat - highest.index_select(0, index)).exp()
    total = torch.zeros(3).double().scatter_add_(0, index, powers) + 1e-16
    return (powers / total.index_select(0, index)).view(3, 4)


@pytest.mark.parametrize("softmax", SOFTMAX)
def test_a_softmax_is_a_gate_unless_attention_shares(softmax):
    assert (_takes_all(SOFTMAX[softmax], "constant") == 0).all()
    layer = randomize(nn.Linear(4, 4, bias=False))

    def explained(softmax):
        def model(x, g):
            return (layer(x) * softmax(layer(g))).sum(1, keepdim=True)

        return sx.explain(model, (sample(3, 4), sample(3, 4, seed=2)), 0, composite="attention").relevance

    for found, expected in zip(explained(SOFTMAX[softmax]), explained(SOFTMAX["softmax"]), strict=True):
        assert expected.abs().max() > 0
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)


#: products of two signals: half to each
SIGNALS = {
    "linear": lambda g: 2 * g,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "centred sigmoid": lambda g: torch.sigmoid(g) - 0.5,
    "tanh by sigmoid": lambda g: 2 * torch.sigmoid(2 * g) - 1,
    "small shift of tanh": lambda g: torch.tanh(g) + 0.5,
    "shifted": lambda g: g + 3.0,
    "shifted softplus": lambda g: F.softplus(g) - math.log(2),
    "sum with a signal": lambda g: torch.sigmoid(g) + g,
    "mixed by weights": lambda g: F.linear(torch.sigmoid(g), sample(4, 4)),
}


@pytest.mark.parametrize("signal", SIGNALS)
def test_signals_share(signal):
    layer = randomize(nn.Linear(4, 4, bias=False))
    found = sx.explain(
        lambda x, g: (layer(x) * SIGNALS[signal](layer(g))).sum(1, keepdim=True),
        (sample(3, 4), sample(3, 4, seed=2)),
        0,
        composite=sx.Composite(default=sx.rules.Epsilon(0)),
    )
    torch.testing.assert_close(found.relevance[0].sum(1), found.score / 2, rtol=1e-9, atol=1e-12)


def test_gate_of_a_state_space():
    """h ← exp(Δ A) h + Δ B x, y = C h: decays and steps are gates."""
    layer, a, b = randomize(nn.Linear(3, 3)), -sample(3).abs(), sample(3)

    def model(x, x_step):
        h = torch.zeros(len(x), 3, dtype=x.dtype)
        step = F.softplus(layer(x_step))
        for t in range(x.shape[1]):
            h = torch.exp(step * a) * h + step * b * x[:, t]
        return h.sum(1, keepdim=True)

    found = sx.explain(model, (sample(2, 4, 3), sample(2, 3, seed=4)), 0, ledger=True)
    assert (found.relevance[1] == 0).all()
    torch.testing.assert_close(found.relevance[0].sum((1, 2)), found.score)
