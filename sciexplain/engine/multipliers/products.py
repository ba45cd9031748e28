"""Functions of several signals: the derivative averaged along the straight line from reference to sample.

The Aumann–Shapley share of each argument. It adds up exactly for polynomials, so for every product: of two factors
each gets the other's mean, ``Δ(ab) = Δa (b + b₀)/2 + Δb (a + a₀)/2``. Aumann & Shapley 1974, *Values of non-atomic
games*; for whole networks this is integrated gradients (Sundararajan et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from .node import Operation, joined, pulled_back

SMOOTH = 16
"""Gauss–Legendre nodes for functions that are no polynomial."""


def averaged(degree: int) -> Callable[[Operation], Tensor]:
    """Exact for polynomials of ``degree``."""
    return lambda op: along_line(op, (degree + 1) // 2)


def divided(op: Operation, statistic: Tensor) -> Tensor:
    r"""A product with a reciprocal, :math:`y = a r = a / b`, by the product rule for :math:`a = y b`.

    :math:`Δy = (Δa - \bar y Δb) / \bar b` with the means of sample and reference: exact as the other way round, and
    without the digits lost where a reference's denominator all but vanishes, as in a LayerNorm of a constant.
    """
    inputs = op.inputs()
    (signal,) = (t for t in inputs if t is not statistic)
    signals, statistics = (op.engine.tape.pair(t) for t in (signal, statistic))

    def multiply(m: Tensor) -> list[Tensor]:
        a, a0, r, r0 = signals.sample, signals.reference, statistics.sample, statistics.reference
        total = (r.abs() + r0.abs()).clamp_min(torch.finfo(r.dtype).tiny)
        w, w0 = r0.abs() / total, r.abs() / total
        parts = {
            id(signal): (m * (w * r + w0 * r0)).sum_to_size(a.shape),
            id(statistic): (m * (w0 * a + w * a0)).sum_to_size(r.shape),
        }
        return [parts[id(t)] for t in inputs]

    return op.record(joined(op.value(), inputs, multiply))


def along_line(op: Operation, nodes: int) -> Tensor:
    """The derivative averaged over ``nodes`` Gauss–Legendre nodes, of an operation with one output."""
    inputs = op.inputs()
    pairs = [op.engine.tape.pair(t) for t in inputs]
    places, weights = np.polynomial.legendre.leggauss(nodes)

    def multiply(m: Tensor) -> Sequence[Tensor | None]:
        total: list[Tensor | None] = [None] * len(pairs)
        for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
            points = [torch.lerp(p.reference, p.sample, float(place)) for p in pairs]
            found = pulled_back(lambda leaves: op.at(inputs, leaves), points, m)
            for i, g in enumerate(found):
                if g is not None:
                    before = total[i]
                    total[i] = g * float(weight) if before is None else before.add_(g, alpha=float(weight))
        return total

    return op.record(joined(op.value(), inputs, multiply))
