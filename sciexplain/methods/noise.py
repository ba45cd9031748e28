"""Gradients at noisy copies of the input: their mean and their variance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import RuleError
from ..inputs import Inputs
from ..targets import Target
from .gradient import floats, zeros
from .part import Part
from .randomness import generators
from .variants import Variants


def smoothgrad(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    samples: int = 25,
    noise: float = 0.1,
    seed: int = 0,
    chunk: int | None = None,
) -> Part:
    r"""The mean gradient over noisy copies of the input, :math:`R = \frac1n \sum_k ∂f/∂x\,(x + ε_k)`.

    Smilkov et al. 2017.

    Parameters
    ----------
    samples : int
        Number of noisy copies.
    noise : float
        Standard deviation as a fraction of each sample's range of values.
    seed : int
        Of the noise, which is the same for every sample of a batch.
    chunk : int, optional
        Rows in one forward pass.
    """
    return _over_noise("smoothgrad", model, inputs, target, samples, noise, seed, chunk)


def vargrad(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    samples: int = 25,
    noise: float = 0.1,
    seed: int = 0,
    chunk: int | None = None,
) -> Part:
    r"""The variance of the gradient over noisy copies of the input.

    :math:`R = \frac1n \sum_k (g_k - \bar g)^2` with :math:`g_k = ∂f/∂x\,(x + ε_k)`. Adebayo et al. 2018, *Local
    explanation methods for deep neural networks lack sensitivity to parameter values*.

    Parameters
    ----------
    samples, noise, seed, chunk
        As for ``smoothgrad``.
    """
    return _over_noise("vargrad", model, inputs, target, samples, noise, seed, chunk)


def _over_noise(
    method: str,
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    samples: int,
    noise: float,
    seed: int,
    chunk: int | None,
) -> Part:
    if samples < 1 or not 0 <= noise < float("inf"):
        raise RuleError(f"{method}(samples={samples}, noise={noise}): expected samples >= 1 and noise >= 0.")
    clean = floats(inputs)
    spreads = {k: noise * _range(v) for k, v in clean.items()}
    draws = generators(seed, samples)

    def noisy(block: range) -> dict[str, Tensor]:
        points: dict[str, list[Tensor]] = {k: [] for k in clean}
        for i in block:
            generator = draws(i)
            for k, v in clean.items():
                normal = torch.randn(v.shape[1:], generator=generator, dtype=torch.float64).to(v)
                points[k].append(v + spreads[k] * normal)
        return {k: torch.stack(p) for k, p in points.items()}

    variants = Variants(model, inputs, target, chunk)
    mean: dict[str, Tensor] = {}
    squares: dict[str, Tensor] = {}
    count = 0
    for block, (_, found) in variants.gradients(samples, noisy):
        count += len(block)
        for k in clean:
            # Chan et al. 1979: a block's mean and squared deviations join those so far
            block_mean = found[k].mean(0)
            deviations = (found[k] - block_mean).square_().sum(0)
            step = block_mean - mean.get(k, 0)
            squares[k] = deviations + squares.get(k, 0) + step.square() * len(block) * (count - len(block)) / count
            mean[k] = mean.get(k, 0) + step * len(block) / count
    result = mean if method == "smoothgrad" else {k: s / samples for k, s in squares.items()}
    begin = variants.begin
    relevance = {k: result[k] if k in result else zeros(v, begin.score) for k, v in inputs.tensors()}
    multipliers = {} if method == "vargrad" else {k: relevance[k] for k in floats(inputs)}
    return Part(relevance, variants.output, begin.target, begin.score, multipliers=multipliers)


def _range(values: Tensor) -> Tensor:
    """Greatest minus least value of each sample."""
    flat = values.flatten(1) if values.ndim > 1 else values[:, None]
    return (flat.amax(1) - flat.amin(1)).reshape(-1, *(1,) * (values.ndim - 1))
