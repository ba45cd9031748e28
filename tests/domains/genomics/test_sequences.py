"""Batches: from texts, records and tensors; places and names stay with their rows."""

import pytest
import torch

from sciexplain.domains.genomics.encode import encode
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record, Sequences
from sciexplain.errors import InputError

RECORDS = [
    Record("a", "ACGt", Interval("chr1", 10, 14)),
    Record("b", "TTGN", Interval("chr2", 20, 24, "-")),
    Record("c", "GGGA"),
]


def test_from_records():
    s = Sequences.of(RECORDS, keep_mask=True)
    assert s.names == ("a", "b", "c") and s.intervals == tuple(r.interval for r in RECORDS)
    assert s.texts == ["ACGT", "TTGN", "GGGA"] and s.length == 4 and len(s) == 3
    assert s.mask.nonzero().tolist() == [[0, 3]] and s.extra is None


@pytest.mark.parametrize("given", ["ACGT", ["ACGT"], RECORDS[:1], RECORDS[0], encode("ACGT"), encode("ACGT")[0]])
def test_everything_that_is_one_sequence(given):
    assert Sequences.of(given).texts == ["ACGT"]


def test_integer_tensors_become_floats():
    assert Sequences.of(encode("AC").long()).inputs.dtype == torch.float32


@pytest.mark.parametrize("rows", [1, slice(0, 2), [2, 0], [1, 1]])
def test_rows(rows):
    s = Sequences.of(RECORDS, keep_mask=True)
    places = list(range(3))[rows] if isinstance(rows, slice) else [rows] if isinstance(rows, int) else rows
    part = s[rows]
    assert part.names == tuple("abc"[i] for i in places)
    assert part.texts == [s.texts[i] for i in places] and torch.equal(part.mask, s.mask[places])
    assert part.intervals == tuple(s.intervals[i] for i in places)


def test_further_channels_follow_the_letters():
    signal = torch.rand(3, 2, 4)
    s = Sequences.of(RECORDS, extra=signal)
    assert torch.equal(s.extra, signal) and torch.equal(s.one_hot, encode([r.sequence for r in RECORDS]))
    other = s.with_letters(encode(["AAAA"] * 3))
    assert torch.equal(other.extra, signal) and other.texts == ["AAAA"] * 3 and other.names == s.names


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sequences.of(torch.zeros(2, 3, 5)), "expected .N, C, L. with the 4 letters"),
        (lambda: Sequences.of(torch.zeros(5)), "expected .N, C, L."),
        (lambda: Sequences.of(["ACGT", 5]), "int among the sequences"),
        (lambda: Sequences.of([Record("a", "ACG", Interval("chr1", 0, 4))]), "has 3 letters, but chr1:0-4 has 4 bp"),
        (lambda: Sequences.of(RECORDS, extra=torch.zeros(2, 1, 4)), r"expected \(3, channels, 4\)"),
        (lambda: Sequences.of(RECORDS).with_letters(torch.zeros(3, 4, 5)), r"expected \(3, 4, 4\)"),
        (lambda: Sequences(encode("AC"), ("a", "b"), (None,)), "2 names"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make()
