"""Where a layer's channels are, by its kind."""

import pytest
import torch
from torch import nn

from sciexplain.engine.channels import by_channel, own_axis


class ChannelsFirstNorm(nn.LayerNorm):
    """As ConvNeXt has it, for (N, channels, H, W)."""


@pytest.mark.parametrize(
    ("module", "shape", "axis"),
    [
        (nn.Conv2d(3, 8, 3), (2, 8, 4, 5), 1),
        (nn.ConvTranspose1d(3, 8, 3), (2, 8, 4), 1),
        (nn.Conv2d(3, 8, 3), (8, 4, 5), 0),  # a sample without the batch
        (nn.InstanceNorm1d(8), (2, 8, 4), 1),
        (nn.GroupNorm(2, 8), (2, 8, 4), 1),
        (nn.Linear(3, 8), (2, 4, 8), 2),
        (nn.MultiheadAttention(8, 2), (4, 2, 8), 2),
        (nn.LayerNorm(8), (2, 4, 8), 2),
        (ChannelsFirstNorm(8), (2, 8, 4, 5), 1),
        (ChannelsFirstNorm(8), (2, 4, 5, 8), 3),
        (ChannelsFirstNorm(8), (2, 4, 5, 7), None),
        (nn.ReLU(), (2, 8, 4), None),
        (None, (2, 8), None),
    ],
)
def test_own_axis(module, shape, axis):
    assert own_axis(module, torch.empty(shape)) == axis


@pytest.mark.parametrize(("shape", "axis"), [((2, 3), 1), ((2, 3, 4), 1), ((2, 4, 3), -1), ((2, 4, 5, 3), 3)])
def test_by_channel_keeps_every_value_at_its_channel(shape, axis):
    values = torch.randn(shape)
    found = by_channel(values, axis)
    others = [d for d in range(1, len(shape)) if d != axis % len(shape)]
    assert found.shape[:2] == (2, 3)
    torch.testing.assert_close(found.sum(2), values.sum(others) if others else values)
