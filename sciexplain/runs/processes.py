"""A run by several processes of this machine: shards explained by workers that hold the model."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from sciexplain.errors import DataError
from sciexplain.runs.local import Done, Order
from sciexplain.runs.memory import Plan, planned
from sciexplain.runs.work import Work
from sciexplain.runs.workers import Make, Worker, check_end, followed, groups, shared_out

_MOST_DEATHS = 3


class Processes:
    """Worker processes, each with a model of its own, which write the shards themselves.

    What one thread of the interpreter cannot overlap, several processes do: the reading, the explaining and the writing
    of small models. A worker that dies is started again and what it was doing is done again; all of them end when this
    process does, however that ends.

    Parameters
    ----------
    work
        What to explain, as this process has it.
    make
        Makes it and its model; pickled, and called in every worker with ``device``.
    workers
        How many.
    device
        Where models are; workers share it.
    """

    def __init__(self, work: Work, make: Make, workers: int, device: str = "cpu") -> None:
        self._work, self._make, self._workers, self._device = work, make, workers, device

    def plan(self, *, end: int | None = None, shard: int | None = None, **asked: Any) -> Plan:
        """See :class:`~sciexplain.runs.run.Engine`."""
        plan = planned(self._work, self._device, end=end, shard=shard, **asked)
        return shared_out(plan, self._workers, end, shard=shard)

    def explain(self, shards: Iterable[int], order: Order, advance: Callable[[Done], object]) -> None:
        """As :func:`~sciexplain.runs.local.explain_shards`, in any order.

        Raises
        ------
        DataError
            How many samples there are is not known, or workers die time and again and nothing comes of it.
        """
        check_end(order)
        wanted, deaths, done = list(shards), 0, 0

        def count(news: Done) -> None:
            nonlocal done
            done += news.samples
            advance(news)

        with followed(order.folder, wanted, count):
            while True:
                before = done
                try:
                    return self._hand_out(groups(wanted, self._workers), order)
                except BrokenProcessPool as error:
                    deaths = 1 if done > before else deaths + 1
                    if deaths == _MOST_DEATHS:
                        raise DataError(
                            f"worker processes ended {deaths} times without a word and nothing came of it, as they do "
                            "of too little memory, or in a script without if __name__ == '__main__'; what is done is "
                            "kept: try fewer --workers or a --batch-size"
                        ) from error

    def _hand_out(self, tasks: list[list[int]], order: Order) -> None:
        spawn = get_context("spawn")  # a process that has threads is not safely forked
        listening, alive = spawn.Pipe(duplex=False)
        threads = max(1, torch.get_num_threads() // self._workers)
        pool = ProcessPoolExecutor(
            min(self._workers, max(1, len(tasks))),
            mp_context=spawn,
            initializer=_begin,
            initargs=(listening, threads, self._make, self._device, Path.cwd()),
        )
        try:
            for future in as_completed([pool.submit(_explain, shards, order) for shards in tasks]):
                future.result()
        finally:
            alive.close()  # whoever is still at work need not go on
            pool.shutdown(cancel_futures=True)
            listening.close()


_worker: Worker | Exception


def _begin(alive: Connection, threads: int, make: Make, device: str, place: Path) -> None:
    """Make what a worker process needs; an error is kept for whoever asks it to explain."""
    global _worker
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)  # sent to all processes of a terminal or a batch job: the first one answers
    Thread(target=_end_with, args=[alive], daemon=True).start()
    torch.set_num_threads(threads)
    try:
        _worker = Worker(make, device, place)
    except Exception as error:  # raised where shards are asked of it
        _worker = error


def _end_with(alive: Connection) -> None:
    """End this process when the other end is closed, by whomever."""
    try:
        alive.recv()
    finally:
        os._exit(1)


def _explain(shards: list[int], order: Order) -> None:
    if isinstance(_worker, Exception):
        raise _worker
    _worker.explain(shards, order)
