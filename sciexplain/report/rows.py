"""All rows for the gallery: a few columns, cut into files that are loaded as they are needed."""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sciexplain.report.columns import Columns, floats, integers, numbers_of, regrouped
from sciexplain.report.labels import UNKNOWN
from sciexplain.report.payload import Data
from sciexplain.runs import Run

SIZE = 2000
"""Rows in a file: some 200 kB, which a browser reads in a few milliseconds."""

_READ = ["number", "id", "input", "prediction", "probability", "target", "runner_up", "score", "gap", "seconds"]


def write_rows(
    data: Data, run: Run, columns: Columns, clusters: Mapping[str, int] | None, detailed: Collection[int]
) -> dict[str, Any]:
    """Write ``rows/00000.js`` and so on; their entry in ``report.js``.

    Parameters
    ----------
    data
        Where to.
    run, columns
        The rows, and their labels.
    clusters
        Of an audit, by id.
    detailed
        Numbers of samples that have a page of their own.
    """
    starts: list[int] = []
    for shard, table in enumerate(regrouped(run.rows.to_batches(columns=_READ), SIZE)):
        label = columns.label[shard * SIZE : shard * SIZE + len(table)]
        made = _columns(table, label, clusters, detailed)
        starts.append(int(made["number"][0]))
        data.write(f"rows/{shard:05d}", made)
    return {"count": len(columns), "size": SIZE, "starts": starts}


def _columns(
    table: pa.Table, label: np.ndarray, clusters: Mapping[str, int] | None, detailed: Collection[int]
) -> dict[str, Any]:
    number = numbers_of(table)
    ids, inputs = table["id"].to_pylist(), table["input"].to_pylist()
    made: dict[str, Any] = {"number": number, "id": ids}
    made |= _inputs(ids, inputs)
    for name in ("prediction", "target", "runner_up"):
        made[name] = _or_none(integers(table[name]))
    made["label"] = _or_none(label)
    if clusters is not None:
        made["cluster"] = [clusters.get(name) for name in ids]
    for name in ("probability", "score", "gap", "seconds"):
        made[name] = floats(table[name])
    made["detail"] = [int(n) for n in np.isin(number, np.fromiter(detailed, np.int64, len(detailed)))]
    return {name: of for name, of in made.items() if isinstance(of, str) or not _missing(of)}


def _inputs(ids: Sequence[str], inputs: Sequence[str]) -> dict[str, Any]:
    """Inputs without what they share: a beginning, and mostly the id behind it."""
    prefix = inputs[0].removesuffix(ids[0])
    if all(given == prefix + name for given, name in zip(inputs, ids, strict=True)):
        return {"prefix": prefix}
    # letters of any text, not parts of a path
    prefix = os.path.commonprefix(list(inputs))  # noqa: RUF071
    return {"prefix": prefix, "input": [given[len(prefix) :] for given in inputs]}


def _or_none(values: np.ndarray) -> list[int | None]:
    return [None if value == UNKNOWN else value for value in values.tolist()]


def _missing(values: Any) -> bool:
    """Whether a column has nothing in it."""
    return all(value is None or value != value for value in np.asarray(values).tolist())
