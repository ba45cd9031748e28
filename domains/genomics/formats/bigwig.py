"""Relevance along the genome, as bigWig and bedGraph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.genomics.formats.feature_files import check_size, write_lines
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import DataError, InputError, SciExplainError

if TYPE_CHECKING:
    from sciexplain.domains.genomics.explanation import SequenceExplanation

OnError = Callable[[str, SciExplainError], object]
Stretch = tuple[str, int, NDArray[np.float64]]
"""Chromosome, 0-based start, and the relevance of each base from there on."""


def along_genome(
    explanation: SequenceExplanation,
    *,
    chroms: Iterable[str] = (),
    on_error: OnError | None = None,
) -> Iterator[Stretch]:
    """Relevance of each base that a sequence covers, sorted; where several cover it, their mean.

    Sequences of the minus strand are turned, so that each number is at its base. Their relevance is averaged with that
    of the plus strand.

    Parameters
    ----------
    explanation
        Whose ``nucleotides`` are meant.
    chroms
        The order of chromosomes; others follow by name.
    on_error
        Called with the name of a sequence that is left out and the reason: it has no place, or its relevance is not
        finite. None: the first one is raised.

    Raises
    ------
    DataError, InputError
        As said, without ``on_error``.

    Examples
    --------
    >>> import torch
    >>> from sciexplain.domains.genomics.sequences import Record, Sequences
    >>> from sciexplain.domains.genomics.explanation import SequenceExplanation
    >>> given = Sequences.of([Record("site", "AAC", Interval("chr1", 5, 8, "-"))])
    >>> list(along_genome(SequenceExplanation.of(given, nucleotides=torch.tensor([[1.0, 2.0, 3.0]]))))
    [('chr1', 5, array([3., 2., 1.]))]
    """
    rank = {chrom: i for i, chrom in enumerate(chroms)}
    values = explanation.nucleotides.detach().double().cpu().numpy()
    placed = list(_placed(explanation, values, on_error))
    placed.sort(key=lambda found: (rank.get(found[0].chrom, len(rank)), found[0].chrom, found[0].start))
    group: list[tuple[Interval, NDArray[np.float64]]] = []
    end = 0
    for interval, row in placed:
        if group and (group[0][0].chrom != interval.chrom or interval.start > end):
            yield _mean(group, end)
            group = []
        end = max(end, interval.end) if group else interval.end
        group.append((interval, row))
    if group:
        yield _mean(group, end)


def write_bigwig(
    path: PathName,
    explanation: SequenceExplanation,
    chrom_sizes: Mapping[str, int] | None = None,
    *,
    on_error: OnError | None = None,
) -> Path:
    """Write the relevance of each base as bigWig, with zoom levels; bases outside of all sequences have no value.

    Parameters
    ----------
    path
        An existing file is replaced only when the new one is complete.
    explanation
        Where sequences overlap, the file has their mean, as :func:`along_genome` says. The format keeps single
        precision.
    chrom_sizes
        In bp, such as ``Genome(path).chroms``; their order becomes the file's. None: each chromosome ends with its last
        sequence; and where no sequence has a place, each is a chromosome by its name.
    on_error
        Called with the name of a sequence that is left out and the reason. None: the first one is raised.

    Raises
    ------
    DataError
        A sequence has no place, its chromosome has no size or ends before it; or the file cannot be written.
    InputError
        No sequence is left, or relevance is not finite.

    Notes
    -----
    Kent et al., *BigWig and BigBed*, Bioinformatics 26, 2204 (2010).
    """
    library: Any = require("pyBigWig", extra="genomics")
    if chrom_sizes is None:
        explanation = _somewhere(explanation)
        chrom_sizes = _ends(explanation)
    kept = _fitting(explanation, chrom_sizes, on_error)
    stretches = list(along_genome(kept, chroms=chrom_sizes, on_error=on_error))
    _some(stretches)

    def write(file: Path) -> None:
        try:
            handle = library.open(str(file), "w")
            handle.addHeader([(chrom, int(size)) for chrom, size in chrom_sizes.items()])
            for chrom, start, values in stretches:
                handle.addEntries(chrom, start, values=values, span=1, step=1)
            handle.close()
        except RuntimeError as error:
            raise DataError(f"{path}: cannot be written: {error}") from error

    return written(path, write)


def write_bedgraph(
    path: PathName,
    explanation: SequenceExplanation,
    *,
    chrom_sizes: Mapping[str, int] | None = None,
    on_error: OnError | None = None,
) -> Path:
    """Write the relevance of each base as bedGraph: chrom, start, end, value; equal neighbours share a line.

    Parameters and errors as for :func:`write_bigwig`; without ``chrom_sizes``, chromosomes are sorted by name. Values
    have nine significant digits.
    """
    kept = _somewhere(explanation) if chrom_sizes is None else _fitting(explanation, chrom_sizes, on_error)
    stretches = list(along_genome(kept, chroms=chrom_sizes or (), on_error=on_error))
    _some(stretches)
    return write_lines(path, (line for stretch in stretches for line in _runs(*stretch)))


def _somewhere(explanation: SequenceExplanation) -> SequenceExplanation:
    """Where no sequence has a place, with the name of each as its chromosome."""
    sequences = explanation.sequences
    if any(sequences.intervals):
        return explanation
    own = tuple(Interval(name, 0, sequences.length) for name in sequences.names)
    return replace(explanation, sequences=replace(sequences, intervals=own))


def _ends(explanation: SequenceExplanation) -> dict[str, int]:
    ends: dict[str, int] = {}
    for interval in filter(None, explanation.sequences.intervals):
        ends[interval.chrom] = max(interval.end, ends.get(interval.chrom, 0))
    return dict(sorted(ends.items()))


def _placed(
    explanation: SequenceExplanation, values: NDArray[np.float64], on_error: OnError | None
) -> Iterator[tuple[Interval, NDArray[np.float64]]]:
    """Each sequence's place and its relevance from left to right on the plus strand."""
    for name, interval, row in zip(explanation.sequences.names, explanation.sequences.intervals, values, strict=True):
        if interval is None:
            _report(on_error, name, DataError(f"{name} has no place on a genome; expected chrom:start-end"))
        elif not np.isfinite(row).all():
            _report(on_error, name, InputError(f"{name}: its relevance is not finite"))
        else:
            yield interval, row[::-1] if interval.strand == "-" else row


def _mean(group: list[tuple[Interval, NDArray[np.float64]]], end: int) -> Stretch:
    first = group[0][0]
    total, count = np.zeros(end - first.start), np.zeros(end - first.start)
    for interval, row in group:
        here = slice(interval.start - first.start, interval.end - first.start)
        total[here] += row
        count[here] += 1
    return first.chrom, first.start, total / count


def _fitting(
    explanation: SequenceExplanation, chrom_sizes: Mapping[str, int], on_error: OnError | None
) -> SequenceExplanation:
    """Without the sequences that the chromosomes have no room for, which are reported."""
    rows = []
    for i, (name, interval) in enumerate(
        zip(explanation.sequences.names, explanation.sequences.intervals, strict=True)
    ):
        try:
            if interval is not None:
                check_size(interval, chrom_sizes)
            rows.append(i)
        except DataError as error:
            _report(on_error, name, error)
    return explanation if len(rows) == len(explanation) else explanation[rows]


def _runs(chrom: str, start: int, values: NDArray[np.float64]) -> Iterator[str]:
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    for left, right in pairwise(edges):
        yield f"{chrom}\t{start + left}\t{start + right}\t{values[left]:.9g}"


def _report(on_error: OnError | None, name: str, error: SciExplainError) -> None:
    if on_error is None:
        raise error
    on_error(name, error)


def _some(stretches: list[Stretch]) -> None:
    if not stretches:
        raise InputError("There is nothing to write: no sequence has a place on the genome and finite relevance")
