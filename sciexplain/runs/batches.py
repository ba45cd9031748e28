"""Batches that fit: samples of one kind together, no more than memory takes, halved when one fails."""

import gc
import time
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch

from sciexplain.runs.work import Answer, Explained, Sample, Work


class Numbered(NamedTuple):
    """A sample and its number among all."""

    number: int
    sample: Sample


class Batches:
    """Gathers samples into batches, each of one bucket.

    Parameters
    ----------
    samples
        In a batch, at most.
    numbers
        Sum of their sizes, at most; a larger sample is a batch of its own. None: no bound.
    """

    def __init__(self, samples: int, numbers: int | None = None) -> None:
        self.samples, self.numbers = samples, numbers
        self._waiting: dict[Hashable, list[Numbered]] = defaultdict(list)
        self._sizes: dict[Hashable, int] = defaultdict(int)

    def add(self, one: Numbered) -> Iterator[list[Numbered]]:
        """The batches that are full now."""
        bucket, size = one.sample.bucket, one.sample.size
        if self._waiting[bucket] and self.numbers is not None and self._sizes[bucket] + size > self.numbers:
            yield self._take(bucket)
        self._waiting[bucket].append(one)
        self._sizes[bucket] += size
        if len(self._waiting[bucket]) >= self.samples:
            yield self._take(bucket)

    def rest(self) -> Iterator[list[Numbered]]:
        """All batches that are not full."""
        for bucket in list(self._waiting):
            yield self._take(bucket)

    def narrow(self, batch: Sequence[Numbered]) -> None:
        """Such a batch was too large for the memory: from now on half of it at most."""
        size = sum(one.sample.size for one in batch) // 2
        self.numbers = max(1, size if self.numbers is None else min(size, self.numbers))
        self.samples = min(self.samples, len(batch) // 2)

    def _take(self, bucket: Hashable) -> list[Numbered]:
        self._sizes.pop(bucket)
        return self._waiting.pop(bucket)


class Outcome(NamedTuple):
    """What came out for the samples of a batch, in their order."""

    batch: Sequence[Numbered]
    answers: Sequence[Answer | Exception]
    seconds: float
    unknown: Mapping[tuple[str, str], int]


def outcomes(work: Work, batch: Sequence[Numbered], batches: Batches, *, strict: bool) -> Iterator[Outcome]:
    """Explain a batch; where that fails its halves, down to the samples that fail alone.

    Parameters
    ----------
    batches
        Told when a batch was too large for the memory.
    strict
        Nothing has been explained yet, so that errors about the question are raised.

    Raises
    ------
    Exception
        One of ``work.wrong_question``.
    """
    begun = time.perf_counter()
    found: Explained | None
    try:
        found = work.explain([one.sample for one in batch])
    except Exception as error:  # the user's model may raise anything
        if strict and isinstance(error, work.wrong_question):
            raise
        lacking = out_of_memory(error)
        found = Explained([error.with_traceback(None)]) if len(batch) == 1 else None  # a traceback keeps its tensors
    else:
        lacking = False
    if lacking:
        release_memory()
    if found is None:
        if lacking:
            batches.narrow(batch)
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            for outcome in outcomes(work, half, batches, strict=strict):
                strict = strict and not any(isinstance(answer, Answer) for answer in outcome.answers)
                yield outcome
        return
    yield Outcome(batch, found.answers, (time.perf_counter() - begun) / len(batch), found.unknown)


def out_of_memory(error: BaseException) -> bool:
    """Whether that is what the error says."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("DefaultCPUAllocator", "can't allocate memory", "out of memory")
    )


def release_memory() -> None:
    """Give back what only garbage holds."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
