"""Molecules from tables of SMILES: CSV, TSV, SMI and Parquet, row by row."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from sciexplain._optional import require
from sciexplain.domains.molecules.convert import from_smiles, quoted, value
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import DataError

Records = Iterator[tuple[str, Callable[[], Molecule]]]
"""For each record of a file its place, such as ``"drugs.csv:12"``, and the call that reads it."""

_SMILES = ("smiles", "canonicalsmiles", "isomericsmiles", "rdkitsmiles", "smi", "structure")
_NAMES = (
    *("name", "compoundname", "moleculename", "iupac", "iupacname", "title", "compoundid", "moleculeid", "molid"),
    *("chemblid", "moleculechemblid", "cmpdchemblid", "zincid", "identifier", "id"),
)
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Columns:
    """Which columns or properties hold the SMILES and the name; None to look for the usual ones."""

    smiles: str | None = None
    name: str | None = None


def table_records(path: Path, columns: Columns) -> Records:
    """Rows of a CSV file whose first line names the columns, separated by commas, tabs or semicolons.

    Places count lines, the header being line 1; a row over several lines has the place of its first.

    Raises
    ------
    DataError
        Nothing in the file, or no column of SMILES.
    """
    with open_text(path) as lines:
        skipped, first = 0, next(lines, "")
        while first and not first.strip():
            skipped, first = skipped + 1, next(lines, "")
        if not first:
            raise DataError("found an empty file; expected a header and rows with SMILES")
        check_utf8(first)
        reader = csv.reader(chain([first], lines), delimiter=max(",\t;", key=first.count), strict=True)
        header = _unique([cell.strip() for cell in next(reader)])
        row = partial(_row, header, *_places(header, columns))
        while True:
            start = skipped + reader.line_num + 1
            place = f"{path.name}:{start}"
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield place, partial(_broken, str(error), start, skipped + reader.line_num)
            else:
                if cells:
                    yield place, partial(row, cells, place)


def smi_records(path: Path, columns: Columns) -> Records:
    """Lines of a SMILES and, after white space, a name; a header that begins with "smiles" and comments are left out.

    Raises
    ------
    DataError
        Nothing in the file.
    """
    empty = True
    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            text = line.strip()
            empty = empty and not text
            if text and text[0] != "#" and not (number == 1 and text.split()[0].lower() == "smiles"):
                place = f"{path.name}:{number}"
                yield place, partial(_line, text, place)
    if empty:
        raise DataError("found an empty file; expected lines of SMILES and name")


def text_records(path: Path, columns: Columns) -> Records:
    """A table if its first line names a column of SMILES; otherwise lines of SMILES and name if that is one."""
    with open_text(path) as lines:
        first = next((line for line in lines if line.strip()), "")
    try:
        yield from table_records(path, columns)
    except _NoSmilesColumn:
        if columns.smiles is not None:
            raise
        try:
            _line(first, path.name)
        except DataError as error:
            raise DataError(
                f"found {quoted(first.strip())} on the first line, neither a header with a column of SMILES nor a "
                "SMILES; expected either"
            ) from error
        yield from smi_records(path, columns)


def parquet_records(path: Path, columns: Columns) -> Records:
    """Rows of a Parquet file, counted from 1.

    Raises
    ------
    DataError
        No column of SMILES.
    """
    parquet: Any = require("pyarrow.parquet", extra="molecules")
    with parquet.ParquetFile(path) as file:
        header = file.schema_arrow.names
        row = partial(_row, header, *_places(header, columns))
        number = 0
        for batch in file.iter_batches(batch_size=4096):
            for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                place = f"{path.name}:{number}"
                yield place, partial(row, cells, place)


def open_text(path: Path) -> TextIO:
    """Open UTF-8 text, gzipped if its name says so. Bytes that are not UTF-8 are kept for :func:`check_utf8`."""
    options: dict[str, Any] = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    return gzip.open(path, "rt", **options) if path.suffix.lower() == ".gz" else path.open("rt", **options)


def check_utf8(text: str) -> None:
    """Refuse text that was not UTF-8 in its file, and say which byte was not.

    Raises
    ------
    DataError
        For the first such byte.
    """
    bad = _NOT_UTF8.search(text)
    if bad:
        before = _NOT_UTF8.sub("?", text[max(0, bad.start() - 20) : bad.start()])
        raise DataError(
            f"found byte 0x{ord(bad[0]) - 0xDC00:02x} after {before!r}; expected UTF-8 text: save the file as UTF-8"
        )


class _NoSmilesColumn(DataError):
    pass


def _places(header: Sequence[str], columns: Columns) -> tuple[int, int | None]:
    """Where the SMILES stand and where the names, if anywhere."""
    for asked in (columns.smiles, columns.name):
        if asked is not None and asked not in header:
            raise DataError(f"found the columns {', '.join(header)}; expected one named {asked!r}")
    plain = [re.sub(r"[^a-z]", "", column.lower()) for column in header]
    names = [plain.index(name) for name in _NAMES if name in plain]
    name = header.index(columns.name) if columns.name is not None else names[0] if names else None
    if columns.smiles is not None:
        return header.index(columns.smiles), name
    known = [plain.index(known) for known in _SMILES if known in plain]
    similar = [i for i, column in enumerate(plain) if "smiles" in column]
    if known:
        return known[0], name
    if len(similar) == 1:
        return similar[0], name
    raise _NoSmilesColumn(
        f"found the columns {', '.join(header)}; expected one named smiles, or smiles= to say which of them it is"
    )


def _row(header: Sequence[str], smiles_at: int, name_at: int | None, cells: Sequence[Any], source: str) -> Molecule:
    if len(cells) != len(header):
        raise DataError(f"found a row of {len(cells)} cells; expected {len(header)}, as in the header")
    for cell in cells:
        if isinstance(cell, str):
            check_utf8(cell)
    smiles = "" if cells[smiles_at] is None else cells[smiles_at]
    if not isinstance(smiles, str):
        raise DataError(f"found {smiles!r} in column {header[smiles_at]!r}; expected a SMILES")
    name = "" if name_at is None or cells[name_at] is None else str(cells[name_at]).strip()
    labels = {
        column: value(cell)
        for i, (column, cell) in enumerate(zip(header, cells, strict=True))
        if i not in (smiles_at, name_at)
    }
    return from_smiles(smiles, name=name, source=source, labels=labels)


def _line(text: str, source: str) -> Molecule:
    check_utf8(text)
    return from_smiles(text, source=source)


def _broken(reason: str, start: int, end: int) -> Molecule:
    lines = f"line {start}" if start == end else f"lines {start} to {end}"
    raise DataError(f"found quotation marks that do not match in {lines} ({reason}); expected each cell's to be closed")


def _unique(header: list[str]) -> list[str]:
    """Columns of one name numbered as pandas does: a, a.1, a.2."""
    return [
        f"{column}.{header[:i].count(column)}" if column in header[:i] else column for i, column in enumerate(header)
    ]
