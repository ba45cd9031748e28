"""A linear layer as a rule sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

Account = Literal["bias", "stabilizer", "unruled"]
"""Where relevance that no input gets is booked."""


class Messages(NamedTuple):
    r"""Relevance messages :math:`R_{i←j} = \text{inputs}_i\, \text{weight}_{ij}\, \text{outputs}_j`."""

    inputs: Tensor
    outputs: Tensor
    weight: Tensor


class LinearLayer(Protocol):
    """What a rule may ask of a linear layer ``z = x ⋆ weight + bias`` met by the engine."""

    bias: Tensor | None
    rectified: bool
    """A ReLU follows: ``z`` is its output, and what ``c`` holds where ``z`` is 0 means nothing."""

    @property
    def weight(self) -> Tensor: ...
    @property
    def positive_weight(self) -> Tensor: ...
    @property
    def negative_weight(self) -> Tensor: ...
    @property
    def x(self) -> Tensor: ...
    @property
    def z(self) -> Tensor: ...
    @property
    def input_shape(self) -> torch.Size: ...
    @property
    def nonnegative_input(self) -> bool: ...
    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor: ...
    def transpose(self, values: Tensor, weight: Tensor) -> Tensor: ...
    def transpose_ones(self, values: Tensor) -> Tensor: ...
    def pull_back(self, values: Tensor) -> Tensor: ...
    def transpose_all(self, values: Tensor, weights: tuple[Tensor, ...]) -> tuple[Tensor, ...]: ...
    def expand_input(self, value: float | Tensor) -> Tensor: ...
    def absorb(self, account: Account, amount: Callable[[], Tensor]) -> None:
        """Book what no input gets; ``amount`` is asked for only where someone wants to know."""
        ...

    def absorb_in_bias(self, factor: Callable[[Tensor], Tensor]) -> None:
        """Book ``factor(bias) * bias``, in the shape of ``z``, where there is a bias."""
        ...

    def credit(self, messages: Callable[[], Iterable[Messages]]) -> None:
        """Tell what goes through each weight: the sum of ``messages``; asked for as in :meth:`absorb`."""
        ...
