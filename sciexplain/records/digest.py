"""Digests that do not depend on where or how something is kept, and arrays as text."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import DataError

_TYPES = ("bool", "uint8", *(f"int{bits}" for bits in (8, 16, 32, 64)), *(f"float{bits}" for bits in (16, 32, 64)))
_MOST_BYTES = 1 << 31


def of_bytes(data: bytes) -> str:
    """sha256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def of_document(document: Mapping[str, Any]) -> str:
    """sha256 of a JSON value with sorted keys and no spaces."""
    return of_bytes(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def of_tensors(tensors: Mapping[str, Any]) -> str:
    """sha256 over names, types, shapes and bytes; what is no tensor counts by its text."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode() + _bytes(value))
        else:
            digest.update(f"{name} {value!r}\n".encode())
    return digest.hexdigest()


def of_model(model: Any) -> str | None:
    """sha256 over a module's parameters and buffers, as a run has it; None for other callables."""
    return of_tensors_in_order(model) if isinstance(model, nn.Module) else None


def of_tensors_in_order(model: nn.Module) -> str:
    """See :func:`of_model`."""
    from ..runs.provenance import state_sha256

    return state_sha256(model)


def packed(value: Tensor) -> dict[str, Any]:
    """An array as JSON: its type, shape, digest and compressed bytes, little-endian."""
    array = value.detach().cpu().float() if value.dtype == torch.bfloat16 else value.detach().cpu()
    data = _bytes(array)
    return {
        "dtype": str(array.dtype).removeprefix("torch."),
        "shape": list(array.shape),
        "sha256": of_bytes(data),
        "zlib_base64": base64.b64encode(zlib.compress(data, 9)).decode(),
    }


def unpacked(entry: Mapping[str, Any]) -> NDArray[Any]:
    """The array of :func:`packed`.

    Raises
    ------
    DataError
        The bytes are not as many as the shape says; more than that are not unpacked.
    """
    shape, kind = entry["shape"], entry["dtype"]
    if kind not in _TYPES or any(side < 0 for side in shape):
        raise DataError(f"found an array of type {kind!r} and shape {shape}; expected one that a record packs")
    dtype = np.dtype(kind).newbyteorder("<")
    size = math.prod(shape) * dtype.itemsize
    if size > _MOST_BYTES:
        raise DataError(f"found an array of {size} bytes; at most {_MOST_BYTES} are unpacked")
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(entry["zlib_base64"]), size + 1)
    except (zlib.error, ValueError) as error:
        raise DataError(f"found an array that cannot be unpacked: {error}") from error
    if len(data) != size:
        raise DataError(f"found an array of other than the {size} bytes that its shape {shape} needs")
    return np.frombuffer(data, dtype).reshape(shape)


def _bytes(value: Tensor) -> bytes:
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
