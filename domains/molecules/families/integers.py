"""Which integers of a graph are categories, and which are numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations

import torch
from torch import Tensor

import sciexplain as sx
from sciexplain.errors import InputError, ModelError

Call = Callable[[Mapping[str, Tensor]], Tensor]


def as_numbers(call: Call, integers: Mapping[str, Tensor], dtype: torch.dtype) -> frozenset[str] | None:
    """Names of the integers that a model takes as numbers of type ``dtype``; None where it takes them in no way.

    Those are numbers that it cannot take as integers, and those whose columns all keep their influence as numbers,
    such as counts that it adds up or casts itself. The others are categories, which meet an embedding.
    """
    for count in range(len(integers) + 1):
        for numbers in map(frozenset, combinations(sorted(integers), count)):
            given = {name: value.to(dtype) if name in numbers else value for name, value in integers.items()}
            if _tried(call, given) is not None:
                rest = sorted(integers.keys() - numbers)
                return numbers | frozenset(name for name in rest if _is_number(call, given, name, dtype))
    return None


def _is_number(call: Call, given: Mapping[str, Tensor], name: str, dtype: torch.dtype) -> bool:
    number = given[name].to(dtype).requires_grad_()
    if _tried(call, {**given, name: number.detach()}) is None:
        return False
    category = _columns(_relevance(call, given, name))
    with torch.enable_grad():
        total = call({**given, name: number}).sum()
        slope = torch.autograd.grad(total, number, allow_unused=True)[0] if total.requires_grad else None
    return not bool((category & ~_columns(slope)).any())


def _tried(call: Call, given: Mapping[str, Tensor]) -> Tensor | None:
    try:
        with torch.no_grad():
            return call(given)
    except (InputError, RuntimeError):
        return None


def _relevance(call: Call, given: Mapping[str, Tensor], name: str) -> Tensor | None:
    """Of integers as they are, all else given; None where none finds its way there."""
    with torch.no_grad():
        start = torch.ones_like(call(given))
    try:
        found = sx.explain(lambda values: call({**given, name: values}), given[name], start, on_unknown="gradient")
    except (InputError, ModelError):
        return None
    return found.relevance if isinstance(found.relevance, Tensor) else None


def _columns(values: Tensor | None) -> Tensor:
    """In which columns anything is other than 0."""
    return torch.zeros((), dtype=torch.bool) if values is None else (values.cpu() != 0).any(0)
