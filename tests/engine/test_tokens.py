"""Integer inputs: tokens get the relevance of their embedding, masks and positions are constants."""

import _peers
import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

TOKENS = torch.tensor([[3, 1, 4, 1], [5, 7, 2, 6]])
MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
TABLE = sample(9, 4)

#: rows of a table by tokens
LOOKUPS = {
    "F.embedding": lambda t: F.embedding(t, TABLE),
    "by name": lambda t: F.embedding(weight=TABLE, input=t),
    "torch.embedding": lambda t: torch.embedding(TABLE, t),
    "aten.embedding": lambda t: torch.ops.aten.embedding.default(TABLE, t, 0),
    "indexing": lambda t: TABLE[t],
    "indexing whole rows": lambda t: TABLE[t, :],
    "index_select": lambda t: TABLE.index_select(0, t.flatten()).view(*t.shape, 4),
    "aten.index": lambda t: torch.ops.aten.index.Tensor(TABLE, [t]),
    "shifted": lambda t: F.embedding(t + 1, TABLE.roll(1, 0)),
    "clamped": lambda t: F.embedding(t.clamp(0, 8), TABLE),
    "as int32": lambda t: F.embedding(t.int(), TABLE),
    "flattened": lambda t: F.embedding(t.reshape(-1), TABLE).view(*t.shape, 4),
    "doubled in place": lambda t: F.embedding(t, TABLE).mul_(2) / 2,
}


class Reader(nn.Module):
    def __init__(self, lookup, position=True):
        super().__init__()
        self.lookup, self.place = lookup, randomize(nn.Embedding(4, 4), 2) if position else None
        self.inner, self.head = randomize(nn.Linear(4, 5)), randomize(nn.Linear(5, 2), 1)

    def forward(self, tokens, attention_mask):
        x = self.lookup(tokens)
        if self.place is not None:
            x = x + self.place(torch.arange(tokens.shape[1]))
        x = torch.relu(self.inner(x)) * attention_mask[..., None]
        return self.head(x.sum(1) / attention_mask.sum(1, keepdim=True))


@pytest.mark.parametrize("composite", ["epsilon", "attention", "epsilon_plus_flat"])
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_lookups_are_one(lookup, composite):
    """The sum over the embedding, given to the model as numbers; zero for the mask, and where it is zero."""
    inner = Reader(lambda x: x)
    numbers = sx.explain(inner, (TABLE[TOKENS], MASK), 1, composite=composite, on_unknown="error")
    found = sx.explain(Reader(LOOKUPS[lookup]), (TOKENS, MASK), 1, composite=composite, on_unknown="error")
    torch.testing.assert_close(found.relevance[0], numbers.relevance[0].sum(-1), rtol=1e-9, atol=1e-12)
    assert found.relevance[0][0, 3] == 0
    assert (found.relevance[1] == 0).all()


@pytest.mark.parametrize("method", ["lrp", "deeplift"])
@pytest.mark.parametrize("mask", [MASK, MASK.bool(), MASK.double(), MASK.int()], ids=lambda m: str(m.dtype))
def test_what_the_forward_calls_a_mask_is_a_constant(mask, method):
    net, by_place = Reader(LOOKUPS["F.embedding"]), (TOKENS, mask)
    expected = sx.explain(lambda tokens: net(tokens, mask), TOKENS, 1, method).relevance
    for inputs in (by_place, {"tokens": TOKENS, "attention_mask": mask}):
        found = sx.explain(net, inputs, 1, method).relevance
        tokens, masked = found.values() if isinstance(found, dict) else found
        torch.testing.assert_close(tokens, expected)
        assert masked.shape == mask.shape
        assert (masked == 0).all()


def test_a_mask_that_is_all_there_is_is_explained():
    layer = randomize(nn.Linear(4, 2))

    def segment(mask):
        return layer(mask)

    assert sx.explain(segment, sample(2, 4), 1).relevance.abs().min() > 0


def test_ledger_of_a_masked_batch():
    found = sx.explain(Reader(LOOKUPS["indexing"]), (TOKENS, MASK), 1, ledger=True, on_unknown="error")
    assert found.ledger.gap.abs().max() < 1e-10


def small(kind, head, **options):
    transformers = _peers.transformers()
    config = transformers.AutoConfig.for_model(
        kind, vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
        num_key_value_heads=1, max_position_embeddings=16, pad_token_id=0, bos_token_id=1, eos_token_id=2, **options,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return randomize(getattr(transformers, head).from_config(config))


MODELS = {
    "encoder": ("bert", "AutoModelForSequenceClassification", {}),
    "encoder by hand": ("bert", "AutoModelForSequenceClassification", {"attn_implementation": "eager"}),
    "positions from padding": ("roberta", "AutoModelForSequenceClassification", {}),
    "decoder": ("llama", "AutoModelForSequenceClassification", {"head_dim": 4}),
    "experts": ("mixtral", "AutoModelForSequenceClassification", {"num_local_experts": 3, "head_dim": 4}),
}


@pytest.mark.parametrize("composite", ["epsilon", "attention"])
@pytest.mark.parametrize("name", MODELS)
def test_padded_texts_are_texts_alone(name, composite):
    """A shorter text in a padded batch gets what it gets by itself, and padding nothing."""
    kind, head, options = MODELS[name]
    if kind == "mixtral":
        options = options | {"experts_implementation": "eager"}  # the others have no kernel for float64
    net = small(kind, head, **options)
    tokens = torch.tensor([[7, 12, 9, 15, 4], [11, 6, 3, 0, 0]])
    batch = {"input_ids": tokens, "attention_mask": (tokens != 0).long()}
    found = sx.explain(net, batch, 1, composite=composite, on_unknown="error")
    alone = {"input_ids": tokens[1:, :3], "attention_mask": torch.ones(1, 3, dtype=torch.long)}
    expected = sx.explain(net, alone, 1, composite=composite, on_unknown="error")
    torch.testing.assert_close(found.score[1:], expected.score, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(
        found.relevance["input_ids"][1:, :3], expected.relevance["input_ids"], rtol=1e-6, atol=1e-8
    )
    assert (found.relevance["input_ids"][1, 3:] == 0).all()
    assert (found.relevance["attention_mask"] == 0).all()


@pytest.mark.parametrize("options", [{}, {"method": "deeplift"}], ids=str)
def test_degrees_are_no_embedding_of_the_edges(options):
    """Normalisation by the degrees, as in a graph convolution: the signal has all of the relevance, the edges none."""
    ends = torch.tensor([[0, 1, 1, 2, 3, 0], [1, 0, 2, 1, 0, 3]])

    def net(x, ends):
        row, col = ends
        degree = x.new_zeros(4).scatter_add_(0, col, x.new_ones(6)).pow(-0.5)
        norm = degree[row] * degree[col]
        return torch.zeros_like(x).index_add(0, col, x.index_select(0, row) * norm[:, None])

    found = sx.explain(net, (sample(4, 3), ends), lambda y: y[:, 1], **options)
    assert not found.relevance[1].any()
    torch.testing.assert_close(found.relevance[0].sum(), found.score.sum())


def _shifted(tokens):
    shifted = tokens.new_zeros(tokens.shape)
    shifted[:, 1:] = tokens[:, :-1].clone()
    shifted[:, 0] = 2
    return shifted.masked_fill_(shifted == 5, 1)


def _written_over(tokens):
    moved = tokens.clone()
    moved[:, 0] = torch.full((len(tokens),), 3)
    return moved


REARRANGED = {
    "shifted in place": _shifted,
    "written over": _written_over,
    "with a class token": lambda t: torch.cat([torch.full((len(t), 1), 3), t], 1),
    "stacked with constants": lambda t: torch.stack([t, torch.ones_like(t)], 1).flatten(1),
    "where": lambda t: torch.where(t > 2, t, torch.zeros_like(t)),
    "masked_fill": lambda t: t.masked_fill(t == 4, 0),
    "chosen": lambda t: t[:, [2, 0, 0]],
}


@pytest.mark.parametrize("rearrange", REARRANGED)
@pytest.mark.parametrize("method", ["lrp", "deeplift"])
def test_tokens_put_together_with_constants(rearrange, method):
    """Each place of the rearranged tokens has its token's own relevance; constants take theirs to nobody."""
    table, weight = sample(9, 4), sample(8, 4, seed=3)
    tokens = torch.tensor([[1, 5, 4, 3], [2, 4, 6, 7]])
    reference = torch.tensor([[2, 5, 4, 8], [1, 4, 6, 7]])  # decides alike
    move = REARRANGED[rearrange]

    def net(t):
        moved = move(t)
        return (torch.nn.functional.embedding(moved, table) * weight[: moved.shape[1]]).sum((1, 2), keepdim=True)[
            ..., 0
        ]

    found = sx.explain(net, tokens, 0, method=method, **({} if method == "lrp" else {"reference": reference}))
    place = move(100 * (1 + torch.arange(8).view(2, 4)))  # which token went where: only constants are below 100
    moved, other = move(tokens), move(reference)
    change = table[moved] if method == "lrp" else table[moved] - table[other]
    worth = (change * weight[: moved.shape[1]]).sum(-1)
    expected = torch.zeros(8).double()
    if "where" in rearrange or "fill" in rearrange or "shifted" in rearrange:
        alive = moved == (
            tokens if "shifted" not in rearrange else torch.cat([tokens[:, :1] * 0 - 1, tokens[:, :-1]], 1)
        )
        place = torch.where(alive, place, 0)
    for p, w in zip(place.flatten().tolist(), worth.flatten().tolist(), strict=True):
        if p >= 100:
            expected[p // 100 - 1] += w
    torch.testing.assert_close(found.relevance.flatten().double(), expected)
    if method == "lrp":
        ledger = sx.explain(net, tokens, 0, ledger=True).ledger
        assert ledger.gap.abs().max() < 1e-12
        torch.testing.assert_close(ledger.absorbed["bias"].sum(), worth.sum() - expected.sum())
