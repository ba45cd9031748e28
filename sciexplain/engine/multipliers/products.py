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
