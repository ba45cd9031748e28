"""Values of command-line options that are more than one number or word."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from sciexplain.errors import DataError


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
