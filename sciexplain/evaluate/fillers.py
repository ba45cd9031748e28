"""What stands where a part was taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import InputError
from ..methods.randomness import generators
from .inpainting import imputed

Conditional = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From rows (M, \\*shape), where values are taken away (M, 1 or C, \\*spatial) and which sample each row is (M,), to
values for all places of the rows."""


class Filler(Protocol):
    """A way to fill, fitted to the samples once."""

    def fit(self, inputs: Tensor, seed: int) -> Tensor | Conditional:
        """Values that do not depend on what is left (N, \\*shape), or a function of what is."""
        ...


@dataclass(frozen=True)
class Mean:
    """The mean of each sample's own channel; in a table, of each feature over the rows.

    Parameters
    ----------
    background
        Take the means of these samples instead.
    """

    background: Tensor | None = None

    def fit(self, inputs: Tensor, seed: int) -> Tensor:
        _floating(inputs, "mean")
        if self.background is not None:
            like = _background(self.background, inputs)
            dims = (0, *range(2, inputs.ndim))
            return like.mean(dims, keepdim=True).expand_as(inputs)
        return _over_channel(inputs, "mean", lambda x, d: x.mean(d, keepdim=True)).expand_as(inputs)


@dataclass(frozen=True)
class Constant:
    """A number, or a tensor that broadcasts to the inputs."""

    value: float | Tensor = 0.0

    def fit(self, inputs: Tensor, seed: int) -> Tensor:
        value = self.value if isinstance(self.value, Tensor) else torch.tensor(self.value, dtype=torch.float64)
        fitted = value.to(inputs)
        if not bool(torch.isfinite(value).all()) or (
            not inputs.is_floating_point() and bool((fitted != value.to(fitted.device)).any())
        ):
            raise InputError(f"filler={self.value!r} does not fit inputs of {inputs.dtype}; expected finite numbers.")
        try:
            return fitted.expand_as(inputs)
        except RuntimeError:
            raise InputError(
                f"The filler has shape {tuple(value.shape)}, the inputs {tuple(inputs.shape)}; they must broadcast."
            ) from None


@dataclass(frozen=True)
class Blur:
    """The sample blurred by a Gaussian, whose weights are made to sum to 1 at the borders.

    Parameters
    ----------
    sigma
        Standard deviation in positions. None: a sixteenth of the longest side.
    """

    sigma: float | None = None

    def fit(self, inputs: Tensor, seed: int) -> Tensor:
        _spatial(inputs, "blur")
        sigma = max(inputs.shape[2:]) / 16 if self.sigma is None else self.sigma
        if not sigma > 0:
            raise InputError(f"Blur(sigma={self.sigma}): expected a positive number of positions.")
        blurred = inputs
        for axis in range(2, inputs.ndim):
            at = torch.arange(inputs.shape[axis], device=inputs.device, dtype=inputs.dtype)
            kernel = torch.exp(-0.5 * ((at[:, None] - at) / sigma).square())
            kernel = kernel / kernel.sum(1, keepdim=True)
            blurred = (blurred.movedim(axis, -1) @ kernel.T).movedim(-1, axis)
        return blurred.contiguous()


@dataclass(frozen=True)
class Inpaint:
    """Noisy linear imputation: every missing value is the weighted mean of its neighbours, missing or not.

    In images the four direct neighbours weigh 1/6 and the four diagonal ones 1/12. In other dimensions too, weights
    halve with each further axis along which a neighbour is off: 1/2 in sequences. Neighbours beyond a border are left
    out. Where nothing at all is left, the mean of the sample's channel.

    Parameters
    ----------
    noise
        Standard deviation of Gaussian noise on filled values, as a fraction of each sample's range.
    tolerance
        Of the solution: residual relative to the right-hand side.

    References
    ----------
    Rong et al. 2022, *A consistent and efficient evaluation strategy for attribution methods* (ROAD), ICML.
    """

    noise: float = 0.01
    tolerance: float = 1e-6

    def fit(self, inputs: Tensor, seed: int) -> Conditional:
        _spatial(inputs, "inpaint")
        if not 0 <= self.noise < float("inf") or not 0 < self.tolerance < 1:
            raise InputError(f"Inpaint(noise={self.noise}, tolerance={self.tolerance}): expected noise >= 0 and "
                             "0 < tolerance < 1.")  # fmt: skip
        noise = _drawn(inputs, seed, torch.randn) * (self.noise * _range(inputs)) if self.noise else None
        mean = inputs.flatten(2).mean(2).view(*inputs.shape[:2], *(1,) * (inputs.ndim - 2))

        def fill(rows: Tensor, removed: Tensor, samples: Tensor) -> Tensor:
            filled = imputed(rows, removed, mean[samples], tolerance=self.tolerance)
            return filled if noise is None else filled + noise[samples]

        return fill


@dataclass(frozen=True)
class Uniform:
    """Random values, evenly from the range of each sample's own channel; in a table, of each feature over the rows.

    Drawn once for each sample, so that a value taken away stays what it became.

    References
    ----------
    Samek et al. 2017, IEEE TNNLS 28(11).

    Parameters
    ----------
    low, high
        The range instead.
    """

    low: float | None = None
    high: float | None = None

    def fit(self, inputs: Tensor, seed: int) -> Tensor:
        _floating(inputs, "uniform")
        if self.low is not None and self.high is not None:
            low, high = inputs.new_tensor(self.low), inputs.new_tensor(self.high)
        else:
            low = _over_channel(inputs, "uniform", lambda x, d: x.amin(d, keepdim=True))
            high = _over_channel(inputs, "uniform", lambda x, d: x.amax(d, keepdim=True))
            low = low if self.low is None else inputs.new_tensor(self.low)
            high = high if self.high is None else inputs.new_tensor(self.high)
        if bool((low > high).any()):
            raise InputError(f"Uniform(low={self.low}, high={self.high}): the low end is above the high end.")
        return low + (high - low) * _drawn(inputs, seed, torch.rand)


@dataclass(frozen=True)
class Resample:
    """What another sample has at the same place, one donor for each sample; for one-hot inputs, another letter.

    One-hot inputs (N, C, \\*spatial) get at every position a letter that is not the present one, by the frequency of
    letters in the background; positions without a letter (all zeros) stay as they are.

    Parameters
    ----------
    background
        Samples to draw from. None: the inputs themselves, a sample never being its own donor.
    """

    background: Tensor | None = None

    def fit(self, inputs: Tensor, seed: int) -> Tensor:
        pool = inputs if self.background is None else _background(self.background, inputs)
        if is_one_hot(inputs) and is_one_hot(pool):
            return _other_letters(inputs, pool, seed)
        if self.background is None and len(inputs) < 2:
            raise InputError(
                'filler="resample" needs other samples to draw from, but there is one only; give Resample(background).'
            )
        draws = generators(seed, len(inputs))
        donors = []
        for i in range(len(inputs)):
            others = len(pool) - (self.background is None)
            donor = int(torch.randint(others, (), generator=draws(i)))
            donors.append(donor + (self.background is None and donor >= i))
        return pool[torch.tensor(donors, device=pool.device)]


@dataclass(frozen=True)
class _Called:
    """A function of the user: from rows and where values are taken away to values."""

    function: Callable[[Tensor, Tensor], Tensor]

    def fit(self, inputs: Tensor, seed: int) -> Conditional:
        def fill(rows: Tensor, removed: Tensor, samples: Tensor) -> Tensor:
            values = self.function(rows, removed)
            try:
                return torch.as_tensor(values).to(rows).expand_as(rows)
            except (RuntimeError, TypeError, ValueError):
                shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
                raise InputError(
                    f"The filler returned {shape}; expected values that broadcast to the rows, {tuple(rows.shape)}."
                ) from None

        return fill


FILLERS: dict[str, Callable[[], Filler]] = {
    "mean": Mean,
    "zero": Constant,
    "blur": Blur,
    "inpaint": Inpaint,
    "uniform": Uniform,
    "resample": Resample,
}


def filler_of(given: Any) -> Filler:
    """A filler by name, number, tensor or function; fillers as they are.

    Raises
    ------
    InputError
    """
    if isinstance(given, str) and given in FILLERS:
        return FILLERS[given]()
    if isinstance(given, int | float | Tensor) and not isinstance(given, bool):
        return Constant(given)
    if hasattr(given, "fit") and not isinstance(given, type):
        return given
    if callable(given) and not isinstance(given, type):
        return _Called(given)
    raise InputError(
        f"filler={given!r}: expected one of {', '.join(map(repr, FILLERS))}, a number, a tensor, a filler of "
        "sciexplain.evaluate, or a function of rows (M, ...) and where values are taken away."
    )


def is_one_hot(x: Tensor) -> bool:
    """Whether (N, C, \\*spatial) holds zeros and ones, at most one 1 over the channels and one somewhere."""
    if x.ndim < 3 or x.shape[1] < 2 or not bool(((x == 0) | (x == 1)).all()):
        return False
    letters = x.sum(1)
    return bool((letters <= 1).all()) and bool((letters == 1).any())


def _other_letters(inputs: Tensor, pool: Tensor, seed: int) -> Tensor:
    frequency = pool.double().sum((0, *range(2, pool.ndim)))
    weights = frequency.view(1, -1, *(1,) * (inputs.ndim - 2)) * (1 - inputs.double())
    # Where the background has no other letter, all others are alike.
    weights = torch.where(weights.sum(1, keepdim=True) > 0, weights, 1 - inputs.double())
    upto = weights.cumsum(1)
    drawn = _drawn(inputs[:, :1].double(), seed, torch.rand) * upto[:, -1:]
    letter = (drawn >= upto).sum(1, keepdim=True).clamp(max=inputs.shape[1] - 1)
    other = torch.zeros_like(inputs).scatter_(1, letter, 1)
    return torch.where(inputs.sum(1, keepdim=True) == 0, inputs, other)


def _drawn(like: Tensor, seed: int, draw: Callable[..., Tensor]) -> Tensor:
    """Random numbers of the inputs' shape, each sample's from a generator of its own."""
    draws = generators(seed, len(like))
    shape = like.shape[1:]
    return torch.stack([draw(shape, generator=draws(i), dtype=torch.float64) for i in range(len(like))]).to(like)


def _range(x: Tensor) -> Tensor:
    flat = x.flatten(1)
    return (flat.amax(1) - flat.amin(1)).view(-1, *(1,) * (x.ndim - 1))


def _over_channel(x: Tensor, name: str, reduce: Callable[[Tensor, Any], Tensor]) -> Tensor:
    """Over the positions of each sample's channel; in a table, over the rows of each feature."""
    if x.ndim > 2:
        return reduce(x, tuple(range(2, x.ndim)))
    if len(x) < 2:
        raise InputError(
            f"filler={name!r} of a table with one row is the row itself; give a number, or "
            f"{'Mean(background)' if name == 'mean' else 'Uniform(low, high)'}."
        )
    return reduce(x, (0,))


def _background(background: Tensor, inputs: Tensor) -> Tensor:
    if not isinstance(background, Tensor) or background.shape[1:] != inputs.shape[1:] or not len(background):
        given = tuple(background.shape) if isinstance(background, Tensor) else type(background).__name__
        raise InputError(f"background is {given}; expected samples of the shape {tuple(inputs.shape[1:])}.")
    return background.detach().to(inputs)


def _floating(inputs: Tensor, name: str) -> None:
    if not inputs.is_floating_point():
        raise InputError(
            f"filler={name!r} does not fit inputs of {inputs.dtype}; give the number that stands for nothing, such as "
            'the padding token, or "resample".'
        )


def _spatial(inputs: Tensor, name: str) -> None:
    _floating(inputs, name)
    if inputs.ndim < 3:
        raise InputError(
            f"filler={name!r} needs neighbours, but inputs of shape {tuple(inputs.shape)} have none; expected "
            "(N, C, *spatial)."
        )
