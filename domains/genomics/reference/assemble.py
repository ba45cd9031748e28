"""From a user's files to sequences with targets, divided so that the test is honest."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sciexplain.datasets.left_out import Failure, Failures
from sciexplain.datasets.sequences import LabelledSequences
from sciexplain.datasets.splits import Parts, random_split
from sciexplain.domains.genomics.alphabet import Alphabet, alphabet_of
from sciexplain.domains.genomics.encode import decode, encode, reverse_complement_of
from sciexplain.domains.genomics.read import read
from sciexplain.domains.genomics.sequences import Record
from sciexplain.domains.genomics.shuffle import shuffle_dinucleotides
from sciexplain.errors import DataError, InputError

Split = Literal["chromosome", "random"]


@dataclass(frozen=True)
class Reading:
    """How files are read, and their sequences divided.

    Attributes
    ----------
    options
        Of :func:`~sciexplain.domains.genomics.read.read`: ``genome``, ``length``, ``alphabet``, ``sequence``, ….
    split
        ``"chromosome"``: whole chromosomes are held out, so that no overlapping or neighbouring sequence is in two
        parts; ``"random"``: equal sequences, also as reverse complements, stay together. None: by chromosome where
        every sequence has a place, on three chromosomes or more.
    seed
        Of the division and of shuffles.
    """

    options: Mapping[str, Any]
    split: Split | None = None
    seed: int = 0


def from_table(data: Path, targets: Sequence[str], reading: Reading) -> LabelledSequences:
    """A table, or a BED file with a genome, whose columns ``targets`` hold numbers; rows without any are left out.

    Raises
    ------
    DataError, InputError
        As :func:`~sciexplain.domains.genomics.read.read`, and as :func:`together`.
    """
    failures = Failures()
    found = list(read(data, labels=tuple(targets), on_error=failures.add, **reading.options))
    kept = [record for record in found if not all(np.isnan(record.labels))]
    failures += [Failure(r.name, f"found no value in {', '.join(targets)}") for r in found if all(np.isnan(r.labels))]
    values = np.array([record.labels for record in kept], np.float32).reshape(len(kept), len(targets))
    return together(data.name, kept, values, tuple(targets), reading, failures)


def from_classes(classes: Mapping[str, Sequence[Path]], reading: Reading) -> LabelledSequences:
    """Each class's files; targets are one-hot rows."""
    failures = Failures()
    records, rows = [], []
    for place, files in enumerate(classes.values()):
        for record in read(list(files), on_error=failures.add, **reading.options):
            records.append(record)
            rows.append(place)
    targets = np.eye(len(classes), dtype=np.float32)[np.array(rows, np.int64)]
    return together(" against ".join(classes), records, targets, tuple(classes), reading, failures)


def from_positives(
    task: str, positive: Sequence[Path], negative: Sequence[Path] | Literal["shuffled"], reading: Reading
) -> LabelledSequences:
    """A class against another, or against shuffles of its own sequences that keep their dinucleotides."""
    failures = Failures()
    yes = list(read(list(positive), on_error=failures.add, **reading.options))
    if negative == "shuffled":
        alphabet = alphabet_of(reading.options.get("alphabet", "DNA"))
        if not yes:
            raise DataError(f"{task}: found no sequences to shuffle" + _first(failures))
        shuffled = decode(shuffle_dinucleotides(encode([r.sequence for r in yes], alphabet), 1, reading.seed)[:, 0])
        no = [replace(r, name=f"{r.name} shuffled", sequence=s) for r, s in zip(yes, shuffled, strict=True)]
    else:
        no = list(read(list(negative), on_error=failures.add, **reading.options))
    targets = np.array([[1.0]] * len(yes) + [[0.0]] * len(no), np.float32)
    pairs = [*range(len(yes)), *(range(len(yes)) if negative == "shuffled" else range(len(yes), len(yes) + len(no)))]
    return together(task, [*yes, *no], targets, (task,), reading, failures, pairs)


def together(
    name: str,
    records: Sequence[Record],
    targets: NDArray[np.float32],
    tasks: tuple[str, ...],
    reading: Reading,
    failures: Sequence[Failure] = (),
    pairs: Sequence[Hashable] | None = None,
) -> LabelledSequences:
    """Records and their targets (N, tasks), divided; those with equal ``pairs`` stay in one part.

    Raises
    ------
    DataError
        Fewer than ten sequences, of different lengths, or not to be divided as asked.
    """
    if len(records) < 10:
        raise DataError(f"{name}: found {len(records)} usable sequences; expected ten or more" + _first(failures))
    lengths = sorted({len(record) for record in records})
    if len(lengths) > 1:
        raise DataError(
            f"{name}: found sequences of {lengths[0]} to {lengths[-1]} letters; expected one length, which --length "
            "(length=) cuts around their centres"
        )
    (train, valid, test), how = divided(records, reading, pairs)
    classes = set(np.unique(targets[~np.isnan(targets)]).tolist()) <= {0.0, 1.0}
    return LabelledSequences(
        name, tuple(records), targets, tasks, "classification" if classes else "regression", train, valid, test, how,
        failures=tuple(failures),
    )  # fmt: skip


def divided(records: Sequence[Record], reading: Reading, pairs: Sequence[Hashable] | None = None) -> tuple[Parts, str]:
    """Rows to train on, to choose by and to test on (8 : 1 : 1 as far as it goes), and how they were found."""
    chroms = [record.interval.chrom if record.interval else None for record in records]
    known = {chrom for chrom in chroms if chrom is not None}
    split = reading.split or ("chromosome" if None not in chroms and len(known) > 2 else "random")
    if split == "chromosome":
        if None in chroms:
            raise DataError(
                f"{chroms.count(None)} of {len(chroms)} sequences have no place; --split random divides them"
            )
        return by_chromosome([c for c in chroms if c is not None], reading.seed)
    if split != "random":
        raise InputError(f'split={split!r}; expected "chromosome" or "random"')
    alphabet = alphabet_of(reading.options.get("alphabet", "DNA"))
    groups = _joined([_either_strand(r.sequence.upper(), alphabet) for r in records], pairs)
    return random_split(len(records), seed=reading.seed, groups=groups), f"random, seed {reading.seed}"


def by_chromosome(chroms: Sequence[str], seed: int = 0) -> tuple[Parts, str]:
    """Whole chromosomes drawn for the test and for validation until each has a tenth; the largest is trained on.

    Raises
    ------
    DataError
        Fewer than three chromosomes.

    Examples
    --------
    >>> (train, valid, test), how = by_chromosome(["chr1"] * 6 + ["chr2"] * 2 + ["chr3"] * 2)
    >>> train.tolist(), how
    ([0, 1, 2, 3, 4, 5], 'by chromosome: test chr2, validation chr3')
    """
    names, counts = np.unique(chroms, return_counts=True)
    if len(names) < 3:
        raise DataError(f"all sequences lie on {' and '.join(names)}; --split random divides them")
    order = [i for i in np.random.default_rng(seed).permutation(len(names)) if i != counts.argmax()]
    held: list[list[str]] = []
    for later in (1, 0):  # the second part needs one chromosome too
        own: list[str] = []
        while len(order) > later and (not own or counts[np.isin(names, own)].sum() < 0.1 * len(chroms)):
            own.append(str(names[order.pop()]))
        held.append(own)
    test, valid = (np.isin(chroms, own) for own in held)
    parts = np.flatnonzero(~test & ~valid), np.flatnonzero(valid), np.flatnonzero(test)
    return parts, "by chromosome: " + ", ".join(
        f"{name} {' '.join(sorted(own))}" for name, own in zip(("test", "validation"), held, strict=True)
    )


def _either_strand(sequence: str, alphabet: Alphabet) -> str:
    return min(sequence, reverse_complement_of(sequence, alphabet)) if alphabet.complement else sequence


def _joined(sequences: Sequence[str], pairs: Sequence[Hashable] | None) -> list[Hashable]:
    """Groups of equal sequences; with ``pairs``, of what is connected by either."""
    if pairs is None:
        return list(sequences)
    parent: dict[Hashable, Hashable] = {}

    def root(key: Hashable) -> Hashable:
        while (above := parent.setdefault(key, key)) != key:
            parent[key] = key = parent[above]
        return key

    for sequence, pair in zip(sequences, pairs, strict=True):
        parent[root(("pair", pair))] = root(("sequence", sequence))
    return [root(("sequence", sequence)) for sequence in sequences]


def _first(failures: Sequence[Failure]) -> str:
    return f"; the first that failed: {failures[0][0]}: {failures[0][1]}" if failures else ""
