"""What every ``explain`` command does with its question: the run, from its folder to what is told at the end."""

import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from sciexplain.cli import options
from sciexplain.cli.console import say
from sciexplain.cli.watch import Kind, tell, watch
from sciexplain.cli.work import data_files, opened_work
from sciexplain.errors import DataError
from sciexplain.runs import (
    Engine,
    Local,
    Processes,
    RunFolder,
    Work,
    describe_files,
    describe_model,
    describe_versions,
    explain_all,
)

_STOPPED = 130


def run(context: typer.Context, kind: str) -> None:
    """Explain a data set as the options of a command say, and end with that command's exit code.

    Parameters
    ----------
    context
        Of the command; its parameters are the options.
    kind
        ``"images"``, ``"molecules"`` or ``"genomics"``.
    """
    asked = context.params
    how: Kind = "none" if asked["quiet"] else asked["progress"]
    device = options.device(asked["device"]) if asked["engine"] == "local" else "cpu"
    plain = {name: options.plain(value) for name, value in asked.items()}
    with _terminable(), watch(how) as shown:
        try:
            shown.say("loading")
            RunFolder.check(asked["out"])
            info: dict[str, Any] = {"command": f"explain {kind}", "options": plain}
            make = partial(opened_work, info, unsafe_pickle=asked["unsafe_pickle"])
            work, model = make(asked["model"], asked["weights"], asked["data"], device=device)
            info |= {
                "model": describe_model(model, asked["model"], asked["weights"]),
                "data": describe_files(asked["data"], data_files(info, asked["data"])),
                "versions": describe_versions(),
            }
            with (
                RunFolder(asked["out"], info, overwrite=asked["overwrite"]) as folder,
                _engine(work, make, asked) as engine,
            ):
                lines = explain_all(
                    work,
                    engine,
                    folder,
                    shown,
                    **{name: asked[name] for name in ("limit", "pictures", "batch_size", "shard")},
                )
            shown.say("explained")
        except KeyboardInterrupt:
            _told_to_stop(asked["out"], how)
            raise typer.Exit(_STOPPED) from None
    _report(asked["out"], work.noun, lines, how)


@contextmanager
def _engine(work: Work, make: Callable[..., Any], asked: Mapping[str, Any]) -> Iterator[Engine]:
    again = partial(make, asked["model"], asked["weights"], asked["data"])
    if asked["engine"] == "local":
        if asked["address"] is not None:
            raise DataError("--address is for --engine ray, and this is --engine local; leave one of them out")
        several = (asked["workers"] or 1) > 1
        yield Processes(work, again, asked["workers"], asked["device"]) if several else Local(work, asked["device"])
        return
    from sciexplain.runs.ray import Cluster

    with Cluster(again, workers=asked["workers"], address=asked["address"], device=asked["device"]) as cluster:
        yield cluster


@contextmanager
def _terminable() -> Iterator[None]:
    """What batch systems send before they kill ends a run as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _told_to_stop(out: Path, how: Kind) -> None:
    again = shlex.join(["sciexplain", *sys.argv[1:]])
    if how == "json":
        tell("interrupted", run=str(out), again=again)
    else:
        say([f"stopped; what was done is in {out}. To go on: {again}"])


def _report(out: Path, noun: str, lines: list[str], how: Kind) -> None:
    """Say what a run holds; exit code 1 where samples failed."""
    from sciexplain.runs import open_run

    found = open_run(out)
    rows, failed = (found.info["counts"][name] for name in ("rows", "failed"))
    if how == "json":
        tell("finished", run=str(out), rows=rows, failed=failed, lines=lines)
    else:
        say([*lines, f"{rows} {noun} explained in {out}"])
    if failed:
        if how != "json":
            first = found.errors.slice(0, 1).to_pylist()[0]["reason"]
            say([f"{failed} failed and are listed in {out / 'errors.parquet'}; the first: {first}"])
        raise typer.Exit(1)
