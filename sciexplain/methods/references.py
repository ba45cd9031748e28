"""References as they may be given, one for each input of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..inputs import Inputs

Reference = float | Tensor | tuple[Any, ...] | Mapping[str, Any] | None


def by_input(inputs: Inputs, given: Any) -> Iterator[tuple[str, Tensor, Any]]:
    """Name, value and reference of each input."""
    tensors = dict(inputs.tensors())
    if isinstance(given, Mapping):
        unfit = sorted(set(map(str, given)) - set(tensors))
        named = dict(given)
    elif isinstance(given, tuple | list):
        unfit = [str(i) for i, r in enumerate(given) if str(i) not in tensors and r is not None]
        named = {str(i): r for i, r in enumerate(given)}
    else:
        several = isinstance(given, Tensor) and len([t for t in tensors.values() if t.is_floating_point()]) > 1
        unfit = ["one tensor"] if several else []
        floats = [k for k, t in tensors.items() if t.is_floating_point()] or list(tensors)
        named = dict.fromkeys(floats, given)
    if unfit:
        raise InputError(
            f"The references are for {', '.join(unfit)}; the inputs are {', '.join(tensors)}. Give references in the "
            "structure of the inputs."
        )
    for name, value in tensors.items():
        yield name, value.detach(), named.get(name)


def one_reference(given: Any, like: Tensor, name: str) -> Tensor:
    return _fitted(0 if given is None else given, like, like.shape, name)


def many_references(given: Any, like: Tensor, name: str) -> Tensor:
    if not isinstance(given, Tensor) or given.ndim != like.ndim + 1 or given.shape[1] < 1:
        shape = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise InputError(
            f"references of {name!r}: got {shape}; expected a tensor (N, K, *input shape) with K references for each "
            f"of the N samples, here ({like.shape[0]}, K, {', '.join(map(str, like.shape[1:]))})."
        )
    return _fitted(given, like, torch.Size((like.shape[0], *given.shape[1:2], *like.shape[1:])), name)


def _fitted(given: Any, like: Tensor, shape: torch.Size, name: str) -> Tensor:
    values = torch.as_tensor(given, device=like.device).detach()
    if values.is_floating_point() and not bool(torch.isfinite(values).all()):
        raise InputError(f"The reference of {name!r} has values that are NaN or infinite.")
    if values.is_floating_point() and not like.is_floating_point() and bool((values != values.round()).any()):
        raise InputError(f"The reference of {name!r} has fractions, but the input is {like.dtype}.")
    try:
        return values.to(like.dtype).expand(shape)
    except RuntimeError:
        raise InputError(
            f"The reference of {name!r} has shape {tuple(values.shape)}; expected {tuple(shape)}, or what broadcasts "
            "to it."
        ) from None
