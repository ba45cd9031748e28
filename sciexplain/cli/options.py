"""Values of command-line options that are more than one number or word."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sciexplain.errors import DataError

# What every command has that makes a run.
Out = Annotated[
    Path, typer.Option(metavar="RUN", help="Folder to make for the results; one that was broken off is gone on with.")
]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Explained at a time. Default: as memory allows.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Stop after so many, failed ones included.")]
Pictures = Annotated[int, typer.Option(min=0, help="How many to draw, from the first.")]
Shard = Annotated[
    int | None, typer.Option(min=1, help="Rows of a shard, which is what a broken run does again. Default: a minute's.")
]
Device = Annotated[str, typer.Option(help="Such as cpu or cuda; for Ray that of each worker.")]
Engine = Annotated[Literal["local", "ray"], typer.Option(help="This machine, or workers on Ray.")]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Processes that share the work. Default: this one; with Ray: one per GPU or core."),
]
Address = Annotated[
    str | None, typer.Option(metavar="HOST:PORT|auto", help="For Ray: a cluster's. Default: this machine alone.")
]
UnsafePickle = Annotated[
    bool,
    typer.Option("--unsafe-pickle", help="Read models that carry code. They can do anything to this machine."),
]
TrustRun = Annotated[
    bool,
    typer.Option(
        "--trust-run", help="Import what the run itself names. Another's run can do anything to this machine."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in RUN.")]
ProgressKind = Annotated[
    Literal["bar", "json", "none"], typer.Option(help="A bar on stderr, or lines of JSON on stdout.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="The same as --progress none.")]


def numbers(text: str) -> tuple[float, ...]:
    """``"0.5"`` or ``"0.485,0.456,0.406"``."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = (math.nan,)
    if not all(map(math.isfinite, found)):
        raise typer.BadParameter(f"{text!r} should be numbers, such as 0.5 or 0.485,0.456,0.406")
    return found


def size(text: str) -> int | tuple[int, int]:
    """``"224"`` (the side) or ``"240,320"`` (rows, columns)."""
    parts = text.split(",")
    if len(parts) > 2 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise typer.BadParameter(f"{text!r} should be pixels, such as 224, or rows and columns, such as 240,320")
    rows, *columns = (int(part) for part in parts)
    return (rows, columns[0]) if columns else rows


def target(text: str) -> int | None:
    """``"predicted"`` (None) or a class index."""
    if text == "predicted":
        return None
    if not text.isdecimal():
        raise typer.BadParameter(f"{text!r} should be a class index from 0 up, or the word predicted")
    return int(text)


def device(text: str) -> str:
    """A device that this machine has, such as ``"cpu"`` or ``"cuda:1"``."""
    import torch

    try:
        torch.empty(0, device=text)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise typer.BadParameter(f"{text!r} cannot be used here: {reason}") from None
    return text


def refuse(context: typer.Context, names: Iterable[str], why: str) -> None:
    """That none of these options was given.

    Raises
    ------
    DataError
        One was.
    """
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise DataError(f"--{name.replace('_', '-')} {why}")


def plain(value: Any) -> Any:
    """An option's value as JSON has it."""
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value
