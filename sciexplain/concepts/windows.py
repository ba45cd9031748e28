"""The part of an input that a heatmap lies on."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InputError

Window = tuple[tuple[int, int], ...]
"""(start, end) along every dimension, 0-based and half-open."""


def window(heatmap: Tensor, mass: float = 0.9) -> Window:
    """Along every dimension, the shortest stretch with a share of \\|relevance\\|.

    Parameters
    ----------
    heatmap : Tensor
        Of any number of dimensions.
    mass : float
        Above 0, at most 1: the share that each stretch holds of the sums over the other dimensions.

    Returns
    -------
    tuple of (start, end)
        Where no relevance is, everything.

    Examples
    --------
    >>> import torch
    >>> window(torch.tensor([[0.0, 0, 0, 0], [0, 3, -4, 0.1]]))
    ((1, 2), (1, 3))
    """
    if not 0 < mass <= 1:
        raise InputError(f"mass={mass}: expected above 0, at most 1.")
    size = heatmap.detach().double().abs()
    dims = range(size.ndim)
    return tuple(_stretch(size.sum([d for d in dims if d != axis]) if size.ndim > 1 else size, mass) for axis in dims)


def _stretch(size: Tensor, mass: float) -> tuple[int, int]:
    """The shortest; of several, that with the most."""
    n, total = len(size), float(size.sum())
    if total == 0:
        return 0, n
    sums = torch.cat([size.new_zeros(1), size.cumsum(0)])
    needed = mass * total * (1 - 1e-12)
    ends = torch.searchsorted(sums, sums[:-1] + needed)
    lengths = torch.where(ends <= n, ends - torch.arange(n, device=ends.device), n + 1)
    if int(lengths.min()) > n:  # rounding took the last digit
        return 0, n
    held = torch.where(lengths == lengths.min(), sums[ends.clamp(max=n)] - sums[:-1], -1)
    start = int(held.argmax())
    return start, start + int(lengths.min())
