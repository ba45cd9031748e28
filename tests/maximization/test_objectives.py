"""Objectives against what they are defined as."""

import pytest
import torch
from torch import nn

from sciexplain.errors import TargetError
from sciexplain.maximization import Channel, Direction, Diverse, Logit, LogProbability, Neuron
from sciexplain.maximization.objectives import objective_of
from sciexplain.maximization.observe import Seen

torch.manual_seed(0)
OUTPUT = torch.randn(3, 4).double()
MAPS = torch.randn(3, 5, 2, 6).double()
DENSE = torch.randn(3, 7).double()
SEEN = Seen(OUTPUT, {"maps": MAPS, "dense": DENSE}, None)
BY_CHANNEL, BY_ROW, BY_PLACE = torch.randn(5).double(), torch.randn(2).double(), torch.randn(5, 2, 6).double()

#: objective and its value
CASES = {
    "logit": (Logit(2), OUTPUT[:, 2]),
    "last logit": (Logit(-1), OUTPUT[:, 3]),
    "log-probability": (LogProbability(1), OUTPUT[:, 1] - OUTPUT.logsumexp(1)),
    "class": (3, OUTPUT[:, 3]),
    "callable": (lambda y: y.amax(1), OUTPUT.amax(1)),
    "neuron": (Neuron("dense", 6), DENSE[:, 6]),
    "neuron of a map": (Neuron("maps", (4, 1, -1)), MAPS[:, 4, 1, 5]),
    "channel": (Channel("maps", 3), MAPS[:, 3].mean((1, 2))),
    "channel of a vector": (Channel("dense", 3), DENSE[:, 3]),
    "last axis": (Channel("maps", 5, axis=-1), MAPS[..., 5].mean((1, 2))),
    "direction": (Direction("maps", BY_CHANNEL), torch.einsum("nchw,c->n", MAPS, BY_CHANNEL) / 12),
    "direction along another axis": (Direction("maps", BY_ROW, 2), torch.einsum("nchw,h->n", MAPS, BY_ROW) / 30),
    "direction of places": (Direction("maps", BY_PLACE), (MAPS * BY_PLACE).sum((1, 2, 3))),
    "sum": (
        2 * Logit(0) - Channel("maps", 1) * 3 + Neuron("dense", 0),
        2 * OUTPUT[:, 0] - 3 * MAPS[:, 1].mean((1, 2)) + DENSE[:, 0],
    ),
    "negative": (-(Logit(0) + Logit(1)), -OUTPUT[:, 0] - OUTPUT[:, 1]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_values(case):
    target, expected = CASES[case]
    assert torch.allclose(objective_of(target)(SEEN), expected, atol=1e-12)


def test_layers_are_asked_for_once():
    both = Channel("maps", 1) + Neuron("maps", (0, 0, 0)) + Diverse(Neuron("dense", 1), "maps")
    assert both.layers == ("maps", "dense")


@pytest.mark.parametrize("over", ["sigmoid", None])
def test_log_probability_of_independent_classes(over):
    single = Seen(OUTPUT[:, 0], {}, over)
    assert torch.allclose(LogProbability(0)(single), nn.functional.logsigmoid(OUTPUT[:, 0]))
    several = LogProbability(1)(Seen(OUTPUT, {}, over))
    expected = OUTPUT.sigmoid().log() if over else OUTPUT.log_softmax(1)
    assert torch.allclose(several, expected[:, 1])


def test_dense_outputs_are_summed():
    output = torch.randn(2, 3, 4, 5)
    assert torch.allclose(Logit(1)(Seen(output, {}, None)), output[:, 1].sum((1, 2)))


def test_diversity():
    """Olah et al. 2017: cosines of Gram matrices, written with loops."""
    found = Diverse(0, "maps", weight=2.0)(SEEN)
    grams = [(m.flatten(1) @ m.flatten(1).T).flatten() for m in MAPS]
    for a, gram in enumerate(grams):
        others = [float(gram @ g / (gram.norm() * g.norm())) for b, g in enumerate(grams) if b != a]
        assert float(found[a]) == pytest.approx(float(OUTPUT[a, 0]) - 2 * sum(others) / 2, abs=1e-12)


def test_diversity_does_not_see_where():
    shifted = Seen(OUTPUT[:2], {"maps": torch.stack([MAPS[0], MAPS[0].roll(2, -1)])}, None)
    assert torch.allclose(Diverse(0, "maps")(shifted), OUTPUT[:2, 0] - 1)


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (Neuron("maps", 3), "expected 3 indices inside, or Channel('maps', …)"),
        (Neuron("dense", 7), "(7,) for each sample"),
        (Channel("maps", 5), "5 channels"),
        (Channel("dense", 0, axis=2), "no axis=2"),
        (Channel("dense", 0, axis=0), "no axis=0"),
        (Direction("maps", BY_CHANNEL[:3]), "(3,); expected (5,), or (5, 2, 6)"),
        (Logit(4), "4 outputs"),
        (LogProbability(-5), "4 outputs"),
    ],
)
def test_what_does_not_fit(objective, words):
    with pytest.raises(TargetError) as raised:
        objective(SEEN)
    assert words in str(raised.value)
