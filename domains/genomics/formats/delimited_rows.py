"""Rows of CSV and TSV files, whose cells may have line ends where they are in quotation marks."""

from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import chain, dropwhile
from pathlib import Path
from threading import Lock

from sciexplain.domains.genomics.formats.attempts import Entries, NumberedLines
from sciexplain.domains.genomics.formats.limits import LONGEST_LINE, MOST_COLUMNS
from sciexplain.domains.genomics.formats.lines import Lines, located
from sciexplain.errors import DataError

_MARKS = "\t,;"
_SETTING = Lock()


def header_of(path: Path) -> tuple[list[str], Callable[[NumberedLines], Entries[list[str]]]]:
    """The header of a table, and what finds the rows in its lines.

    What is between cells, a tab, comma or semicolon, is what the first line has most of.

    Raises
    ------
    DataError
        There is no header.

    Examples
    --------
    >>> _ = Path("a.csv").write_text('name,sequence\\na,AC\\n"of two\\nlines",G\\n')
    >>> header, rows = header_of(Path("a.csv"))
    >>> header, list(rows(iter(Lines(Path("a.csv")))))
    (['name', 'sequence'], [(2, ['a', 'AC']), (3, ['of two\\nlines', 'G'])])
    """
    lines = iter(Lines(path))
    last = 0

    def counted() -> NumberedLines:
        nonlocal last
        for number, line in lines:
            last = number
            yield number, line

    first = next(((n, line) for n, line in counted() if isinstance(line, DataError) or line.strip()), (0, ""))
    number, text = first
    if isinstance(text, DataError):
        raise located(f"line {number}", text) if number else text
    if not text:
        raise DataError("there is nothing in it; expected a header and rows with sequences")
    mark = max(_MARKS, key=text.count)
    header = next(_rows(chain([first], counted()), mark))[1]
    if isinstance(header, DataError):
        raise header
    return header, lambda others: _rows(dropwhile(lambda numbered: 0 < numbered[0] <= last, others), mark)


def _rows(lines: NumberedLines, mark: str) -> Entries[list[str]]:
    for number, line in lines:
        if isinstance(line, DataError):
            yield number, line
        elif line.count(mark) >= MOST_COLUMNS:
            yield number, DataError(f"the row has {line.count(mark) + 1} cells; expected at most {MOST_COLUMNS}")
        elif '"' in line:
            yield number, _quoted(number, line, lines, mark)
        elif line:
            yield number, line.split(mark)


def _quoted(number: int, line: str, lines: NumberedLines, mark: str) -> list[str] | DataError:
    """The cells of a row that begins with this line, and may go on for more."""
    text = _Text(line, lines)
    reader = csv.reader(text, delimiter=mark, strict=True)
    with _SETTING:
        # Also of cells over 128 KiB, as long sequences are; the limit is the csv module's own and others' as well.
        before = csv.field_size_limit(LONGEST_LINE)
        try:
            return next(reader)
        except csv.Error as error:
            last = number + reader.line_num - 1
            return DataError(f"lines {number} to {last} are no row: {error}; expected quotation marks in pairs")
        except DataError as error:
            return error
        finally:
            csv.field_size_limit(before)


class _Text:
    """Lines with their ends, one by one."""

    def __init__(self, first: str, others: NumberedLines) -> None:
        self._lines = chain([(0, first)], others)

    def __iter__(self) -> _Text:
        return self

    def __next__(self) -> str:
        _, line = next(self._lines)
        if isinstance(line, DataError):
            raise line
        return line + "\n"
