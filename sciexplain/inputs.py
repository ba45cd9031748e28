"""Inputs as a model's forward takes them: a tensor, a tuple or a dict of tensors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ._evaluation import training_modules
from .errors import InputError


@dataclass(frozen=True)
class Inputs:
    """Named tensors, and how they are handed to the model."""

    structure: str
    values: dict[str, Any]
    masks: frozenset[str] = frozenset()
    """Inputs that say what counts: constants, which get no relevance."""

    @classmethod
    def of(cls, inputs: Any, model: Callable[..., Any] | None = None) -> Inputs:
        """Check and name the inputs; what ``model`` calls a mask is one.

        Raises
        ------
        InputError
            For anything but a tensor or a tuple, list or dict with tensors, and for values that are not finite.
        """
        if isinstance(inputs, Tensor):
            values = {"input": inputs}
            structure = "tensor"
        elif isinstance(inputs, Mapping):
            values, structure = dict(inputs), "dict"
        elif isinstance(inputs, tuple | list):
            values, structure = {str(i): v for i, v in enumerate(inputs)}, "tuple"
        else:
            raise InputError(
                f"inputs is {type(inputs).__name__}; expected a tensor, or a tuple or dict of tensors as the model's "
                "forward takes them."
            )
        for name, value in values.items():
            if isinstance(value, tuple | list | Mapping):
                raise InputError(
                    f"inputs[{name!r}] is a {type(value).__name__}; expected tensors side by side in one tuple or "
                    "dict. Wrap the model in a function that takes them so."
                )
        if not any(isinstance(v, Tensor) for v in values.values()):
            raise InputError(f"inputs ({structure}) has no tensor to explain.")
        for name, value in values.items():
            if isinstance(value, Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all()):
                bad = value.numel() - int(torch.isfinite(value).sum())
                where = "" if structure == "tensor" else f" {name!r}"
                raise InputError(
                    f"The input{where} of shape {tuple(value.shape)} has {bad} values that are NaN or infinite; "
                    "remove or replace them first."
                )
        return cls(structure, values, _masks(values, structure, model))

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name, value in self.values.items():
            if isinstance(value, Tensor):
                yield name, value

    def replaced(self, tensors: Mapping[str, Tensor]) -> Inputs:
        return Inputs(self.structure, {**self.values, **tensors}, self.masks)

    def cloned(self) -> Inputs:
        """For a model that may change its inputs in place."""
        return self.replaced({k: v.detach().clone() for k, v in self.tensors()})

    def call(self, model: Callable[..., Any]) -> Any:
        if self.structure == "dict":
            return model(**self.values)
        return model(*self.values.values())

    def rebuild(self, tensors: Mapping[str, Tensor]) -> Any:
        """Results in the structure of the inputs; None in a tuple for what is no tensor."""
        if self.structure == "tensor":
            return tensors["input"]
        if self.structure == "dict":
            return dict(tensors)
        return tuple(tensors.get(name) for name in self.values)

    def named(self, values: Any) -> dict[str, Any]:
        """What :meth:`rebuild` gave, by the names of the inputs again."""
        if self.structure == "dict":
            return dict(values)
        return dict(zip(self.values, [values] if self.structure == "tensor" else values, strict=True))

    @property
    def batch_size(self) -> int:
        """The first dimension of the first tensor."""
        first = next(v for _, v in self.tensors())
        return first.shape[0] if first.ndim else 1

    def leaves(self) -> dict[str, Tensor]:
        """Floating inputs as fresh leaves that require gradients."""
        return {
            k: (v.clone() if v.is_inference() else v.detach()).requires_grad_()
            for k, v in self.tensors()
            if k not in self.masks and (v.is_floating_point() or v.is_complex())
        }

    def integers(self) -> dict[str, Tensor]:
        """Integer inputs, such as tokens and categories."""
        return {
            k: v.detach()
            for k, v in self.tensors()
            if k not in self.masks and not (v.is_floating_point() or v.is_complex() or v.dtype == torch.bool)
        }

    def rows(self, rows: slice) -> Inputs:
        """A part of the batch; tensors with another first dimension are shared by all samples."""
        n = self.batch_size
        return self.replaced({k: v[rows] for k, v in self.tensors() if v.ndim and v.shape[0] == n})

    def parts(self, batch_size: int | None) -> Iterator[tuple[slice, Inputs]]:
        """The batch in parts of at most ``batch_size`` samples, with their rows; None: as a whole.

        Raises
        ------
        InputError
        """
        n = self.batch_size
        if n == 0:
            raise InputError("The batch is empty: the first dimension of the input is 0.")
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch_size={batch_size}: expected a positive number.")
        if batch_size is None or batch_size >= n:
            yield slice(0, n), self
            return
        for rows in passes(n, batch_size):
            yield rows, self.rows(rows)

    def option_rows(self, value: Any, rows: slice, *, extra: int = 0) -> Any:
        """The same part of an option that has a value for each sample; of others, all.

        Such an option has the input's dimensions, and ``extra`` more behind the first.
        """
        if isinstance(value, tuple | list):
            parts = [self.option_rows(v, rows, extra=extra) for v in value]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        if isinstance(value, Mapping):
            return {k: self.option_rows(v, rows, extra=extra) for k, v in value.items()}
        if not isinstance(value, Tensor) or not value.ndim or value.shape[0] != self.batch_size:
            return value
        return value[rows] if any(v.ndim + extra == value.ndim for _, v in self.tensors()) else value

    def is_batched(self, name: str) -> bool:
        value = self.values[name]
        return isinstance(value, Tensor) and value.ndim > 0 and value.shape[0] == self.batch_size


def passes(samples: int, size: int) -> list[slice]:
    """The rows of each of several forward passes of at most ``size`` samples."""
    return [slice(begin, min(samples, begin + size)) for begin in range(0, samples, size)]


def _masks(values: dict[str, Any], structure: str, model: Callable[..., Any] | None) -> frozenset[str]:
    """The inputs whose name in the model's forward has "mask" in it; none where nothing else is left to explain."""
    names = dict(zip(values, values, strict=True))
    if structure != "dict":
        forward = model.forward if isinstance(model, nn.Module) else model
        try:
            parameters = inspect.signature(forward).parameters.values() if forward is not None else ()
        except (TypeError, ValueError):  # such as of builtins
            parameters = ()
        own = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        names.update(zip(values, own, strict=False))
    masks = frozenset(key for key, name in names.items() if "mask" in name.lower())
    return masks if any(isinstance(v, Tensor) and k not in masks for k, v in values.items()) else frozenset()


@contextmanager
def buffers_restored(model: Callable[..., Any]) -> Iterator[None]:
    """Undo what a model in training mode does to its own buffers (counters and running statistics)."""
    before = [(b, b.detach().clone()) for m in training_modules(model) for b in m.buffers(recurse=False)]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, values in before:
                if not torch.equal(buffer, values):  # autograd may have kept one that did not change
                    buffer.copy_(values)
