"""Tables of what lies somewhere on sequences, as data frames and Parquet files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.genomics.interval import Interval

Columns = Mapping[str, tuple[str, Sequence[Any]]]
"""For each name the type of its cells, as pandas calls it, and the cells."""


def places(intervals: Sequence[Interval]) -> Columns:
    """chrom, start, end and strand, 0-based and half-open."""
    return {
        "chrom": ("object", [i.chrom for i in intervals]),
        "start": ("int64", [i.start for i in intervals]),
        "end": ("int64", [i.end for i in intervals]),
        "strand": ("object", [i.strand for i in intervals]),
    }


def frame(columns: Columns) -> Any:
    """A pandas data frame, of the stated types also where it has no rows."""
    pandas = require("pandas", extra="genomics")
    return pandas.DataFrame({name: pandas.Series(cells, dtype=kind) for name, (kind, cells) in columns.items()})


def write_frame(path: PathName, table: Any) -> Path:
    """Write a data frame as Parquet.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    require("pyarrow", extra="genomics")
    return written(path, lambda file: table.to_parquet(file, index=False))
