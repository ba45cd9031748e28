"""Windows that cover an input: of its features, or of its positions with all channels together."""

from __future__ import annotations

from itertools import product
from math import ceil

from torch import Tensor

from ..errors import RuleError

Window = tuple[slice, ...]
"""Slices of a sample's dimensions (those of the input but the first)."""

WINDOWS = 200


def windows_over(
    like: Tensor, window: int | tuple[int, ...] | None, stride: int | tuple[int, ...] | None
) -> list[Window]:
    """Windows in row-major order, cut off at the far border; every value is in one of them at least.

    Parameters
    ----------
    like : Tensor, shape (N, features), (N, length) or (N, C, \\*spatial)
        The input.
    window, stride : int, tuple of int, or None
        One number for each spatial dimension; with one more in front, for the channels too, which otherwise belong to
        every window. A single number is for every spatial dimension. Window None: 1 for (N, features), otherwise of
        such a size that about 200 windows cover the input. Stride None: the window, so that nothing overlaps.

    Raises
    ------
    RuleError
        When they do not fit.
    """
    shape = tuple(like.shape[1:])
    if not shape:
        return [()]
    spatial = shape[1:] or shape
    size = _each("window", window, shape, spatial, _default(spatial) if shape[1:] else (1,))
    step = _each("stride", stride, shape, spatial, size)
    if any(t > w for t, w in zip(step, size, strict=True)):
        raise RuleError(f"stride={stride} is more than window={window}, which leaves gaps between windows.")
    begins = [range(0, max(n - w, 0) + t, t) for n, w, t in zip(shape, size, step, strict=True)]
    return [tuple(slice(b, b + w) for b, w in zip(corner, size, strict=True)) for corner in product(*begins)]


def _default(spatial: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(ceil(n / WINDOWS ** (1 / len(spatial))) for n in spatial)


def _each(
    name: str,
    given: int | tuple[int, ...] | None,
    shape: tuple[int, ...],
    spatial: tuple[int, ...],
    default: tuple[int, ...],
) -> tuple[int, ...]:
    """One number for each dimension of a sample."""
    numbers = default if given is None else (given,) * len(spatial) if isinstance(given, int) else tuple(given)
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in numbers) or len(numbers) not in (
        len(spatial),
        len(shape),
    ):
        raise RuleError(
            f"{name}={given!r} does not fit an input whose samples have the shape {shape}; expected a positive number, "
            f"or one for each of the {len(spatial)} dimensions {spatial}."
        )
    return numbers if len(numbers) == len(shape) else (*shape[: len(shape) - len(numbers)], *numbers)
