"""The numbers of all rows, without what is long: relevance, inputs, names."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sciexplain.errors import DataError
from sciexplain.report.labels import UNKNOWN, Labels
from sciexplain.report.payload import rounded
from sciexplain.runs import Run


@dataclass(frozen=True)
class Columns:
    """What pages count and choose samples by; some 40 bytes a row.

    Attributes
    ----------
    number
        Ascending.
    prediction, target, label
        Class indices; -1 where there is none.
    probability, score, gap
        Rounded as pages show them; NaN where there is none.
    """

    number: NDArray[np.int64]
    prediction: NDArray[np.int64]
    target: NDArray[np.int64]
    label: NDArray[np.int64]
    probability: NDArray[np.float64]
    score: NDArray[np.float64]
    gap: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.number)

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Rows with a prediction and a label."""
        return (self.prediction >= 0) & (self.label >= 0)

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Those of them where the two differ."""
        return self.judged & (self.prediction != self.label)


def read_columns(run: Run, labels: Labels | None = None) -> Columns:
    """Read them.

    Raises
    ------
    DataError
        Rows have no numbers, or are not in their order.
    """
    names = ["number", "prediction", "target", "probability", "score", "gap", *(["id"] if labels is not None else [])]
    parts = []
    for batch in run.rows.to_batches(columns=names):
        number = numbers_of(batch)
        prediction, target = integers(batch["prediction"]), integers(batch["target"])
        label = np.full(len(batch), UNKNOWN) if labels is None else labels.of(number, batch["id"].to_pylist())
        parts.append(
            (number, prediction, target, label, *(floats(batch[name]) for name in ("probability", "score", "gap")))
        )
    empty: tuple[NDArray[Any], ...] = (*(np.zeros(0, np.int64) for _ in range(4)), *(np.zeros(0) for _ in range(3)))
    columns = Columns(*(np.concatenate(column) for column in zip(empty, *parts, strict=True)))
    if (np.diff(columns.number) <= 0).any():
        raise DataError(f"{run.path}: found rows that are not in the order of their numbers; explain anew")
    return columns


def numbers_of(batch: pa.RecordBatch | pa.Table) -> NDArray[np.int64]:
    """Numbers of attempts.

    Raises
    ------
    DataError
        There are none.
    """
    if batch["number"].null_count:
        raise DataError("found rows without numbers, as earlier versions wrote them; explain anew")
    found: NDArray[np.int64] = batch["number"].to_numpy()
    return found


def integers(column: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    """Classes; -1 where there is none."""
    found: NDArray[np.int64] = pc.fill_null(column, UNKNOWN).to_numpy(zero_copy_only=False)
    return found


def floats(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    """Numbers as pages show them; NaN where there is none."""
    return rounded(column.to_numpy(zero_copy_only=False))


def regrouped(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """The same rows in tables of that many; the last has what is left."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        while rows + len(batch) >= size:
            cut = size - rows
            yield pa.Table.from_batches([*waiting, batch.slice(0, cut)])
            batch, waiting, rows = batch.slice(cut), [], 0
        if len(batch):
            waiting.append(batch)
            rows += len(batch)
    if waiting:
        yield pa.Table.from_batches(waiting)
