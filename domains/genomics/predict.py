"""A model's predictions for a target, and nothing else."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sciexplain._evaluation import evaluation_mode
from sciexplain.domains.genomics.models import Model
from sciexplain.errors import TargetError
from sciexplain.targets import start


def predict(
    model: Model, inputs: Tensor, target: Any = None, *, batch_size: int | None = None
) -> tuple[Tensor, Tensor | None]:
    """The explained output of each sequence, as the model gives it.

    Parameters
    ----------
    model
        On (N, channels, L).
    inputs
        (N, channels, L).
    target
        As in :func:`sciexplain.explain`.
    batch_size
        Sequences at a time; None: as many as have 2¹⁸ letters.

    Returns
    -------
    (N,) predictions, and (N,) classes where the target is a class; otherwise None.

    Raises
    ------
    TargetError
        The target does not fit the output.
    """
    n, size = len(inputs), batch_size or max(1, 2**18 // inputs.shape[-1])
    if isinstance(target, list | tuple):
        target = torch.as_tensor(target)
    each = isinstance(target, Tensor) and target.ndim > 0 and len(target) == n
    found = []
    with torch.no_grad(), evaluation_mode(model):
        for begin in range(0, n, size):
            rows = slice(begin, begin + size)
            part = inputs[rows]
            found.append(start(model(part), target[rows] if each else target, len(part)))
    scores = torch.cat([f.score for f in found])
    if len(scores) != n:
        raise TargetError(f"{n} sequences gave {len(scores)} predictions; expected one each.")
    classes = [f.target for f in found if f.target is not None]
    return scores, torch.cat(classes) if classes else None
