"""Words that stand at one place, and a model that reads them."""

import numpy as np
import pytest
import torch
from scipy.stats import poisson
from torch import nn
from torch.nn.functional import one_hot

from sciexplain.domains import genomics
from sciexplain.domains.genomics.audit import FIXED, audit, fixed_words
from sciexplain.errors import InputError


def letters(n=300, length=60, seed=0, size=4):
    return torch.randint(size, (n, length), generator=torch.Generator().manual_seed(seed))


def encoded(codes, size=4):
    return one_hot(codes, size).transpose(1, 2).float()


WORD = torch.tensor([2, 0, 3, 1, 3, 0, 1, 1])


def by_hand(codes, reach=10, alpha=0.01):
    """Counts, means of neighbours and tests, one word and one place at a time."""
    n, length = codes.shape
    words = {}
    for place in range(length - 3):
        for row in codes[:, place : place + 4].tolist():
            words[place, tuple(row)] = words.get((place, tuple(row)), 0) + 1
    fixed = np.zeros((n, length), bool)
    for i in range(n):
        for place in range(length - 3):
            word = tuple(codes[i, place : place + 4].tolist())
            near = [p for p in range(max(0, place - reach), min(length - 3, place + reach + 1)) if p != place]
            mean = max(0.5, np.mean([words.get((p, word), 0) for p in near]))
            if poisson.sf(words[place, word] - 1, mean) < alpha / (256 * (length - 3)):
                fixed[i, place : place + 4] = True
    return fixed


def test_fixed_words_are_those_of_the_definition():
    codes = letters(200, 40)
    codes[:50, 5:13] = WORD
    codes[60:100, 35:39] = WORD[:4]
    found = fixed_words(encoded(codes))
    assert (found == by_hand(codes)).all()
    assert found[:50, 5:13].all() and found[60:100, 35:39].all()


def test_motifs_that_lie_here_and_there_are_not():
    codes = letters()
    for i in range(200):
        codes[i, 25 + i % 9 : 33 + i % 9] = WORD
    assert not fixed_words(encoded(codes)).any()


def test_letters_that_are_not_known_are_in_no_word():
    x = encoded(letters())
    x[:, :, :10] = 0
    assert not fixed_words(x).any()


def test_proteins_have_words_of_one_letter():
    codes = letters(size=20)
    codes[:100, 3] = 7
    found = fixed_words(encoded(codes, 20))
    assert found[:100, 3].all() and found.sum() == (codes[:, 3] == 7).sum()


def test_short_sequences():
    assert not fixed_words(encoded(letters(length=4))).any()
    with pytest.raises(InputError, match="sequences of 3 letters; an audit needs 4"):
        fixed_words(encoded(letters(length=3)))


def barcoded(seed=0, barcode=True):
    """A motif somewhere in all of class 1, a barcode at the start of some of it; a model that counts both."""
    codes, labels = letters(seed=seed), torch.arange(300) % 2
    generator = np.random.default_rng(seed)
    motif = torch.tensor([0, 0, 1, 3, 2, 2])
    for i in labels.nonzero().flatten().tolist():
        at = generator.integers(12, 50)
        codes[i, at : at + 6] = motif
    marked = torch.zeros(300, dtype=torch.bool)
    marked[1:121:2] = barcode
    codes[marked, :8] = WORD
    filters = torch.zeros(2, 4, 8)
    filters[0, WORD, torch.arange(8)] = 1
    filters[1, motif, torch.arange(6)] = 1
    model = nn.Sequential(
        nn.Conv1d(4, 2, 8), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(2, 2, bias=False)
    )
    with torch.no_grad():
        model[0].weight.copy_(filters)
        model[0].bias.copy_(torch.tensor([-6.0, -4.0]))
        model[4].weight.copy_(torch.tensor([[0.0, 0.0], [1.5, 1.0]]))
    return model, encoded(codes), labels, marked


@pytest.mark.parametrize("single", [False, True])
def test_a_barcode_is_found_and_named(single):
    model, x, labels, marked = barcoded()
    if single:
        model = nn.Sequential(model, nn.Linear(2, 1, bias=False))
        with torch.no_grad():
            model[1].weight.copy_(torch.tensor([[-1.0, 1.0]]))
    g = genomics.explain(model, x, None if single else labels, composite="epsilon_plus")
    found = audit(g, labels=labels, edit=True, embedding=None)
    first = found[0]
    assert first.place == FIXED and first.target == 1
    assert sorted(first.members) == marked.nonzero().flatten().tolist()
    assert first.where.startswith("positions 0–8: GATCTACC")
    assert first.parts["edit"].value > 0.3
    assert len(found.alarms) == 1


def test_no_alarm_without_a_barcode():
    model, x, labels, _ = barcoded(barcode=False)
    g = genomics.explain(model, x, labels, composite="epsilon_plus")
    assert not audit(g, labels=labels, embedding=None).alarm


def test_letters_that_ought_not_to_matter_can_be_given():
    model, x, labels, marked = barcoded()
    g = genomics.explain(model, x, labels, composite="epsilon_plus")
    kept = genomics.SequenceExplanation.of(g.sequences, nucleotides=g.nucleotides)
    ends = np.r_[np.ones(8, bool), np.zeros(52, bool)]
    found = audit(kept, target=labels, labels=labels, outside={"adapter": ends}, embedding=None)
    members, carriers = set(found[0].members.tolist()), set(marked.nonzero().flatten().tolist())
    # a sample or two have other relevance there
    assert found[0].place == "adapter" and carriers <= members and len(members - carriers) <= 2
