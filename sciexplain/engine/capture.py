"""Relevance at the outputs of named modules."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor

from . import tags
from .call import tensors_in
from .layer import layer_of


class Slot:
    """Relevance at one tensor, filled by the backward pass."""

    def __init__(self, values: Tensor, carries_relevance: bool) -> None:
        self.relevance = values.new_zeros(values.shape)
        self._carries_relevance = carries_relevance

    def watch(self, tensor: Tensor) -> None:
        """Add what arrives at ``tensor``: the module's output, or the same merged with what follows it."""
        values = tensor.detach().clone()

        def add(c: Tensor | None) -> None:
            if c is not None:
                self.relevance = self.relevance + (c if self._carries_relevance else values * c)

        tensor.register_hook(add)


class Captures:
    """The slots of all outputs asked for by module name (shell wildcards allowed)."""

    def __init__(self, patterns: Sequence[str], yields_relevance: bool) -> None:
        self.patterns = tuple(patterns)
        self._yields_relevance = yields_relevance
        self.slots: dict[str, list[Slot]] = {}

    def on_output(self, name: str, output: Any) -> None:
        if not any(fnmatchcase(name, pattern) for pattern in self.patterns):
            return
        for tensor in tensors_in(output):
            if tensor.requires_grad and tensor.grad_fn is not None:
                slot = Slot(tensor.detach(), self._yields_relevance and tags.tag_of(tensor).stage == tags.RAW)
                slot.watch(tensor)
                self.slots.setdefault(name, []).append(slot)
                if (layer := layer_of(tensor)) is not None:
                    layer.captures.append(slot)

    def missing(self) -> list[str]:
        return [p for p in self.patterns if not any(fnmatchcase(name, p) for name in self.slots)]
