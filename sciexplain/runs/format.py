"""The folder a run leaves behind.

::

    RUN/run.json                  what was asked, of which model and data, when, and how many rows came out
    RUN/rows/part-000000.parquet  one row per explained sample, shard by shard
    RUN/errors.parquet            one row per sample that failed; empty when none did
    RUN/heatmaps.png              some samples with colour bars, to open first
    RUN/pictures/                 drawings of the first samples

Samples are numbered as they are read, those that fail included, and cut into shards of so many numbers each. A shard is
there whole or not at all: its part in ``rows`` is written last. While a run goes on, its errors are parts in
``errors/``, and text files parts in a folder of their name with ``.parts`` behind it.

A run over molecules has ``molecules.png`` to open first, and beside it ``molecules.sdf`` and the tables
``atoms.parquet``, ``bonds.parquet`` and, where asked for, ``walks.parquet`` and ``fragments.parquet``: folders of parts
as ``rows`` is, which pyarrow, pandas, polars and Spark read like a file.

A run over sequences has ``motifs.html`` to open first, and beside it ``relevance.bw``, the table
``nucleotides.parquet``, sites (``sites.bed``, ``.gff3``, ``.parquet``), ``motifs.meme``, ``matches.parquet``, instances
of motifs (``hits.bed``, ``.parquet``), genes (``genes.bed``, ``.parquet``), ``gene_sets.parquet``, and TF-MoDISco's
input, ``modisco.h5``.

``sciexplain evaluate`` adds ``evaluation.json``, ``.parquet`` and ``.png``; ``sciexplain audit`` adds ``audit.json``,
``audit.png`` and ``clusters.parquet``; ``sciexplain report`` adds ``report/``.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet

from sciexplain._json import read_json
from sciexplain.errors import DataError

FORMAT = "sciexplain-run"
FORMAT_VERSION = 1
RUN_JSON, ROWS, ERRORS, PICTURES = "run.json", "rows", "errors.parquet", "pictures"
PART = "part-{:06d}"


@dataclass(frozen=True)
class Failure:
    """One sample that could not be explained: why, and at which stage (``read``, ``preprocess``, …)."""

    id: str
    input: str
    reason: str
    stage: str


ROW_SCHEMA = pa.schema(
    {
        "number": pa.int64(),
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
"""One explained sample.

number
    Its place among all samples, from 0.
id
    Unique within the run.
input
    Where the sample came from: a path, and the place inside it where there are several.
prediction, runner_up, target
    Class indices: the highest-scoring, the second, and the explained; null for a model that has no classes.
probability
    Softmax of the model's output at ``prediction``; null for a model that has no classes.
score
    The explained output.
relevance, shape
    Relevance of every input value, flattened in row-major order, and the shape to give it back.
gap
    Score minus relevance minus what was absorbed (the ledger's); null when no ledger was kept.
picture
    File in ``RUN/pictures``; null when none was drawn.
seconds
    Time this sample took: its batch's time divided by the batch size.
"""
FAILURE_SCHEMA = pa.schema({"number": pa.int64(), **dict.fromkeys(("id", "input", "reason", "stage"), pa.string())})


@dataclass(frozen=True)
class Run:
    """A run read back.

    Attributes
    ----------
    path
        Its folder.
    info
        The content of ``run.json``.

    Examples
    --------
    >>> run = open_run("RUN")  # doctest: +SKIP
    >>> run.rows.to_table(columns=["id", "score"]).to_pandas()  # doctest: +SKIP
    >>> polars.scan_pyarrow_dataset(run.rows)  # doctest: +SKIP
    >>> rows = run.rows; duckdb.sql("select prediction, avg(score) from rows group by all")  # doctest: +SKIP
    """

    path: Path
    info: Mapping[str, Any]

    @property
    def rows(self) -> pa.dataset.Dataset:
        """The rows, unread: ``.to_table()``, ``.to_batches()``, ``.scanner(columns=…, filter=…)``."""
        return pa.dataset.dataset(self.path / ROWS, schema=ROW_SCHEMA, format="parquet")

    @property
    def errors(self) -> pa.Table:
        """The samples that failed: ``number``, ``id``, ``input``, ``reason``, ``stage``."""
        whole, parts = self.path / ERRORS, self.path / "errors"
        return pa.dataset.dataset(
            whole if whole.exists() or not parts.is_dir() else parts, schema=FAILURE_SCHEMA, format="parquet"
        ).to_table()

    @property
    def shards(self) -> dict[int, Path]:
        """The shards that are done, by their number, and their parts of the rows."""
        found = {path.stem.removeprefix("part-"): path for path in (self.path / ROWS).glob("part-*.parquet")}
        return dict(sorted((int(number), path) for number, path in found.items() if number.isdecimal()))

    def table(self, name: str) -> pa.dataset.Dataset:
        """A table of the domain's, unread, such as ``"atoms"``.

        Raises
        ------
        DataError
            The run has none of that name.
        """
        path = self.path / f"{name}.parquet"
        if Path(name).name != name or not path.exists():
            there = sorted(file.stem for file in self.path.glob("*.parquet"))
            raise DataError(f"{self.path} has no table {name!r}; it has {', '.join(there) or 'none'}")
        return pa.dataset.dataset(path, format="parquet")

    def summaries(self) -> Iterator[Mapping[str, Any]]:
        """What each shard tells of itself: its number of ``rows``, ``failed`` samples, and operations ``unknown``."""
        for path in self.shards.values():
            try:
                metadata = pa.parquet.read_metadata(path)
                told = json.loads((metadata.metadata or {}).get(b"sciexplain", b"{}"))
            except (pa.ArrowException, ValueError, OSError) as error:  # names that are not UTF-8 are a ValueError
                raise DataError(f"{path} is damaged: {error}; delete it, and the run makes it again") from error
            yield {"failed": 0, "unknown": [], **told, "rows": metadata.num_rows}


def open_run(path: str | Path) -> Run:
    """Open a run folder, finished or not.

    Raises
    ------
    DataError
        The folder holds no run, or one written by a later version.
    """
    path = Path(path)
    info = read_info(path)
    if info is None:
        raise DataError(f"{path} is not a run: a run folder holds a run.json")
    if info["format_version"] > FORMAT_VERSION:
        raise DataError(
            f"{path} has run format {info['format_version']}; this version of sciexplain reads up to "
            f"{FORMAT_VERSION}: install a newer one"
        )
    for entry in ("options", "model", "data"):
        if entry in info and not isinstance(info[entry], dict):
            raise DataError(f"{path}: its run.json has {entry} of another form than a run's; it may be damaged")
    return Run(path=path, info=info)


def read_info(path: Path) -> dict[str, Any] | None:
    """``run.json``, or None where there is none of ours."""
    if not (path / RUN_JSON).is_file():
        return None
    try:
        info = read_json(path / RUN_JSON, what="run")
    except DataError:
        return None
    ours = isinstance(info, dict) and info.get("format") == FORMAT and isinstance(info.get("format_version"), int)
    return info if ours else None
