"""Integer inputs: tokens and categories get the sum over their embedding."""

import pytest
import torch
import torch.nn.functional as F
from explained_networks import LRP0, NET, SEGMENTS, TOKENS, close, input_x_gradient
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain.rules import ZPlus

EMBEDDING, SEGMENT = randomize(nn.Embedding(8, 5, padding_idx=0)), randomize(nn.Embedding(2, 5), 1)
with torch.no_grad():
    EMBEDDING.weight[0] = 0
TABLE = EMBEDDING.weight.detach()
SCALE = sample(2, 4, seed=3)


def bag(mode, **options):
    module = nn.EmbeddingBag(8, 5, mode=mode, **options).double()
    module.weight.data.copy_(sample(8, 5, seed=4))
    return module


BAGS = {mode: bag(mode) for mode in ("sum", "mean", "max")}
BAG_TABLE = BAGS["sum"].weight.detach()
WITH_LAST_OFFSET = bag("mean", include_last_offset=True)


def in_bag(mode, x, keep=None):
    """What an embedding bag makes of embeddings (N, L, D)."""
    if mode == "max":
        return x.amax(1)
    keep = torch.ones(x.shape[:2]).double() if keep is None else keep
    return (x * keep[..., None]).sum(1) / (keep.sum(1, keepdim=True) if mode == "mean" else 1)


#: model of integer inputs, the inputs, and the same as a model of the embeddings (N, L, D), with these embeddings
TOKEN_MODELS = {
    "embedding": (lambda t: NET(EMBEDDING(t).sum(1)), (TOKENS,), lambda x: NET(x.sum(1)), (TABLE[TOKENS],)),
    "functional": (
        lambda t: NET(F.embedding(t, TABLE).mean(1)), (TOKENS,), lambda x: NET(x.mean(1)), (TABLE[TOKENS],),
    ),
    "int32": (lambda t: NET(EMBEDDING(t).sum(1)), (TOKENS.int(),), lambda x: NET(x.sum(1)), (TABLE[TOKENS],)),
    "one token a sample": (lambda t: NET(EMBEDDING(t)), (TOKENS[0],), NET, (TABLE[TOKENS[0]],)),
    "two inputs": (
        lambda t, s: NET((EMBEDDING(t) + SEGMENT(s)).sum(1)), (TOKENS, SEGMENTS),
        lambda x, y: NET((x + y).sum(1)), (TABLE[TOKENS], SEGMENT.weight.detach()[SEGMENTS]),
    ),
    "positions": (
        lambda t: NET((EMBEDDING(t) + sample(4, 5)[torch.arange(t.shape[1])]).sum(1)), (TOKENS,),
        lambda x: NET((x + sample(4, 5)).sum(1)), (TABLE[TOKENS],),
    ),
    "table by index": (lambda t: NET(EMBEDDING.weight[t].sum(1)), (TOKENS,), lambda x: NET(x.sum(1)), (TABLE[TOKENS],)),
    "index_select": (
        lambda t: NET(EMBEDDING.weight.index_select(0, t)), (TOKENS[0],), NET, (TABLE[TOKENS[0]],),
    ),
    "one-hot": (
        lambda t: NET((F.one_hot(t, 8).double() @ TABLE).sum(1)), (TOKENS,),
        lambda x: NET((x @ TABLE).sum(1)), (F.one_hot(TOKENS, 8).double(),),
    ),
    "shifted and rearranged": (
        lambda t: NET(EMBEDDING((t.flip(1).T + 1) % 8).sum(0)), (TOKENS,),
        lambda x: NET(x.sum(1)), (TABLE[(TOKENS + 1) % 8],),
    ),
    "cut": (lambda t: NET(EMBEDDING(t[:, 1:3]).sum(1)), (TOKENS,), lambda x: NET(x[:, 1:3].sum(1)), (TABLE[TOKENS],)),
    "column by column": (
        lambda t: NET(sum(EMBEDDING(c) for c in t.unbind(1))), (TOKENS,), lambda x: NET(x.sum(1)), (TABLE[TOKENS],),
    ),
    "two embeddings": (
        lambda t: NET((EMBEDDING(t) * 2 + TABLE.flip(0)[t]).sum(1)), (TOKENS,),
        lambda x: NET((x[..., :5] * 2 + x[..., 5:]).sum(1)), (torch.cat([TABLE, TABLE.flip(0)], 1)[TOKENS],),
    ),
    "twin": (
        lambda s, t: NET(EMBEDDING(s).sum(1) - EMBEDDING(t).sum(1)), (TOKENS, TOKENS.flip(1)),
        lambda x, y: NET(x.sum(1) - y.sum(1)), (TABLE[TOKENS], TABLE[TOKENS.flip(1)]),
    ),
    **{f"bag {mode}": (
        nn.Sequential(BAGS[mode], NET), (TOKENS,),
        lambda x, mode=mode: NET(in_bag(mode, x)), (BAG_TABLE[TOKENS],),
    ) for mode in ("sum", "mean", "max")},
    **{f"bag {mode} with padding": (
        nn.Sequential(bag(mode, padding_idx=0), NET), (TOKENS,),
        lambda x, mode=mode: NET(in_bag(mode, x, (TOKENS > 0).double())), (BAG_TABLE[TOKENS],),
    ) for mode in ("sum", "mean")},
    "bag with weights": (
        lambda t: NET(BAGS["sum"](t, per_sample_weights=SCALE)), (TOKENS,),
        lambda x: NET((x * SCALE[..., None]).sum(1)), (BAG_TABLE[TOKENS],),
    ),
    **{f"bag {mode} with offsets": (
        lambda t, mode=mode: NET(BAGS[mode](t, torch.tensor([0, 3]))), (TOKENS.flatten(),),
        lambda x, mode=mode: NET(torch.cat([in_bag(mode, x[None, :3]), in_bag(mode, x[None, 3:])])),
        (BAG_TABLE[TOKENS.flatten()],),
    ) for mode in ("sum", "mean", "max")},
    "bag with an empty bag": (
        lambda t: NET(WITH_LAST_OFFSET(t, torch.tensor([0, 3, 3, 8]))), (TOKENS.flatten(),),
        lambda x: NET(torch.stack([x[:3].mean(0), 0 * x[0], x[3:].mean(0)])),
        (BAG_TABLE[TOKENS.flatten()],),
    ),
}  # fmt: skip
TOKEN_COMPOSITES = {"LRP-0": LRP0, "z⁺": sx.Composite(default=ZPlus()), "flat": "epsilon_plus_flat"}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("composite", TOKEN_COMPOSITES)
@pytest.mark.parametrize("case", TOKEN_MODELS)
def test_a_token_gets_the_sum_over_its_embedding(case, composite):
    model, tokens, rest, embeddings = TOKEN_MODELS[case]
    composite = TOKEN_COMPOSITES[composite]
    found = sx.explain(model, tokens, lambda y: y[:, 1], composite=composite)
    expected = sx.explain(rest, embeddings, lambda y: y[:, 1], composite=composite)
    close(found.score, expected.score)
    close(found.relevance, tuple(r.sum(-1) for r in expected.relevance))
    if composite is LRP0:
        by_hand = input_x_gradient(lambda *x: rest(*x)[:, 1], *embeddings)
        close(found.relevance, tuple(r.sum(-1) for r in by_hand))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("composite", TOKEN_COMPOSITES)
def test_tokens_conserve_by_the_ledger(composite):
    e = sx.explain(TOKEN_MODELS["two inputs"][0], (TOKENS, SEGMENTS), 1, composite=TOKEN_COMPOSITES[composite],
                   ledger=True)  # fmt: skip
    close(e.relevance[0].sum(1) + e.relevance[1].sum(1) + sum(e.ledger.absorbed.values()), e.score)


def test_offsets_as_an_input_get_nothing():
    tokens, offsets = TOKENS.flatten(), torch.tensor([0, 3])
    found = sx.explain(lambda t, o: NET(BAGS["mean"](t, o)), (tokens, offsets), lambda y: y[:, 1], composite=LRP0)
    fixed = sx.explain(lambda t: NET(BAGS["mean"](t, offsets)), tokens, lambda y: y[:, 1], composite=LRP0)
    close(found.relevance, (fixed.relevance, torch.zeros(2).double()))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("composite", TOKEN_COMPOSITES)
def test_integers_beside_floats(composite):
    composite = TOKEN_COMPOSITES[composite]

    def model(x, t):
        return NET(t + x)

    x = sample(2, 5)
    found = sx.explain(
        lambda x, t: model(x, EMBEDDING(t).sum(1)), {"x": x, "t": TOKENS}, 1, composite=composite
    ).relevance
    expected = sx.explain(
        lambda x, e: model(x, e.sum(1)), {"x": x, "e": TABLE[TOKENS]}, 1, composite=composite
    ).relevance
    close(found, {"x": expected["x"], "t": expected["e"].sum(-1)})


PIXELS = torch.arange(20, dtype=torch.uint8).view(4, 5) * 12
CASTS = {
    "float": lambda p: p.double(),
    "to": lambda p: p.to(torch.float64),
    "divided": lambda p: p / 255,
    "normalised": lambda p: (p.double() / 255 - 0.4) / 0.3,
    "times": lambda p: p * 0.5,
    "rearranged": lambda p: p.view(4, 5, 1).flip(1).double().flip(1).flatten(1),
    "by constructor": lambda p: p.type(torch.float64) - 7,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus_flat", "deep_taylor"])
@pytest.mark.parametrize("cast", CASTS)
def test_integers_that_become_numbers(cast, composite):
    net, cast = (lambda v: NET(v.double())), CASTS[cast]
    found = sx.explain(lambda p: net(cast(p)), PIXELS, 1, composite=composite)
    expected = sx.explain(lambda p: net(cast(p)), PIXELS.double(), 1, composite=composite)
    torch.testing.assert_close(found.relevance.double(), expected.relevance, rtol=1e-5, atol=1e-7)
