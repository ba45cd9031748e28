"""Shuffles against the sequences that a search by hand finds, and their frequencies against uniform ones by χ²."""

import warnings
from collections import Counter
from itertools import groupby, pairwise
from math import factorial, prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from sciexplain.domains.genomics.encode import decode, encode
from sciexplain.domains.genomics.shuffle import shuffle_dinucleotides
from sciexplain.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.*no other order")


def pairs_of(text):
    return Counter(pairwise(text))


def all_orders(text):
    """Every sequence with the same dinucleotides and ends, by trying every next letter."""
    found = []

    def go(path, left):
        if not left:
            found.append(path)
        for pair in [pair for pair in left if pair[0] == path[-1]]:
            go(path + pair[1], left - Counter([pair]))

    go(text[0], pairs_of(text))
    return sorted(order for order in found if order[-1] == text[-1])


def shuffles(text, n, seed=0):
    return decode(shuffle_dinucleotides(encode(text), n, seed)[0])


def number_of_orders(text):
    """By the BEST theorem: closed by an edge from the last letter to the first, the walks are circuits."""
    letters = sorted(set(text))
    counts = np.array([[pairs_of(text)[a, b] for b in letters] for a in letters])
    closed = counts.copy()
    closed[letters.index(text[-1]), letters.index(text[0])] += 1
    degrees = closed.sum(1)
    trees = round(np.linalg.det((np.diag(degrees) - closed)[1:, 1:]))
    return trees * prod(factorial(d - 1) for d in degrees) // prod(factorial(c) for c in counts.flat)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "text",
    ["ACCCACGATGATA", "AACCGGTTAACC", "GATTACAGATTACA", "TGCATGCCATGGA", "AAAACAAAACAAAA", "ACGTACGA", "TATATCTA"],
)
def test_uniform_over_all_orders(text, seed):
    orders = all_orders(text)
    assert len(orders) == number_of_orders(text)
    each = 2000
    drawn = Counter(shuffles(text, each * len(orders), seed))
    assert sorted(drawn) == orders
    statistic = sum((count - each) ** 2 / each for count in drawn.values())
    # Of 7 000 choices of seeds, uniform draws fail one of these fourteen tests for about one.
    assert chi2.sf(statistic, len(orders) - 1) > 1e-5


def test_runs_between_unknown_letters_are_shuffled_apart():
    text = "NACCCACGATNNGATTACATTANC"
    runs = ["".join(run) for known, run in groupby(text, lambda letter: letter != "N") if known]
    orders = [set(all_orders(run)) for run in runs]
    drawn = shuffles(text, 4000)
    parts = [[order[1:10], order[12:22], order[23]] for order in drawn]
    assert all("".join(("N", a, "NN", b, "N", c)) == order for (a, b, c), order in zip(parts, drawn, strict=True))
    for run, expected in enumerate(orders):
        assert {part[run] for part in parts} == expected
    # Independent: every pair of orders comes.
    assert len({(part[0], part[1]) for part in parts}) == len(orders[0]) * len(orders[1])


@given(text=st.text("ACGTN", min_size=1, max_size=60), seed=st.integers(0, 2**64 - 1))
@settings(max_examples=150)
def test_what_is_kept(text, seed):
    for order in shuffles(text, 3, seed):
        assert pairs_of(order) == pairs_of(text)
        assert Counter(order) == Counter(text)
        for place, letter in enumerate(text):
            if (
                letter == "N"
                or "N" in text[place - 1 : place] + text[place + 1 : place + 2]
                or place in (0, len(text) - 1)
            ):
                assert order[place] == letter


@given(text=st.text("ACGT", min_size=1, max_size=9))
@settings(max_examples=150)
def test_warning_exactly_where_there_is_one_order(text):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        shuffle_dinucleotides(encode(text), 1)
    assert bool(caught) == (len(all_orders(text)) == 1)


def test_warning_names_the_rows():
    batch = encode(["ACCACA", "AAAAAA", "ACCACA", "CGCGCG", *["TTTTTT"] * 6, "NNNNNN"])
    message = r"9 of 11 sequences have no other order .* copies \(rows 1, 3, 4, 5, 6, …\)"
    with pytest.warns(UserWarning, match=message) as caught:
        found = shuffle_dinucleotides(batch, 4)
    assert caught[0].filename == __file__
    for row in (1, 3, 4, 10):
        assert torch.equal(found[row], batch[row].expand(4, -1, -1))


def test_a_sequence_has_its_shuffles_in_any_batch():
    texts = ["".join("ACGT"[i] for i in torch.randint(4, (50,), generator=torch.manual_seed(s))) for s in range(7)]
    together = shuffle_dinucleotides(encode(texts), 5, 3)
    alone = torch.cat([shuffle_dinucleotides(encode(text), 5, 3) for text in texts])
    assert torch.equal(together, alone)
    assert torch.equal(shuffle_dinucleotides(encode(texts[::-1]), 5, 3), together.flip(0))
    assert torch.equal(shuffle_dinucleotides(encode(texts), 9, 3)[:, :5], together)
    assert not torch.equal(shuffle_dinucleotides(encode(texts), 5, 4), together)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert torch.equal(shuffle_dinucleotides(encode(texts), 5, 3), together)
    finally:
        torch.set_num_threads(threads)


def test_shuffles_do_not_repeat_each_other():
    text = "".join("ACGT"[i] for i in torch.randint(4, (200,), generator=torch.manual_seed(0)))
    assert len(set(shuffles(text, 1000))) == 1000


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8, torch.int64, torch.bool]
)
def test_types(dtype):
    batch = encode(["ACCCACGNATGATA"])
    expected = shuffle_dinucleotides(batch, 3)
    assert torch.equal(shuffle_dinucleotides(batch, 3, dtype=dtype), expected.to(dtype))
    found = shuffle_dinucleotides(batch.to(dtype), 3)
    assert found.dtype == dtype and torch.equal(found.float(), expected)


def test_averaged_columns_stay():
    text = "ACCCACGRATGATAN"
    averaged = encode(text, ambiguous="average")
    found = shuffle_dinucleotides(averaged, 6)
    assert torch.equal(found[0, :, :, [7, 14]], averaged[0][None, :, [7, 14]].expand(6, -1, -1))
    assert decode(found[0]) == shuffles(text, 6)


def test_views_and_gradients():
    batch = encode(["ACCCACGATGATA"])
    view = batch.transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    found = shuffle_dinucleotides(view, 2)
    assert not found.requires_grad
    assert torch.equal(found, shuffle_dinucleotides(batch, 2))


def test_no_sequences():
    assert shuffle_dinucleotides(torch.zeros(0, 4, 9), 2).shape == (0, 2, 4, 9)


@pytest.mark.parametrize(
    ("sequences", "n", "message"),
    [
        (torch.zeros(4, 9), 2, r"shape \(4, 9\); expected one-hot nucleotides \(N, 4, L\)"),
        (encode("MKV", "protein"), 2, r"shape \(1, 20, 3\).*Only DNA and RNA"),
        (torch.zeros(2, 4, 0), 2, "0 letters"),
        (encode("ACGT"), 0, "n=0; expected the number"),
        (encode("ACGT"), 2.0, "n=2.0"),
        (torch.randn(1, 4, 5), 2, "Sequence 0 has .* at position 0 .*not relevance"),
        (torch.cat([encode("ACGT"), encode("ACGT") * 2]), 2, r"Sequence 1 has \[2.0, 0.0, 0.0, 0.0\] at position 0"),
        (torch.full((1, 4, 1), torch.nan), 2, "Sequence 0 has .*nan"),
    ],
)
def test_what_cannot_be_shuffled(sequences, n, message):
    with pytest.raises(InputError, match=message):
        shuffle_dinucleotides(sequences, n)


def test_the_peer_reaches_a_part_of_them():
    tangermeme = pytest.importorskip("tangermeme.ersatz")
    text = "ACCCACGATGATA"
    theirs = set(decode(tangermeme.dinucleotide_shuffle(encode(text), n=20_000, random_state=0)[0]))
    ours = set(shuffles(text, 20_000))
    assert theirs < ours
    assert (len(theirs), len(ours)) == (9, 72)
