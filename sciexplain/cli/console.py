"""Where the commands print: results on stdout; progress, warnings and errors on stderr."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


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
        results().print(printable(line), highlight=False, markup=False, soft_wrap=True)


def printable(line: str) -> str:
    """A line whose signs do nothing to a terminal: names in data may hold more than letters."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in line)


def report_error(error: Exception) -> None:
    """One line on stderr, however the message was broken."""
    line = printable(" ".join(str(error).split()))
    # Not wrapped: scripts read this line.
    Console(stderr=True).print(f"[bold red]Error:[/] {escape(line)}", soft_wrap=True, highlight=False)
