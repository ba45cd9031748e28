"""What the tests of ``explain`` explain: small networks in float64, their inputs, and how results are compared."""

import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain.rules import Epsilon

LRP0 = sx.Composite(default=Epsilon(0))
PRESETS = ["epsilon", "epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1_flat", "deep_taylor"]
A, B = sample(4, 5), sample(4, 5, seed=2)
CLASSES = torch.tensor([2, 0, 1, 2])
TOKENS, SEGMENTS = torch.tensor([[1, 3, 0, 7], [2, 2, 5, 0]]), torch.tensor([[0, 0, 1, 1], [1, 0, 1, 1]])
LAYER, OTHER, HEAD = (randomize(nn.Linear(*io), i) for i, io in enumerate([(5, 6), (5, 6), (6, 3)]))
NET = nn.Sequential(LAYER, nn.ReLU(), HEAD)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def input_x_gradient(model, *inputs):
    """What LRP-0 is in a network of ReLUs, for the sum of the model's output."""
    leaves = [v.detach().clone().requires_grad_() for v in inputs]
    gradients = torch.autograd.grad(model(*leaves).sum(), leaves)
    return tuple(v * g for v, g in zip(inputs, gradients, strict=True))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.norm(self.conv(x))) + x


def image_net():
    features = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), Block(), nn.Conv2d(4, 4, 2), nn.ReLU(),
        nn.MaxPool2d(2),
    )  # fmt: skip
    head = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    return randomize(nn.Sequential(features, head))


IMAGE_NET, IMAGES = image_net(), sample(2, 3, 5, 7)


def two(a, b, scale=1.0, flag=None):
    assert flag in (None, "on")
    return HEAD(F.relu(LAYER(a) - OTHER(b))) * scale
