"""Tensors kept for the backward pass, safe from in-place changes.

A kept tensor shares memory with the model's own, so keeping costs nothing. Before the engine lets an in-place operation
run, every kept tensor in the same storage takes its own copy; a change that the engine could not see is an error, never
a wrong number.
"""

from __future__ import annotations

import weakref

from torch import Tensor


class Kept:
    """A detached alias of a tensor, with the version it had."""

    __slots__ = ("__weakref__", "_tensor", "_version")

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor.detach()
        self._version = self._tensor._version

    def get(self) -> Tensor:
        if self._tensor._version != self._version:
            raise RuntimeError(
                "A tensor needed for relevance was changed in place by an operation that the engine cannot see "
                "(a compiled extension, or a write through `.data` or `.detach()`)."
            )
        return self._tensor

    @property
    def storage(self) -> int:
        return self._tensor.untyped_storage().data_ptr()

    def take_copy(self) -> None:
        self._tensor = self._tensor.clone()
        self._version = self._tensor._version


class Keeper:
    """All kept tensors by storage."""

    def __init__(self) -> None:
        self._by_storage: dict[int, weakref.WeakSet[Kept]] = {}

    def keep(self, tensor: Tensor) -> Kept:
        kept = Kept(tensor)
        self._by_storage.setdefault(kept.storage, weakref.WeakSet()).add(kept)
        return kept

    def before_change(self, tensor: Tensor) -> None:
        """Copy what is kept of this tensor's memory, since it is about to be overwritten."""
        for kept in self._by_storage.pop(tensor.untyped_storage().data_ptr(), ()):
            kept.take_copy()
            self._by_storage.setdefault(kept.storage, weakref.WeakSet()).add(kept)
