"""A trained network in a folder: ``model.json`` says what it is, ``model.safetensors`` holds the weights; no code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from sciexplain._files import written
from sciexplain._optional import require
from sciexplain.errors import ModelError, SciExplainError

_FORMAT = 1

Network = TypeVar("Network", bound=nn.Module)


def save(network: nn.Module, info: dict[str, Any], folder: str | Path, *, domain: str, name: str = "model") -> Path:
    """Write a network and what is known of it; what the folder held of one is replaced.

    Parameters
    ----------
    info
        What JSON can hold.
    domain
        Such as ``"images"``; the extra of this package that writes weights has that name.
    name
        Of the two files.

    Returns
    -------
    The folder, which :func:`load` takes.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    safetensors = require("safetensors.torch", extra=domain)
    text = json.dumps({"format": _FORMAT, "domain": domain, **info}, indent=2, ensure_ascii=False) + "\n"

    def write(file: Path) -> None:
        safetensors.save_model(network, str(file))
        file.chmod(0o644)  # safetensors leaves it readable for the owner only

    written(path / f"{name}.safetensors", write)
    written(path / f"{name}.json", lambda file: file.write_bytes(text.encode()))
    return path


def load(
    folder: str | Path, build: Callable[[dict[str, Any]], Network], *, domain: str, writer: str, name: str = "model"
) -> Network:
    """A network that :func:`save` wrote, in evaluation mode, with ``info``, the content of its JSON file.

    Parameters
    ----------
    build
        From that content to the network, whose weights may be anything. A ``ValueError``, ``KeyError``, ``TypeError``
        or ``AttributeError`` says that the content is damaged.
    writer
        The command that writes such folders.

    Raises
    ------
    ModelError
        There is none, or its files are damaged or do not belong together.
    """
    path, files = Path(folder), (f"{name}.json", f"{name}.safetensors")
    for file in files:
        if not (path / file).is_file():
            raise ModelError(f"{path}: found no {file}; expected a folder that `{writer}` wrote")
    try:
        info = json.loads((path / files[0]).read_text(encoding="utf-8"))
        found = info.get("format"), info.get("domain", domain)  # early folders of molecules do not say
        if found != (_FORMAT, domain):
            raise ModelError(
                f"{path / files[0]} has format {found[0]!r} of {found[1]!r}; this reads {_FORMAT} of {domain!r}, which "
                f"`{writer}` writes"
            )
        network = build(info)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, SciExplainError):
            raise
        raise ModelError(f"{path / files[0]} cannot be read: {type(error).__name__}: {error}") from error
    safetensors = require("safetensors.torch", extra=domain)
    try:
        safetensors.load_model(network, str(path / files[1]))
    except Exception as error:  # safetensors has an error class of its own, torch raises RuntimeError
        reason = " ".join(str(error).split())
        raise ModelError(f"{path / files[1]} does not hold this {name}'s weights: {reason}") from error
    network.info = info
    return network.eval().requires_grad_(False)
