"""One operation on active tensors, on its way through the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..linear_layer import Account
from . import tags

if TYPE_CHECKING:
    from .mode import LRP


@dataclass
class Call:
    """The operation, its arguments, and what the handler decides about its result."""

    lrp: LRP
    func: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    active: list[Tensor]
    source: Tensor | None = None
    """The first active argument as the model gave it."""
    native: bool = False
    """Run as torch does, in place."""
    treatment: str = "gradient"
    stage: int = tags.SHALLOW
    gate: bool = False
    squash: bool = False
    remainder: Account | None = None
    layer: Any = None

    def run(self) -> Any:
        """The operation as torch does it."""
        return self.func(*self.args, **self.kwargs)

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        if name in self.kwargs:
            return self.kwargs[name]
        return self.args[position] if len(self.args) > position else default

    def replace(self, change: Callable[[Tensor], Tensor], only: Callable[[Tensor], bool] = lambda t: True) -> None:
        """Put ``change(t)`` in the place of every active argument ``t`` that ``only`` accepts."""
        replaced = {id(t): change(t) for t in self.active if only(t)}
        self.args = _swap(self.args, replaced)
        self.kwargs = _swap(self.kwargs, replaced)
        self.active = [replaced.get(id(t), t) for t in self.active]

    def is_active(self, value: object) -> bool:
        return isinstance(value, Tensor) and any(value is t for t in self.active)


def _swap(value: Any, replaced: dict[int, Tensor]) -> Any:
    if isinstance(value, Tensor):
        return replaced.get(id(value), value)
    if isinstance(value, tuple | list):
        items = [_swap(v, replaced) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {k: _swap(v, replaced) for k, v in value.items()}
    return value


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)


def with_slope(tensor: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The same values; ``change`` is applied to what flows back through this use of them only."""
    alias = tensor.view_as(tensor)
    tag = tags.tag_of(tensor)
    tags.put(alias, replace(tag, made_by=tensor.grad_fn))
    alias.register_hook(lambda c: None if c is None else change(c))
    return alias


class Local(torch.autograd.Function):
    """``value`` as a function of ``x`` whose backward pass is ``slope(c)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Callable[[Tensor], Tensor], box: list[Tensor]) -> Tensor:
        ctx.slope = slope
        ctx.set_materialize_grads(False)
        return box.pop()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, c: Tensor | None) -> tuple[Tensor | None, None, None]:
        return (None if c is None else ctx.slope(c)), None, None


def local(x: Tensor, value: Tensor, slope: Callable[[Tensor], Tensor]) -> Tensor:
    result: Tensor = Local.apply(x, slope, [value])
    return result
