"""What a run was made from: digests of model and data, and versions."""

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_sha256(model: nn.Module) -> str:
    """sha256 over a model's parameters and buffers: names, types, shapes and bytes, sorted by name.

    Two models have the same digest when they would save the same weights, however those were loaded.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):  # what `get_extra_state` returns may be anything
            digest.update(f"{name} {tensor!r}\n".encode())
            continue
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def describe_model(model: nn.Module, reference: str, weights: Path | None = None) -> dict[str, Any]:
    """The model's entry in ``run.json``: where it came from and digests of its weights."""
    return {
        "reference": reference,
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "state_sha256": state_sha256(model),
        "weights": None if weights is None else str(weights),
        "weights_sha256": None if weights is None else file_sha256(weights),
    }


_LISTED = 10_000


def describe_files(path: Path, files: Iterable[Path]) -> dict[str, Any]:
    """The data's entry in ``run.json``: each file's size and digest, and one digest over all of them.

    Of more than 10 000 files only their number and the digest over all of them are told: ``files`` is null.

    Parameters
    ----------
    path
        What the user named: a file or a folder.
    files
        The files read, in the order they are read. One that cannot be read has a null digest.
    """
    listing = [_describe_file(file) for file in files]
    # Named as below what the user named, so that a folder that was moved is the same.
    lines = "".join(f"{entry['sha256']}  {_below(path, entry['path'])}\n" for entry in listing)
    return {
        "path": str(path),
        "sha256": hashlib.sha256(lines.encode(errors="backslashreplace")).hexdigest(),
        "count": len(listing),
        "files": listing if len(listing) <= _LISTED else None,
    }


def _below(path: Path, file: str) -> str:
    return Path(file).relative_to(path).as_posix() if Path(file).is_relative_to(path) else Path(file).name


def _describe_file(file: Path) -> dict[str, Any]:
    try:
        if file.is_file():  # a pipe could be read forever
            return {"path": str(file), "bytes": file.stat().st_size, "sha256": file_sha256(file)}
    except OSError:
        pass
    return {"path": str(file), "bytes": None, "sha256": None}


def describe_versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    packages = {name: version(name) for name in ("sciexplain", "torch", "numpy")}
    return {**packages, "python": platform.python_version()}
