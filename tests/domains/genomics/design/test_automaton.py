"""The automaton of forbidden words against a search for each word in turn."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.alphabet import DNA, PROTEIN, RNA
from sciexplain.domains.genomics.design.automaton import automaton, both_strands
from sciexplain.errors import InputError

IUPAC = {letter: letter for letter in DNA.letters} | {k: v for k, v in DNA.ambiguous.items() if v}
motif = st.text(st.sampled_from(sorted(IUPAC)), min_size=1, max_size=5)


def occurs(word, text):
    return any(
        all(text[i + j] in IUPAC[letter] for j, letter in enumerate(word)) for i in range(len(text) - len(word) + 1)
    )


def follows(table, text):
    state = 0
    for letter in text:
        state = table[state, "ACGTN".index(letter)]
        if state < 0:
            return False
    return True


@given(st.lists(motif, min_size=1, max_size=3), st.text(st.sampled_from("ACGTN"), max_size=14))
def test_a_text_is_followed_to_its_end_where_no_motif_occurs(motifs, text):
    assert follows(automaton(motifs), text) == (not any(occurs(word, text) for word in motifs))


def test_every_short_text():
    table = automaton(["GAT", "RYN"])
    for letters in product("ACGT", repeat=5):
        text = "".join(letters)
        assert follows(table, text) == (not occurs("GAT", text) and not occurs("RYN", text))


@pytest.mark.parametrize(
    ("motifs", "alphabet", "expected"),
    [
        (["GAATTC"], DNA, ("GAATTC",)),
        (["ggtctc"], DNA, ("GGTCTC", "GAGACC")),
        (["RAC", "GTY"], DNA, ("RAC", "GTY")),
        (["GGU"], RNA, ("GGU", "ACC")),
        (["NPS"], PROTEIN, ("NPS",)),
    ],
)
def test_both_strands_each_word_once(motifs, alphabet, expected):
    assert both_strands(motifs, alphabet) == expected


def test_no_motif_forbids_nothing():
    assert np.array_equal(automaton([]), [[0, 0, 0, 0, 0]])


@pytest.mark.parametrize("motifs", [[""], ["GA!"], ["GA-C"], ["GAZ"]])
def test_what_is_no_motif_is_named(motifs):
    with pytest.raises(InputError, match="expected letters of ACGT"):
        automaton(motifs)


def test_too_many_states_are_told():
    with pytest.raises(InputError, match="fewer or shorter"):
        automaton(["A" + "N" * 40 + "C"])
