"""Molecules from Parquet files with a column of SMILES, row group by row group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sciexplain._optional import require
from sciexplain.domains.molecules.chunks import Chunk, Columns, Record
from sciexplain.domains.molecules.convert import quoted
from sciexplain.domains.molecules.limits import LARGEST_ROW_GROUP, LONGEST_CELL, MOST_ROWS
from sciexplain.domains.molecules.read_tables import Header, row_molecule
from sciexplain.errors import DataError

_BATCH = 4096


def parquet_chunks(path: Path, columns: Columns) -> Iterator[Chunk]:
    """Rows of a Parquet file, counted from 1. Columns of lists, structs and maps are left out.

    Raises
    ------
    DataError
        No column of SMILES, or a row group that is too large.
    """
    parquet: Any = require("pyarrow.parquet", extra="molecules")
    with parquet.ParquetFile(path) as file:
        fields = [field for field in file.schema_arrow if _is_flat(field.type)]
    if twice := [name for name, times in Counter(field.name for field in fields).items() if times > 1]:
        raise DataError(f"found two columns named {quoted(twice[0])}; expected names that differ")
    header = Header.of([field.name for field in fields], columns)
    # One text in many rows is then there once.
    texts = [field.name for field in fields if _is_text(field.type)]
    with parquet.ParquetFile(path, read_dictionary=texts) as file:
        groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
        for group in groups:
            if not (0 <= group.num_rows <= MOST_ROWS and group.total_byte_size <= LARGEST_ROW_GROUP):
                raise DataError(
                    f"found a row group of {group.num_rows} rows and {group.total_byte_size} bytes; expected at most "
                    f"{MOST_ROWS} rows and {LARGEST_ROW_GROUP} bytes: write smaller ones"
                )
        first = 1
        for number, group in enumerate(groups):
            records = partial(_records, file, number, header, first, path.name)
            yield Chunk(group.num_rows, records, partial(_place, path.name, first))
            first += group.num_rows


def _is_flat(kind: Any) -> bool:
    types: Any = require("pyarrow.types", extra="molecules")
    wide = types.is_fixed_size_binary(kind) and kind.byte_width > LONGEST_CELL
    return not (types.is_nested(kind) or wide)


def _is_text(kind: Any) -> bool:
    types: Any = require("pyarrow.types", extra="molecules")
    return any(
        is_kind(kind) for is_kind in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    )


def _place(name: str, first: int, number: int) -> str:
    return f"{name}:{first + number}"


def _records(file: Any, group: int, header: Header, first: int, name: str, start: int) -> Iterator[Record]:
    at = 0
    for batch in file.iter_batches(batch_size=_BATCH, row_groups=[group], columns=list(header.columns)):
        at += batch.num_rows
        if at <= start:
            continue
        batch = batch.slice(max(0, start - at + batch.num_rows))
        cells = [_cells(batch.column(batch.schema.get_field_index(column))) for column in header.columns]
        for number, row in enumerate(zip(*cells, strict=True), first + at - batch.num_rows):
            place = f"{name}:{number}"
            yield place, partial(row_molecule, header, row, place)


def _cells(column: Any) -> list[Any]:
    """A column as Python's values; what is none, such as text that is not UTF-8, as the error that says so."""
    if hasattr(column, "dictionary"):
        used = column.indices.unique()  # few of the dictionary's, which grows with the row group
        words = dict(zip(used.to_pylist(), _words(column.dictionary.take(used)), strict=True))
        return [words[i] for i in column.indices.to_pylist()]
    return _values(column)


def _words(texts: Any) -> list[Any]:
    compute: Any = require("pyarrow.compute", extra="molecules")
    long = compute.fill_null(compute.greater(compute.binary_length(texts), LONGEST_CELL), False)
    if not compute.any(long).as_py():
        return _values(texts)
    error = DataError(f"found a cell of more than {LONGEST_CELL} characters; expected shorter ones")
    nothing = require("pyarrow", extra="molecules").scalar(None, texts.type)
    words = _values(compute.if_else(long, nothing, texts))
    return [error if is_long else word for word, is_long in zip(words, long.to_pylist(), strict=True)]


def _values(column: Any) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        return [_value(entry) for entry in column]
    return values


def _value(entry: Any) -> Any:
    try:
        return entry.as_py()
    except (ValueError, OverflowError) as error:
        return DataError(f"found a cell that cannot be read ({error}); expected text, numbers or dates")
