"""Relevance of pairs: the second derivative where LRP is a gradient, and one dense pass per dimension otherwise."""

import copy

import pytest
import torch
import torch.nn.functional as F
from rule_tester import RULES, RuleTester, randomize, sample
from torch import nn

import sciexplain as sx

LRP0 = sx.Composite(default=sx.rules.Epsilon(0))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.head = (
            nn.MultiheadAttention(4, 2, bias=False, batch_first=True),
            nn.Linear(4, 3, bias=False),
        )

    def forward(self, x):
        return self.head((x + self.attention(x, x, x, need_weights=False)[0]).mean(1))


NETS = {
    "dense": (nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False)), (4,)),
    "rectified embedding": (nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU()), (4,)),
    "convolution": (
        nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(12, 3, bias=False),
        ),
        (2, 4, 4),
    ),
    "map as embedding": (
        nn.Sequential(nn.Conv1d(2, 3, 3, bias=False), nn.ReLU(), nn.Conv1d(3, 2, 2, bias=False)),
        (2, 6),
    ),
    "attention": (Attention(), (3, 4)),
}


def net_and_pairs(name, n=2):
    net, shape = NETS[name]
    return randomize(copy.deepcopy(net)), sample(n, *shape), sample(n, *shape, seed=5)


@pytest.mark.parametrize("name", [n for n in NETS if n != "attention"])
def test_is_the_hessian_of_the_similarity(name):
    net, x1, x2 = net_and_pairs(name)
    found = sx.bilrp(net, x1, x2, composite=LRP0, on_unknown="error")
    assert found.relevance.shape == (2, *x1.shape[1:], *x2.shape[1:])
    for n in range(2):
        a, b = x1[n : n + 1], x2[n : n + 1]

        def gradient(other, a=a):
            leaf = a.clone().requires_grad_()
            similarity = (net(leaf) * net(other)).sum()
            return torch.autograd.grad(similarity, leaf, create_graph=True)[0].flatten()

        hessian = torch.autograd.functional.jacobian(gradient, b).reshape(a.numel(), b.numel())
        expected = a.flatten()[:, None] * hessian * b.flatten()
        torch.testing.assert_close(found.relevance[n].reshape(expected.shape), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("composite", [LRP0, "epsilon", "epsilon_plus", "attention"])
@pytest.mark.parametrize("name", NETS)
def test_sums_to_the_similarity(name, composite):
    net, x1, x2 = net_and_pairs(name)
    found = sx.bilrp(net, x1, x2, composite=composite, on_unknown="error")
    expected = (net(x1) * net(x2)).flatten(1).sum(1).detach()
    torch.testing.assert_close(found.score, expected)
    if (
        composite is LRP0 or composite == "epsilon"
    ):  # the others lose where no contribution is positive, or in a softmax
        tolerance = 1e-9 if composite is LRP0 else 1e-4
        torch.testing.assert_close(found.relevance.flatten(1).sum(1), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rule", RULES)
def test_equals_the_dense_reference(rule):
    layer, tester = randomize(nn.Linear(4, 3)), RuleTester(rule)
    x1, x2 = sample(2, 4), sample(2, 4, seed=5)
    expected = torch.zeros(2, 4, 4).double()
    for m in range(3):
        start = [
            torch.zeros(2, 3).double().index_copy_(1, torch.tensor([m]), layer(x)[:, [m]].detach()) for x in (x1, x2)
        ]
        r1, r2 = (tester.expected(layer, x, r) for x, r in zip((x1, x2), start, strict=True))
        expected += r1[:, :, None] * r2[:, None, :]
    found = sx.bilrp(layer, x1, x2, composite=sx.Composite(default=tester.rule))
    torch.testing.assert_close(found.relevance, expected, rtol=1e-9, atol=1e-12)


def test_pools_before_pairing():
    net, x1, x2 = net_and_pairs("convolution")
    whole = sx.bilrp(net, x1, x2, composite="epsilon_plus").relevance
    channels = sx.bilrp(net, x1, x2, composite="epsilon_plus", reduce=lambda r: r.sum(1)).relevance
    torch.testing.assert_close(channels, whole.sum((1, 4)))
    patches = sx.bilrp(
        net, x1, x2, composite="epsilon_plus", reduce=lambda r: F.avg_pool2d(r.sum(1), 2, divisor_override=1)
    ).relevance
    expected = channels.reshape(2, 2, 2, 2, 2, 2, 2, 2, 2).sum((2, 4, 6, 8))
    torch.testing.assert_close(patches, expected)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.inner = nn.Embedding(9, 4), nn.Linear(4, 5, bias=False)

    def forward(self, tokens, mask=None):
        x = torch.relu(self.inner(self.table(tokens)))
        return (x if mask is None else x * mask[..., None]).sum(1)


def test_tokens_of_different_lengths():
    net = randomize(Tokens())
    t1, t2 = torch.tensor([[1, 2, 8], [4, 4, 0]]), torch.tensor([[8, 2, 3, 3], [1, 0, 5, 7]])
    found = sx.bilrp(net, t1, t2, composite=LRP0)
    expected = torch.einsum(
        "nim,njm->nij", *(torch.relu(net.inner(net.table(t))).detach() for t in (t1, t2))
    )  # sums of contributions per token
    torch.testing.assert_close(found.relevance, expected, rtol=1e-9, atol=1e-12)
    masked = [{"tokens": t, "mask": (t > 0).double()} for t in (t1, t2)]
    with pytest.raises(sx.InputError, match=r"x1 has the tensors \['tokens', 'mask'\]; say with reduce="):
        sx.bilrp(net, *masked)
    paired = sx.bilrp(net, *masked, composite=LRP0, reduce=lambda r: r["tokens"]).relevance
    assert not paired[1, 2].any()  # a token behind the mask
    assert paired.shape == (2, 3, 4)


def test_batches_do_not_matter_and_the_pair_is_symmetric():
    net, x1, x2 = net_and_pairs("attention", 3)
    whole = sx.bilrp(net, x1, x2)
    for n in range(3):
        one = sx.bilrp(net, x1[n : n + 1], x2[n : n + 1])
        torch.testing.assert_close(one.relevance[0], whole.relevance[n])
    torch.testing.assert_close(sx.bilrp(net, x2, x1).relevance, whole.relevance.permute(0, 3, 4, 1, 2))


def test_the_embedding_keeps_its_softmax():
    net, x1, x2 = net_and_pairs("dense")
    net = nn.Sequential(net, nn.Softmax(1))
    torch.testing.assert_close(sx.bilrp(net, x1, x2).score, (net(x1) * net(x2)).sum(1).detach())


def test_errors():
    net, x1, x2 = net_and_pairs("dense")
    with pytest.raises(sx.InputError, match="x1 has 2 samples, x2 has 1; expected pairs"):
        sx.bilrp(net, x1, x2[:1])
    with pytest.raises(sx.ModelError, match="have 4 and 8 dimensions"):
        sx.bilrp(lambda x: x * 2, x1, torch.cat([x2, x2], 1))
    with pytest.raises(sx.InputError, match=r"reduce returned \(\); expected a tensor \(N, …\) with N = 2"):
        sx.bilrp(net, x1, x2, reduce=lambda r: r.sum())
    with pytest.raises(sx.ModelError, match="expected embeddings"):
        sx.bilrp(lambda x: x.sum(), x1, x2)
    with pytest.raises(sx.UnknownOperationError, match="lgamma"):
        sx.bilrp(lambda x: torch.lgamma(net(x)), x1, x2, on_unknown="error")


def test_torch_is_as_before():
    net, x1, x2 = net_and_pairs("convolution")
    before = [p.clone() for p in net.parameters()]
    x1.requires_grad_()
    sx.bilrp(net, x1, x2)
    assert x1.grad is None
    assert all(torch.equal(p, q) and p.grad is None for p, q in zip(net.parameters(), before, strict=True))
