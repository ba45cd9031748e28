"""A run in this process: one thread reads ahead and one writes behind, while this one explains."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sciexplain.runs.batches import Batches, Numbered, Outcome, outcomes
from sciexplain.runs.format import Failure
from sciexplain.runs.interpreter import tuned
from sciexplain.runs.memory import Plan
from sciexplain.runs.shard import Shard
from sciexplain.runs.threads import Behind, ahead
from sciexplain.runs.work import Answer, Attempt, Sample, Work

_NUMBERS_AHEAD = 1 << 24


class Done(NamedTuple):
    """Samples that are done now, and those of them that failed."""

    samples: int
    failures: Sequence[Failure] = ()


@dataclass(frozen=True)
class Order:
    """What of a run is to be done, and how.

    Attributes
    ----------
    folder
        Of the run.
    plan
        How it is cut.
    end
        Samples that there are, as far as they are wanted; None: until no more come.
    pictures
        Samples below this number are drawn.
    """

    folder: Path
    plan: Plan
    end: int | None
    pictures: int


def explain_shards(work: Work, shards: Iterable[int], order: Order, advance: Callable[[Done], object]) -> None:
    """Explain the samples of some shards and write these.

    Parameters
    ----------
    work
        What to explain.
    shards
        Their numbers, rising; those behind the last sample are left out.
    order
        How.
    advance
        Told what is done, from another thread.

    Raises
    ------
    Exception
        One of ``work.wrong_question`` as long as nothing could be explained; a DataError when the data cannot be read
        or a shard not be written.
    """
    batches = Batches(order.plan.samples, order.plan.numbers)
    strict = True

    def explained(ready: Iterator[list[Numbered]]) -> Iterator[Outcome]:
        nonlocal strict
        for batch in ready:
            for outcome in outcomes(work, batch, batches, strict=strict):
                strict = strict and not any(isinstance(answer, Answer) for answer in outcome.answers)
                yield outcome

    attempts = _attempts(work, shards, order.plan.shard, order.end)
    writer = _Writer(work, order, advance)
    with tuned(), Behind(writer) as behind, ahead(attempts, _size, _NUMBERS_AHEAD) as coming:
        for entry in coming:
            if isinstance(entry, _Entry) and isinstance(entry.attempt, Sample):
                for outcome in explained(batches.add(Numbered(entry.number, entry.attempt))):
                    behind.put(outcome)
                continue
            if isinstance(entry, _End):
                for outcome in explained(batches.rest()):
                    behind.put(outcome)
            behind.put(entry)


class _Entry(NamedTuple):
    number: int
    attempt: Attempt


class _End(NamedTuple):
    """All attempts of a shard have come."""

    shard: int


def _size(entry: _Entry | _End) -> int:
    return entry.attempt.size if isinstance(entry, _Entry) and isinstance(entry.attempt, Sample) else 0


def _attempts(work: Work, shards: Iterable[int], size: int, end: int | None) -> Iterator[_Entry | _End]:
    """The attempts of the shards, each shard followed by its end."""
    stream: Iterator[Attempt] = iter(())
    at = -1
    for shard in shards:
        start = shard * size
        if start != at:
            stream, at = work.read(start), start
        for attempt in islice(stream, size if end is None else min(size, end - start)):
            yield _Entry(at, attempt)
            at += 1
        if at > start or not shard:  # the first one is there always, for its schemas
            yield _End(shard)
        if at < start + size:
            return


class _Writer:
    """Gathers what comes out of a shard, one after the other, and makes its files."""

    def __init__(self, work: Work, order: Order, advance: Callable[[Done], object]) -> None:
        self._work, self._order, self._advance = work, order, advance
        self._shard: Shard | None = None

    def __call__(self, entry: _Entry | _End | Outcome) -> None:
        if isinstance(entry, _End):
            self._at(entry.shard * self._order.plan.shard).write()
            self._shard = None
        elif isinstance(entry, Outcome):
            self._gather(entry)
        else:
            assert isinstance(entry.attempt, Failure)  # samples come as outcomes
            self._at(entry.number).fail(entry.number, entry.attempt)
            self._advance(Done(1, [entry.attempt]))

    def _gather(self, outcome: Outcome) -> None:
        failures = []
        for one, answer in zip(outcome.batch, outcome.answers, strict=True):
            shard = self._at(one.number)
            if isinstance(answer, Answer):
                shard.add(one.number, one.sample, answer, outcome.seconds)
            else:
                failures.append(_failure(one.sample, answer))
                shard.fail(one.number, failures[-1])
        self._at(outcome.batch[0].number).count_unknown(outcome.unknown)
        self._advance(Done(len(outcome.batch), failures))

    def _at(self, number: int) -> Shard:
        if self._shard is None:
            order = self._order
            self._shard = Shard(number // order.plan.shard, self._work, order.folder, order.pictures)
        return self._shard


def _failure(sample: Sample, error: Exception) -> Failure:
    text = " ".join(str(error).split())
    return Failure(sample.id, sample.input, f"{type(error).__name__}: {text}", "explain")
