"""Gradients along a path from a baseline to the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, RuleError
from ..inputs import Inputs
from ..targets import Target
from .gradient import gradients
from .part import Part


def integrated_gradients(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    baseline: Tensor | float = 0.0,
    steps: int = 32,
) -> Part:
    """Gradients averaged along the straight line from ``baseline``, by Gauss–Legendre quadrature.

    Sundararajan et al. 2017.

    Parameters
    ----------
    baseline : float or Tensor
        Broadcast to the input (a tensor only for a single input).
    steps : int
        Number of quadrature nodes.
    """
    if steps < 1:
        raise RuleError(f"integrated_gradients(steps={steps}): expected at least 1.")
    ends = {k: v.detach() for k, v in inputs.tensors() if v.is_floating_point()}
    starts = {k: _baseline(baseline, v, len(ends)) for k, v in ends.items()}
    _, begin, output = gradients(model, inputs, target)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = {k: torch.zeros_like(v) for k, v in ends.items()}
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        point = {k: starts[k] + float(node) * (v - starts[k]) for k, v in ends.items()}
        found, _, _ = gradients(model, inputs.replaced(point), begin.fixed)
        total = {k: t + float(weight) * found[k] for k, t in total.items()}
    relevance = {
        k: (ends[k] - starts[k]) * total[k]
        if k in ends
        else torch.zeros(v.shape, dtype=begin.score.dtype, device=v.device)
        for k, v in inputs.tensors()
    }
    return Part(relevance, output, begin.target, begin.score)


def _baseline(baseline: Tensor | float, like: Tensor, inputs: int) -> Tensor:
    given = torch.as_tensor(baseline, dtype=like.dtype, device=like.device)
    if given.ndim and inputs > 1:
        raise InputError(
            "A tensor baseline needs a single input tensor of floating point values; give a number for several."
        )
    if not bool(torch.isfinite(given).all()):
        raise InputError("The baseline has values that are NaN or infinite.")
    try:
        return given.expand_as(like)
    except RuntimeError:
        raise InputError(
            f"The baseline has shape {tuple(given.shape)}, the input {tuple(like.shape)}; they must broadcast."
        ) from None
