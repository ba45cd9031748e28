"""One table over methods and metrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ..errors import InputError
from .statistics import RESAMPLES, Interval, interval

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Scores:
    """One metric of one method on several samples.

    Attributes
    ----------
    method, metric
        Names, as the table shows them.
    values
        (N,); NaN where a sample has no value.
    better
        Which end is good; None where neither is.
    unit
        Such as ``"logit"``; empty for numbers without.
    """

    method: str
    metric: str
    values: Tensor
    better: Better | None = None
    unit: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    mean, low, high
        Over samples, with the bootstrap interval; NaN where it is not known.
    samples
        How many had a value.
    best
        Whether no other method has a better mean of this metric; False where neither end is good.
    difference
        To the reference method on the same samples, paired; None without a reference, and for itself.
    """

    method: str
    metric: str
    mean: float
    low: float
    high: float
    samples: int
    better: Better | None
    unit: str
    best: bool
    difference: Interval | None


def table(
    scores: Iterable[Scores],
    *,
    reference: str | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Row, ...]:
    """Means with bootstrap intervals over samples, metrics one after the other, methods in the order given.

    Parameters
    ----------
    reference
        A method that the others are compared with, sample by sample.
    level, resamples, seed
        Of the intervals.

    Raises
    ------
    InputError
        When a metric is given twice for a method, or the samples of a method and the reference differ in number.

    Examples
    --------
    >>> import torch
    >>> lrp = Scores("lrp", "area", torch.tensor([1.0, 2.0]), "lower")
    >>> random = Scores("random", "area", torch.tensor([3.0, 3.0]), "lower")
    >>> [(row.method, row.mean, row.best) for row in table([lrp, random])]
    [('lrp', 1.5, True), ('random', 3.0, False)]
    """
    given = list(scores)
    by_metric: dict[str, dict[str, Scores]] = {}
    for s in given:
        if s.method in by_metric.setdefault(s.metric, {}):
            raise InputError(f"The metric {s.metric!r} is given twice for {s.method!r}.")
        by_metric[s.metric][s.method] = s
    if reference is not None and not any(s.method == reference for s in given):
        raise InputError(f"reference={reference!r}: there are {', '.join(dict.fromkeys(s.method for s in given))}.")
    rows = []
    for metric, methods in by_metric.items():
        better = next((s.better for s in methods.values() if s.better), None)
        means = {m: interval(s.values, level=level, resamples=resamples, seed=seed) for m, s in methods.items()}
        known = [i.mean for i in means.values() if i.mean == i.mean]
        top = None if better is None or not known else (max if better == "higher" else min)(known)
        base = methods.get(reference) if reference is not None else None
        for method, s in methods.items():
            difference = None
            if base is not None and method != reference:
                if len(s.values) != len(base.values):
                    raise InputError(
                        f"{metric}: {method} has {len(s.values)} samples, {reference} {len(base.values)}, not as many."
                    )
                paired = s.values.detach().cpu().double() - base.values.detach().cpu().double()
                difference = interval(paired, level=level, resamples=resamples, seed=seed)
            unit = next((x.unit for x in methods.values() if x.unit), "")
            mean, low, high, _, samples = means[method]
            rows.append(Row(method, metric, mean, low, high, samples, better, unit, mean == top, difference))
    return tuple(rows)
