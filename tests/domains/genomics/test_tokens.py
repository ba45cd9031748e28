"""Models over tokens: relevance of words on the letters that they stand for."""

import pytest
import torch
from rule_tester import randomize
from torch import nn

import sciexplain as sx
from sciexplain.domains.genomics import KmerTokenizer, Tokens, explain
from sciexplain.domains.genomics.tokens import onto_letters, tokenized
from sciexplain.errors import InputError

TEXTS = ["ACGTTGCAACGG", "TTGACAGATTAC"]


class OverTokens(nn.Module):
    def __init__(self, words):
        super().__init__()
        self.embedding, self.body, self.head = nn.Embedding(words, 6), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, ids):
        return self.head(torch.relu(self.body(self.embedding(ids))).sum(1))


@pytest.mark.parametrize(("k", "stride"), [(1, 1), (3, 1), (3, 3), (6, 6), (4, 2)])
def test_kmers(k, stride):
    tokenizer = KmerTokenizer(k, stride, first=4)
    net = randomize(OverTokens(4**k + 4))
    ids = [
        [4 + int("".join(str("ACGT".index(c)) for c in t[s : s + k]), 4) for s in range(0, 13 - k, stride)]
        for t in TEXTS
    ]
    assert [list(tokenizer(t).ids) for t in TEXTS] == ids
    g = explain(net, TEXTS, 1, tokenizer=tokenizer)
    e = sx.explain(net, torch.tensor(ids), 1)
    torch.testing.assert_close(g.nucleotides.sum(1), e.relevance.sum(1))
    expected = torch.zeros(2, 12).double()
    for row in range(2):
        for t, r in enumerate(e.relevance[row]):
            for i in range(k):
                expected[row, t * stride + i] += r / k
    torch.testing.assert_close(g.nucleotides, expected)
    torch.testing.assert_close(g.contributions.sum(1), g.nucleotides)
    with pytest.raises(InputError, match="tokens"):
        _ = g.hypothetical


def test_both_strands():
    net = randomize(OverTokens(16))
    both = explain(net, TEXTS, 1, strand="both", tokenizer=KmerTokenizer(2))
    plus = explain(net, TEXTS, 1, tokenizer=KmerTokenizer(2))
    minus = explain(net, ["CCGTTGCAACGT", "GTAATCTGTCAA"], 1, tokenizer=KmerTokenizer(2))
    torch.testing.assert_close(both.nucleotides, (plus.nucleotides + minus.nucleotides.flip(1)) / 2)


def test_different_numbers_of_tokens():
    """Words of other lengths, as byte-pair encoding gives them, with a token that stands for no letter."""

    def tokenizer(text):
        spans, start = [(0, 0)], 0
        while start < len(text):
            end = start + (3 if text[start : start + 3] == "TTG" else 2)
            spans.append((start, min(end, len(text))))
            start = end
        return Tokens(tuple([9] + [sum(map(ord, text[a:b])) % 5 for a, b in spans[1:]]), tuple(spans))

    net = randomize(OverTokens(10))
    texts = [*TEXTS, "TTGTTGTTGTTG", "TTGTTGACACAC"]
    assert len({len(tokenizer(t).ids) for t in texts}) > 1
    g = explain(net, texts, torch.tensor([0, 1, 1, 0]), tokenizer=tokenizer)
    for row, text in enumerate(texts):
        tokens = tokenizer(text)
        e = sx.explain(net, torch.tensor([tokens.ids]), int(g.target[row]))
        for r, (start, end) in zip(e.relevance[0, 1:], tokens.spans[1:], strict=True):
            torch.testing.assert_close(g.nucleotides[row, start:end], (r / (end - start)).expand(end - start))


def test_hugging_face():
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    raw = tokenizers.Tokenizer(
        tokenizers.models.BPE({c: i for i, c in enumerate("ACGT")} | {"AC": 4, "GT": 5}, [("A", "C"), ("G", "T")])
    )
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=raw)
    assert tokenized(fast, "ACGTTA") == Tokens((4, 5, 3, 0), ((0, 2), (2, 4), (4, 5), (5, 6)))
    g = explain(randomize(OverTokens(6)), TEXTS, 1, tokenizer=fast)
    assert g.nucleotides.shape == (2, 12) and g.nucleotides[0, 0] == g.nucleotides[0, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KmerTokenizer(3)("AC"), "no word of 3 letters"),
        (lambda: KmerTokenizer(3)("ACN"), "'ACN' is no word"),
        (lambda: tokenized(lambda text: [1, 2], "AC"), "tokenizer gave list; expected Tokens"),
        (lambda: tokenized(lambda text: Tokens((1,), ()), "AC"), "1 ids and 0 spans"),
        (lambda: explain(OverTokens(4), TEXTS, 1, "deepshap", tokenizer=KmerTokenizer(1)), "not defined on tokens"),
    ],
)
def test_bad_tokens(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_unknown_words():
    assert KmerTokenizer(2, unknown=99)("ANC").ids == (99, 99)


def test_shares_keep_the_sum():
    relevance = torch.tensor([2.0, 4.0, 1.0])
    assert onto_letters(relevance, [(0, 4), (2, 4), (0, 0)], 5).tolist() == [0.5, 0.5, 2.5, 2.5, 0.0]
