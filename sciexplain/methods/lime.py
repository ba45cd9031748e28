"""LIME: a linear model of the score around the input, as features come and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..errors import RuleError
from ..inputs import Inputs
from ..targets import Target
from .coalitions import Game
from .options import PerInput
from .part import Part
from .randomness import generators


def lime(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    baseline: PerInput = 0.0,
    features: Any = None,
    samples: int = 1000,
    kernel_width: float = 0.25,
    ridge: float = 1.0,
    seed: int = 0,
    chunk: int | None = None,
) -> Part:
    r"""The coefficients of a weighted ridge regression of the score on which features are there.

    :math:`\min_{φ, φ_0} \sum_z π(z) (f(z) - φ_0 - φ^\top z)^2 + λ \lVert φ \rVert^2` over random
    :math:`z \in \{0, 1\}^M` and the input itself, :math:`z = 1`, with :math:`π(z) = \exp(-d^2 / σ^2)^{1/2}` and d the
    cosine distance of z to 1; Ribeiro et al. 2016, eq. 2, with the choices of its authors' code.

    Parameters
    ----------
    baseline, features, chunk
        As for ``shapley_sampling``. The values of a feature share its coefficient equally.
    samples : int
        Number of coalitions.
    kernel_width : float
        σ.
    ridge : float
        λ.
    seed : int
        Of the coalitions, which are the same for every sample of a batch.
    """
    if samples < 2 or not kernel_width > 0 or not ridge >= 0:
        raise RuleError(
            f"lime(samples={samples}, kernel_width={kernel_width}, ridge={ridge}): expected samples >= 2, "
            "kernel_width > 0 and ridge >= 0."
        )
    game = Game(model, inputs, target, baseline, features, chunk)
    kept = torch.rand(samples, game.size, generator=generators(seed, 1)(0)) < 0.5
    kept[0] = True
    scores = game.scores(kept)
    z = kept.to(scores)
    distance = 1 - z.mean(1).sqrt()
    weight = (-(distance**2) / (2 * kernel_width**2)).exp()[:, None]
    centred, score = (v - (weight * v).sum(0) / weight.sum() for v in (z, scores))
    normal = centred.T @ (weight * centred) + ridge * torch.eye(game.size).to(z)
    return game.part(torch.linalg.pinv(normal, hermitian=True) @ (centred.T @ (weight * score)))
