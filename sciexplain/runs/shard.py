"""One shard of a run: what came out for some samples in a row, and its files."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from sciexplain._files import written
from sciexplain.errors import InputError
from sciexplain.runs.format import ERRORS, FAILURE_SCHEMA, PART, PICTURES, ROW_SCHEMA, ROWS, Failure
from sciexplain.runs.work import Answer, Sample, Work

_ERRORS = Path(ERRORS).stem


class Shard:
    """Gathers what came out for the samples of one shard, in any order, and writes it in theirs.

    Parameters
    ----------
    number
        Its own.
    work
        Whose samples they are.
    folder
        Of the run.
    pictures
        Samples below this number are drawn.
    """

    def __init__(self, number: int, work: Work, folder: Path, pictures: int) -> None:
        self.number = number
        self._work, self._folder, self._pictures = work, folder, pictures
        self._rows: dict[int, dict[str, Any]] = {}
        self._failures: dict[int, Failure] = {}
        self._tables: dict[int, Mapping[str, Mapping[str, Sequence[Any]]]] = {}
        self._texts: dict[int, Mapping[str, str]] = {}
        self._unknown: Counter[tuple[str, str]] = Counter()

    def fail(self, number: int, failure: Failure) -> None:
        """A sample that could not be explained."""
        self._failures[number] = failure

    def add(self, number: int, sample: Sample, answer: Answer, seconds: float) -> None:
        """A sample that was. What the domain makes of the answer is made here."""
        self._tables[number], self._texts[number] = answer.tables(), answer.texts()
        picture = None
        if number < self._pictures and answer.draw is not None:
            picture = answer.draw(self._folder / PICTURES / f"{number:06d}").name
        self._rows[number] = {
            "number": number,
            "id": sample.id,
            "input": sample.input,
            **answer.decision._asdict(),
            "target": answer.target,
            "score": answer.score,
            "relevance": answer.relevance,
            "gap": answer.gap,
            "picture": picture,
            "seconds": seconds,
        }

    def count_unknown(self, operations: Mapping[tuple[str, str], int]) -> None:
        """Operations that had no rule, by name and module."""
        self._unknown.update(operations)

    def write(self) -> None:
        """Write all files, the rows last: they make the shard one that is done.

        Raises
        ------
        DataError
            A file cannot be written; the shard is then not done.
        """
        for name in self._work.texts:
            text = "".join(self._texts[n].get(name, "") for n in sorted(self._texts))
            ending = Path(name).suffix
            path = self._made(f"{name}.parts") / f"{PART.format(self.number)}{ending}"
            written(path, partial(Path.write_text, data=text, encoding="utf-8"), durable=True)
        for name, schema in self._work.tables.items():
            self._write_table(f"{name}.parquet", self._table(name, schema))
        failures = [{"number": n, **vars(self._failures[n])} for n in sorted(self._failures)]
        self._write_table(_ERRORS, pa.Table.from_pylist(failures, schema=FAILURE_SCHEMA))
        summary = {"failed": len(failures), "unknown": [[*key, count] for key, count in self._unknown.items()]}
        rows = _rows_table([self._rows[n] for n in sorted(self._rows)])
        self._write_table(ROWS, rows.replace_schema_metadata({"sciexplain": json.dumps(summary)}))

    def _table(self, name: str, schema: pa.Schema) -> pa.Table:
        parts = [(n, self._tables[n][name]) for n in sorted(self._tables) if name in self._tables[n]]
        lengths = [len(next(iter(part.values()))) for _, part in parts]
        columns = {"number": np.repeat(np.array([n for n, _ in parts], dtype=np.int64), lengths)}
        for column in schema.names:
            columns[column] = _joined([part[column] for _, part in parts])
        return pa.table(columns, schema=pa.schema([pa.field("number", pa.int64()), *schema]))

    def _write_table(self, folder: str, table: pa.Table) -> None:
        path = self._made(folder) / f"{PART.format(self.number)}.parquet"
        # Real numbers hardly repeat: a dictionary of them would take half of the time and a quarter of the room.
        repeating = [f.name for f in table.schema if pa.types.is_string(f.type) or pa.types.is_integer(f.type)]
        options = {"compression": "zstd", "use_dictionary": repeating}
        written(path, lambda file: pa.parquet.write_table(table, file, **options), durable=True)

    def _made(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return folder


def _joined(parts: Sequence[Sequence[Any]]) -> Any:
    if parts and isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    if parts and isinstance(parts[0], pa.Array | pa.ChunkedArray):
        return pa.chunked_array(list(chain.from_iterable(getattr(part, "chunks", [part]) for part in parts)))
    return list(chain.from_iterable(parts))


def _rows_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The rows as Arrow, their relevance without a detour by Python numbers."""
    columns: dict[str, Any] = {
        name: [row[name] for row in rows] for name in ROW_SCHEMA.names if name not in ("relevance", "shape")
    }
    values = [np.asarray(row["relevance"], dtype=np.float32) for row in rows]
    offsets = np.concatenate([[0], np.cumsum([value.size for value in values])])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise InputError(
            f"a shard of {len(rows)} samples has {offsets[-1]} relevances; expected at most 2³¹ − 1: "
            "make shards smaller with --shard"
        )
    flat = np.concatenate([value.ravel() for value in values]) if values else np.empty(0, np.float32)
    columns["relevance"] = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(flat))
    columns["shape"] = [list(value.shape) for value in values]
    return pa.table({name: columns[name] for name in ROW_SCHEMA.names}, schema=ROW_SCHEMA)
