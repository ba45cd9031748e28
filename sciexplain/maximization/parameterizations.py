"""What is stepped on: the input's own values, or its frequencies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ..errors import InputError

Bound = float | Tensor | None


@runtime_checkable
class Parameterization(Protocol):
    """Codes and the inputs they stand for; a prior has ``log_density(codes) -> (n,)`` as well.

    Two further methods are used where they are there: ``start(count, generator)`` gives the codes to begin with
    (otherwise standard normal ones, as of a generative model), and ``project(codes)`` brings codes back to where they
    may be after a step.
    """

    @property
    def code_shape(self) -> Sequence[int]:
        """Of one code."""

    def decode(self, codes: Tensor) -> Tensor:
        """(n, *code_shape) to inputs of the model, differentiable."""


class Pixels:
    """The input's own values, each within bounds.

    Parameters
    ----------
    shape
        Of one input.
    low, high
        Bounds: a number, or a tensor that broadcasts to (n, *shape). Steps that leave them are brought back to the
        nearest point inside.
    """

    def __init__(self, shape: Sequence[int], low: Bound = None, high: Bound = None) -> None:
        self.code_shape = shape_of(shape)
        self.low, self.high = _ordered(low, high)

    def decode(self, codes: Tensor) -> Tensor:
        return codes

    def project(self, codes: Tensor) -> Tensor:
        low, high = (None if b is None else torch.as_tensor(b).to(codes) for b in (self.low, self.high))
        codes = codes if low is None else torch.maximum(codes, low)
        return codes if high is None else torch.minimum(codes, high)

    def start(self, count: int, generator: torch.Generator) -> Tensor:
        """Zero, or what is nearest to it within the bounds, and noise of a hundredth of their distance."""
        spread = torch.tensor(1.0)
        if self.low is not None and self.high is not None:
            spread = torch.as_tensor(self.high).cpu().float() - torch.as_tensor(self.low).cpu().float()
        zero = self.project(torch.zeros((count, *self.code_shape)))
        return self.project(zero + 0.01 * spread * torch.randn(zero.shape, generator=generator))


class Frequencies:
    r"""Fourier coefficients, scaled so that a step changes every octave alike; and channels that are independent.

    :math:`x = C \, \mathcal{F}^{-1}(s \cdot z)` with :math:`s_k \propto |k|^{-\text{decay}}`, then a sigmoid into the
    bounds where there are two. Olah et al. 2017, *Feature visualization*, section "Preconditioning and
    parameterization".

    Parameters
    ----------
    shape
        (channels, places, …) of one input.
    low, high
        Bounds, both or none.
    decay
        Power of the frequency; 1 gives the spectrum of natural images, 0 that of noise.
    colours
        (channels, channels): square root of the channels' covariance, as :func:`colour_root` finds it in data. None:
        channels are as they are.
    """

    def __init__(
        self,
        shape: Sequence[int],
        low: Bound = None,
        high: Bound = None,
        *,
        decay: float = 1.0,
        colours: Tensor | None = None,
    ) -> None:
        self.shape = shape_of(shape)
        if len(self.shape) < 2:
            raise InputError(f"frequencies of inputs of shape {self.shape}; expected (channels, places, …).")
        if (low is None) != (high is None):
            raise InputError(f"low={low}, high={high}: frequencies take both bounds or none.")
        if colours is not None and colours.shape != (self.shape[0], self.shape[0]):
            raise InputError(
                f"colours of shape {tuple(colours.shape)}; expected ({self.shape[0]}, {self.shape[0]}), one row and "
                "column for each channel."
            )
        self.low, self.high = _ordered(low, high)
        self.colours = colours
        axes = [torch.fft.fftfreq(size).abs() for size in self.shape[1:-1]]
        axes.append(torch.fft.rfftfreq(self.shape[-1]))
        grids = torch.meshgrid(*axes, indexing="ij")
        frequency = torch.stack([g**2 for g in grids]).sum(0).sqrt()
        scale = frequency.clamp(min=1 / max(self.shape[1:])) ** -decay
        # standard normal coefficients then give pixels of about standard deviation 1
        twice = torch.full((len(axes[-1]),), 2.0)
        twice[0] = 1.0
        self._scale = scale / (2 * (scale**2 * twice).sum() / math.prod(self.shape[1:])).sqrt()
        self.code_shape = (self.shape[0], *frequency.shape, 2)

    def decode(self, codes: Tensor) -> Tensor:
        spectrum = torch.view_as_complex(codes.contiguous()) * self._scale.to(codes)
        axes = tuple(range(2, len(self.shape) + 1))
        values = torch.fft.irfftn(spectrum, s=self.shape[1:], dim=axes, norm="ortho")
        if self.colours is not None:
            values = torch.einsum("ij,nj...->ni...", self.colours.to(codes), values)
        if self.low is None or self.high is None:
            return values
        low, high = (torch.as_tensor(b).to(codes) for b in (self.low, self.high))
        return low + (high - low) * values.sigmoid()

    def start(self, count: int, generator: torch.Generator) -> Tensor:
        return 0.1 * torch.randn((count, *self.code_shape), generator=generator)


def colour_root(inputs: Tensor) -> Tensor:
    """Square root of the covariance of the channels of real inputs (N, C, …): (C, C), symmetric.

    Scaled to a largest eigenvalue of 1; :class:`Frequencies` then draws channels that vary together as they do there.
    """
    pixels = inputs.detach().double().movedim(1, 0).flatten(1)
    centred = pixels - pixels.mean(1, keepdim=True)
    values, vectors = torch.linalg.eigh(centred @ centred.T / pixels.shape[1])
    root = values.clamp(min=0).sqrt()
    return ((vectors * root) @ vectors.T / root.max().clamp(min=1e-30)).to(inputs.dtype)


def _ordered(low: Bound, high: Bound) -> tuple[Bound, Bound]:
    if low is not None and high is not None and bool((torch.as_tensor(low) > torch.as_tensor(high)).any()):
        raise InputError(f"low={low}, high={high}: expected no lower bound above the upper one.")
    return low, high


def shape_of(shape: object) -> tuple[int, ...]:
    """The shape of one input, without the batch dimension.

    Raises
    ------
    InputError
    """
    if hasattr(shape, "tolist") and getattr(shape, "ndim", 2) < 2:  # of a tensor or an array
        shape = shape.tolist()
    if isinstance(shape, int):
        shape = (shape,)
    sizes = tuple(shape) if isinstance(shape, Iterable) else ()
    if not sizes or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise InputError(
            f"shape {shape!r}: expected the sizes of one input without the batch, such as (1, 28, 28), or a prior with "
            "decode(codes) and code_shape."
        )
    return sizes


PARAMETERIZATIONS: dict[str, Callable[..., Parameterization]] = {"pixels": Pixels, "frequencies": Frequencies}
