"""What a call seen by the function mode is: its name, whether it works in place, and its other forms."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from . import names
from .call import Call
from .handlers import HANDLERS

ORDINARY = names.MOVEMENT | names.AFFINE | names.LINEAR | names.HOMOGENEOUS
"""Operations whose own gradient is the right slope."""


def operation(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, bool]:
    """The operation's plain name, and whether this call changes its first argument."""
    name, inplace, flag = _described(func)
    if flag is None:
        return name, inplace
    return name, bool(kwargs.get("inplace", args[flag] if len(args) > flag else False))


@functools.cache
def _described(func: Any) -> tuple[str, bool, int | None]:
    """Plain name, whether it always works in place, and where the flag stands that says so."""
    name = getattr(func, "__name__", str(func))
    if name == "__get__":  # a property: a view such as x.T, or bookkeeping such as x.shape
        name = func.__self__.__name__
        return (name if name in names.MOVEMENT or name in names.LINEAR else "shape"), False, None
    name = name.split(".")[0]
    if name == "__setitem__":
        return name, True, None
    inplace = name.endswith("_") and not name.endswith("__")
    if inplace:
        name = name[:-1]
    return names.ALIASES.get(name, name), inplace, _inplace_position(func)


@functools.cache
def _inplace_position(func: Any) -> int | None:
    if not isinstance(func, types.FunctionType):
        return None
    parameters = func.__code__.co_varnames[: func.__code__.co_argcount]
    return parameters.index("inplace") if "inplace" in parameters else None


def functional(call: Call) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """The out-of-place form of an in-place call."""
    position = _inplace_position(call.func)
    if position is not None:
        args = tuple(a if i != position else False for i, a in enumerate(call.args))
        return call.func, args, {k: v for k, v in call.kwargs.items() if k != "inplace"}
    name = getattr(call.func, "__name__", call.name).split(".")[0].removesuffix("_")
    for home in (torch.Tensor, torch, nn.functional):
        func = getattr(home, name, None)
        if func is not None and call.name not in ("__setitem__", "copy"):
            return func, call.args, call.kwargs
    change = call.func

    def changed(target: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        copy = target.clone()
        change(copy, *args, **kwargs)
        return copy

    return changed, call.args, call.kwargs


def opened(func: Any, name: str) -> Callable[..., Any] | None:
    """An unknown torch function written in Python, to run as its source says: the operations inside come by."""
    return None if name in HANDLERS or name in ORDINARY else written_in_python(func)


@functools.cache
def written_in_python(func: Any) -> Callable[..., Any] | None:
    """A torch function as its Python source says, deaf to function modes of its own."""
    if not isinstance(func, types.FunctionType) or not (func.__module__ or "").startswith("torch."):
        return None
    blind = {
        name: lambda *args, **kwargs: False
        for name in ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
    }
    as_written = types.FunctionType(
        func.__code__, {**func.__globals__, **blind}, func.__name__, func.__defaults__, func.__closure__
    )
    as_written.__kwdefaults__ = func.__kwdefaults__
    return as_written
