"""Sequences in the rows of tables: CSV, TSV and Parquet."""

from __future__ import annotations

import csv
import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from sciexplain._optional import require
from sciexplain.domains.genomics.formats.fasta import interval_of, place_of
from sciexplain.domains.genomics.formats.lines import OnError, numbered_lines, report, strand_of, whole_number
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError, InputError

_SEQUENCE = (
    *("sequence", "seq", "dnasequence", "rnasequence", "proteinsequence", "aminoacidsequence", "nucleotidesequence"),
    *("dna", "rna", "protein", "nucleotides"),
)
_NAME = ("name", "sequencename", "seqname", "sequenceid", "seqid", "id", "identifier", "accession")
_PLACE = (("chrom", "chr", "chromosome"), ("start", "chromstart"), ("end", "chromend", "stop"), ("strand",))

_Rows = Iterator[tuple[int, Sequence[Any] | DataError]]
"""The number of each row, or of its first line, and its cells or why there are none; the header first."""


@dataclass(frozen=True)
class _Columns:
    """Where in a row is what."""

    header: tuple[str, ...]
    sequence: int
    name: int | None
    labels: tuple[int, ...]
    place: tuple[int, ...]


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
    rows = _rows(path, on_error)
    _, header = next(rows, (0, None))
    if header is None:
        return  # what is wrong with the file is reported
    if isinstance(header, DataError):
        report(path.name, header, on_error)
        return
    columns = _columns([str(cell) for cell in header], sequence, name, labels)
    for number, cells in rows:
        place = f"{path.name}:{number}"
        try:
            if isinstance(cells, DataError):
                raise cells
            record = _record(cells, columns, place)
        except DataError as error:
            report(place, error, on_error)
        else:
            yield place, record


def _rows(path: Path, on_error: OnError | None) -> _Rows:
    try:
        yield from _parquet_rows(path) if path.suffix.lower() == ".parquet" else _text_rows(path)
    except DataError as error:
        report(path.name, error, on_error)


def _text_rows(path: Path) -> _Rows:
    lines = numbered_lines(path)
    number, first = next(((n, line) for n, line in lines if line.strip()), (0, ""))
    if not first:
        raise DataError("there is nothing in it; expected a header and rows with sequences")
    text = (line + "\n" for _, line in lines)
    reader = csv.reader(chain([first + "\n"], text), delimiter=max("\t,;", key=first.count), strict=True)
    while True:
        begin = number + reader.line_num
        try:
            cells = _next_row(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last = number + reader.line_num - 1
            yield begin, DataError(f"lines {begin} to {last} are no row: {error}; expected quotation marks in pairs")
        else:
            if cells:
                yield begin, cells


def _next_row(reader: Iterator[list[str]]) -> list[str]:
    """Also of cells over 128 KiB, as long sequences are; the limit is the csv module's own and others' as well."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        return next(reader)
    finally:
        csv.field_size_limit(limit)


def _parquet_rows(path: Path) -> _Rows:
    parquet: Any = require("pyarrow.parquet", extra="genomics")
    arrow: Any = require("pyarrow", extra="genomics")
    try:
        with parquet.ParquetFile(path) as file:
            yield 0, file.schema_arrow.names
            number = 0
            for batch in file.iter_batches(batch_size=4096):
                for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield number, cells
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"it cannot be read as Parquet: {error}") from error


def _columns(header: Sequence[str], sequence: str | None, name: str | None, labels: Sequence[str]) -> _Columns:
    header = [column.strip() for column in header]
    listed = f"its columns are {', '.join(header)}"
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


def _record(cells: Sequence[Any], columns: _Columns, place: str) -> Record:
    if len(cells) != len(columns.header):
        raise DataError(f"the row has {len(cells)} cells; expected {len(columns.header)}, as in the header")
    letters = cells[columns.sequence]
    if not isinstance(letters, str) or not letters.strip():
        raise DataError(f"{columns.header[columns.sequence]} is {letters!r}; expected a sequence")
    letters = letters.strip()
    labels = tuple(_number(cells[column], columns.header[column]) for column in columns.labels)
    given = None if columns.name is None else cells[columns.name]
    name = "" if given is None else str(given).strip()
    interval = _interval([cells[column] for column in columns.place], len(letters)) if columns.place else None
    return Record(
        name or (str(interval) if interval else place), letters, interval or place_of(name, len(letters)), labels
    )


def _interval(cells: Sequence[Any], letters: int) -> Interval | None:
    chrom, start, end, *strand = ("" if cell is None else str(cell).strip() for cell in cells)
    if not (chrom and start and end):
        return None
    numbers = whole_number(start, "start"), whole_number(end, "end")
    return interval_of(chrom, *numbers, strand_of(strand[0] or ".") if strand else ".", letters)


def _number(cell: Any, column: str) -> float:
    try:
        return math.nan if cell is None or str(cell).strip() == "" else float(cell)
    except (TypeError, ValueError):
        raise DataError(f"{column} is {cell!r}; expected a number") from None
