"""The folder a run leaves behind.

::

    RUN/run.json                  what was asked, of which model and data, when, and how many rows came out
    RUN/rows/part-00000.parquet   one row per explained sample
    RUN/errors.parquet            one row per sample that failed; empty when none did
    RUN/heatmaps.png              some samples with colour bars, to open first
    RUN/pictures/                 a drawing of every sample

``sciexplain evaluate`` adds ``evaluation.json``, ``.parquet`` and ``.png``; ``sciexplain audit`` adds ``audit.json``,
``audit.png`` and ``clusters.parquet``.

A run over molecules has ``molecules.png`` to open first, and beside it ``molecules.sdf``, ``atoms.parquet``,
``bonds.parquet`` and, where asked for, ``walks.parquet`` and ``fragments.parquet``.

A run over sequences has ``motifs.html`` to open first, and beside it ``relevance.bw``, ``nucleotides.parquet``, sites
(``sites.bed``, ``.gff3``, ``.parquet``), ``motifs.meme``, ``matches.parquet``, instances of motifs (``hits.bed``,
``.parquet``), genes (``genes.bed``, ``.parquet``), ``gene_sets.parquet``, and TF-MoDISco's input, ``modisco.h5``.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
from numpy.typing import NDArray

from sciexplain.errors import DataError, SciExplainError

FORMAT = "sciexplain-run"
FORMAT_VERSION = 1
_FILES = (
    "errors.parquet",
    "heatmaps.png",
    "run.json",
    *(f"evaluation.{ending}" for ending in ("json", "parquet", "png")),
    "audit.json",
    "audit.png",
    "clusters.parquet",
    "molecules.png",
    "molecules.sdf",
    "motifs.html",
    "motifs.meme",
    "relevance.bw",
    "modisco.h5",
    *(f"{name}.bed" for name in ("sites", "hits", "genes")),
    "sites.gff3",
    *(f"{name}.parquet" for name in ("atoms", "bonds", "walks", "fragments")),
    *(f"{name}.parquet" for name in ("nucleotides", "sites", "matches", "hits", "genes", "gene_sets")),
)


@dataclass(frozen=True)
class Row:
    """One explained sample.

    Attributes
    ----------
    id
        Unique within the run.
    input
        Where the sample came from: a path, and the place inside it where there are several.
    prediction, runner_up, target
        Class indices: the highest-scoring, the second, and the explained;
        None for a model that has no classes.
    probability
        Softmax of the model's output at ``prediction``; None for a model that has no classes.
    score
        The explained output.
    relevance, shape
        Relevance of every input value, flattened in row-major order, and the shape to give it back.
    gap
        Score minus relevance minus what was absorbed (the ledger's); None when no ledger was kept.
    picture
        File in ``RUN/pictures``; None when none was drawn.
    seconds
        Time this sample took: its batch's time divided by the batch size.
    """

    id: str
    input: str
    prediction: int | None
    probability: float | None
    target: int | None
    runner_up: int | None
    score: float
    relevance: NDArray[np.float32]
    shape: tuple[int, ...]
    gap: float | None
    picture: str | None
    seconds: float


@dataclass(frozen=True)
class Failure:
    """One sample that could not be explained: why, and at which stage (``read``, ``preprocess``, …)."""

    id: str
    input: str
    reason: str
    stage: str


ROW_SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "input": pa.string(),
        "prediction": pa.int64(),
        "probability": pa.float64(),
        "target": pa.int64(),
        "runner_up": pa.int64(),
        "score": pa.float64(),
        "relevance": pa.list_(pa.float32()),
        "shape": pa.list_(pa.int64()),
        "gap": pa.float64(),
        "picture": pa.string(),
        "seconds": pa.float64(),
    }
)
FAILURE_SCHEMA = pa.schema({field.name: pa.string() for field in fields(Failure)})


class RunWriter:
    """Writes a run folder; a context manager.

    Every file appears whole or not at all. ``run.json`` is there from the start with the status ``"running"``
    and ends as ``"finished"``, or as ``"interrupted"`` with what was done until then. When a
    :class:`~sciexplain.errors.SciExplainError` ends it before the first row, nothing is left.

    Parameters
    ----------
    path
        The folder to make.
    asked
        Entries for ``run.json``, such as ``command``, ``model``, ``data``, ``versions``, ``options``, as JSON
        values.
    overwrite
        Replace the run that ``path`` holds. Anything but a run is never replaced.
    rows_per_shard
        Rows in each parquet file; also the most that are held in memory.

    Raises
    ------
    DataError
        ``path`` is not an empty folder, or holds no run to overwrite.
    """

    def __init__(
        self, path: Path, asked: Mapping[str, Any], *, overwrite: bool = False, rows_per_shard: int = 256
    ) -> None:
        self.path = path
        self._asked = dict(asked)
        self._overwrite = overwrite
        self._rows_per_shard = rows_per_shard
        self._rows: list[Row] = []
        self.failures: list[Failure] = []
        self._written = 0
        self._shards = 0
        self._started = ""

    @property
    def pictures(self) -> Path:
        """The folder for pictures."""
        return self.path / "pictures"

    @property
    def overview(self) -> Path:
        """The picture to open first: some samples with their colour bars."""
        return self.path / "heatmaps.png"

    @property
    def failed(self) -> int:
        """How many samples failed so far; they are in ``failures``."""
        return len(self.failures)

    @property
    def written(self) -> int:
        """How many rows were added so far."""
        return self._written + len(self._rows)

    def __enter__(self) -> Self:
        _clear(self.path, overwrite=self._overwrite)
        try:
            (self.path / "rows").mkdir(parents=True)
            self.pictures.mkdir()
        except OSError as error:
            raise DataError(f"{self.path} cannot be made: {error.strerror}") from error
        self._started = _now()
        self._write_json("running")
        return self

    def add(self, row: Row) -> None:
        """Add one explained sample."""
        self._rows.append(row)
        if len(self._rows) == self._rows_per_shard:
            self._flush()

    def fail(self, failure: Failure) -> None:
        """Add one sample that failed."""
        self.failures.append(failure)

    def record(self, name: str, value: Any) -> None:
        """Add an entry to ``run.json`` that is known only at the end; a JSON value."""
        self._asked[name] = value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, SciExplainError) and not self.written:
            _remove(self.path)  # a wrong question; asking again should not need --overwrite
            return
        if self._rows:
            self._flush()
        _write_parquet(self.path / "errors.parquet", self.failures, FAILURE_SCHEMA)
        self._write_json("finished" if error is None else "interrupted")

    def _flush(self) -> None:
        _write_parquet(self.path / "rows" / f"part-{self._shards:05d}.parquet", self._rows, ROW_SCHEMA)
        self._shards += 1
        self._written += len(self._rows)
        self._rows = []

    def _write_json(self, status: str) -> None:
        info = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "status": status,
            **self._asked,
            "started": self._started,
            "finished": None if status == "running" else _now(),
            "counts": {"rows": self.written, "failed": self.failed},
        }
        path = self.path / "run.json"
        temporary = _temporary(path)
        temporary.write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, path)


@dataclass(frozen=True)
class Run:
    """A run read back.

    Attributes
    ----------
    path
        Its folder.
    info
        The content of ``run.json``.
    """

    path: Path
    info: Mapping[str, Any]

    @property
    def rows(self) -> pa.dataset.Dataset:
        """The rows, unread: ``.to_table()``, ``.to_batches()``, ``.scanner(columns=…, filter=…)``."""
        return pa.dataset.dataset(self.path / "rows", schema=ROW_SCHEMA, format="parquet")

    @property
    def errors(self) -> pa.Table:
        """The samples that failed: ``id``, ``input``, ``reason``, ``stage``."""
        return pa.parquet.read_table(self.path / "errors.parquet", schema=FAILURE_SCHEMA)


def open_run(path: str | Path) -> Run:
    """Open a run folder.

    Raises
    ------
    DataError
        The folder holds no run, or one written by a later version.
    """
    path = Path(path)
    info = _read_json(path)
    if info is None:
        raise DataError(f"{path} is not a run: a run folder holds a run.json")
    if info["format_version"] > FORMAT_VERSION:
        raise DataError(
            f"{path} has run format {info['format_version']}; this version of sciexplain reads up to "
            f"{FORMAT_VERSION}: install a newer one"
        )
    return Run(path=path, info=info)


def _clear(path: Path, *, overwrite: bool) -> None:
    """Make room for a run without ever deleting what is not one."""
    if not path.exists():
        return
    if not path.is_dir():
        raise DataError(f"{path} is a file; give a folder that is empty or does not exist")
    if not any(path.iterdir()):
        return
    is_run = _read_json(path) is not None
    if not overwrite:
        remedy = " or --overwrite" if is_run else ""
        raise DataError(f"{path} is not empty; give another folder{remedy}")
    if not is_run:
        raise DataError(f"{path} is not empty and holds no run, so nothing in it is overwritten")
    _remove(path)


def _remove(path: Path) -> None:
    """Delete a run's own files, and its folder when nothing else is in it."""
    for name in ("rows", "pictures"):
        shutil.rmtree(path / name, ignore_errors=True)
    for name in _FILES:
        (path / name).unlink(missing_ok=True)
    if not any(path.iterdir()):
        path.rmdir()


def _read_json(path: Path) -> dict[str, Any] | None:
    """``run.json``, or None where there is none of ours."""
    try:
        info = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return info if isinstance(info, dict) and info.get("format") == FORMAT else None


def _write_parquet(path: Path, items: Sequence[Row] | Sequence[Failure], schema: pa.Schema) -> None:
    table = pa.Table.from_pylist([vars(item) for item in items], schema=schema)
    temporary = _temporary(path)
    pa.parquet.write_table(table, temporary, compression="zstd")
    os.replace(temporary, path)


def _temporary(path: Path) -> Path:
    """A name in the same folder, so that moving it into place is atomic; readers skip dot files."""
    return path.with_name(f".{path.name}.partial")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
