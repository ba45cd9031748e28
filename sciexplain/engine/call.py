"""One operation on active tensors, on its way through the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..linear_layer import Account
from . import tags
from .gates import Hint
from .signatures import place

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
    hint: Hint | None = None
    squash: bool = False
    remainder: Account | None = None
    layer: Any = None

    def run(self) -> Any:
        """The operation as torch does it."""
        twins = self.lrp.twins
        return self.func(*self.args, **self.kwargs) if twins is None else twins.run(self)

    def evaluated(self) -> Any:
        """The operation's result, not joined to the graph; see :meth:`LRP.values_of`."""
        if (twins := self.lrp.twins) is not None:
            return twins.evaluated(self)
        with torch.no_grad():
            return self.func(*self.args, **self.kwargs)

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """The argument called ``name``, wherever this spelling of the operation has it, or that at ``position``."""
        if name in self.kwargs:
            return self.kwargs[name]
        position, name = place(self.func, name, position)
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    def replace(self, change: Callable[[Tensor], Tensor], only: Callable[[Tensor], bool] = lambda t: True) -> None:
        """Put ``change(t)``, of the same values, in the place of every active argument ``t`` that ``only`` accepts."""
        replaced = {id(t): change(t) for t in self.active if only(t)}
        if not replaced:
            return
        if (twins := self.lrp.twins) is not None:
            for before in self.active:
                if id(before) in replaced:
                    twins.put(replaced[id(before)], twins.of(before))
        self.args = swapped(self.args, replaced)
        self.kwargs = swapped(self.kwargs, replaced)
        self.active = [replaced.get(id(t), t) for t in self.active]

    def is_active(self, value: object) -> bool:
        return isinstance(value, Tensor) and any(value is t for t in self.active)


_SEQUENCES = (tuple, list)
_CONTAINERS = (tuple, list, dict)


def swapped(value: Any, replaced: dict[int, Tensor]) -> Any:
    """Nested arguments with tensors replaced, by identity."""
    if isinstance(value, Tensor):
        return replaced.get(id(value), value)
    if isinstance(value, _SEQUENCES):
        items = [swapped(v, replaced) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {k: swapped(v, replaced) for k, v in value.items()}
    return value


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
        return
    for item in value if isinstance(value, _SEQUENCES) else value.values() if isinstance(value, dict) else ():
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, _CONTAINERS):
            yield from tensors_in(item)


def with_slope(tensor: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The same values; ``change`` is applied to what flows back through this use of them only."""
    alias = tensor.view_as(tensor)
    tag = tags.tag_of(tensor)
    tags.put(alias, replace(tag, made_by=tensor.grad_fn))
    alias.register_hook(lambda c: None if c is None else change(c))
    return alias


slopes_fixed: ContextVar[bool] = ContextVar("slopes_fixed", default=False)
"""Whether the backward pass of what is recorded now may itself be differentiated, as the linear map that it is."""


def differentiable_once(backward: Callable[..., Any]) -> Callable[..., Any]:
    """As torch's ``once_differentiable``, for which slopes depend on the input, but where ``ctx`` says they are fixed.

    Without it a second derivative would be silently wrong, since the slopes are made of detached values.
    """
    once = torch.autograd.function.once_differentiable(backward)
    return lambda ctx, *grads: (backward if ctx.slopes_fixed else once)(ctx, *grads)


class Local(torch.autograd.Function):
    """``value`` as a function of ``x`` whose backward pass is ``slope(c)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Callable[[Tensor], Tensor], box: list[Tensor]) -> Tensor:
        ctx.slope, ctx.slopes_fixed = slope, slopes_fixed.get()
        ctx.set_materialize_grads(False)
        return box.pop()

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, c: Tensor | None) -> tuple[Tensor | None, None, None]:
        return (None if c is None else ctx.slope(c)), None, None


def local(x: Tensor, value: Tensor, slope: Callable[[Tensor], Tensor]) -> Tensor:
    result: Tensor = Local.apply(x, slope, [on_its_own(value)])
    return result


def on_its_own(value: Tensor) -> Tensor:
    """The same memory, not as a view: what a custom Function returns may be changed in place only then."""
    return torch.ops.aten._unsafe_view(value, value.shape) if value._is_view() else value
