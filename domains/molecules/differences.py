"""Positions followed through a forward pass to where two of them are subtracted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.linalg import vector_norm
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map


@dataclass(frozen=True)
class _Lookup:
    """A tensor that holds scale · positions + constants; ``ids`` has 3 · atom + axis for each entry, −1 for none."""

    tensor: Tensor
    ids: Tensor
    scale: float = 1.0


@dataclass(frozen=True)
class Difference:
    """scale · (positions[first] − positions[second]), entry by entry."""

    edge: GradientEdge
    first: Tensor
    second: Tensor
    scale: float


# Names of operations without the underscores of operators and of what works in place.
# fmt: off
_REARRANGEMENTS = frozenset({
    "getitem", "index_select", "narrow", "select", "gather", "take_along_dim", "masked_select", "unbind", "split",
    "chunk", "unsqueeze", "squeeze", "reshape", "reshape_as", "view", "view_as", "flatten", "unflatten", "transpose",
    "swapaxes", "permute", "movedim", "t", "T", "mT", "expand", "expand_as", "broadcast_to", "repeat", "tile",
    "repeat_interleave", "clone", "contiguous", "flip", "roll", "cat", "concat", "stack",
})
_CASTS = frozenset({"to", "double", "float", "half", "bfloat16", "type", "type_as", "cuda", "cpu", "requires_grad"})
# fmt: on
_ADD = frozenset({"add", "radd", "iadd"})
_SUB = frozenset({"sub", "subtract", "isub"})
_MUL = frozenset({"mul", "multiply", "rmul", "imul"})
_DIV = frozenset({"div", "divide", "true_divide", "truediv", "itruediv"})
_NEG = frozenset({"neg", "negative"})


def _pdist(x: Tensor, p: float = 2.0) -> Tensor:
    first, second = torch.triu_indices(len(x), len(x), 1, device=x.device)
    return vector_norm(x[first] - x[second], ord=p, dim=-1)


_DISTANCES: dict[str, Callable[..., Tensor]] = {
    "cdist": lambda x1, x2, p=2.0, compute_mode=None: vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), ord=p, dim=-1),
    "pairwise_distance": lambda x1, x2, p=2.0, eps=1e-6, keepdim=False: vector_norm(
        x1 - x2 + eps, ord=p, dim=-1, keepdim=keepdim
    ),
    "pdist": _pdist,
}


class KeptGraph(TorchFunctionMode):
    """A model that computes forces itself, in its forward, leaves the graph to us."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.autograd.grad:  # (outputs, inputs, grad_outputs, retain_graph, …)
            kwargs |= {} if len(args) > 3 else {"retain_graph": True}
            args = (*args[:3], *(True for _ in args[3:4]), *args[4:])
        return func(*args, **kwargs)


class PairDifferences(KeptGraph):
    """Follows positions through a forward pass to where two of them are subtracted.

    Distance functions, which subtract out of sight, are run as a difference and its norm.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lookups: dict[int, _Lookup] = {}  # by id; each holds its tensor, so that no id is used twice
        self.differences: list[Difference] = []
        self.others: Counter[str] = Counter()

    def follow(self, positions: Tensor) -> None:
        ids = torch.arange(positions.numel(), device=positions.device).view(positions.shape)
        self._keep(positions, ids, 1.0)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", str(func)).strip("_")
        if name == "get":  # of a property, such as T
            name = func.__self__.__name__
        touched = [found for leaf in tree_leaves((args, kwargs)) if (found := self._of(leaf))]
        if not touched or func is torch.autograd.grad:
            return super().__torch_function__(func, types, args, kwargs)
        if name in _DISTANCES:
            with self:
                return _DISTANCES[name](*args, **kwargs)
        result = func(*args, **kwargs)
        target = args[0] if name == "setitem" else result
        moves = any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in tree_leaves(target))
        if moves and not self._understand(func, name, args, kwargs, result, touched):
            self.others[name] += 1
        return result

    def _of(self, value: Any) -> _Lookup | None:
        return self._lookups.get(id(value)) if isinstance(value, Tensor) else None

    def _keep(self, tensor: Tensor, ids: Tensor, scale: float) -> bool:
        if tensor.requires_grad:
            self._lookups[id(tensor)] = _Lookup(tensor, ids.to(tensor.device), scale)
        return True

    def _understand(self, func: Any, name: str, args: Any, kwargs: Any, result: Any, touched: list[_Lookup]) -> bool:
        first, scale = touched[0], touched[0].scale
        if name in _REARRANGEMENTS and all(lookup.scale == scale for lookup in touched):
            return self._rearrange(func, args, kwargs, result, scale)
        if name == "embedding" and self._of(args[1]):
            return self._keep(result, first.ids[args[0]], scale)
        if name in _CASTS:
            return self._keep(result, first.ids, scale)
        if name in _NEG:
            return self._keep(result, first.ids, -scale)
        if name == "setitem":
            return self._write(*args)
        if name in _ADD:
            return self._add(args[0], args[1], 1.0, kwargs.get("alpha", 1), result)
        if name in _SUB:
            return self._add(args[0], args[1], 1.0, -kwargs.get("alpha", 1), result)
        if name == "rsub":
            return self._add(args[0], args[1], -1.0, kwargs.get("alpha", 1), result)
        if name in _MUL | _DIV and len(args) == 2 and not kwargs:
            factor = args[1] if self._of(args[0]) else args[0]
            if _is_number(factor) and (name in _MUL or factor is args[1]):
                by = float(factor)
                return self._keep(result, first.ids.expand(result.shape), scale * by if name in _MUL else scale / by)
        self._lookups.pop(id(result), None)  # an operation in place has made it something else
        return False

    def _rearrange(self, func: Any, args: Any, kwargs: Any, result: Any, scale: float) -> bool:
        def ids(leaf: Any) -> Any:
            lookup = self._of(leaf)
            if lookup is not None:
                return lookup.ids
            known = isinstance(leaf, Tensor) and leaf.is_floating_point()
            return torch.full_like(leaf, -1, dtype=torch.long) if known else leaf

        for tensor, its in zip(tree_leaves(result), tree_leaves(func(*tree_map(ids, args), **kwargs)), strict=True):
            self._keep(tensor, its, scale)
        return True

    def _write(self, target: Tensor, index: Any, value: Any) -> bool:
        old, new = self._of(target), self._of(value)
        if old and new and old.scale != new.scale:
            return False
        ids = old.ids.clone() if old else torch.full(target.shape, -1, device=target.device)
        ids[index] = new.ids if new else -1
        return self._keep(target, ids, (new or old or _Lookup(target, ids)).scale)

    def _add(self, x: Any, y: Any, times_x: float, times_y: float, result: Tensor) -> bool:
        """Result = times_x · x + times_y · y."""
        a, b = self._of(x), self._of(y)
        if a and b:
            if a.scale * times_x != -b.scale * times_y:
                return False
            first, second = (lookup.ids.expand(result.shape) for lookup in (a, b))
            self.differences.append(Difference(get_gradient_edge(result), first, second, a.scale * times_x))
            self._lookups.pop(id(result), None)
            return True
        kept, times = (a, times_x) if a else (b, times_y)
        assert kept is not None
        if any(isinstance(operand, Tensor) and operand.requires_grad for operand in (x, y) if not self._of(operand)):
            self.others["add"] += 1  # such as a centre, which the difference of two may lose again
        return self._keep(result, kept.ids.expand(result.shape), kept.scale * times)


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.requires_grad
    return isinstance(value, int | float)
