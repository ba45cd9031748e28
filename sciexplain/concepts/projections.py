"""What a condition lets through of a layer: channels, or the subspace of a basis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError

Condition = int | Sequence[int] | Tensor
"""Channels, or the basis of a subspace as columns."""


@dataclass(frozen=True)
class ChannelSet:
    """Orthogonal projection onto channels."""

    channels: tuple[int, ...]

    @property
    def key(self) -> Any:
        return self.channels

    def __call__(self, c: Tensor, axis: int) -> Tensor:
        index = torch.tensor(self.channels, dtype=torch.long, device=c.device)
        return torch.zeros_like(c).index_copy_(axis, index, c.index_select(axis, index))

    def fitted(self, name: str, channels: int) -> ChannelSet:
        """With every channel once and counted from the first."""
        if wrong := [i for i in self.channels if not -channels <= i < channels]:
            raise InputError(f"channels {wrong} of {name!r}, which has {channels} (0 to {channels - 1}).")
        return ChannelSet(tuple(sorted({i % channels for i in self.channels})))


@dataclass(frozen=True, eq=False)
class Subspace:
    """Orthogonal projection onto the span of columns (channels, dimensions)."""

    basis: Tensor

    @property
    def key(self) -> Any:
        return id(self)

    def __call__(self, c: Tensor, axis: int) -> Tensor:
        basis = self.basis.to(c)
        return ((c.movedim(axis, -1) @ basis) @ basis.mT).movedim(-1, axis)

    def fitted(self, name: str, channels: int) -> Subspace:
        """With orthonormal columns."""
        if len(self.basis) != channels:
            raise InputError(
                f"A basis of shape {tuple(self.basis.shape)} for {name!r}, which has {channels} channels; expected one "
                "row for each channel and one column for each dimension of the subspace."
            )
        vectors, sizes, _ = torch.linalg.svd(self.basis.detach().double(), full_matrices=False)
        if not bool(torch.isfinite(self.basis).all()) or bool(sizes[-1] <= 1e-10 * sizes[0]) or not bool(sizes[0] > 0):
            raise InputError(
                f"The basis for {name!r} of shape {tuple(self.basis.shape)} has columns that are dependent, zero or "
                "not finite; expected independent ones."
            )
        return Subspace(vectors)


def projection_of(name: str, given: Any) -> ChannelSet | Subspace:
    """What a condition on a layer means.

    Raises
    ------
    InputError
        It is neither channels nor a basis.
    """
    if isinstance(given, ChannelSet | Subspace):
        return given
    if isinstance(given, int) and not isinstance(given, bool):
        return ChannelSet((given,))
    try:
        value = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError):
        value = torch.empty(0, 0, 0)
    if value.is_floating_point() and value.ndim in (1, 2) and value.numel():
        basis = value[:, None] if value.ndim == 1 else value
        if basis.shape[1] <= basis.shape[0]:
            return Subspace(basis)
    elif value.dtype == torch.bool and value.ndim == 1:
        return ChannelSet(tuple(value.nonzero().flatten().tolist()))
    elif not value.is_floating_point() and value.dtype != torch.bool and value.ndim == 1:
        return ChannelSet(tuple(value.tolist()))
    elif isinstance(given, Sequence) and not isinstance(given, str) and not len(given):
        return ChannelSet(())
    what = f"a tensor {tuple(given.shape)} of {given.dtype}" if isinstance(given, Tensor) else repr(given)
    raise InputError(
        f"The condition on {name!r} is {what}; expected a channel, several, a mask of booleans, one for each channel, "
        "or a basis of floats (channels, dimensions)."
    )
