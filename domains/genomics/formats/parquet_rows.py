"""Rows of Parquet files, one by one, whatever the file says of its size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

from sciexplain._optional import require
from sciexplain.domains.genomics.formats.attempts import Entries
from sciexplain.errors import DataError

_ROWS_ANYHOW, _ROWS_PER_BYTE = 2**24, 1000
_BYTES_AT_ONCE, _ROWS_AT_ONCE = 2**30, 1024


def parquet_header(path: Path) -> list[str]:
    """Names of its columns.

    Raises
    ------
    DataError
        It is no Parquet file, or says that it has more rows than it can.
    """
    with _opened(path) as file:
        names: list[str] = file.schema_arrow.names
    return names


def count_parquet(path: Path) -> int:
    """How many rows there are.

    Raises
    ------
    DataError
        As :func:`parquet_header`.
    """
    with _opened(path) as file:
        return sum(_sizes(file))


def parquet_rows(path: Path, columns: Sequence[int], numbers: Iterable[int] | None = None) -> Entries[Sequence[Any]]:
    """Cells of these columns; rows are counted from 1.

    Where a group of rows is damaged, each of those that cannot be read has the reason.

    Parameters
    ----------
    columns
        Of the header, by place.
    numbers
        Of the rows to take, from 0, ascending; None: all.
    """
    with _opened(path) as file:
        sizes = _sizes(file)
        group, at, behind = -1, 0, 0  # the row that comes next, and the first of the next group
        rows: Iterator[Sequence[Any] | DataError] = iter(())
        for number in count() if numbers is None else numbers:
            while number >= behind:
                group += 1
                if group == len(sizes):
                    return
                at, behind = behind, behind + sizes[group]
                rows = _group(file, group, columns)
            yield number + 1, next(islice(rows, number - at, None))
            at = number + 1


def _opened(path: Path) -> Any:
    parquet: Any = require("pyarrow.parquet", extra="genomics")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        file = parquet.ParquetFile(path)
        sizes = _sizes(file)
    except _errors() as error:
        raise DataError(f"it cannot be read as Parquet: {error}") from error
    rows, size = sum(sizes), path.stat().st_size
    if min(sizes, default=0) < 0 or (rows > _ROWS_ANYHOW and rows > _ROWS_PER_BYTE * size):
        file.close()
        raise DataError(f"it says that it has {rows} rows in {size} bytes, which cannot be")
    return file


def _errors() -> tuple[type[Exception], ...]:
    """What Arrow answers damaged files with; some of its own come as plain ones."""
    arrow: Any = require("pyarrow", extra="genomics")
    return (arrow.ArrowException, OSError, RuntimeError, ValueError, IndexError, OverflowError, MemoryError)


def _sizes(file: Any) -> list[int]:
    """Rows of each group."""
    return [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]


def _group(file: Any, group: int, columns: Sequence[int]) -> Iterator[Sequence[Any] | DataError]:
    """Cells of a group's rows, without an end: behind the last that can be read comes the reason again and again."""
    names = file.schema_arrow.names
    reason = "the file has fewer rows than it says"
    try:
        wanted = list(dict.fromkeys(names[column] for column in columns))
        for batch in file.iter_batches(_rows_at_once(file, group), row_groups=[group], columns=wanted):
            found = batch.schema.names  # a name that occurs twice brings both columns
            places = [_nth(found, names[column], names[:column].count(names[column])) for column in columns]
            for row in zip(*(_cells(batch.column(place)) for place in places), strict=True):
                wrong = next((cell for cell in row if isinstance(cell, DataError)), None)
                yield wrong or row
    except _errors() as error:
        reason = f"it cannot be read as Parquet: {error}"
    while True:
        yield DataError(reason)


def _nth(names: Sequence[str], name: str, n: int) -> int:
    """Where a name is for the n-th time, from 0."""
    return [place for place, other in enumerate(names) if other == name][n]


def _rows_at_once(file: Any, group: int) -> int:
    """So many that they have room even if each is the longest that the group can hold: a dictionary repeats them."""
    # what the columns say is not asked: of damaged ones Arrow ends the process
    size = file.metadata.row_group(group).total_byte_size
    return int(min(max(_BYTES_AT_ONCE // max(size, 1), 1), _ROWS_AT_ONCE))


def _cells(column: Any) -> list[Any]:
    try:
        listed: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):  # text that is no UTF-8, a date that Python has not
        listed = [_cell(value) for value in column]
    return listed


def _cell(value: Any) -> Any:
    try:
        return value.as_py()
    except (ValueError, OverflowError) as error:
        return DataError(f"a cell cannot be read: {error}")
