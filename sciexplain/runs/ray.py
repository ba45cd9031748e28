"""A run by many workers: shards explained on Ray Data, by actors that hold the model."""

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import current_thread, main_thread
from types import TracebackType
from typing import Any, Self

from sciexplain._optional import require
from sciexplain.errors import InputError
from sciexplain.runs.local import Done, Order
from sciexplain.runs.memory import Plan, planned
from sciexplain.runs.workers import Make, Worker, check_end, followed, groups, shared_out

_CONNECT_SECONDS = 5.0


class Cluster:
    """Workers on Ray, each with a model of its own; a context manager.

    They see the data, the model's files and the run's folder under the same paths as this process, which is what a
    shared file system is for, and write the shards themselves: nothing large comes through this process. A worker that
    dies is started again and what it was doing is done again.

    Parameters
    ----------
    make
        Makes the work and its model; called in every worker with ``device``.
    workers
        How many; None: one for each GPU where ``device`` is one, else one for each core.
    address
        Of a cluster, ``"auto"`` for the one that this machine belongs to; None: this machine alone.
    device
        Where models are: ``"cuda"`` gives each worker a GPU of its own.

    Raises
    ------
    MissingDependencyError
        Ray is not installed.
    InputError
        There is no such cluster, or it has no GPU where one is asked for.
    """

    def __init__(
        self, make: Make, *, workers: int | None = None, address: str | None = None, device: str = "cpu"
    ) -> None:
        self._make, self._workers, self._address, self._device = make, workers, address, device
        self._ray: Any = require("ray", extra="distributed")
        self._data: Any = require("ray.data", extra="distributed")

    def __enter__(self) -> Self:
        cores = os.cpu_count() or 1
        _check_address(self._address)
        terminated = signal.getsignal(signal.SIGTERM)
        alone = {"num_cpus": max(self._workers or cores, cores), "include_dashboard": False}
        try:
            self._ray.init(
                address=self._address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                **(alone if self._address is None else {}),
            )
        except ConnectionError as error:
            raise InputError(f"--address {self._address}: no Ray cluster answers there ({error})") from error
        if current_thread() is main_thread():
            signal.signal(signal.SIGTERM, terminated)  # Ray would end the process without a word
        there = self._ray.cluster_resources()
        if self._device.startswith("cuda") and not there.get("GPU"):
            self._ray.shutdown()
            raise InputError(f"--device {self._device}, but the Ray cluster has no GPU; leave it out, or add one")
        if self._workers is None:
            self._workers = int(there["GPU" if self._gpus else "CPU"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()

    @property
    def _gpus(self) -> int:
        return int(self._device.startswith("cuda"))

    def plan(self, *, end: int | None = None, shard: int | None = None, **asked: Any) -> Plan:
        """As :func:`~sciexplain.runs.memory.planned`, in a worker; no more than its share of a machine's memory."""
        make, device, place = self._make, "cuda" if self._gpus else self._device, Path.cwd()

        def found() -> Plan:
            os.chdir(place)
            return planned(make(device=device)[0], device, end=end, shard=shard, **asked)

        plan: Plan = self._ray.get(self._ray.remote(num_cpus=1, num_gpus=self._gpus)(found).remote())
        shared = shared_out(plan, self._workers or 1, end, shard=shard)
        return shared._replace(numbers=plan.numbers) if self._gpus else shared

    def explain(self, shards: Iterable[int], order: Order, advance: Callable[[Done], object]) -> None:
        """As :func:`~sciexplain.runs.local.explain_shards`, in any order.

        Raises
        ------
        DataError
            How many samples there are is not known.
        """
        check_end(order)
        wanted = list(shards)
        if not wanted:
            return
        workers = min(self._workers or 1, len(wanted))
        tasks = [{"shards": some} for some in groups(wanted, workers)]
        folder = order.folder.absolute()
        context = self._data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        done = self._data.from_items(tasks, override_num_blocks=len(tasks)).map_batches(
            _Explainer,
            fn_constructor_args=[
                self._make,
                "cuda" if self._gpus else self._device,
                Path.cwd(),
                Order(folder, order.plan, order.end, order.pictures),
            ],
            batch_size=1,
            compute=self._data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=self._gpus,
        )
        with followed(folder, wanted, advance):
            for answer in done.iter_rows():
                if answer["error"]:
                    raise self._ray.cloudpickle.loads(answer["error"])


def _check_address(address: str | None) -> None:
    """That somebody listens there, for which Ray itself would wait for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"--address {address}: no Ray cluster answers there ({error}); give HOST:PORT as `ray start` prints it"
        ) from error


class _Explainer(Worker):
    """A worker as Ray Data calls it: with groups of shards, by columns."""

    def __init__(self, make: Make, device: str, place: Path, order: Order) -> None:
        super().__init__(make, device, place)
        self._order = order

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        from ray import cloudpickle

        answers = []
        for shards in batch["shards"]:
            try:
                self.explain([int(n) for n in shards], self._order)
                answers.append(b"")
            except Exception as error:  # raised again where the run was started
                answers.append(cloudpickle.dumps(error.with_traceback(None)))
        return {"error": answers}
