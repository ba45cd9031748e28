"""A run from its question to its finished folder, gone on with where an earlier process stopped."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from sciexplain.runs.folder import RunFolder
from sciexplain.runs.format import Run
from sciexplain.runs.local import Done, Order, explain_shards
from sciexplain.runs.memory import Plan, planned
from sciexplain.runs.work import Work


class Watch(Protocol):
    """Is told how a run goes on."""

    def begin(self, total: int | None, done: int, failed: int) -> object:
        """How many samples there are, if that is known, and how many of them an earlier process has done."""

    def advance(self, done: Done) -> object:
        """What is done now; from any thread."""

    def say(self, text: str) -> object:
        """What is being done."""


class Engine(Protocol):
    """Where shards are explained: in this process, or by many."""

    def plan(self, **asked: Any) -> Plan:
        """As :func:`~sciexplain.runs.memory.planned`, where the work is done."""

    def explain(self, shards: Iterable[int], order: Order, advance: Callable[[Done], object]) -> None:
        """As :func:`~sciexplain.runs.local.explain_shards`, the shards in any order."""


class Local:
    """This process.

    Parameters
    ----------
    work
        What to explain.
    device
        Where its model is.
    """

    def __init__(self, work: Work, device: str = "cpu") -> None:
        self._work, self._device = work, device

    def plan(self, **asked: Any) -> Plan:
        """See :class:`Engine`."""
        return planned(self._work, self._device, **asked)

    def explain(self, shards: Iterable[int], order: Order, advance: Callable[[Done], object]) -> None:
        """See :class:`Engine`."""
        explain_shards(self._work, shards, order, advance)


def explain_all(
    work: Work,
    engine: Engine,
    folder: RunFolder,
    watch: Watch,
    *,
    limit: int | None = None,
    pictures: int = 50,
    batch_size: int | None = None,
    shard: int | None = None,
) -> list[str]:
    """Do what is not done yet of a run.

    Parameters
    ----------
    work
        What to explain.
    engine
        Where.
    folder
        Of the run, entered.
    watch
        Is told how it goes.
    limit
        Stop after so many samples, failed ones included.
    pictures
        Draw so many samples, from the first.
    batch_size, shard
        Samples in each; None: as memory allows.

    Returns
    -------
    What came out, to tell the user.

    Raises
    ------
    SciExplainError
        The question cannot be answered for any sample, the data not be read, or the folder not be written.
    """
    if folder.finished:
        return []
    watch.say("looking")
    if folder["plan"] is None:
        there = work.count()
        end = there if limit is None else limit if there is None else min(there, limit)
        plan = engine.plan(batch_size=batch_size, shard=shard, end=end)
        folder.record({"plan": {**plan._asdict(), "end": end}})
    recorded = dict(folder["plan"])
    end = recorded.pop("end")
    plan = Plan(**recorded)
    done = folder.run.shards
    summaries = list(folder.run.summaries())
    watch.begin(end, _total(summaries, "rows") + _total(summaries, "failed"), _total(summaries, "failed"))
    watch.say("explaining")
    engine.explain(_open_shards(done, plan.shard, end), Order(folder.path, plan, end, pictures), watch.advance)
    run = folder.run
    finding = work.finish(run, watch.say)
    folder.record({"operations_without_a_rule": _unknown(run), **finding.entries})
    return list(finding.lines)


def _open_shards(done: Mapping[int, Path], size: int, end: int | None) -> Iterator[int]:
    """Those that are not done; without end where it is not known. The first one may be empty."""
    numbers = count() if end is None else range(max(1, -(-end // size)))
    return (number for number in numbers if number not in done)


def _total(summaries: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(summary[name] for summary in summaries)


def _unknown(run: Run) -> list[dict[str, Any]]:
    found: Counter[tuple[str, str]] = Counter()
    for summary in run.summaries():
        for operation, module, times in summary["unknown"]:
            found[operation, module] += times
    return [{"operation": name, "module": module, "count": n} for (name, module), n in found.items()]
