"""In float64, what a model computes in float32 by itself is explained in float64."""

import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

CASTS = {
    "to": lambda x: x.to(torch.float32),
    "to by keyword": lambda x: x.to(dtype=torch.float32),
    "to with a device": lambda x: x.to("cpu", torch.float32),
    "float": lambda x: x.float(),
    "half": lambda x: x.half(),
    "bfloat16": lambda x: x.bfloat16(),
    "type": lambda x: x.type(torch.float32),
    "type_as": lambda x: x.type_as(torch.zeros(1, dtype=torch.float32)),
    "to like": lambda x: x.to(torch.zeros(1, dtype=torch.float32)),
}
COARSE = {
    "norm": lambda x: x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6).to(x.dtype),
    "softmax": lambda x: x * F.softmax(x, 1, dtype=torch.float32).to(x.dtype),
    "mean": lambda x: x + x.mean(1, keepdim=True, dtype=torch.float32),
    "router": lambda x: x * F.linear(x.float(), torch.ones(1, 6)).sigmoid().to(x.dtype),
    "buffer": lambda x: torch.zeros(len(x), 6).index_add_(0, torch.arange(len(x)), x.float()).to(x.dtype),
    "matmul": lambda x: x.float() @ torch.ones(6, 6),
}


class Net(nn.Module):
    def __init__(self, operation):
        super().__init__()
        self.operation = operation
        self.first, self.last = randomize(nn.Linear(4, 6)), randomize(nn.Linear(6, 2), 1)

    def forward(self, x):
        return self.last(self.operation(self.first(x)).to(self.last.weight.dtype))


@pytest.mark.parametrize("cast", CASTS)
def test_casts_are_left_out(cast):
    x = sample(3, 4)
    for options in ({}, {"method": "deeplift"}):
        found = sx.explain(Net(CASTS[cast]), x, 1, **options)
        expected = sx.explain(Net(lambda v: v), x, 1, **options)
        torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("operation", [*COARSE, *CASTS])
@pytest.mark.parametrize("options", [{}, {"composite": "attention"}, {"method": "deeplift"}], ids=str)
def test_nothing_is_lost(operation, options):
    net = Net((COARSE | CASTS)[operation])
    found = sx.explain(net, sample(3, 4), 1, ledger=True, on_unknown="error", **options)
    limit = 1e-12 if operation != "buffer" else 1e-5  # a float32 buffer of the model's own stays one
    assert found.ledger.gap.abs().max() < limit
    assert found.score.dtype == torch.float64
    torch.testing.assert_close(found.score, net(sample(3, 4))[:, 1].detach(), rtol=1e-2, atol=1e-2)


def test_float32_models_keep_their_casts():
    net = Net(lambda x: x.half().float()).float()
    x = sample(3, 4).float()
    assert torch.equal(sx.explain(net, x, 1).score, net(x)[:, 1].detach())
