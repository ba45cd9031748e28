"""A trained network in a folder: ``model.json`` says what it is, ``model.safetensors`` holds the weights; no code."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn.modules import module as modules

from sciexplain._files import written
from sciexplain._json import read_json
from sciexplain._optional import require
from sciexplain.errors import ModelError, SciExplainError

_FORMAT = 1
_SPARE = 1 << 20
"""Numbers that a network may have beyond those of its file: what is not kept, such as tables of positions."""

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
        From that content to the network, whose weights may be anything. It may raise anything where the content is
        damaged, and is stopped where the network grows beyond what the weights' file holds.
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
    info = read_json(path / files[0], what=f"{name} that `{writer}` wrote", error=ModelError)
    safetensors = require("safetensors.torch", extra=domain)
    try:
        found = info.get("format"), info.get("domain", domain)  # early folders of molecules do not say
        if found != (_FORMAT, domain):
            raise ModelError(
                f"{path / files[0]} has format {found[0]!r} of {found[1]!r}; this reads {_FORMAT} of {domain!r}, which "
                f"`{writer}` writes"
            )
        with _no_larger_than(path / files[1], name):
            network = build(info)
    except SciExplainError as error:
        if len(str(error)) < 2000:
            raise
        raise ModelError(f"{path / files[0]} cannot be read: {str(error)[:200]} …") from error
    except Exception as error:  # a builder answers what is damaged with many kinds
        first = str(error).strip().partition("\n")[0][:200]
        raise ModelError(f"{path / files[0]} cannot be read: {type(error).__name__}: {first}") from error
    try:
        safetensors.load_model(network, str(path / files[1]))
    except Exception as error:  # safetensors has an error class of its own, torch raises RuntimeError
        reason = " ".join(str(error).split())
        raise ModelError(f"{path / files[1]} does not hold this {name}'s weights: {reason}") from error
    network.info = info
    return network.eval().requires_grad_(False)


@contextmanager
def _no_larger_than(weights: Path, name: str) -> Iterator[None]:
    """Refuse a network that has more than its weights, before it takes the memory: a description of a few bytes may ask
    for layers of any width and number."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, "pt") as file:
            shapes = [file.get_slice(key).get_shape() for key in file.keys()]  # noqa: SIM118  # it is no mapping
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{weights} does not hold this {name}'s weights: {error}") from error
    numbers, count = _SPARE + 2 * sum(map(math.prod, shapes)), 64 + 4 * len(shapes)
    mine = threading.get_ident()

    def registered(module: nn.Module, key: str, value: Tensor | None) -> None:
        nonlocal numbers, count
        if value is not None and threading.get_ident() == mine:
            numbers, count = numbers - value.numel(), count - 1
            if numbers < 0 or count < 0:
                raise ModelError(
                    f"{weights} does not hold this {name}'s weights: {name}.json asks for far more numbers"
                )

    with ExitStack() as hooks:
        for register in (
            modules.register_module_parameter_registration_hook,
            modules.register_module_buffer_registration_hook,
        ):
            hook = register(registered)
            hooks.callback(hook.remove)
        yield
