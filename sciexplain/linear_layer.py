"""A linear layer as a rule sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import torch
from torch import Tensor

Account = Literal["bias", "stabilizer", "unruled"]
"""Where relevance that no input gets is booked."""


class LinearLayer(Protocol):
    """What a rule may ask of a linear layer ``z = x ⋆ weight + bias`` met by the engine."""

    bias: Tensor | None
    rectified: bool
    """A ReLU follows: ``z`` is its output, and what ``c`` holds where ``z`` is 0 means nothing."""

    @property
    def weight(self) -> Tensor: ...
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
    def transpose_all(self, values: Tensor, weights: tuple[Tensor, ...]) -> tuple[Tensor, ...]: ...
    def expand_input(self, value: float | Tensor) -> Tensor: ...
    def absorb(self, account: Account, amount: Callable[[], Tensor]) -> None: ...
