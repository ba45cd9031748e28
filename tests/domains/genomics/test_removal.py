"""Sequences with letters taken away, against sequences written anew."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sciexplain.domains import genomics
from sciexplain.domains.genomics.removal import NucleotideRemoval
from sciexplain.errors import InputError, TargetError

TEXTS = ["ACGTACGTTA", "GGGCCCATNA", "TTATTGACCA", "CATCATGGGA"]
LENGTH = 10


def network(outputs=3, channels=4):
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv1d(channels, 6, 3), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(6, outputs)
    )
    return made.double().eval()


def subsets(sizes, count=5, seed=0):
    rng = np.random.default_rng(seed)
    samples = [int(s) for s in rng.integers(len(sizes), size=count * len(sizes))]
    return samples, [torch.from_numpy(rng.random(sizes[s]) < 0.6) for s in samples]


def predicted(model, texts, column=1):
    with torch.no_grad():
        return model(genomics.encode(texts).double())[:, column].tolist()


def as_n(text, keep):
    return "".join(letter if stays else "N" for letter, stays in zip(text, keep, strict=True))


def test_zero_is_n():
    model = network()
    removal = NucleotideRemoval(model, TEXTS, 1)
    samples, kept = subsets(removal.sizes)
    found = removal.scores(samples, kept)
    expected = predicted(model, [as_n(TEXTS[s], k.tolist()) for s, k in zip(samples, kept, strict=True)])
    assert found.dtype == torch.float64 and found.tolist() == pytest.approx(expected, abs=1e-12)
    assert removal.sizes == (LENGTH,) * 4
    assert removal.parts[0][:2] == ((0, 1), (1, 2))


def test_background_is_the_share_of_each_letter_and_a_tensor_is_itself():
    model = network()
    letters = "".join(TEXTS).replace("N", "")
    share = torch.tensor([letters.count(x) / len(letters) for x in "ACGT"]).double()
    samples, kept = subsets((LENGTH,) * 4)
    x = genomics.encode(TEXTS).double()[samples]
    where = torch.stack(kept)[:, None] | (x.sum(1, keepdim=True) == 0)  # there is nothing to take from N
    with torch.no_grad():
        expected = model(torch.where(where, x, share[:, None]))[:, 1]
    for filler in ("background", share, share[:, None].repeat(1, LENGTH), share[:, None].repeat(4, 1, LENGTH)):
        torch.testing.assert_close(NucleotideRemoval(model, TEXTS, 1, filler=filler).scores(samples, kept), expected,
                                   rtol=1e-6, atol=1e-6)  # fmt: skip


class Echo(nn.Module):
    """The letters at given places as numbers, so that what stands there can be read off."""

    def __init__(self, place):
        super().__init__()
        self.place = place

    def forward(self, x):
        return (x[:, :, self.place] * torch.tensor([1.0, 2.0, 3.0, 4.0]).to(x)).sum(1, keepdim=True)


def read_off(removal, sample, kept):
    """The text that the model was shown, for one draw."""
    return "".join("NACGT"[round(float(v))] for v in kept_letters(removal, sample, kept))


def kept_letters(removal, sample, kept):
    for place in range(LENGTH):
        removal._called = removal._model = Echo(place)
        yield removal.scores([sample], [kept])[0]


@pytest.mark.parametrize("seed", range(3))
def test_drawn_letters(seed):
    nothing = torch.zeros(LENGTH, dtype=torch.bool)
    for row, text in enumerate(TEXTS):

        def shown(filler):
            removal = NucleotideRemoval(Echo(0), TEXTS, layout="NCL", filler=filler, draws=1, seed=seed)
            return read_off(removal, row, nothing)  # noqa: B023

        other = shown("random")
        assert all((a == b) == (b == "N") for a, b in zip(other, text, strict=True))
        shuffled = shown("shuffled")
        assert sorted(shuffled) == sorted(text)
        assert sorted(map("".join, pairwise(shuffled))) == sorted(map("".join, pairwise(text)))
        sampled = shown("sampled")
        donors = [t for i, t in enumerate(TEXTS) if i != row]
        assert any(all(a in (b, c) for a, b, c in zip(sampled, donor, text, strict=True)) for donor in donors)


def test_scores_are_the_mean_over_draws():
    model = network()
    samples, kept = subsets((LENGTH,) * 4)
    many = NucleotideRemoval(model, TEXTS, 1, filler="random", draws=3)
    fill = many._fill
    each = []
    for draw in range(3):
        one = NucleotideRemoval(model, TEXTS, 1, filler=fill[:, draw])
        each.append(one.scores(samples, kept))
    torch.testing.assert_close(many.scores(samples, kept), torch.stack(each).mean(0))


@settings(max_examples=10)
@given(size=st.integers(1, 30), seed=st.integers(0, 99))
def test_the_size_of_batches_changes_nothing(size, seed):
    model = network()
    samples, kept = subsets((LENGTH,) * 4, 3, seed)
    for filler in ("zero", "shuffled"):
        together = NucleotideRemoval(model, TEXTS, filler=filler).scores(samples, kept)
        apart = NucleotideRemoval(model, TEXTS, filler=filler, batch_size=size).scores(samples, kept)
        torch.testing.assert_close(apart, together)


def test_stretches_go_as_one():
    model = network()
    of = [[(2, 5), (0, 1)], [], [(9, 10)], [(0, 10)]]
    removal = NucleotideRemoval(model, TEXTS, 1, parts=of)
    assert removal.sizes == (2, 0, 1, 1) and removal.parts[0] == ((0, 1), (2, 5))
    found = removal.scores(
        [0, 1, 0], [torch.tensor([True, False]), torch.zeros(0, dtype=torch.bool), torch.tensor([False] * 2)]
    )
    expected = predicted(model, ["AC" + "NNN" + TEXTS[0][5:], TEXTS[1], "NC" + "NNN" + TEXTS[0][5:]])
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    relevance = torch.arange(40.0).reshape(4, 10)
    assert [r.tolist() for r in removal.relevance(relevance)] == [[0.0, 9.0], [], [29.0], [345.0]]
    kmers = NucleotideRemoval(model, TEXTS, 1, parts=4)
    assert kmers.parts[0] == ((0, 4), (4, 8), (8, 10))
    assert kmers.relevance(relevance)[1].tolist() == [46.0, 62.0, 37.0]


def test_strands_and_layouts():
    model = network()
    samples, kept = subsets((LENGTH,) * 4)
    left = [as_n(TEXTS[s], k.tolist()) for s, k in zip(samples, kept, strict=True)]
    complement = str.maketrans("ACGTN", "TGCAN")
    turned = [text.translate(complement)[::-1] for text in left]
    plus, minus = torch.tensor(predicted(model, left, 0)), torch.tensor(predicted(model, turned, 0))
    for strand, expected in (("+", plus), ("-", minus), ("both", (plus + minus) / 2)):
        found = NucleotideRemoval(model, TEXTS, 0, strand=strand).scores(samples, kept)
        assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-6)

    def other_way(x):
        return model(x.double().transpose(1, 2))

    found = NucleotideRemoval(other_way, TEXTS, 0, layout="NLC").scores(samples, kept)
    assert found.tolist() == pytest.approx(plus.tolist(), abs=1e-6)


def test_targets_of_every_kind():
    model = network()
    samples, kept = subsets((LENGTH,) * 4)
    outputs = torch.stack([NucleotideRemoval(model, TEXTS, t).scores(samples, kept) for t in range(3)], 1)
    whole = model(genomics.encode(TEXTS).double()).detach()
    classes = whole.argmax(1)[samples]
    torch.testing.assert_close(
        NucleotideRemoval(model, TEXTS).scores(samples, kept), outputs.gather(1, classes[:, None])[:, 0]
    )
    given = NucleotideRemoval(model, TEXTS, [2, 0, 1, 1], batch_size=3).scores(samples, kept)
    torch.testing.assert_close(given, outputs[torch.arange(len(samples)), torch.tensor([2, 0, 1, 1])[samples]])
    called = NucleotideRemoval(model, TEXTS, lambda y: y[:, 0] * y[:, 2]).scores(samples, kept)
    torch.testing.assert_close(called, outputs[:, 0] * outputs[:, 2])
    start = torch.arange(12.0).double().reshape(4, 3)
    begun = NucleotideRemoval(model, TEXTS, start, batch_size=3).scores(samples, kept)
    torch.testing.assert_close(begun, (outputs * (start / whole)[samples]).sum(1))
    with pytest.raises(TargetError, match="out of range"):
        NucleotideRemoval(model, TEXTS, 7)
    with pytest.raises(TargetError, match="one value for each of"):
        NucleotideRemoval(model, TEXTS, lambda y: y[:, 0] if len(y) == 4 else y[0, 0]).scores([0, 1], kept[:2])


def test_channels_after_the_letters_stay():
    model = network(channels=5)
    extra = torch.rand(4, 1, LENGTH)
    sequences = genomics.Sequences.of(TEXTS, extra=extra)
    samples, kept = subsets((LENGTH,) * 4)
    found = NucleotideRemoval(model, sequences, 1).scores(samples, kept)
    letters = genomics.encode([as_n(TEXTS[s], k.tolist()) for s, k in zip(samples, kept, strict=True)])
    with torch.no_grad():
        expected = model(torch.cat([letters, extra[samples]], 1).double())[:, 1]
    torch.testing.assert_close(found, expected)


def test_models_over_tokens():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(17, 5), nn.Flatten(), nn.Linear(45, 2)).double().eval()
    tokenizer = genomics.KmerTokenizer(2, unknown=16)
    removal = NucleotideRemoval(model, TEXTS, 1, tokenizer=tokenizer)
    samples, kept = subsets(removal.sizes)
    ids = [tokenizer(as_n(TEXTS[s], k.tolist())).ids for s, k in zip(samples, kept, strict=True)]
    with torch.no_grad():
        expected = model(torch.tensor(ids))[:, 1]
    torch.testing.assert_close(removal.scores(samples, kept), expected)
    assert (
        NucleotideRemoval(model, TEXTS, tokenizer=tokenizer, filler="shuffled").scores(samples, kept).isfinite().all()
    )
    with pytest.raises(InputError, match="over tokens takes letters"):
        NucleotideRemoval(model, TEXTS, tokenizer=tokenizer, filler="background")

    def cut(text):
        """Words of two letters, but AC as one more."""
        spans, at = [], 0
        while at < len(text):
            spans.append((at, min(at + 1 + (text[at : at + 2] == "AC"), len(text))))
            at = spans[-1][1]
        return genomics.Tokens(tuple(ord(text[a]) % 17 for a, _ in spans), tuple(spans))

    class Lengths(nn.Module):
        def forward(self, ids):
            return ids.double().sum(1, keepdim=True) + 100 * ids.shape[1]

    several = NucleotideRemoval(Lengths(), TEXTS, tokenizer=cut)
    found = several.scores(samples, kept)
    ids = [cut(as_n(TEXTS[s], k.tolist())).ids for s, k in zip(samples, kept, strict=True)]
    assert found.tolist() == [sum(i) + 100 * len(i) for i in ids]


def test_the_model_stays_as_it_was():
    model = nn.Sequential(nn.Dropout(0.9), network()).train()
    removal = NucleotideRemoval(model, TEXTS)
    keep = [torch.arange(LENGTH) > 3]
    assert removal.scores([0], keep).tolist() == removal.scores([0], keep).tolist()
    assert model.training and model[0].training


@pytest.mark.parametrize(
    "options, message",
    [
        ({"filler": "mean"}, "'mean'"),
        ({"filler": torch.ones(3)}, "shape"),
        ({"filler": "random", "draws": 0}, "draws=0"),
        ({"parts": 0}, "parts=0"),
        ({"parts": [[(0, 2)]]}, "1 lists of stretches for 4"),
        ({"parts": [[(0, 3), (2, 4)], [], [], []]}, "none over another"),
        ({"parts": [[(8, 11)], [], [], []]}, "within its 10 letters"),
    ],
)
def test_wrong_options_are_told(options, message):
    with pytest.raises(InputError, match=message):
        NucleotideRemoval(network(), TEXTS, **options)


def test_wrong_questions_are_told():
    removal = NucleotideRemoval(network(), TEXTS)
    with pytest.raises(InputError, match="truth value for each of its parts"):
        removal.scores([0], [torch.ones(4, dtype=torch.bool)])
    with pytest.raises(InputError, match="1 samples and 0 sets"):
        removal.scores([0], [])
    with pytest.raises(InputError, match="at least two"):
        NucleotideRemoval(network(), TEXTS[:1], filler="sampled")
    with pytest.raises(InputError, match="as the sequences"):
        removal.relevance(torch.ones(4, 3))
