"""Letters to one-hot and back, against a letter-by-letter reference."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.alphabet import DNA, PROTEIN, RNA, alphabet_of
from sciexplain.domains.genomics.encode import decode, encode, reverse_complement, reverse_complement_of, soft_mask
from sciexplain.errors import InputError

IUPAC = {"A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
         "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT"}  # fmt: skip


def by_letter(text, average):
    columns = []
    for letter in text.upper():
        options = IUPAC[letter]
        share = 1 / len(options) if average or len(options) == 1 else 0
        columns.append([share if base in options else 0 for base in "ACGT"])
    return torch.tensor(columns).T


@given(st.text("ACGTNRYSWKMBDHVacgtnryswkmbdhv", min_size=1, max_size=40), st.sampled_from(["zero", "average"]))
def test_against_letters(text, ambiguous):
    found = encode(text, ambiguous=ambiguous)
    assert found.shape == (1, 4, len(text)) and found.is_contiguous()
    torch.testing.assert_close(found[0], by_letter(text, ambiguous == "average").to(found))


@given(st.lists(st.text("ACGTN", min_size=5, max_size=5), min_size=1, max_size=4))
def test_round_trip(texts):
    assert decode(encode(texts)) == texts
    assert decode(encode(texts, ambiguous="average")) == texts


@pytest.mark.parametrize(
    ("alphabet", "text"), [("DNA", "ACGT"), ("rna", "ACGU"), ("protein", "ACDEFGHIKLMNPQRSTVWY"), (PROTEIN, "MKWX")]
)
def test_alphabets(alphabet, text):
    found = encode(text, alphabet)
    assert found.shape[1] == len(alphabet_of(alphabet).letters)
    assert decode(found, alphabet) == [text]


def test_u_is_t_and_the_other_way_round():
    assert torch.equal(encode("ACGU"), encode("ACGT")) and torch.equal(encode("acgt", RNA), encode("ACGU", RNA))


def test_proteins_average():
    column = encode("B", PROTEIN, ambiguous="average")[0, :, 0]
    assert {PROTEIN.letters[i]: float(v) for i, v in enumerate(column) if v} == {"D": 0.5, "N": 0.5}
    assert encode("*-U", PROTEIN, ambiguous="average").sum() == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
@pytest.mark.parametrize("ambiguous", ["zero", "average"])
def test_dtype(dtype, ambiguous):
    assert encode("ACN", dtype=dtype, ambiguous=ambiguous).dtype == dtype


@pytest.mark.parametrize(
    ("given_", "options", "message"),
    [
        (["ACGT", "ACXT"], {}, "Sequence 1 has 'X' at position 2"),
        (["ACGT", "MEEP"], {}, "Sequence 1 has 'E' at position 1 .*3 such letters"),
        (["ACGT", "ACG"], {}, "sequence 1 has 3; expected one length"),
        ([], {}, "no sequences"),
        ("", {}, "no sequences"),
        ("AÄ", {}, "is no letter of DNA"),
        ("AC", {"alphabet": "DMA"}, "expected DNA, RNA or protein"),
        ("AC", {"ambiguous": "mean"}, 'expected "zero" or "average"'),
    ],
)
def test_bad_input(given_, options, message):
    with pytest.raises(InputError, match=message):
        encode(given_, **options)


@given(st.text("ACGTNRYSWKMBDHVacgtn", min_size=1, max_size=30))
def test_reverse_complement_of_texts_and_tensors(text):
    from Bio.Seq import Seq

    assert reverse_complement_of(text) == str(Seq(text).reverse_complement())
    turned = encode(reverse_complement_of(text), ambiguous="average")
    torch.testing.assert_close(reverse_complement(encode(text, ambiguous="average")), turned)
    assert reverse_complement_of(reverse_complement_of(text)) == text


def test_reverse_complement_of_rna_and_with_channels():
    assert decode(reverse_complement(encode("AACU", RNA), RNA), RNA) == ["AGUU"]
    assert reverse_complement_of("AACU", RNA) == "AGUU"
    signal = torch.arange(4.0)[None, None]
    turned = reverse_complement(torch.cat([encode("AACG"), signal], 1))
    assert decode(turned) == ["CGTT"] and turned[0, 4].tolist() == [3, 2, 1, 0]


def test_proteins_have_no_strands():
    with pytest.raises(InputError, match="no reverse complement"):
        reverse_complement(encode("MK", PROTEIN), PROTEIN)


def test_soft_mask():
    assert soft_mask(["ACgtN", "nACGT"]).tolist() == [[False, False, True, True, False], [True] + [False] * 4]


def test_codes_and_shares_agree():
    single = DNA.codes < 4
    assert (DNA.shares[single].argmax(1) == DNA.codes[single]).all() and (DNA.shares[single].sum(1) == 1).all()
    assert not DNA.shares[DNA.codes == 255].any()
    assert np.allclose(DNA.shares[[ord(c) for c in IUPAC]].sum(1), 1)


@pytest.mark.parametrize("alphabet", [DNA, RNA, PROTEIN])
def test_alphabets_are_copied_and_sent_to_other_processes(alphabet):
    again = pickle.loads(pickle.dumps(alphabet))
    assert again == copy.deepcopy(alphabet) == alphabet and hash(again) == hash(alphabet)
    assert (again.codes == alphabet.codes).all()
