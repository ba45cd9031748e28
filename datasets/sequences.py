"""Sequences with labels, and where known the stretches that explain them, as every data set of sequences is given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from sciexplain.datasets.kind import Kind
from sciexplain.datasets.left_out import Failure
from sciexplain.errors import DataError, InputError

if TYPE_CHECKING:
    from sciexplain.domains.genomics.sequences import Record, Sequences


@dataclass(frozen=True)
class MotifInstance:
    """A stretch of one sequence that was written there on purpose.

    Attributes
    ----------
    row
        Index of the sequence.
    start, end
        Within the sequence as it is given, 0-based and half-open.
    strand
        ``"+"`` where the motif reads in the direction of the sequence.
    motif
        Its name; for decoys such as ``"shuffled CTCF"``.
    task
        For which it counts; empty for decoys.
    """

    row: int
    start: int
    end: int
    strand: Literal["+", "-"]
    motif: str
    task: str = ""


@dataclass(frozen=True, eq=False)
class LabelledSequences:
    """N sequences, what is known of them, and a fixed division into three parts.

    Attributes
    ----------
    name
        Of the data set.
    records
        N sequences with their names and, where known, their places on the genome.
    targets
        (N, tasks) float32, NaN where nobody measured. Classes are 0 and 1.
    tasks
        Name of each column.
    kind
        ``"regression"`` or ``"classification"``.
    train, valid, test
        int64 indices into the N sequences; disjoint.
    split
        Where the division comes from: ``"random, seed 0"``, ``"by chromosome …"``.
    truth
        The stretches that make the labels; empty where nobody knows.
    decoys
        Stretches that were written like these and mean nothing.
    failures
        Records that were left out.
    """

    name: str
    records: tuple[Record, ...]
    targets: NDArray[np.float32]
    tasks: tuple[str, ...]
    kind: Kind
    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]
    split: str
    truth: tuple[MotifInstance, ...] = ()
    decoys: tuple[MotifInstance, ...] = ()
    failures: tuple[Failure, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    def sequences(self, rows: Sequence[int] | NDArray[np.int64] | None = None) -> Sequences:
        """Some of them, or all, as one-hot input.

        Raises
        ------
        InputError
            They are not of one length.
        """
        from sciexplain.domains.genomics.sequences import Sequences

        return Sequences.of([self.records[i] for i in (range(len(self)) if rows is None else rows)])

    def truth_mask(self, task: str | None = None) -> list[NDArray[np.bool_]]:
        """For each sequence (L,): which letters belong to a stretch of ``truth``, of one task or of any."""
        masks = [np.zeros(len(record), bool) for record in self.records]
        for instance in self.truth:
            if task is None or instance.task == task:
                masks[instance.row][instance.start : instance.end] = True
        return masks

    def truth_bed(self, path: str | PathLike[str], *, decoys: bool = False) -> None:
        """Write ``truth``, or ``decoys``, as BED with name and strand.

        Places are on the genome where a record has one; otherwise each sequence is a chromosome of its own name.
        """
        from sciexplain.domains.genomics.interval import Interval

        lines = []
        for instance in self.decoys if decoys else self.truth:
            record = self.records[instance.row]
            place = record.interval or Interval(record.name, 0, len(record), "+")
            part = place.part(instance.start, instance.end)
            # Where the sequence was read from the minus strand, the motif's strand on the genome is the other one.
            forward = (instance.strand == "+") == (place.strand != "-")
            name = instance.motif.replace(" ", "_")
            lines.append(f"{part.chrom}\t{part.start}\t{part.end}\t{name}\t0\t{'+' if forward else '-'}\n")
        Path(path).write_text("".join(lines), encoding="ascii")

    @cached_property
    def sha256(self) -> str:
        """Digest of names, letters and targets, in their order."""
        digest = hashlib.sha256(self.targets.astype("<f4").tobytes())
        for record in self.records:
            digest.update(f"{record.name}\n{record.sequence}\n".encode())
        return digest.hexdigest()


def records_of(found: Iterable[tuple[str, Record]]) -> tuple[Record, ...]:
    """Records of a file that was read, each after its place, such as ``"peaks.fa:3"``.

    Raises
    ------
    DataError
        One has letters that are none of DNA.
    """
    from sciexplain.domains.genomics.alphabet import DNA
    from sciexplain.domains.genomics.encode import as_bytes, check_letters

    records = []
    for place, record in found:
        try:
            check_letters([record.sequence], DNA.codes[as_bytes([record.sequence])], DNA)
        except InputError as error:
            raise DataError(f"{place}: {record.name}: {error}") from error
        records.append(record)
    return tuple(records)
