"""The best allowed sequence against all of them, one by one."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciexplain.domains.genomics.alphabet import DNA, PROTEIN
from sciexplain.domains.genomics.design.constraints import Constraints, Limit
from sciexplain.errors import InputError

LENGTH = 6
ALL = np.array(list(product(range(4), repeat=LENGTH)))


def free(length=LENGTH, letters=4):
    options = np.ones((length, letters + 1), bool)
    options[:, -1] = False
    return options


def holds(text, gc, words):
    share = sum(letter in "GC" for letter in text) / len(text)
    turned = text[::-1].translate(str.maketrans("ACGT", "TGCA"))
    inside = gc is None or gc[0] <= share <= gc[1]
    return inside and not any(word in text or word in turned for word in words)


TEXTS = ["".join("ACGT"[i] for i in row) for row in ALL]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([None, (0.0, 0.4), (0.5, 0.5), (0.3, 0.8), (0.99, 1.0)]),
    st.sampled_from([[], ["GAT"], ["AA", "GC"], ["CCG", "T"], ["A", "C"]]),
    st.lists(st.integers(0, 4), max_size=2),
)
def test_the_best_of_all_that_are_allowed(seed, gc, words, budgets):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(LENGTH, 4))
    limits = [Limit(rng.integers(0, 4, LENGTH), most) for most in budgets]
    allowed = np.array([holds(text, gc, words) for text in TEXTS])
    for limit in limits:
        allowed &= (limit.origin != ALL).sum(1) <= limit.most
    constraints = Constraints.of(gc, words)
    found = constraints.best(scores, free(), limits)
    if not allowed.any():
        assert found is None
        return
    totals = scores[np.arange(LENGTH), ALL].sum(1)
    assert allowed[(found == ALL).all(1).argmax()]
    assert scores[np.arange(LENGTH), found].sum() == pytest.approx(totals[allowed].max())


@pytest.mark.parametrize("gc", [None, (0.2, 0.5)])
@pytest.mark.parametrize("words", [[], ["GAT", "TT"]])
def test_which_hold(gc, words):
    expected = [holds(text, gc, words) for text in TEXTS]
    assert Constraints.of(gc, words).hold(ALL).tolist() == expected


def test_unknown_letters_stay_are_in_no_motif_and_do_not_count():
    options = free(5)
    options[2] = [False] * 4 + [True]
    scores = np.zeros((5, 4))
    scores[:, 2] = 1.0  # G everywhere
    constraints = Constraints.of((0.5, 0.5), ["GG"])
    found = constraints.best(scores, options)
    assert found[2] == 4 and (np.isin(found, [1, 2])).sum() == 2 and constraints.hold(found[None])[0]
    assert Constraints.of(None, ["GG"]).best(scores, options, [Limit(np.array([2, 0, 4, 0, 2]), 0)]).tolist() == [
        2, 0, 4, 0, 2,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("origin", "gc", "words", "changes"),
    [
        ("AAAAAA", (0.5, 1), [], 3),
        ("GAATTC", None, ["GAATTC"], 1),
        ("GATGAT", None, ["GAT"], 2),
        ("ACACAC", None, [], 0),
    ],
)
def test_how_many_changes_are_needed(origin, gc, words, changes):
    codes = np.array(["ACGT".index(letter) for letter in origin])
    assert Constraints.of(gc, words).fewest_changes(codes, free()) == changes


def test_a_long_sequence_is_quick_and_exact_in_bounds():
    rng = np.random.default_rng(0)
    scores = rng.normal([0, 1, 1, 0], size=(400, 4))
    constraints = Constraints.of((0.4, 0.45), ["GAATTC", "GGTCTC", "CCWGG", "NGGNCC"])
    found = constraints.best(scores, free(400))
    text = "".join("ACGT"[i] for i in found)
    assert 0.4 <= (text.count("G") + text.count("C")) / 400 <= 0.45 and constraints.hold(found[None])[0]
    assert not any(word in text for word in ("GAATTC", "GGTCTC", "GAGACC", "CCAGG", "CCTGG"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gc": (0.6, 0.4)}, "least and the greatest"),
        ({"gc": (-0.1, 0.4)}, "from 0 to 1"),
        ({"gc": (0.4, 0.5), "alphabet": PROTEIN}, "no G and C"),
        ({"forbidden": "GAATTC"}, "expected a list"),
        ({"forbidden": ["GAATTX"]}, "expected letters"),
    ],
)
def test_wrong_constraints_are_named(options, message):
    with pytest.raises(InputError, match=message):
        Constraints.of(**{"alphabet": DNA, **options})
