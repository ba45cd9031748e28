"""Where an argument stands: each spelling of an operation has its own order.

``F.batch_norm(input, running_mean, …)`` is ``torch.batch_norm(input, weight, …)`` and ``aten.batch_norm``; what they
share is the names.
"""

from __future__ import annotations

import functools
import types
from typing import Any

import torch

_SAME = {"input": "self", "other": "tensor2"}
"""Names that torch's Python functions and its operators give to one thing."""


@functools.cache
def place(func: Any, name: str, position: int) -> tuple[int, str]:
    """Position and name, in ``func``, of the argument ``name``, which the usual spelling has at ``position``."""
    signatures = _signatures(func)
    for own in (name, _SAME.get(name, name)):
        for parameters in signatures:
            if own in parameters:
                return parameters.index(own), own
    usual = next((parameters[position] for parameters in signatures if len(parameters) > position), name)
    return position, usual


def _signatures(func: Any) -> list[tuple[str, ...]]:
    """The parameter names of all overloads, in order."""
    if isinstance(func, types.FunctionType):
        return [func.__code__.co_varnames[: func.__code__.co_argcount]]
    if isinstance(func, torch._ops.OpOverload):
        return [_parameters(func)]
    packet = func if isinstance(func, torch._ops.OpOverloadPacket) else getattr(torch.ops.aten, func.__name__, None)
    if not isinstance(packet, torch._ops.OpOverloadPacket):
        return []
    return [_parameters(getattr(packet, overload)) for overload in packet.overloads()]


def _parameters(overload: torch._ops.OpOverload) -> tuple[str, ...]:
    return tuple(argument.name for argument in overload._schema.arguments)
