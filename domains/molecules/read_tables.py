"""Molecules from text with a SMILES in each row: CSV, TSV and SMI."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.molecules.chunks import Chunk, Columns, Record, failing
from sciexplain.domains.molecules.convert import from_smiles, listed, quoted, value
from sciexplain.domains.molecules.limits import LONGEST_CELL, LONGEST_LINE, MOST_COLUMNS
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read_lines import blocks, check_length, check_utf8, decoded, starts
from sciexplain.errors import DataError

_SMILES = ("smiles", "canonicalsmiles", "isomericsmiles", "rdkitsmiles", "smi", "structure")
_NAMES = (
    *("name", "compoundname", "moleculename", "iupac", "iupacname", "title", "compoundid", "moleculeid", "molid"),
    *("chemblid", "moleculechemblid", "cmpdchemblid", "zincid", "identifier", "id"),
)
_WHITE = np.isin(np.arange(256), [9, 11, 12, 32])
_END, _COMMENT, _QUOTE = (ord(sign) for sign in '\n#"')


# -- SMI ---------------------------------------------------------------------------------------------------------------


def smi_chunks(path: Path, columns: Columns) -> Iterator[Chunk]:
    """Lines of a SMILES and, after white space, a name; a header that begins with "smiles" and comments are left out.

    Raises
    ------
    DataError
        Nothing in the file.
    """
    empty, number = True, 1
    for block in blocks(path):
        yield Chunk(_lines_with_smiles(block, number), partial(_smi_records, block, number, path.name))
        empty = empty and block.isspace()
        number += block.count(b"\n")
    if empty:
        raise DataError("found an empty file; expected lines of SMILES and name")


def _lines_with_smiles(block: bytes, number: int) -> int:
    """How many there are, by their first bytes; those that begin with white space are looked at one by one."""
    begins = starts(block)
    first = np.frombuffer(block, np.uint8)[begins]
    count = int(((first != _END) & (first != _COMMENT)).sum())
    for begin in begins[_WHITE[first]].tolist():
        count -= not _has_smiles(block[begin : block.index(b"\n", begin)])
    return count - (number == 1 and _is_header(block))


def _smi_records(block: bytes, first: int, name: str, start: int) -> Iterator[Record]:
    for number, line in enumerate(block.split(b"\n")[:-1], first):
        if not _has_smiles(line) or (number == 1 and _is_header(block)):
            continue
        if start:
            start -= 1
            continue
        place = f"{name}:{number}"
        yield place, partial(_line, line, place)


def _has_smiles(line: bytes) -> bool:
    text = line.strip()
    return bool(text) and text[0] != _COMMENT


def _is_header(block: bytes) -> bool:
    """Whether the first line is one; it then has a first word."""
    words = block[: block.index(b"\n")].split(None, 1)
    return bool(words) and words[0].lower() == b"smiles"


def _line(line: bytes, source: str) -> Molecule:
    check_length(line)
    text = decoded(line)
    check_utf8(text)
    return from_smiles(text, source=source)


# -- tables ------------------------------------------------------------------------------------------------------------


class Header(NamedTuple):
    """The columns of a table, where the SMILES stand and where the names, if anywhere."""

    columns: Sequence[str]
    smiles: int
    name: int | None

    @classmethod
    def of(cls, columns: Sequence[str], asked: Columns) -> Header:
        """The header that has these columns.

        Raises
        ------
        DataError
            No column of SMILES, or too many columns.
        """
        if len(columns) > MOST_COLUMNS:
            raise DataError(f"found {len(columns)} columns; expected at most {MOST_COLUMNS}")
        return cls(columns, *_places(columns, asked))


class NoSmilesColumn(DataError):
    """A table without a column that is known to hold SMILES."""


class _Row(NamedTuple):
    """Cells, or what is wrong, of the lines from ``start`` to before ``end``."""

    start: int
    end: int
    cells: list[str] | Exception


def table_chunks(path: Path, columns: Columns) -> Iterator[Chunk]:
    """Rows of a CSV file whose first line names the columns, separated by commas, tabs or semicolons.

    Places count lines, the header being line 1; a row over several lines has the place of its first.

    Raises
    ------
    DataError
        Nothing in the file, or no column of SMILES.
    """
    header, delimiter = None, ","
    line, rest = 1, b""
    for block in chain(blocks(path), [b""]):
        text, last = rest + block, not block
        if header is None:
            blank = len(text) - len(text.lstrip(b"\n"))
            text, rest, line = text[blank:], b"", line + blank
            if not text:
                continue
            delimiter = max(",\t;", key=decoded(text[: text.index(b"\n")]).count)
            first, end = _rows(text, delimiter, last, most=1)
            if not first:
                rest = text
                continue
            header = Header.of(_names_of(first[0]), columns)
            text, line = text[_offset(text, end) :], line + end
        if not text:
            continue
        ends = _row_ends(text, delimiter, last)
        if ends is None:
            rows, end = _rows(text, delimiter, last)
            yield Chunk(len(rows), partial(_records, rows, header, line, path.name))
            rest, line = text[_offset(text, end) :], line + end
        else:
            count = int((np.diff(ends, prepend=0) > 1).sum())
            text, rest = text[: ends[-1]], text[ends[-1] :]
            yield Chunk(count, partial(_plain_records, text, delimiter, header, line, path.name))
            line += text.count(b"\n")
    if header is None:
        raise DataError("found an empty file; expected a header and rows with SMILES")


class _Lines:
    """The lines that a reader of rows asks for, which tells where its rows begin."""

    def __init__(self, text: bytes, last: bool) -> None:
        self._lines = list(StringIO(decoded(text), newline="\n"))
        self._last = last
        self.at = self.begin = self._size = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self.at == len(self._lines):
            if self.at > self.begin and not self._last:
                raise _Incomplete
            raise StopIteration
        self.at += 1
        self._size += len(self._lines[self.at - 1])
        if self._size > LONGEST_LINE + 1:
            raise DataError(
                f"found a row of more than {LONGEST_LINE} characters; expected shorter ones, with quotation marks that "
                "match"
            )
        return self._lines[self.at - 1]

    def row(self) -> None:
        """What is asked for next begins a row."""
        self.begin, self._size = self.at, 0


class _Incomplete(Exception):
    """A row goes on in lines that are not there yet."""


def _rows(text: bytes, delimiter: str, last: bool, most: float = np.inf) -> tuple[list[_Row], int]:
    """The rows that end in the text, and the line behind them.

    Parameters
    ----------
    last
        No more text follows.
    most
        Rows that are wanted.
    """
    lines, found = _Lines(text, last), list[_Row]()
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while len(found) < most:
        lines.row()
        try:
            cells: list[str] | Exception = next(reader)
        except (StopIteration, _Incomplete):
            return found, lines.begin
        except (csv.Error, DataError) as error:
            cells = error
        if cells:
            found.append(_Row(lines.begin, lines.at, cells))
    return found, lines.at


def _row_ends(text: bytes, delimiter: str, last: bool) -> NDArray[np.int64] | None:
    """Where the rows of a text end, if that can be told from its quotation marks at a glance.

    All of them are at the edges of cells or doubled inside, and no row is so long that a cell could be too long.
    """
    data = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(data == _END)
    if b'"' in text:
        quotes = np.flatnonzero(data == _QUOTE)
        edges = np.isin(np.arange(256), [_END, _QUOTE, ord(delimiter)])
        opening, closing = quotes[::2], quotes[1::2]
        before, behind = edges[data[opening - 1]] | (opening == 0), edges[data[closing + 1]]
        if not (before.all() and behind.all()):
            return None
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
    ends = ends + 1
    whole = len(ends) > 0 and (ends[-1] == len(text) or not last)
    return ends if whole and np.diff(ends, prepend=0).max() <= LONGEST_CELL else None


def _offset(text: bytes, line: int) -> int:
    """Where a line begins, counted from 0."""
    begins = starts(text)
    return int(begins[line]) if line < len(begins) else len(text)


def _plain_records(text: bytes, delimiter: str, header: Header, line: int, name: str, start: int) -> Iterator[Record]:
    yield from _records(_rows(text, delimiter, last=True)[0], header, line, name, start)


def _records(rows: Sequence[_Row], header: Header, line: int, name: str, start: int) -> Iterator[Record]:
    for row in rows[start:]:
        place = f"{name}:{line + row.start}"
        if isinstance(row.cells, Exception):
            yield place, partial(failing, _told(row.cells, line + row.start, line + row.end - 1))
        else:
            yield place, partial(row_molecule, header, row.cells, place)


def _told(error: Exception, start: int, end: int) -> Exception:
    if not isinstance(error, csv.Error):
        return error
    lines = f"line {start}" if start == end else f"lines {start} to {end}"
    if "field limit" in str(error):
        return DataError(f"found a cell of more than {LONGEST_CELL} characters in {lines}; expected shorter ones")
    return DataError(f"found quotation marks that do not match in {lines} ({error}); expected each cell's to be closed")


def _names_of(row: _Row) -> list[str]:
    """Columns of one name numbered as pandas does: a, a.1, a.2."""
    if isinstance(row.cells, Exception):
        raise _told(row.cells, row.start + 1, row.end)
    check_utf8("".join(row.cells))
    names, seen = [], Counter[str]()
    for column in map(str.strip, row.cells):
        names.append(f"{column}.{seen[column]}" if seen[column] else column)
        seen[column] += 1
    return names


def text_chunks(path: Path, columns: Columns) -> Iterator[Chunk]:
    """A table if its first line names a column of SMILES; otherwise lines of SMILES and name if that is one."""
    lines = (line for block in blocks(path) for line in block.split(b"\n"))
    first = next((line for line in lines if line.strip()), b"")
    try:
        yield from table_chunks(path, columns)
    except NoSmilesColumn:
        if columns.smiles is not None:
            raise
        try:
            _line(first, path.name)
        except DataError as error:
            raise DataError(
                f"found {quoted(decoded(first).strip())} on the first line, neither a header with a column of SMILES "
                "nor a SMILES; expected either"
            ) from error
        yield from smi_chunks(path, columns)


def row_molecule(header: Header, cells: Sequence[Any], source: str) -> Molecule:
    """The molecule of a row.

    Raises
    ------
    DataError
        Another number of cells than of columns, text that is not UTF-8, or no SMILES.
    """
    columns, smiles_at, name_at = header
    if len(cells) != len(columns):
        raise DataError(f"found a row of {len(cells)} cells; expected {len(columns)}, as in the header")
    for column, cell in zip(columns, cells, strict=True):
        if isinstance(cell, Exception):
            raise cell
        if isinstance(cell, str):
            if len(cell) > LONGEST_CELL:
                raise DataError(
                    f"found a cell of {len(cell)} characters in column {quoted(column)}; expected at most "
                    f"{LONGEST_CELL}"
                )
            check_utf8(cell)
    smiles = "" if cells[smiles_at] is None else cells[smiles_at]
    if not isinstance(smiles, str):
        raise DataError(f"found {quoted(str(smiles))} in column {columns[smiles_at]!r}; expected a SMILES")
    name = "" if name_at is None or cells[name_at] is None else str(cells[name_at]).strip()
    labels = {
        column: value(cell)
        for i, (column, cell) in enumerate(zip(columns, cells, strict=True))
        if i not in (smiles_at, name_at)
    }
    return from_smiles(smiles, name=name, source=source, labels=labels)


def _places(columns: Sequence[str], asked: Columns) -> tuple[int, int | None]:
    """Where the SMILES stand and where the names, if anywhere."""
    for wanted in (asked.smiles, asked.name):
        if wanted is not None and wanted not in columns:
            raise DataError(f"found the columns {listed(columns)}; expected one named {wanted!r}")
    plain = [re.sub(r"[^a-z]", "", column.lower()) for column in columns]
    names = [plain.index(name) for name in _NAMES if name in plain]
    name = columns.index(asked.name) if asked.name is not None else names[0] if names else None
    if asked.smiles is not None:
        return columns.index(asked.smiles), name
    known = [plain.index(known) for known in _SMILES if known in plain]
    similar = [i for i, column in enumerate(plain) if "smiles" in column]
    if known:
        return known[0], name
    if len(similar) == 1:
        return similar[0], name
    raise NoSmilesColumn(
        f"found the columns {listed(columns)}; expected one named smiles, or smiles= to say which of them it is"
    )
