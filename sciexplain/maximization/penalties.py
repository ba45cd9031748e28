"""Simple regularizers: what an input costs, (n,), whatever the model says of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError


@dataclass(frozen=True)
class L2:
    r""":math:`\lambda \|x - c\|_2^2`. Simonyan et al. 2013, eq. 1, where c is 0: the mean of centred data."""

    weight: float
    center: float | Tensor = 0.0

    def __call__(self, inputs: Tensor) -> Tensor:
        return self.weight * ((inputs - self.center) ** 2).flatten(1).sum(1)


@dataclass(frozen=True)
class AlphaNorm:
    r""":math:`\lambda \|x - c\|_\alpha^\alpha`: a soft box for large α. Mahendran and Vedaldi 2015, section 2."""

    weight: float
    alpha: float = 6.0
    center: float | Tensor = 0.0

    def __call__(self, inputs: Tensor) -> Tensor:
        return self.weight * (inputs - self.center).abs().pow(self.alpha).flatten(1).sum(1)


@dataclass(frozen=True)
class TotalVariation:
    r""":math:`\lambda \sum_i \big(\sum_d (x_{i + d} - x_i)^2\big)^{\beta / 2}` over places i and spatial axes d.

    Inputs (n, channels, length), (n, channels, rows, columns), …; the last place of an axis has no neighbour along it.
    Mahendran and Vedaldi 2015, section 2.
    """

    weight: float
    beta: float = 1.0

    def __call__(self, inputs: Tensor) -> Tensor:
        if inputs.ndim < 3:
            raise InputError(
                f"TotalVariation for inputs of shape {tuple(inputs.shape)}; expected (N, channels, places, …)."
            )
        squares = torch.zeros_like(inputs)
        for axis in range(2, inputs.ndim):
            difference = inputs.diff(dim=axis)
            last = inputs.narrow(axis, 0, 1)
            squares = squares + torch.cat([difference, torch.zeros_like(last)], axis) ** 2
        if self.beta == 2:
            return self.weight * squares.flatten(1).sum(1)
        # the root has no slope at 0, where the whole is 0 whatever is taken
        flat = squares == 0
        varied = torch.where(flat, torch.ones_like(squares), squares).pow(self.beta / 2)
        return self.weight * torch.where(flat, torch.zeros_like(varied), varied).flatten(1).sum(1)
