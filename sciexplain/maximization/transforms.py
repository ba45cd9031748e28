"""Random changes under which an input must stay what it is, and smoothing between steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError


@dataclass(frozen=True)
class Jitter:
    """Shift by up to so many places along every spatial axis, around the border. Mordvintsev et al. 2015."""

    places: int

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        for axis in range(_spatial(self, inputs), inputs.ndim):
            shifts = torch.randint(-self.places, self.places + 1, (len(inputs), 1), generator=generator)
            size = inputs.shape[axis]
            index = (torch.arange(size) - shifts).remainder(size).to(inputs.device)
            shape = [1] * inputs.ndim
            shape[0], shape[axis] = index.shape
            inputs = inputs.gather(axis, index.view(shape).expand(inputs.shape))
        return inputs


@dataclass(frozen=True)
class Affine:
    """Rotate by up to so many degrees and scale by up to a factor 1 ± ``scale``; inputs (n, C, H, W).

    Olah et al. 2017, *Feature visualization*, section "Transformation robustness". Beyond the border, its own values
    go on.
    """

    degrees: float = 5.0
    scale: float = 0.05

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        if inputs.ndim != 4:
            raise InputError(f"Affine for inputs of shape {tuple(inputs.shape)}; expected (N, C, H, W).")
        n, _, height, width = inputs.shape
        draws = (2 * torch.rand((2, n), generator=generator) - 1).to(inputs)
        angle, size = draws[0] * math.radians(self.degrees), 1 / (1 + draws[1] * self.scale)
        cos, sin, zero = angle.cos() * size, angle.sin() * size, torch.zeros_like(angle)
        # grid coordinates run from -1 to 1 along both axes, however long these are
        rows = [torch.stack([cos, -sin * height / width, zero], 1), torch.stack([sin * width / height, cos, zero], 1)]
        grid = functional.affine_grid(torch.stack(rows, 1), list(inputs.shape), align_corners=False)
        return functional.grid_sample(inputs, grid, padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class Blur:
    """Blur the input itself by a Gaussian of ``sigma`` places, after every so many steps.

    Yosinski et al. 2015, *Understanding neural networks through deep visualization*, section 3.
    """

    sigma: float
    every: int = 1

    def __call__(self, inputs: Tensor, step: int) -> Tensor:
        if step % self.every:
            return inputs
        for axis in range(_spatial(self, inputs), inputs.ndim):
            inputs = self._along(inputs, axis)
        return inputs

    def _along(self, inputs: Tensor, axis: int) -> Tensor:
        radius = max(1, math.ceil(3 * self.sigma))
        offsets = torch.arange(-radius, radius + 1, dtype=inputs.dtype, device=inputs.device)
        kernel = (-(offsets**2) / (2 * self.sigma**2)).exp()
        moved = inputs.movedim(axis, -1)
        rows = functional.pad(moved.reshape(-1, 1, moved.shape[-1]), (radius, radius), mode="replicate")
        blurred = functional.conv1d(rows, (kernel / kernel.sum())[None, None])
        return blurred.view(moved.shape).movedim(-1, axis)


def _spatial(transform: object, inputs: Tensor) -> int:
    """The first spatial axis."""
    if inputs.ndim < 3:
        raise InputError(
            f"{type(transform).__name__} for inputs of shape {tuple(inputs.shape)}; expected (N, channels, places, …)."
        )
    return 2
