"""How a run tells the user how it goes: bars on a terminal, lines of JSON for batch systems, or nothing."""

import json
import sys
import time
from threading import Lock
from typing import Any, Literal

import psutil
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sciexplain.runs import Done

Kind = Literal["bar", "json", "none"]

_SECONDS_BETWEEN_LINES = 5.0


class Silent:
    """Tells nothing; a context manager, as all watches are."""

    def __enter__(self) -> "Silent":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, total: int | None, done: int, failed: int) -> None:
        """See :class:`sciexplain.runs.Watch`."""

    def advance(self, done: Done) -> None:
        """See :class:`sciexplain.runs.Watch`."""

    def say(self, text: str) -> None:
        """See :class:`sciexplain.runs.Watch`."""


class Bar(Silent):
    """A bar on stderr: samples done, how many a second, the time left, how many failed, and the memory in use."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failed]} failed"),
            _Memory(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("loading", total=None, failed=0)
        self._failed = 0
        self._lock = Lock()

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, total: int | None, done: int, failed: int) -> None:
        """See :class:`sciexplain.runs.Watch`."""
        self._failed = failed
        self._progress.update(self._task, total=total, failed=failed)
        self._progress.reset(self._task, total=total, completed=done, failed=failed)

    def advance(self, done: Done) -> None:
        """See :class:`sciexplain.runs.Watch`."""
        with self._lock:
            self._failed += len(done.failures)
            self._progress.update(self._task, advance=done.samples, failed=self._failed)

    def say(self, text: str) -> None:
        """See :class:`sciexplain.runs.Watch`."""
        self._progress.update(self._task, description=text)


class Lines(Silent):
    """Lines of JSON on stdout, each an ``event``: ``begin``, ``progress`` every few seconds, ``failed``, ``step``."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._total: int | None = None
        self._done = self._failed = self._before = 0
        self._begun = self._told = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._progress()

    def begin(self, total: int | None, done: int, failed: int) -> None:
        """See :class:`sciexplain.runs.Watch`."""
        self._total, self._done, self._failed, self._before = total, done, failed, done
        self._begun = self._told = time.monotonic()
        tell("begin", total=total, done=done, failed=failed)

    def advance(self, done: Done) -> None:
        """See :class:`sciexplain.runs.Watch`."""
        with self._lock:
            self._done += done.samples
            self._failed += len(done.failures)
            for failure in done.failures:
                tell("failed", id=failure.id, stage=failure.stage, reason=failure.reason)
            if time.monotonic() - self._told > _SECONDS_BETWEEN_LINES:
                self._progress()

    def say(self, text: str) -> None:
        """See :class:`sciexplain.runs.Watch`."""
        tell("step", what=text)

    def _progress(self) -> None:
        self._told = time.monotonic()
        seconds = self._told - self._begun
        rate = (self._done - self._before) / seconds if seconds > 0 else 0.0
        left = None if self._total is None or not rate else round((self._total - self._done) / rate, 1)
        tell(
            "progress",
            done=self._done,
            total=self._total,
            failed=self._failed,
            rows_per_second=round(rate, 2),
            seconds_left=left,
            memory_bytes=psutil.Process().memory_info().rss,
        )


def tell(event: str, **values: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def watch(kind: Kind) -> Silent:
    """The watch of that kind."""
    return {"bar": Bar, "json": Lines, "none": Silent}[kind]()


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(
            "" if task.speed is None else f"{task.speed:,.3g}/s" if task.speed < 100 else f"{task.speed:,.0f}/s"
        )


class _Memory(ProgressColumn):
    max_refresh = 1.0

    def render(self, task: Task) -> Text:
        return Text(f"{psutil.Process().memory_info().rss / 2**30:.1f} GiB")
