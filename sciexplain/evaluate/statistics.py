"""Means over samples with bootstrap intervals, alone or paired."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError

RESAMPLES = 2000


class Interval(NamedTuple):
    """A mean over samples and its percentile bootstrap interval.

    Attributes
    ----------
    mean
        NaN without samples.
    low, high
        NaN for fewer than two samples, whose spread is unknown.
    level
        Such as 0.95.
    samples
        How many had a value.
    """

    mean: float
    low: float
    high: float
    level: float
    samples: int


def bootstrap(
    values: Tensor, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Percentile interval of the mean over samples, for each column.

    Parameters
    ----------
    values
        (N,) or (N, K). Columns are resampled together, so that they stay paired.

    Returns
    -------
    low, high
        () or (K,) float64; NaN for fewer than two samples.

    References
    ----------
    Efron and Tibshirani 1993, *An introduction to the bootstrap*, ch. 13.
    """
    if not 0 < level < 1 or resamples < 1:
        raise InputError(f"level={level}, resamples={resamples}: expected 0 < level < 1 and resamples >= 1.")
    values = values.detach().cpu().double()
    n = len(values)
    if n < 2:
        missing = torch.full(values.shape[1:], float("nan"), dtype=torch.float64)
        return missing, missing.clone()
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    means = torch.from_numpy(counts).double() @ values / n
    tail = (1 - level) / 2
    low, high = torch.quantile(means, torch.tensor([tail, 1 - tail], dtype=torch.float64), dim=0)
    return low, high


def interval(values: Tensor, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """The mean of one number per sample, with its bootstrap interval.

    Parameters
    ----------
    values
        (N,). Samples without a value are NaN and are left out.

    Examples
    --------
    >>> found = interval(torch.tensor([1.0, 2.0, 3.0, float("nan")]))
    >>> found.mean, found.samples, found.low >= 1, found.high <= 3
    (2.0, 3, True, True)
    """
    known = values.detach().cpu().double()
    known = known[~known.isnan()]
    low, high = bootstrap(known, level=level, resamples=resamples, seed=seed)
    mean = float(known.mean()) if len(known) else float("nan")
    return Interval(mean, float(low), float(high), level, len(known))
