"""Places of stretches on the genome, from sequences of both strands, and the masks of letters."""

from dataclasses import replace

import numpy as np
import pytest

from sciexplain.datasets import LabelledSequences, MotifInstance
from sciexplain.datasets.sequences import records_of
from sciexplain.domains.genomics.encode import reverse_complement_of
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError

GENOME = "TTACGGATCCAAGTTGCAACCTGACTTAGG"
MOTIF = "GTTGC"  # at 12 on the plus strand


def labelled(*instances, records):
    nothing = np.array([], np.int64)
    return LabelledSequences(
        "made", records, np.zeros((len(records), 1), np.float32), ("t",), "classification", nothing, nothing, nothing,
        "none", truth=instances,
    )  # fmt: skip


@pytest.mark.parametrize("strand", ["+", "-", "."])
def test_bed_finds_the_motif_again(tmp_path, strand):
    text = GENOME[5:25]
    sequence = reverse_complement_of(text) if strand == "-" else text
    read_as = reverse_complement_of(MOTIF) if strand == "-" else MOTIF
    start = sequence.index(read_as)
    instance = MotifInstance(0, start, start + 5, "-" if strand == "-" else "+", "my motif", "t")
    # The motif of the other direction, at the same letters, is on the other strand.
    other = replace(instance, strand="+" if strand == "-" else "-")
    data = labelled(instance, other, records=(Record("r", sequence, Interval("chr1", 5, 25, strand)),))
    data.truth_bed(tmp_path / "truth.bed")
    rows = [line.split("\t") for line in (tmp_path / "truth.bed").read_text().splitlines()]
    assert rows == [["chr1", "12", "17", "my_motif", "0", "+"], ["chr1", "12", "17", "my_motif", "0", "-"]]
    assert GENOME[12:17] == MOTIF


def test_without_a_place_each_sequence_is_its_own_chromosome(tmp_path):
    data = labelled(MotifInstance(1, 2, 4, "-", "m", "t"), records=(Record("a", "ACGT"), Record("b", "ACGTT")))
    data.truth_bed(tmp_path / "truth.bed")
    assert (tmp_path / "truth.bed").read_text() == "b\t2\t4\tm\t0\t-\n"
    data.truth_bed(tmp_path / "decoys.bed", decoys=True)
    assert (tmp_path / "decoys.bed").read_text() == ""


def test_masks_and_input():
    records = (Record("a", "ACGTA"), Record("b", "acgtn"))
    data = labelled(MotifInstance(0, 1, 3, "+", "m", "t"), MotifInstance(0, 3, 4, "+", "m", "u"), records=records)
    assert [mask.tolist() for mask in data.truth_mask()] == [[False, True, True, True, False], [False] * 5]
    assert data.truth_mask("t")[0].tolist() == [False, True, True, False, False]
    assert data.sequences().texts == ["ACGTA", "ACGTN"]
    assert data.sequences([1]).names == ("b",)


def test_digest_follows_the_content():
    data = labelled(records=(Record("a", "ACGTA"),))
    assert data.sha256 == labelled(records=(Record("a", "ACGTA"),)).sha256
    assert data.sha256 != labelled(records=(Record("a", "ACGTC"),)).sha256
    assert data.sha256 != replace(data, targets=data.targets + 1).sha256


def test_foreign_letters_are_named_by_place():
    with pytest.raises(DataError, match=r"x\.fa:3: r: Sequence 0 has 'E' at position 1"):
        records_of([("x.fa:1", Record("q", "acgtN")), ("x.fa:3", Record("r", "AEG"))])
