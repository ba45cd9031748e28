"""Relevance at the outputs of named modules."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor

from ..errors import InputError
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
        self._merged: set[str] = set()

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

    def merge(self, slots: Sequence[Any]) -> None:
        """Forget slots at a normalisation that has become one layer with what follows it: nothing arrives there."""
        for name, own in list(self.slots.items()):
            left = [slot for slot in own if slot not in slots]
            if len(left) == len(own):
                continue
            self._merged.add(name)
            self.slots[name] = left
            if not left:
                del self.slots[name]

    def check(self) -> None:
        """That every pattern found an output.

        Raises
        ------
        InputError
            One did not.
        """
        missing = [p for p in self.patterns if not any(fnmatchcase(name, p) for name in self.slots)]
        if merged := [p for p in missing if any(fnmatchcase(name, p) for name in self._merged)]:
            raise InputError(
                f"layers={merged}: this normalisation is one layer with the linear layer behind it, so that nothing is "
                "known of relevance between them; ask at the output of another module."
            )
        if missing:
            raise InputError(f"layers={missing}: no module of that name gave an output that depends on the input.")
