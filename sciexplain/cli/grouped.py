"""Tables of a run read once, in order, sample by sample."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

_ROWS = 64
_ENTRIES = 16_384


def rows_of(rows: pa.dataset.Dataset, columns: Sequence[str], numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Rows of some samples, ascending: ``number`` and the columns asked for.

    Parameters
    ----------
    rows
        Of a run.
    columns
        Lists become arrays of numpy.
    numbers
        Ascending.
    """
    for batch in _batches(rows, ["number", *columns], numbers, _ROWS):
        for i in range(len(batch)):
            yield {name: _value(batch[name][i]) for name in batch.schema.names}


class Grouped:
    """A long table of a run, of which the entries of one sample after the other are taken.

    Parameters
    ----------
    table
        With a column ``number`` that ascends; None for one that the run does not have, of which there are no entries.
    columns
        Those that are wanted.
    numbers
        Samples that are wanted, ascending.
    """

    def __init__(self, table: pa.dataset.Dataset | None, columns: Sequence[str], numbers: Sequence[int]) -> None:
        self._parts = iter(()) if table is None else self._read(table, columns, numbers)
        self._next = next(self._parts, None)

    def take(self, number: int) -> list[tuple[Any, ...]]:
        """The entries of a sample, in their order; samples are asked for as they ascend."""
        found: list[tuple[Any, ...]] = []
        while self._next is not None and self._next[0] <= number:
            if self._next[0] == number:
                found += self._next[1]
            self._next = next(self._parts, None)
        return found

    @staticmethod
    def _read(
        table: pa.dataset.Dataset, columns: Sequence[str], numbers: Sequence[int]
    ) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
        for batch in _batches(table, ["number", *columns], numbers, _ENTRIES):
            of = batch["number"].to_numpy()
            edges = [0, *(np.flatnonzero(np.diff(of)) + 1).tolist(), len(of)]
            for start, end in pairwise(edges):
                part = batch.slice(start, end - start)
                yield int(of[start]), list(zip(*(part[name].to_pylist() for name in columns), strict=True))


def _batches(
    table: pa.dataset.Dataset, columns: Sequence[str], numbers: Sequence[int], size: int
) -> Iterator[pa.RecordBatch]:
    """Only what is wanted, in order, a little at a time."""
    if not len(numbers):
        return
    wanted = pa.array(numbers, pa.int64())
    number = pc.field("number")
    # Parquet keeps the least and the largest number of each group: those without wanted ones are not read.
    near = (number >= int(numbers[0])) & (number <= int(numbers[-1])) & number.isin(wanted)
    ahead = {"batch_readahead": 2, "fragment_readahead": 1}
    scanned = table.to_batches(columns=list(columns), filter=near, batch_size=size, **ahead)
    yield from (batch for batch in scanned if len(batch))


def _value(scalar: Any) -> Any:
    return scalar.values.to_numpy(zero_copy_only=False) if isinstance(scalar, pa.ListScalar) else scalar.as_py()
