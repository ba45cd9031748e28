"""How far an explanation moves when its input moves a little."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..inputs import Inputs
from ..targets import Target
from .explaining import Explain, Neighbours, decided_target, explaining, rows


def max_sensitivity(
    model: Callable[..., Any],
    inputs: Any,
    target: Target = None,
    method: str = "lrp",
    *,
    radius: float | Tensor = 0.02,
    draws: int = 10,
    relative: bool = True,
    explain: Explain | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Tensor:
    r"""Largest change of the explanation in a small neighbourhood, (N,) float64; small is good.

    :math:`\max_{‖y-x‖_∞ ≤ r} ‖Φ(f, y) - Φ(f, x)‖_2`, over random y.

    Parameters
    ----------
    model, inputs, target, method, batch_size, **options
        As for :func:`sciexplain.explain`, which they are handed to. A class that is not given is that predicted for the
        inputs as they are.
    radius
        A fraction of each sample's range, or a tensor of absolute radii that broadcasts to the inputs.
    draws
        Random points in the neighbourhood.
    relative
        Divide by :math:`‖Φ(f, x)‖_2`, as the authors' code does, so that methods can be compared; NaN where it is 0.
    explain
        ``explain(model, inputs, target)`` in the place of ``sciexplain.explain``: an Explanation or relevance.
    seed
        Of the points; each sample has its own.

    Raises
    ------
    SciExplainError
        As :func:`sciexplain.explain`.

    References
    ----------
    Yeh et al. 2019, *On the (in)fidelity and sensitivity of explanations*, NeurIPS (max-sensitivity).
    """
    found = _changes(
        model, inputs, target, radius, draws, relative, explaining(method, explain, batch_size, options), seed
    )
    return found.amax(0)


def avg_sensitivity(
    model: Callable[..., Any],
    inputs: Any,
    target: Target = None,
    method: str = "lrp",
    *,
    radius: float | Tensor = 0.02,
    draws: int = 10,
    relative: bool = True,
    explain: Explain | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Tensor:
    """Mean change of the explanation in a small neighbourhood, (N,) float64; as :func:`max_sensitivity`."""
    found = _changes(
        model, inputs, target, radius, draws, relative, explaining(method, explain, batch_size, options), seed
    )
    return found.mean(0)


def _changes(
    model: Callable[..., Any],
    inputs: Any,
    target: Target,
    radius: float | Tensor,
    draws: int,
    relative: bool,
    run: Explain,
    seed: int,
) -> Tensor:
    """Of each draw and sample, (draws, N)."""
    given = Inputs.of(inputs, model)
    target = decided_target(model, given, target)
    here = rows(run(model, inputs, target), given)
    length = here.norm(dim=1) if relative else torch.ones(len(here), dtype=torch.float64)
    length = torch.where(length > 0, length, float("nan"))
    near = Neighbours(given, radius, draws, torch.rand, seed)
    return torch.stack([(rows(run(model, y, target), given) - here).norm(dim=1) / length for y in near])
