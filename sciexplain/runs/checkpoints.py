"""Files of ``torch.save``, without running what they may carry and without unpacking more than they are."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from sciexplain.errors import ModelError


def read_checkpoint(path: Path) -> Any:
    """What ``torch.save`` wrote, of tensors, containers and what ``torch.serialization.safe_globals`` allows.

    Raises
    ------
    ModelError
        It cannot be read safely by this torch, or claims to hold more bytes than it has.
    Exception
        Whatever torch answers a damaged file with; ``pickle.UnpicklingError`` to one that carries code.

    Notes
    -----
    torch before 2.6 can be made to run code by a file in its oldest format even so (CVE-2025-32434); it is not asked.
    """
    if not check_size(path) and not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        raise ModelError(
            f"{path} is no zip archive, as torch.save has written since torch 1.6, and torch {torch.__version__} does "
            "not read others safely: install torch 2.6 or newer, or give the weights as .safetensors"
        )
    return torch.load(path, map_location="cpu", weights_only=True)


def check_size(path: Path) -> bool:
    """Whether a file is a zip archive; one that holds what it says it holds, unpacked as ``torch.save`` writes it.

    Raises
    ------
    ModelError
        It is an archive, but would grow when it is read.
    """
    with path.open("rb") as file:
        begins = file.read(4) == b"PK\x03\x04"  # by this torch tells them
    if not begins and not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path} cannot be read as PyTorch weights: {error}") from error
    size, claimed = path.stat().st_size, sum(entry.file_size for entry in entries)
    if claimed > size:
        raise ModelError(
            f"{path} has {size} bytes and would unpack to {claimed}, which torch.save never writes, and was not read; "
            "unpack and save it again if you trust it"
        )
    return True
