"""Another backward pass for rectifiers, seen in the model's own forward pass by a ``TorchFunctionMode``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .base import Engine, OnUnknown
from .call import local
from .operation import operation

Backward = Callable[[Tensor, Callable[[], Tensor]], Callable[[Tensor], Tensor]]
"""From a rectifier's input and its slope there, when asked for, to what becomes of the signal that comes back."""

PIECEWISE = frozenset(["relu", "relu6", "leaky_relu", "prelu", "rrelu"])
MAXIMUM = frozenset(["maximum", "max", "fmax"])
SMOOTH = frozenset(["gelu", "special_gelu", "silu", "swish", "elu", "selu", "celu", "mish", "softplus", "hardswish"])
HIDDEN = frozenset(["rnn_relu", "rnn_relu_cell"])
"""With rectifiers out of reach inside."""


class Rectifiers(Engine):
    """Rectifiers send the signal back by ``backward``; everything else by its gradient.

    A rectifier is a piecewise linear unit that passes what is positive and stops, or lessens, what is not: ReLU, ReLU6,
    leaky, parametric and randomised ReLU, and what amounts to one (clamp, hardtanh and threshold at 0, the maximum
    with 0), as module, function, method or in place. Smooth relatives (GELU, SiLU, ELU, …) have no such rule: their
    gradient is used, and they are named in ``unknown``.
    """

    def __init__(self, method: str, backward: Backward, on_unknown: OnUnknown = "warn") -> None:
        super().__init__(on_unknown)
        self.method, self.backward = method, backward
        self.met = False

    def report_unknown(self) -> None:
        """Warn where the method is not what its name says."""
        if self.on_unknown != "warn":
            return
        if self.unknown:
            listing = ", ".join(f"{u.operation} ({u.module or 'model'}, {u.count}×)" for u in self.unknown)
            warnings.warn(f"{self.method} has no rule for {listing}; the gradient was used there.", stacklevel=3)
        elif not self.met:
            warnings.warn(
                f"{self.method} met no rectifier in this model, so that it is the plain gradient.", stacklevel=3
            )

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name, inplace = operation(func, args, kwargs)
        x = args[0] if args else kwargs.get("input", kwargs.get("self"))
        if self._suspended or not isinstance(x, Tensor) or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        if name in MAXIMUM and len(args) == 2 and not x.requires_grad and isinstance(args[1], Tensor):
            x, args = args[1], (args[1], x)
        if not x.requires_grad:
            return func(*args, **kwargs)
        if name in SMOOTH | HIDDEN:
            self.note_unknown(name)
        if not _rectifies(name, args, kwargs):
            return func(*args, **kwargs)
        self.met = True
        return self._rectified(func, x, args, kwargs, inplace)

    def _rectified(
        self, func: Callable[..., Any], x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any], inplace: bool
    ) -> Tensor:
        given = x.detach().clone() if inplace else x.detach()

        def f(values: Tensor) -> Tensor:
            if args:
                return func(values, *args[1:], **kwargs)
            return func(**{k: values if v is x else v for k, v in kwargs.items()})

        def slope() -> Tensor:
            with torch.enable_grad():
                leaf = given.clone().requires_grad_()
                (found,) = torch.autograd.grad(f(leaf.clone() if inplace else leaf).sum(), leaf)
            return found

        backward = self.backward(given, slope)
        with torch.no_grad():
            value = f(given)
        result = local(x, value, backward)
        return x.copy_(result) if inplace else result


def _rectifies(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether this call is a piecewise linear rectifier with its kink at 0."""

    def argument(position: int, *names: str, default: Any = None) -> Any:
        found = [kwargs[n] for n in names if n in kwargs]
        return found[0] if found else args[position] if len(args) > position else default

    if name in PIECEWISE:
        return True
    if name in ("clamp", "clip", "clamp_min"):
        return _is_zero(argument(1, "min"))
    if name == "hardtanh":
        return _is_zero(argument(1, "min_val", default=-1.0))
    if name in ("threshold", "_threshold"):  # as torch.nn.functional names it
        return _is_zero(argument(1, "threshold")) and _is_zero(argument(2, "value"))
    if name in MAXIMUM:
        other = argument(1, "other")
        return isinstance(other, Tensor) and not other.requires_grad and _is_zero(other)
    return False


def _is_zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return bool((value == 0).all())
    return isinstance(value, int | float) and value == 0
