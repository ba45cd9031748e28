"""Shapley values: a feature's mean contribution over all orders in which features may come."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import lgamma
from typing import Any

import torch
from torch import Tensor

from ..errors import RuleError
from ..inputs import Inputs
from ..targets import Target
from .coalitions import Game
from .options import PerInput
from .part import Part
from .randomness import generators


def shapley_sampling(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    baseline: PerInput = 0.0,
    features: Any = None,
    samples: int = 26,
    seed: int = 0,
    chunk: int | None = None,
) -> Part:
    r"""Shapley values by sampling orders of the features.

    :math:`φ_i = \frac1n \sum_π [f(\text{pre}_π(i) \cup i) - f(\text{pre}_π(i))]`; Castro et al. 2009; Štrumbelj and
    Kononenko 2010. Every second order is the reverse of the one before it (Mitchell et al. 2022, sec. 4.1), which is
    exact for features that interact in pairs. Σ R = score(x) − score(baseline) for any number of samples.

    Parameters
    ----------
    baseline, features
        What absent features are set to, and what the features are: a number for each value of the input, such as the
        superpixel it is in. Default: single features of a table, otherwise about 200 windows. The values of a feature
        share its worth equally.
    samples : int
        Number of orders.
    seed : int
        Of the orders, which are the same for every sample of a batch.
    chunk : int, optional
        Rows in one forward pass.
    """
    if samples < 1:
        raise RuleError(f"shapley_sampling(samples={samples}): expected at least 1.")
    game = Game(model, inputs, target, baseline, features, chunk)
    generator, size = generators(seed, 1)(0), game.size
    orders = torch.stack([torch.randperm(size, generator=generator) for _ in range((samples + 1) // 2)])
    orders = torch.stack([orders, orders.flip(1)], 1).flatten(0, 1)[:samples]
    place = orders.argsort(1)
    kept = place[:, None] < torch.arange(size)[None, :, None]  # (orders, size of the coalition, features)
    scores = game.scores(kept.flatten(0, 1)).view(samples, size, -1)
    scores = torch.cat([scores, game.full.expand(samples, 1, -1)], 1)
    steps = scores.diff(dim=1)  # what the feature at each place of the order adds
    worth = steps.gather(1, place.to(steps.device)[..., None].expand_as(steps)).mean(0)
    return game.part(worth, empty=scores[0, 0])


def kernel_shap(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    baseline: PerInput = 0.0,
    features: Any = None,
    samples: int | None = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Part:
    r"""Shapley values as the weighted least squares fit of an additive game.

    Coalitions S of M features are weighted by :math:`\frac{M - 1}{\binom{M}{|S|} |S| (M - |S|)}`, with those of none
    and of all as constraints; Lundberg and Lee 2017, theorem 2. With room for all :math:`2^M - 2` coalitions the fit is
    exact; otherwise they are drawn by weight, each with its complement (Covert and Lee 2021).

    Parameters
    ----------
    baseline, features, seed, chunk
        As for ``shapley_sampling``.
    samples : int, optional
        Number of coalitions. Default: 2 M + 2048.
    """
    if samples is not None and samples < 1:
        raise RuleError(f"kernel_shap(samples={samples}): expected at least 1.")
    game = Game(model, inputs, target, baseline, features, chunk)
    size = game.size
    empty = game.scores(torch.zeros(1, size, dtype=torch.bool))[0]
    gain = game.full - empty
    if size == 1:
        return game.part(gain[None], empty=empty)
    kept, weights = _coalitions(size, samples or 2 * size + 2048, seed)
    rise = game.scores(kept) - empty
    z, w = kept.to(rise), weights.to(rise)
    # minimise Σ w (rise − z φ)² subject to Σ φ = gain
    inverse = torch.linalg.pinv(z.T @ (w[:, None] * z), hermitian=True)
    free = inverse @ (z.T @ (w[:, None] * rise))
    one = inverse.sum(1)
    worth = free - one[:, None] * ((free.sum(0) - gain) / one.sum())
    return game.part(worth, empty=empty)


def _coalitions(size: int, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Coalitions and their weights: all of them where there is room, otherwise as the kernel's weights fall."""
    kernel = torch.tensor([1 / (s * (size - s)) for s in range(1, size)], dtype=torch.float64)  # of a size as a whole
    if size < 32 and 2**size - 2 <= samples:
        kept = torch.tensor(list(product((False, True), repeat=size)))[1:-1]
        sizes = kept.sum(1)
        count = torch.tensor([lgamma(size + 1) - lgamma(s + 1) - lgamma(size - s + 1) for s in range(1, size)]).exp()
        return kept, (kernel / count)[sizes - 1]
    generator = generators(seed, 1)(0)
    sizes = 1 + torch.multinomial(kernel, (samples + 1) // 2, replacement=True, generator=generator)
    ranks = torch.rand(len(sizes), size, generator=generator).argsort(1).argsort(1)
    kept = ranks < sizes[:, None]
    kept = torch.stack([kept, ~kept], 1).flatten(0, 1)[:samples]
    return kept, torch.ones(len(kept), dtype=torch.float64)
