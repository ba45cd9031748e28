"""Sequences in the rows of tables: CSV, TSV and Parquet."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sciexplain.domains.genomics.formats.attempts import Bookmarks, attempted, counted, placed
from sciexplain.domains.genomics.formats.delimited_rows import header_of
from sciexplain.domains.genomics.formats.fasta import interval_of, place_of, too_long
from sciexplain.domains.genomics.formats.limits import LONGEST_NAME, LONGEST_SEQUENCE, shown
from sciexplain.domains.genomics.formats.lines import OnError, located, strand_of, whole_number, without_errors
from sciexplain.domains.genomics.formats.parquet_rows import count_parquet, parquet_header, parquet_rows
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError, InputError

_SEQUENCE = (
    *("sequence", "seq", "dnasequence", "rnasequence", "proteinsequence", "aminoacidsequence", "nucleotidesequence"),
    *("dna", "rna", "protein", "nucleotides"),
)
_NAME = ("name", "sequencename", "seqname", "sequenceid", "seqid", "id", "identifier", "accession")
_PLACE = (("chrom", "chr", "chromosome"), ("start", "chromstart"), ("end", "chromend", "stop"), ("strand",))
_NAMED = 20


@dataclass(frozen=True)
class _Columns:
    """Where in a row is what."""

    header: tuple[str, ...]
    sequence: int
    name: int | None
    labels: tuple[int, ...]
    place: tuple[int, ...]

    @property
    def used(self) -> list[int]:
        """Those that matter, in order."""
        return sorted({self.sequence, *self.labels, *self.place} | (set() if self.name is None else {self.name}))

    def alone(self) -> _Columns:
        """Where they are in rows of the used columns only."""
        at = {column: place for place, column in enumerate(self.used)}
        return replace(
            self,
            header=tuple(self.header[column] for column in self.used),
            sequence=at[self.sequence],
            name=None if self.name is None else at[self.name],
            labels=tuple(at[column] for column in self.labels),
            place=tuple(at[column] for column in self.place),
        )


def read_table(
    path: Path,
    *,
    sequence: str | None = None,
    name: str | None = None,
    labels: Sequence[str] = (),
    on_error: OnError | None = None,
) -> Iterator[tuple[str, Record]]:
    """Each row's sequence with its place: file and line (CSV, TSV; the header is line 1) or file and row (Parquet).

    An interval comes from columns called ``chrom``, ``start``, ``end`` and, if there, ``strand``, or from a name that
    is one; the sequence's length tells whether the numbers are 0-based and half-open or 1-based with the end included,
    and where neither fits there is none.

    Parameters
    ----------
    sequence, name
        Their columns; otherwise those called so (``sequence``, ``seq``, …; ``name``, ``id``, …).
    labels
        Columns of numbers; empty cells are NaN.

    Raises
    ------
    InputError
        No such column, or none that is known to hold sequences.
    DataError
        As :func:`report` does: a row of more or fewer cells, an empty sequence, a label that is no number.

    Examples
    --------
    >>> _ = Path("a.csv").write_text("id,sequence,active\\nfirst,ACGT,0.5\\n")
    >>> list(read_table(Path("a.csv"), labels=["active"]))
    [('a.csv:2', Record(name='first', sequence='ACGT', interval=None, labels=(0.5,)))]
    """
    return without_errors(table_attempts(path, sequence=sequence, name=name, labels=labels), on_error)


def table_attempts(
    path: Path,
    numbers: Iterable[int] | None = None,
    bookmarks: Bookmarks | None = None,
    *,
    sequence: str | None = None,
    name: str | None = None,
    labels: Sequence[str] = (),
) -> Iterator[tuple[str, Record | DataError]]:
    """Each row's sequence, or what is wrong with it; see :func:`~.attempts.attempted`."""
    try:
        if _is_parquet(path):
            columns = _columns(parquet_header(path), sequence, name, labels)
            rows = parquet_rows(path, columns.used, numbers)
            yield from placed(path, rows, partial(_record, columns.alone()))
            return
        header, entries = header_of(path)
    except DataError as error:
        if numbers is None or next(iter(numbers), None) == 0:
            yield path.name, located(path.name, error)
        return
    columns = _columns(header, sequence, name, labels)
    yield from attempted(path, entries, partial(_record, columns), numbers, bookmarks)


def count_table(path: Path, bookmarks: Bookmarks | None = None) -> int:
    """How many rows there are; where it cannot be read, that is one thing to tell."""
    try:
        return count_parquet(path) if _is_parquet(path) else counted(path, header_of(path)[1], bookmarks)
    except DataError:
        return 1


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _columns(header: Sequence[str], sequence: str | None, name: str | None, labels: Sequence[str]) -> _Columns:
    header = [column.strip() for column in header]
    listed = f"its columns are {', '.join(c[:_NAMED] for c in header[:_NAMED])}" + ", …" * (len(header) > _NAMED)
    for asked in (sequence, name, *labels):
        if asked is not None and header.count(asked) != 1:
            raise InputError(f"{listed}; expected one called {asked!r}")
    plain = [re.sub(r"[^a-z]", "", column.lower()) for column in header]

    def usual(known: Sequence[str]) -> int | None:
        return next((plain.index(one) for one in known if one in plain), None)

    letters = header.index(sequence) if sequence is not None else usual(_SEQUENCE)
    if letters is None:
        raise InputError(f"{listed}; say with sequence= which of them holds the sequences")
    *needed, strand = (usual(known) for known in _PLACE)
    place = tuple(column for column in needed if column is not None)
    return _Columns(
        tuple(header),
        letters,
        header.index(name) if name is not None else usual(_NAME),
        tuple(header.index(label) for label in labels),
        () if len(place) < 3 else place if strand is None else (*place, strand),
    )


def _record(columns: _Columns, cells: Sequence[Any], place: str) -> Record:
    if len(cells) != len(columns.header):
        raise DataError(f"the row has {len(cells)} cells; expected {len(columns.header)}, as in the header")
    letters = cells[columns.sequence]
    if not isinstance(letters, str) or not letters.strip():
        raise DataError(f"{columns.header[columns.sequence]} is {shown(letters)}; expected a sequence")
    letters = letters.strip()
    given = None if columns.name is None else cells[columns.name]
    name = "" if given is None else str(given).strip()
    where = ["" if cells[column] is None else str(cells[column]).strip() for column in columns.place]
    if len(letters) > LONGEST_SEQUENCE:
        raise DataError(f"the sequence has {len(letters)} letters; expected at most {LONGEST_SEQUENCE}")
    for text in (name, *where[:1]):
        if len(text) > LONGEST_NAME:
            raise too_long(text)
    labels = tuple(_number(cells[column], columns.header[column]) for column in columns.labels)
    interval = _interval(where, len(letters)) if where else None
    return Record(
        name or (str(interval) if interval else place), letters, interval or place_of(name, len(letters)), labels
    )


def _interval(cells: Sequence[str], letters: int) -> Interval | None:
    chrom, start, end, *strand = cells
    if not (chrom and start and end):
        return None
    numbers = whole_number(start, "start"), whole_number(end, "end")
    return interval_of(chrom, *numbers, strand_of(strand[0] or ".") if strand else ".", letters)


def _number(cell: Any, column: str) -> float:
    try:
        return math.nan if cell is None or str(cell).strip() == "" else float(cell)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{column} is {shown(cell)}; expected a number") from None
