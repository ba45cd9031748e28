"""Where the commands print: results on stdout; progress, warnings and errors on stderr."""

from collections.abc import Iterable

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sciexplain.runs import RunWriter


def results() -> Console:
    """The console for results."""
    return Console()


def progress(*, quiet: bool = False) -> Progress:
    """Progress bars on stderr: what is being done, how much of it, and for how long."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )


def say(lines: Iterable[str]) -> None:
    """Results, each on a line of its own, as they are."""
    for line in lines:
        results().print(line, highlight=False, markup=False, soft_wrap=True)


def report_error(error: Exception) -> None:
    """One line on stderr, however the message was broken."""
    line = " ".join(str(error).split())
    # Not wrapped: scripts read this line.
    Console(stderr=True).print(f"[bold red]Error:[/] {escape(line)}", soft_wrap=True, highlight=False)


def report_run(run: RunWriter, what: str) -> None:
    """Say what a run holds; exit code 1 where rows failed."""
    results().print(f"{run.written} {what} explained in {run.path}", highlight=False, markup=False, soft_wrap=True)
    if run.failed:
        results().print(
            f"{run.failed} failed and are listed in {run.path / 'errors.parquet'}; the first: {run.failures[0].reason}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(1)
