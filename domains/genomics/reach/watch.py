"""Seeing what a model does, operation by operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

# fmt: off
#: Asked of a tensor without looking at its values; new tensors of its shape are not its own.
_ASKS = frozenset((
    "dim", "size", "numel", "nelement", "stride", "storage_offset", "is_contiguous", "is_floating_point", "is_complex",
    "is_signed", "element_size", "ndimension", "get_device", "__len__", "__hash__", "is_same_size", "zeros_like",
    "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "new_zeros", "new_ones", "new_full", "new_empty",
))
_PARTLY = frozenset((
    "__iadd__", "__isub__", "__imul__", "__itruediv__", "__idiv__", "__setitem__", "__delitem__",
))
_FLAGGED = frozenset(("relu", "elu", "selu", "silu", "hardswish", "hardsigmoid", "mish", "relu6"))
_VIEWS = frozenset(("T", "mT", "H", "mH", "data", "real", "imag"))
# fmt: on


class Unfollowable(Exception):
    """What the model does cannot be done on windows."""


class Mixing(Unfollowable):
    """What the model gives for one sequence depends on the others of its batch."""


class Watch(TorchFunctionMode):
    """Sees every operation that depends on the sequence, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def active(self, value: Tensor) -> bool:
        """Whether a tensor depends on the sequence."""
        raise NotImplementedError

    def step(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One operation on tensors that do."""
        raise NotImplementedError

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not any(self.active(value) for value in tensors((args, kwargs))):
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name == "__iter__":
            return iter(self.__torch_function__(Tensor.unbind, types, args))
        if name in ("__get__", "__set__"):
            asked = getattr(getattr(func, "__self__", None), "__name__", "")
            if name == "__get__" and asked not in _VIEWS:
                return func(*args, **kwargs)
            name = asked if name == "__get__" else f"{asked}_"
        if name in _ASKS:
            return func(*args, **kwargs)
        found = self.step(name, func, args, kwargs)
        self.count += 1
        return found


def tensors(value: Any) -> list[Tensor]:
    """Those within tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, tuple | list):
        return []
    return [tensor for item in value for tensor in tensors(item)]


def mapped(function: Callable[[Tensor], Any], value: Any) -> Any:
    """What a function gives for the tensors within arguments, all else as it is."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple | list) and tensors(value):
        return type(value)([mapped(function, item) for item in value])
    if isinstance(value, dict):
        return {key: mapped(function, item) for key, item in value.items()}
    return value


def in_place(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an operation writes into its first argument."""
    if name in _PARTLY or (name.endswith("_") and not name.endswith("__")):
        return True
    # the flag may be given by position, as in F.relu(x, True)
    return bool(kwargs.get("inplace")) or (name in _FLAGGED and args[-1] is True)
