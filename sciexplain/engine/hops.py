"""Which operation used what another one made: the engine's own record of a forward pass, for cutting it into layers.

Every use of an active tensor by an operation becomes a tensor of its own (an alias that shares memory), so that what
flows back through this one use can be asked for. The records are tied to autograd's nodes; the graph itself says later
which of them carry relevance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from . import tags
from .call import Call, tensors_in

_KEY = "sciexplain-hops"

_GATHERS = ("index_select", "__getitem__", "index")
_SCATTERS = ("scatter_add", "scatter_reduce", "index_add", "index_reduce", "segment_reduce", "index_put")
_PRODUCTS = ("sparse_mm", "spmm", "_sparse_mm", "matmul", "mm", "addmm")

Move = Literal["gather", "scatter", "product"]


@dataclass(slots=True)
class Use:
    """One use of a tensor by one operation."""

    tensor: Tensor
    carries_relevance: bool
    """What flows back is relevance, not relevance over activation."""


@dataclass(slots=True)
class Made:
    """What one operation made."""

    number: int
    name: str
    module: str
    tensors: list[Tensor]
    carries_relevance: bool
    moves: Move | None = None
    """Whether rows (of dimension 0) are looked up, summed into others, or multiplied with a sparse matrix."""
    rows: Tensor | None = None
    """(rows of the result,) where each comes from, or (rows of the argument,) where each goes."""


class Hops:
    """Records uses and results; see the module's text."""

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self.made: list[Made] = []

    def observed(self, call: Call, apply: Callable[[Call], Any]) -> Any:
        """Run the operation with a use of its own for every active argument."""
        moves, rows = _movement(call)
        call.source = call.active[0]
        call.replace(lambda t: self._use(call, t))
        result = apply(call)
        tensors = list({id(t): t for t in tensors_in(result) if t.requires_grad}.values())
        if tensors:
            raw = any(call.lrp.carries_relevance(t) for t in tensors)
            made = Made(len(self.made), call.name, call.lrp.modules.name, tensors, raw, moves, rows)
            for tensor in tensors:
                _mark(tensor, len(self.made), True)
            self.made.append(made)
        return result

    def _use(self, call: Call, tensor: Tensor) -> Tensor:
        use = Use(_alias(tensor), call.lrp.carries_relevance(tensor))
        _mark(use.tensor, len(self.uses), False)
        self.uses.append(use)
        # autograd hands one gradient to both sides of a sum; behind a second view this use has one of its own, which
        # can be differentiated by
        return _alias(use.tensor)

    def record_of(self, node: Any) -> Use | Made | None:
        """What is recorded of an autograd node."""
        mark: tuple[int, bool] | None = node.metadata.get(_KEY)
        if mark is None:
            return None
        number, made = mark
        return self.made[number] if made else self.uses[number]

    def forget(self) -> None:
        """Let go of all tensors."""
        self.uses, self.made = [], []


def _alias(tensor: Tensor) -> Tensor:
    alias = tensor.view_as(tensor)
    tags.put(alias, replace(tags.tag_of(tensor), made_by=tensor.grad_fn))
    return alias


def _mark(tensor: Tensor, number: int, made: bool) -> None:
    """By number: a node that held its own tensor would never be freed."""
    node: Any = tensor.grad_fn
    node.metadata[_KEY] = number, made


def _movement(call: Call) -> tuple[Move | None, Tensor | None]:
    """What the operation does to the rows of its arguments, and by which index."""
    if call.name in _GATHERS:
        rows = _looked_up(call)
        return (None, None) if rows is None else ("gather", rows)
    if call.name in _SCATTERS:
        return "scatter", _scattered(call)
    if call.name in _PRODUCTS and any(t.layout != torch.strided for t in tensors_in((call.args, call.kwargs))):
        return "product", None
    return None, None


def _looked_up(call: Call) -> Tensor | None:
    source = call.active[0]
    if call.name == "index_select":
        dim, index = call.argument(1, "dim"), call.argument(2, "index")
        return index if dim % source.ndim == 0 else None
    index = call.argument(1, "indices")
    if isinstance(index, tuple | list) and len(index) > 0 and isinstance(index[0], Tensor):
        rest = [i for i in index[1:] if i is not None and i is not Ellipsis and i != slice(None)]
        index = index[0] if not rest else None
    if not isinstance(index, Tensor):
        return None
    if index.dtype == torch.bool:
        return index.nonzero()[:, 0] if index.ndim == 1 else None
    return index if index.ndim == 1 else None


def _scattered(call: Call) -> Tensor | None:
    """The row of the result that each row of the argument goes to; None where it differs between columns."""
    if call.name == "segment_reduce":
        lengths, offsets = call.kwargs.get("lengths"), call.kwargs.get("offsets")
        if lengths is None and offsets is not None:
            lengths = offsets.diff()
        if lengths is None or lengths.ndim != 1:
            return None
        return torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths)
    if call.name == "index_put":
        indices = call.argument(1, "indices")
        index = indices[0] if isinstance(indices, tuple | list) and len(indices) == 1 else None
        return index if isinstance(index, Tensor) and index.ndim == 1 and index.dtype == torch.long else None
    target, dim, index = call.argument(0, "input"), call.argument(1, "dim"), call.argument(2, "index")
    if not isinstance(index, Tensor) or dim % target.ndim:
        return None
    if index.ndim == 1:
        return index
    first = index.flatten(1)[:, 0] if all(index.shape[1:]) else index.new_empty(len(index))
    spread = all(s == 0 for s, n in zip(index.stride()[1:], index.shape[1:], strict=True) if n > 1)
    return first if spread or bool((index.flatten(1) == first[:, None]).all()) else None
