"""How much of a data set fits at a time: the memory that a batch takes, and what there is."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from sciexplain.runs.work import Sample, Work

_SHARE = 0.4  # of the free memory; the reader and the writer want some too
_SHARD_SECONDS = 60.0
_SHARD_NUMBERS = 1 << 26  # relevances in a shard: 256 MiB
_LEAST_SHARD = 16
_PROBE = 8


class Plan(NamedTuple):
    """How a run is cut.

    Attributes
    ----------
    samples, numbers
        Of a batch at most: samples, and the sum of their sizes; None: no bound.
    shard
        Samples of a shard.
    """

    samples: int
    numbers: int | None
    shard: int


def planned(
    work: Work,
    device: str | torch.device = "cpu",
    *,
    batch_size: int | None = None,
    shard: int | None = None,
    end: int | None = None,
) -> Plan:
    """Find out by explaining a few samples, of which nothing is kept.

    Parameters
    ----------
    work
        Its first samples are read.
    device
        Where its model is.
    batch_size, shard
        As the user asks; None: as memory allows, and so that a shard takes a minute at most.
    end
        Samples that there are at most.

    Raises
    ------
    Exception
        One of ``work.wrong_question``.
    """
    if batch_size is not None and shard is not None:
        return Plan(batch_size, None, shard)
    samples = _first(work, _PROBE if end is None else min(end, _PROBE))
    cost = _cost(work, samples, torch.device(device)) if samples else None
    most = work.most if batch_size is None else batch_size
    if cost is None:
        return Plan(most, None, shard or work.shard)
    largest = max(sample.size for sample in samples)
    numbers = None
    if batch_size is None and cost.bytes_per_number > 0:
        numbers = max(largest, int(_SHARE * available(torch.device(device)) / cost.bytes_per_number))
    if shard is None:
        in_time = _SHARD_SECONDS / max(cost.seconds_per_sample, 1e-9)
        shard = int(min(work.shard, max(_LEAST_SHARD, min(in_time, _SHARD_NUMBERS / max(largest, 1)))))
    return Plan(most, numbers, shard)


class _Cost(NamedTuple):
    bytes_per_number: float
    seconds_per_sample: float


def _first(work: Work, count: int) -> list[Sample]:
    """Up to so many samples of the first one's bucket, among the first few hundred attempts."""
    found: list[Sample] = []
    for number, attempt in enumerate(work.read()):
        if isinstance(attempt, Sample) and (not found or attempt.bucket == found[0].bucket):
            found.append(attempt)
        if len(found) == count or number == 256:
            break
    return found


def _cost(work: Work, samples: Sequence[Sample], device: torch.device) -> _Cost | None:
    """From one sample to several; None where they cannot be explained, which is told later, sample by sample."""
    try:
        work.explain(samples[:1])  # what is made once, such as kernels, is not the samples'
        with _peak(device) as one:
            work.explain(samples[:1])
        begun = time.perf_counter()
        with _peak(device) as all_of_them:
            work.explain(samples)
        seconds = (time.perf_counter() - begun) / len(samples)
    except Exception as error:  # the user's model may raise anything
        if isinstance(error, work.wrong_question):
            raise
        return None
    size = sum(sample.size for sample in samples)
    more = size - samples[0].size
    grown = (all_of_them[0] - one[0]) / more if more else all_of_them[0] / max(size, 1)
    return _Cost(max(grown, 0.0), seconds)


@contextmanager
def _peak(device: torch.device) -> Iterator[list[int]]:
    """A list whose only entry becomes the most bytes that were taken inside."""
    taken = [0]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield taken
        taken[0] = torch.cuda.max_memory_allocated(device) - before
    else:
        before = psutil.Process().memory_info().rss
        reset = _reset_high_water()
        yield taken
        taken[0] = (_high_water() if reset else psutil.Process().memory_info().rss) - before


def _reset_high_water() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _high_water() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def available(device: torch.device) -> int:
    """Bytes that are free on a device; of the main memory as far as the container may use it."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    try:
        allowed = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no such group, or "max"
        return free
    return min(free, max(0, allowed - used))
