"""What workers do, whoever starts them: shards that one process hands out and others explain and write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pyarrow.parquet

from sciexplain.errors import DataError
from sciexplain.runs.format import FAILURE_SCHEMA, PART, ROWS, Failure
from sciexplain.runs.local import Done, Order, explain_shards
from sciexplain.runs.memory import Plan
from sciexplain.runs.work import Work

Make = Callable[..., tuple[Work, Any]]
"""Makes the work and its model on a ``device``; called in every worker."""

_GROUPS_PER_WORKER = 8
_SHARDS_PER_WORKER = 4
_SHARDS_TOGETHER = 64
_LEAST_SHARD = 16
_LOOK_SECONDS = 1.0


class Worker:
    """Explains shards with a model that it loads once.

    Parameters
    ----------
    make
        Makes its work.
    device
        Where its model is.
    place
        What ``MODULE:FUNCTION`` and relative paths are meant from.
    """

    def __init__(self, make: Make, device: str, place: Path) -> None:
        os.chdir(place)
        self._work, _ = make(device=device)

    def explain(self, shards: Sequence[int], order: Order) -> None:
        """Those of the shards that are not there yet; see :func:`~sciexplain.runs.local.explain_shards`."""
        explain_shards(self._work, [n for n in shards if not _rows(order.folder, n).exists()], order, lambda done: None)


def shared_out(plan: Plan, workers: int, end: int | None, *, shard: int | None = None) -> Plan:
    """A plan for one process as one for several on a machine: each its share of memory, and shards enough for all.

    Parameters
    ----------
    plan
        For one.
    workers
        How many share the memory, and the work.
    end
        Samples that there are, if that is known.
    shard
        Samples of a shard, where the user says so.
    """
    numbers = None if plan.numbers is None else max(1, plan.numbers // workers)
    size = plan.shard
    if shard is None and end is not None:
        size = min(size, max(_LEAST_SHARD, -(-end // (_SHARDS_PER_WORKER * workers))))
    return Plan(plan.samples, numbers, size)


def groups(shards: Sequence[int], workers: int) -> list[list[int]]:
    """Shards to be done one after the other, as a source is found faster where it was left."""
    together = max(1, min(_SHARDS_TOGETHER, len(shards) // (_GROUPS_PER_WORKER * workers)))
    return [list(shards[i : i + together]) for i in range(0, len(shards), together)]


def check_end(order: Order) -> None:
    """That shards can be handed out.

    Raises
    ------
    DataError
        How many samples there are is not known.
    """
    if order.end is None:
        raise DataError(
            "how many samples the data has is not known before they are read, so that workers cannot share them; "
            "use --engine local with one worker"
        )


@contextmanager
def followed(folder: Path, shards: Sequence[int], advance: Callable[[Done], object]) -> Iterator[None]:
    """Tell of the shards as they appear in the run's folder."""
    waited, ended = set(shards), Event()

    def look() -> None:
        for number in [n for n in sorted(waited) if _rows(folder, n).exists()]:
            waited.discard(number)
            part = _rows(folder, number).name
            errors = pyarrow.parquet.read_table(folder / "errors" / part, schema=FAILURE_SCHEMA).to_pylist()
            failures = [Failure(*(row[name] for name in ("id", "input", "reason", "stage"))) for row in errors]
            rows = pyarrow.parquet.read_metadata(folder / ROWS / part).num_rows
            advance(Done(rows + len(failures), failures))

    def follow() -> None:
        while not ended.wait(_LOOK_SECONDS):
            look()

    thread = Thread(target=follow, name="sciexplain follower", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        look()


def _rows(folder: Path, shard: int) -> Path:
    """The file that makes a shard one that is done."""
    return folder / ROWS / f"{PART.format(shard)}.parquet"
