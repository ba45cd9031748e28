"""Every spelling of attention is one attention, and both of its rules are what the papers say."""

import math

import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

N, HEADS, LENGTH, WIDTH = 2, 2, 4, 3
MODES = ("constant", "attnlrp")
aten = torch.ops.aten

MASKS = {
    "no mask": None,
    "float mask": sample(LENGTH, LENGTH, seed=8),
    "causal": torch.full((LENGTH, LENGTH), -math.inf, dtype=torch.float64).triu(1),
    "keys left out": torch.zeros(N, 1, 1, LENGTH, dtype=torch.float64).masked_fill(
        torch.tensor([[0, 0, 0, 1], [0, 1, 0, 1]]).bool()[:, None, None], -math.inf
    ),
}


def lrp0(mode):
    return sx.Composite(default=sx.rules.Epsilon(0), attention=mode)


# -- the reference: relevance itself, sum by sum ---------------------------------------------------------------------


def linear_relevance(x, weight, relevance):
    """R_i = Σ_j x_i w_ji / z_j R_j."""
    contributions = x[..., None, :] * weight
    return (contributions / contributions.sum(-1, keepdim=True) * relevance[..., None]).sum(-2)


def attention_relevance(q, k, v, mask, relevance, mode):
    """Relevance of q, k and v. Ali et al. 2022, eq. 8; Achtibat et al. 2024, eq. 13 and propositions 3.1 and 3.3."""
    s = q @ k.mT / math.sqrt(q.shape[-1])
    logits = s if mask is None else s + mask
    p = torch.softmax(logits, -1)
    o = p @ v
    messages = p[..., :, :, None] * v[..., None, :, :] / o[..., :, None, :] * relevance[..., :, None, :]
    to_values = messages.sum(-3)
    if mode == "constant":
        return torch.zeros_like(q), torch.zeros_like(k), to_values
    r_p = messages.sum(-1) / 2
    # x_i (R_i − s_i Σ R); what the mask shuts out has neither weight nor relevance
    r_logits = torch.where(p == 0, 0.0, logits * (r_p - p * r_p.sum(-1, keepdim=True)))
    r_s = torch.where(p == 0, 0.0, r_logits * s / logits)
    messages = q[..., :, None, :] * k[..., None, :, :] / (q @ k.mT)[..., None] * r_s[..., None] / 2
    return messages.sum(-2), messages.sum(-3), to_values / 2


# -- the spellings ---------------------------------------------------------------------------------------------------


def by_hand(q, k, v, mask):
    scores = q @ k.transpose(-2, -1) / math.sqrt(WIDTH)
    return F.softmax(scores if mask is None else scores + mask, dim=-1) @ v


def dropped(q, k, v, mask):
    scores = torch.matmul(q, k.mT).div(math.sqrt(WIDTH))
    weights = F.softmax(scores if mask is None else scores + mask, -1, dtype=torch.float64)
    return F.dropout(weights, p=0.1, training=False, inplace=True) @ v


def in_place(q, k, v, mask):
    scores = torch.matmul(q * WIDTH**-0.5, k.mT)
    if mask is not None:
        scores += mask
    return scores.softmax(-1).matmul(v)


def einsum(q, k, v, mask):
    scores = torch.einsum("nhid,nhjd->nhij", q, k) * WIDTH**-0.5
    return torch.einsum("nhij,nhjd->nhid", torch.softmax(scores if mask is None else mask + scores, 3), v)


def bmm(q, k, v, mask):
    q, k, v = (t.flatten(0, 1) for t in (q, k, v))
    scores = torch.bmm(q / math.sqrt(WIDTH), k.transpose(1, 2)).unflatten(0, (N, HEADS))
    scores = scores if mask is None else scores.add(mask)
    return torch.bmm(nn.Softmax(-1)(scores).flatten(0, 1), v).unflatten(0, (N, HEADS))


def baddbmm(q, k, v, mask):
    mask = torch.zeros(LENGTH, LENGTH, dtype=torch.float64) if mask is None else mask
    mask = mask.expand(N, HEADS, LENGTH, LENGTH).flatten(0, 1)
    q, k, v = (t.flatten(0, 1) for t in (q, k, v))
    scores = torch.baddbmm(input=mask, batch1=q, batch2=k.mT, beta=1.0, alpha=WIDTH**-0.5)
    return torch.bmm(torch.softmax(scores, -1), v).unflatten(0, (N, HEADS))


def exponentials(q, k, v, mask):
    scores = q @ k.mT / math.sqrt(WIDTH)
    scores = scores if mask is None else scores + mask
    powers = torch.exp(scores - scores.amax(-1, keepdim=True).detach())
    return (powers / powers.sum(-1, keepdim=True)) @ v


def exponentials_stabilized(q, k, v, mask):
    scores = q @ k.mT / math.sqrt(WIDTH)
    scores = scores if mask is None else scores + mask
    powers = (scores - scores.max(-1, keepdim=True).values).exp()
    return torch.einsum("nhij,nhjd->nhid", powers.div(powers.sum(-1, keepdim=True) + 1e-16), v)


def elementwise(q, k, v, mask):
    scores = (q[..., :, None, :] * k[..., None, :, :]).sum(-1) / math.sqrt(WIDTH)
    weights = torch.softmax(scores if mask is None else scores + mask, -1)
    return (weights[..., None] * v[..., None, :, :]).sum(-2)


def kernel(q, k, v, mask):
    mask = None if mask is None else mask.expand(len(q), HEADS, LENGTH, LENGTH)
    return aten._scaled_dot_product_flash_attention_for_cpu.default(q, k, v, attn_mask=mask)[0]


def boolean(q, k, v, mask):
    if mask is not None and mask.isinf().any():
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask == 0)
    return F.scaled_dot_product_attention(q, k, v, mask)


def flagged(q, k, v, mask):
    if mask is MASKS["causal"]:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return F.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=mask, scale=WIDTH**-0.5)


SPELLINGS = {
    "F": lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, mask),
    "boolean mask": boolean,
    "flags": flagged,
    "aten": lambda q, k, v, mask: aten.scaled_dot_product_attention(q, k, v, mask),
    "aten kernel": kernel,
    **{f.__name__: f for f in (by_hand, dropped, in_place, einsum, bmm, baddbmm, elementwise)},
    **{f.__name__: f for f in (exponentials, exponentials_stabilized)},
}


class Attention(nn.Module):
    """Heads (N, HEADS, LENGTH, WIDTH) from linear maps, attention, and a dense layer on everything."""

    def __init__(self, attend, mask=None):
        super().__init__()
        self.attend, self.mask = attend, mask
        size = HEADS * WIDTH
        self.q, self.k, self.v = (randomize(nn.Linear(5, size, bias=False), seed) for seed in (1, 2, 3))
        self.head = randomize(nn.Linear(LENGTH * size, 2, bias=False), 4)

    def project(self, x):
        return [layer(x).unflatten(-1, (HEADS, WIDTH)).transpose(1, 2) for layer in (self.q, self.k, self.v)]

    def forward(self, x):
        return self.head(self.attend(*self.project(x), self.mask).transpose(1, 2).flatten(1))


X = sample(N, LENGTH, 5)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("mode", MODES)
def test_equals_the_papers(mode, mask):
    net = Attention(by_hand, MASKS[mask])
    with torch.no_grad():
        heads = net.project(X)
        out = net.attend(*heads, net.mask).transpose(1, 2).flatten(1)
        score = net(X)[:, 1]
        relevance = linear_relevance(out, net.head.weight[1:], score[:, None])
        relevance = relevance.unflatten(1, (LENGTH, HEADS, WIDTH)).transpose(1, 2)
        parts = attention_relevance(*heads, net.mask, relevance, mode)
        parts = [p.transpose(1, 2).flatten(2) for p in parts]
        expected = sum(
            linear_relevance(X, layer.weight, part) for layer, part in zip((net.q, net.k, net.v), parts, strict=True)
        )
    found = sx.explain(net, X, 1, composite=lrp0(mode), on_unknown="error")
    torch.testing.assert_close(found.relevance, expected, rtol=1e-9, atol=1e-12)


#: spelling, mask, ledger; the ledger goes by samples, and some are written for a whole batch
SPELLED = [
    (spelling, mask, ledger)
    for spelling in SPELLINGS
    for mask in MASKS
    for ledger in (False, True)
    if not (ledger and (mask == "keys left out" or spelling in ("bmm", "baddbmm")))
]


@pytest.mark.parametrize(("spelling", "mask", "ledger"), SPELLED)
@pytest.mark.parametrize("mode", MODES)
def test_spellings_are_one(spelling, mode, mask, ledger):
    options = {"composite": sx.Composite(attention=mode), "on_unknown": "error"}
    batch = X if mask == "no mask" or not ledger else X[:1]
    expected = sx.explain(Attention(by_hand, MASKS[mask]), batch, 1, **options)
    found = sx.explain(Attention(SPELLINGS[spelling], MASKS[mask]), batch, 1, ledger=ledger, **options)
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-10, atol=1e-10)
    assert found.relevance.abs().max() > 1e-3
    assert not ledger or found.ledger.gap.abs().max() < 1e-10


@pytest.mark.parametrize("mode", MODES)
def test_grouped_queries_are_repeated_keys(mode):
    def grouped(q, k, v, mask):
        q = torch.cat([q, q * 2], 1)
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    def repeated(q, k, v, mask):
        q = torch.cat([q, q * 2], 1)
        return by_hand(q, *(t.repeat_interleave(2, 1) for t in (k, v)), None)

    def explained(attend):
        net = Attention(attend)
        net.head = randomize(nn.Linear(2 * LENGTH * HEADS * WIDTH, 2, bias=False), 4)
        return sx.explain(net, X, 1, composite=sx.Composite(attention=mode)).relevance

    torch.testing.assert_close(explained(grouped), explained(repeated), rtol=1e-10, atol=1e-10)


def test_a_query_that_sees_nothing_gets_zeros():
    mask = torch.ones(LENGTH, LENGTH, dtype=torch.bool)
    mask[2] = False
    found = sx.explain(Attention(SPELLINGS["F"], mask), X, 1, composite="attention")
    assert found.relevance.isfinite().all()
    torch.testing.assert_close(found.score, Attention(SPELLINGS["F"], mask)(X)[:, 1].detach())


@pytest.mark.filterwarnings("ignore:The model is in training mode")
@pytest.mark.parametrize("mode", MODES)
def test_dropout_is_off(mode):
    dropped = Attention(lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, dropout_p=0.5))
    composite = sx.Composite(attention=mode)
    expected = sx.explain(Attention(by_hand), X, 1, composite=composite)
    for ledger in (False, True):
        found = sx.explain(dropped, X, 1, composite=composite, ledger=ledger)
        torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-10, atol=1e-10)


# -- torch's modules -------------------------------------------------------------------------------------------------


class ByHand(nn.Module):
    """nn.MultiheadAttention's parameters, in the textbook's words."""

    def __init__(self, attention, mask):
        super().__init__()
        self.inner, self.mask = attention, mask

    def forward(self, x):
        q, k, v = F.linear(x, self.inner.in_proj_weight, self.inner.in_proj_bias).chunk(3, -1)
        q, k, v = (t.unflatten(-1, (2, -1)).transpose(1, 2) for t in (q, k, v))
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        out = torch.softmax(scores if self.mask is None else scores + self.mask, -1) @ v
        return self.inner.out_proj(out.transpose(1, 2).flatten(2)).sum(1)


class OfTorch(nn.Module):
    def __init__(self, attention, mask, weights):
        super().__init__()
        self.inner, self.mask, self.weights = attention, mask, weights

    def forward(self, x):
        return self.inner(x, x, x, attn_mask=self.mask, need_weights=self.weights)[0].sum(1)


@pytest.mark.parametrize("mask", ["no mask", "float mask", "causal"])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_multi_head_attention(mode, weights, mask):
    attention, x = randomize(nn.MultiheadAttention(6, 2, batch_first=True)), sample(2, LENGTH, 6)
    options = {"composite": sx.Composite(attention=mode), "on_unknown": "error"}
    expected = sx.explain(ByHand(attention, MASKS[mask]), x, 1, **options)
    found = sx.explain(OfTorch(attention, MASKS[mask], weights), x, 1, **options)
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_transformer_conserves(mode, norm_first, frozen):
    """Also where torch would take its fast path with nested tensors: padded batches, parameters without gradient."""
    net = randomize(nn.Transformer(6, 2, 2, 2, 8, batch_first=True, norm_first=norm_first)).requires_grad_(not frozen)

    def model(source, target, padding):
        causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1], dtype=torch.float64)
        masks = {"src_key_padding_mask": padding, "memory_key_padding_mask": padding, "tgt_mask": causal}
        return net(source, target, **masks)[:, -1]

    padding = torch.tensor([[False, False, False, True], [False] * 4])
    inputs = (sample(2, 4, 6), sample(2, 3, 6, seed=3), padding)
    found = sx.explain(model, inputs, 1, composite=lrp0(mode), ledger=True, on_unknown="error")
    scale = found.score.abs() + sum(r.abs().flatten(1).sum(1) for r in found.relevance[:2])
    assert (found.ledger.gap.abs() < 1e-10 * scale).all()
    assert (found.relevance[0][0, 3] == 0).all()  # padding
    assert all(r.abs().max() > 0 for r in found.relevance[:2])
