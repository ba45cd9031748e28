"""A run's folder while it is written: by one process at a time, to be gone on with when that one ends."""

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
from filelock import FileLock, Timeout

from sciexplain._files import written
from sciexplain.errors import DataError
from sciexplain.runs.format import (
    ERRORS,
    FAILURE_SCHEMA,
    FORMAT,
    FORMAT_VERSION,
    PICTURES,
    ROWS,
    RUN_JSON,
    Run,
    open_run,
    read_info,
)

_LOCK = ".lock"
_SAME = ("command", "options", "model", "data", "versions")
# Options that change how a run is done, not what comes out.
_HOW = frozenset(["out", "overwrite", "quiet", "progress", "engine", "workers", "address", "device", "unsafe_pickle"])
_TABLES = "errors atoms bonds walks fragments nucleotides sites matches hits genes gene_sets evaluation clusters"
_TREES = (ROWS, PICTURES, "errors", "report", "molecules.sdf.parts")
_FILES = (
    RUN_JSON,
    *(f"{name}.parquet" for name in _TABLES.split()),  # folders of parts, some of them
    "heatmaps.png",
    *(f"evaluation.{ending}" for ending in ("json", "png")),
    *(f"audit.{ending}" for ending in ("json", "png")),
    "molecules.png",
    "molecules.sdf",
    "motifs.html",
    "motifs.meme",
    "relevance.bw",
    "modisco.h5",
    *(f"{name}.bed" for name in ("sites", "hits", "genes")),
    "sites.gff3",
)


class RunFolder:
    """The folder of a run that is being made; a context manager.

    ``run.json`` is there from the start with the status ``"running"`` and ends as ``"finished"``, or as
    ``"interrupted"`` when an exception ends the context. When an error ends it before the first shard, nothing is left.

    Parameters
    ----------
    path
        The folder to make; or that of a run of the same question, which is gone on with.
    asked
        Entries for ``run.json``: ``command``, ``model``, ``data``, ``versions``, ``options``, as JSON values.
    overwrite
        Replace the run that ``path`` holds. Anything but a run is never replaced.

    Attributes
    ----------
    resumed
        The folder held some of this run already.
    finished
        It held all of it.

    Raises
    ------
    DataError
        ``path`` holds something else or a run of another question, cannot be made, or is being written by another
        process.
    """

    def __init__(self, path: Path, asked: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self.path = path
        self.resumed = self.finished = False
        self._info: dict[str, Any] = {"started": _now(), **json.loads(json.dumps(asked))}
        self._overwrite = overwrite
        self._lock = FileLock(path / _LOCK, timeout=0)

    @staticmethod
    def check(path: Path) -> None:
        """That a run can be made or gone on with there, as far as can be told at once.

        Raises
        ------
        DataError
            ``path`` is a file, or holds something else.
        """
        if not path.exists():
            return
        if not path.is_dir():
            raise DataError(f"{path} is a file; give a folder that is empty or does not exist")
        if read_info(path) is None and any(entry.name != _LOCK for entry in path.iterdir()):
            raise DataError(f"{path} is not empty and holds no run; give a folder that is empty or does not exist")

    @property
    def run(self) -> Run:
        """What is there by now."""
        return open_run(self.path)

    @property
    def pictures(self) -> Path:
        """The folder for drawings."""
        return self.path / PICTURES

    def __getitem__(self, name: str) -> Any:
        """An entry of ``run.json``; None where there is none."""
        return self._info.get(name)

    def record(self, entries: Mapping[str, Any]) -> None:
        """Add entries to ``run.json`` that were not known at the start; JSON values."""
        self._info.update(entries)
        self._write("running")

    def __enter__(self) -> Self:
        self.check(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise DataError(
                f"{self.path} is being written by another run; wait for it, or give another folder"
            ) from None
        except OSError as error:
            raise DataError(f"{self.path} cannot be made: {error.strerror or error}") from error
        try:
            self._open()
        except BaseException:
            self._release()
            raise
        return self

    def _open(self) -> None:
        before = read_info(self.path)
        if before is not None and self._overwrite:
            _remove(self.path)
        elif before is not None:
            _refuse_another(self.path, before, self._info)
            self.resumed, self.finished = True, before["status"] == "finished"
            self._info = {**before, "options": self._info["options"]} if "options" in self._info else before
            if self.finished:
                self._tidy()
                return
        for folder in (ROWS, PICTURES, "errors"):
            (self.path / folder).mkdir(exist_ok=True)
        self._tidy_unfinished()
        self._write("running")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.finished:
                self._tidy()
                return
            if isinstance(error, Exception) and not self.run.shards:
                _remove(self.path)  # a wrong question; asking again should not need --overwrite
            elif error is not None:
                self._write("interrupted")
            else:
                self._close()
        except OSError:
            if error is None:  # a disk that is full has been told of already
                raise
        finally:
            self._release()

    def _close(self) -> None:
        """All samples are done: gather what is in parts. Each step can be done again, the last makes it final."""
        _gather_errors(self.path)
        for folder in sorted(self.path.glob("*.parts")):
            _gather_text(folder, self.path / folder.stem)
        self._write("finished")
        self.finished = True
        self._tidy()

    def _tidy(self) -> None:
        """Delete what was parts, of a run that is finished."""
        for folder in (self.path / "errors", *self.path.glob("*.parts")):
            shutil.rmtree(folder, ignore_errors=True)
        self._tidy_unfinished()

    def _tidy_unfinished(self) -> None:
        """Delete the unfinished files of a process that was killed."""
        for unfinished in self.path.rglob(".*.*"):
            unfinished.unlink()

    def _write(self, status: str) -> None:
        counts = None
        if status != "running":
            summaries = list(self.run.summaries())
            counts = {key: sum(summary[key] for summary in summaries) for key in ("rows", "failed")}
        info = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            **self._info,
            "status": status,
            "finished": None if status == "running" else _now(),
            "counts": counts,
        }
        text = json.dumps(info, indent=2) + "\n"
        written(self.path / RUN_JSON, lambda file: file.write_text(text, encoding="utf-8"), durable=True)

    def _release(self) -> None:
        (self.path / _LOCK).unlink(missing_ok=True)
        self._lock.release()
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()


def _refuse_another(path: Path, before: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """That the run which is there asks the same."""
    told = {"model": "reference", "data": "path"}
    for entry in _SAME:
        then, now = before.get(entry), asked.get(entry)
        if entry in ("options", "versions"):
            then, now = then or {}, now or {}
            differ = [key for key in sorted({*then, *now} - _HOW) if then.get(key) != now.get(key)]
            what = [f"--{key.replace('_', '-')} {_shown(then, key)}" for key in differ]
            if entry == "versions":
                what = [f"{key} {_shown(then, key)}" for key in differ]
        else:
            what = [] if _unnamed(then) == _unnamed(now) else [f"{entry} {_shown(then or {}, told.get(entry, entry))}"]
            if what and _shown(then or {}, told.get(entry, "")) == _shown(now or {}, told.get(entry, "")):
                what = [f"another content of {what[0]}"]
        if what:
            raise DataError(
                f"{path} is not empty: it holds a run with {', '.join(what)}; ask that again to go on with it, give "
                "another folder, or --overwrite it"
            )


def _unnamed(entry: Any) -> Any:
    """Without where things lie: what counts is what they are."""
    if not isinstance(entry, Mapping):
        return entry
    return {key: value for key, value in entry.items() if key not in ("weights", "files", "path")}


def _shown(entries: Any, key: str) -> str:
    return str(entries.get(key, "(not given)")) if isinstance(entries, Mapping) else str(entries)


def _gather_errors(path: Path) -> None:
    """One file of what was parts; nothing to do where it was done before."""
    if not (path / "errors").is_dir():
        return
    parts = pa.dataset.dataset(path / "errors", schema=FAILURE_SCHEMA, format="parquet")

    def write(file: Path) -> None:
        with pa.parquet.ParquetWriter(file, FAILURE_SCHEMA, compression="zstd") as writer:
            for batch in parts.to_batches():
                writer.write_batch(batch)

    written(path / ERRORS, write)


def _gather_text(folder: Path, whole: Path) -> None:
    def write(file: Path) -> None:
        with file.open("wb") as target:
            for part in sorted(folder.iterdir()):
                with part.open("rb") as source:
                    shutil.copyfileobj(source, target)

    written(whole, write)


def _remove(path: Path) -> None:
    """Delete a run's own files; whatever else is in its folder stays."""
    for name in (*_TREES, *_FILES):
        if (path / name).is_dir():
            shutil.rmtree(path / name, ignore_errors=True)
        else:
            (path / name).unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
