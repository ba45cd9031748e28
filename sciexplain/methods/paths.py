"""Gradients along straight lines from baselines to the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, RuleError
from ..inputs import Inputs
from ..targets import Target
from .gradient import floats, zeros
from .options import PerInput, for_each_input, values_like
from .part import Part, convergence_error
from .randomness import generators
from .variants import Variants


def integrated_gradients(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    baseline: PerInput = 0.0,
    steps: int = 32,
    chunk: int | None = None,
) -> Part:
    r"""Gradients averaged along the straight line from a baseline, by Gauss–Legendre quadrature.

    :math:`R_i = (x_i - x'_i) \int_0^1 ∂f/∂x_i\,(x' + α (x - x')) \, dα`; Sundararajan et al. 2017, eq. 1. Σ R is
    score(x) − score(x') up to the error of the quadrature, which is reported as ``convergence_error``.

    Parameters
    ----------
    baseline : float or Tensor, or one for each input
        Broadcast to the input.
    steps : int
        Number of quadrature nodes.
    chunk : int, optional
        Rows in one forward pass.
    """
    if steps < 1:
        raise RuleError(f"integrated_gradients(steps={steps}): expected at least 1.")
    ends = floats(inputs)
    starts = values_like(baseline, inputs, list(ends), "baseline")
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    variants = Variants(model, inputs, target, chunk)

    def points(block: range) -> dict[str, Tensor]:
        alphas = (nodes[block.start : block.stop] + 1) / 2
        return {k: starts[k] + _column(alphas, v) * (v - starts[k]) for k, v in ends.items()}

    mean = {k: torch.zeros_like(v) for k, v in ends.items()}
    for block, (_, found) in variants.gradients(steps, points):
        for k, total in mean.items():
            total += (_column(weights[block.start : block.stop] / 2, total) * found[k]).sum(0)
    relevance = {k: (v - starts[k]) * mean[k] for k, v in ends.items()}
    at_baseline = variants.scores(1, lambda _: {k: s[None].clone() for k, s in starts.items()})
    return _path_part(variants, relevance, at_baseline, mean)


def expected_gradients(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    references: Tensor | tuple[Any, ...] | dict[str, Tensor],
    samples: int = 100,
    seed: int = 0,
    chunk: int | None = None,
) -> Part:
    r"""Integrated gradients averaged over references, by Monte Carlo.

    :math:`R_i = E_{x' \sim D,\, α \sim U(0, 1)} [(x_i - x'_i) \, ∂f/∂x_i\,(x' + α (x - x'))]`; Erion et al. 2021,
    *Improving performance of deep learning models with axiomatic attribution priors and expected gradients*, eq. 2.

    Parameters
    ----------
    references : Tensor, or one for each floating input
        Draws from the data that stand for "nothing known": (K, \*shape of a sample), the same for all samples, or
        (N, K, \*shape of a sample).
    samples : int
        Number of points. The references take turns in random order, and the points' positions are spread evenly over
        the lines with a random shift each, which leaves the mean as it is and lessens its error.
    seed : int
        Of the draws, which are the same for every sample of a batch.
    chunk : int, optional
        Rows in one forward pass.

    Notes
    -----
    ``convergence_error`` is score(x) − mean score of the references drawn − Σ R.
    """
    if samples < 1:
        raise RuleError(f"expected_gradients(samples={samples}): expected at least 1.")
    ends = floats(inputs)
    given = for_each_input(references, inputs, "references")
    pools = {k: _pool(given[k], v) for k, v in ends.items()}
    sizes = {pool.shape[1] for pool in pools.values()}
    if len(sizes) > 1:
        raise InputError(f"The inputs have {sorted(sizes)} references; expected as many for each, to go together.")
    drawn, alphas = _draws(sizes.pop(), samples, seed)
    variants = Variants(model, inputs, target, chunk)

    def reference(k: str, draws: Tensor) -> Tensor:
        pool = pools[k]
        return pool[:, draws.to(pool.device)].movedim(1, 0).expand(-1, *ends[k].shape)

    def points(block: range) -> dict[str, Tensor]:
        rows = slice(block.start, block.stop)
        return {k: torch.lerp(reference(k, drawn[rows]), v, _column(alphas[rows].numpy(), v)) for k, v in ends.items()}

    relevance, mean = ({k: torch.zeros_like(v) for k, v in ends.items()} for _ in range(2))
    for block, (_, found) in variants.gradients(samples, points):
        for k, total in relevance.items():
            total += ((ends[k] - reference(k, drawn[block.start : block.stop])) * found[k]).sum(0) / samples
            mean[k] += found[k].sum(0) / samples
    used, turns = drawn.unique(return_counts=True)
    scores = variants.scores(len(used), lambda b: {k: reference(k, used[b.start : b.stop]).clone() for k in ends})
    weights = turns.to(scores) / samples
    return _path_part(variants, relevance, weights[None] @ scores, mean)


def _path_part(
    variants: Variants, relevance: dict[str, Tensor], baseline_score: Tensor, mean: dict[str, Tensor]
) -> Part:
    begin = variants.begin
    relevance = {k: relevance[k] if k in relevance else zeros(v, begin.score) for k, v in variants.inputs.tensors()}
    error = convergence_error(begin.score - baseline_score[0], relevance, variants.inputs)
    return Part(relevance, variants.output, begin.target, begin.score, convergence_error=error, multipliers=mean)


def _column(numbers: np.ndarray, like: Tensor) -> Tensor:
    """One number for each variant of ``like``."""
    return torch.as_tensor(numbers).to(like).view(-1, *(1,) * like.ndim)


def _pool(references: Any, like: Tensor) -> Tensor:
    """(N or 1, K, *shape of a sample)."""
    shape = tuple(references.shape) if isinstance(references, Tensor) else type(references).__name__
    expected = (
        f"expected (K, *{tuple(like.shape[1:])}), the same for all samples, or ({like.shape[0]}, K, "
        f"*{tuple(like.shape[1:])})"
    )
    if not isinstance(references, Tensor):
        raise InputError(f"references is {shape}; {expected}.")
    pool = references.detach().to(like)
    pool = pool[None] if pool.ndim == like.ndim else pool
    if pool.ndim != like.ndim + 1 or pool.shape[2:] != like.shape[1:] or pool.shape[0] not in (1, like.shape[0]):
        raise InputError(f"references has shape {shape}; {expected}.")
    if not pool.shape[1]:
        raise InputError(f"references has shape {shape}: there is none.")
    if not bool(torch.isfinite(pool).all()):
        raise InputError("references has values that are NaN or infinite.")
    return pool


def _draws(references: int, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Which reference, and which position on the line, each point has."""
    generator = generators(seed, 1)(0)
    turns = [torch.randperm(references, generator=generator) for _ in range(-(-samples // references))]
    shifts = torch.rand(samples, generator=generator, dtype=torch.float64)
    return torch.cat(turns)[:samples], (torch.randperm(samples, generator=generator) + shifts) / samples
