"""Whether relevance sums to the score, and where the rest went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..explanation import Explanation


@dataclass(frozen=True)
class Conservation:
    """The score of each sample against the sum of its relevance; tensors (N,) float64.

    Where samples share their inputs (a batch of graphs), N is 1: all of them together.

    Attributes
    ----------
    score
    total
        Σ relevance.
    missing
        Score − Σ relevance.
    share
        Σ relevance / score; NaN for a score of 0.
    absorbed
        What bias, stabilizer and operations without a rule took, from the ledger; empty without one.
    unexplained
        What is left of ``missing``: the ledger's gap, or the convergence error of a method that promises 0. None
        without either.
    """

    score: Tensor
    total: Tensor
    missing: Tensor
    share: Tensor
    absorbed: Mapping[str, Tensor] = field(default_factory=dict)
    unexplained: Tensor | None = None


def conservation(explanation: Explanation) -> Conservation:
    """Score, Σ relevance and what lies between them.

    Examples
    --------
    >>> import sciexplain as sx
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3, bias=False)).double()
    >>> found = conservation(sx.explain(model, torch.ones(2, 4, dtype=torch.float64), target=0, ledger=True))
    >>> bool((found.share - 1).abs().max() < 1e-4), bool(found.unexplained.abs().max() < 1e-9)
    (True, True)

    References
    ----------
    Bach et al. 2015, PLoS ONE 10(7), eq. 2.
    """
    if not isinstance(explanation, Explanation):
        raise InputError(f"explanation is {type(explanation).__name__}; expected what sciexplain.explain returns.")
    score = explanation.score.detach().cpu().double()
    relevance = [t.detach().cpu().double() for t in tensors_of(explanation.relevance)]
    n = len(score)
    if n > 1 and all(r.ndim and len(r) == n for r in relevance):
        total = torch.stack([r.reshape(n, -1).sum(1) for r in relevance]).sum(0)
    else:
        total, score = torch.stack([r.sum() for r in relevance]).sum()[None], score.sum()[None]
    together = len(total) != n

    def of(values: Tensor) -> Tensor:
        values = values.detach().cpu().double()
        return values.sum()[None] if together else values

    ledger, error = explanation.ledger, explanation.convergence_error
    rest = ledger.gap if ledger is not None else error
    return Conservation(
        score=score,
        total=total,
        missing=score - total,
        share=torch.where(score != 0, total / score, float("nan")),
        absorbed={} if ledger is None else {k: of(v) for k, v in ledger.absorbed.items()},
        unexplained=None if rest is None else of(rest),
    )


def tensors_of(relevance: Any) -> list[Tensor]:
    """The tensors of a relevance in the structure of the inputs."""
    if isinstance(relevance, Tensor):
        return [relevance]
    values = relevance.values() if isinstance(relevance, Mapping) else relevance
    return [v for v in values if isinstance(v, Tensor)]
