"""Missing values as weighted means of their neighbours: a sparse linear system for every sample, solved together."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor


def imputed(rows: Tensor, removed: Tensor, otherwise: Tensor, *, tolerance: float = 1e-6) -> Tensor:
    """Values at missing places that equal the weighted mean of their neighbours.

    By conjugate gradients with the diagonal as preconditioner: the system is symmetric and positive definite as soon as
    anything is left. Each row's solution depends on that row alone.

    Parameters
    ----------
    rows
        (M, C, \\*spatial).
    removed
        (M, 1 or C, \\*spatial) bool: what is missing.
    otherwise
        (M, C, 1, ...): for rows of which nothing is left.
    tolerance
        Norm of the residual relative to that of the right-hand side.

    Returns
    -------
    (M, C, \\*spatial), in the dtype of ``rows``
    """
    missing = removed.expand_as(rows).double()
    known = rows.double() * (1 - missing)
    # 1 but at borders; a place without any neighbour is no equation
    diagonal = _neighbours(torch.ones_like(missing[:1, :1])).clamp(min=1e-12)
    right = _neighbours(known) * missing
    axes = tuple(range(2, rows.ndim))

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(axes, keepdim=True)

    solution = torch.zeros_like(right)
    residual = right.clone()
    step = residual / diagonal
    energy = dot(residual, step)
    enough = tolerance**2 * dot(right, right)
    for _ in range(4 * prod(rows.shape[2:])):
        going = dot(residual, residual) > enough
        if not bool(going.any()):
            break
        ahead = (diagonal * step - _neighbours(step)) * missing
        length = torch.where(going, energy / dot(step, ahead), 0)
        solution += length * step
        residual -= length * ahead
        scaled = residual / diagonal
        before, energy = energy, torch.where(going, dot(residual, scaled), energy)
        step = torch.where(going, scaled + energy / before * step, step)
    nothing = (missing == 1).flatten(2).all(2).view(*rows.shape[:2], *(1,) * len(axes))
    solution = torch.where(nothing, otherwise.double(), solution)
    return torch.where(removed, solution.to(rows), rows)


def _neighbours(values: Tensor) -> Tensor:
    """The weighted sum over the neighbours of every place; nothing beyond the border.

    A direct neighbour weighs 1, and half as much for each further axis along which it is off; all together 1. In images
    that is 1/6 and 1/12: the outer product of (1/2, 1, 1/2) with itself, less the middle, over 3.
    """
    dims = values.ndim - 2
    found = values
    for axis in range(2, values.ndim):
        inner = values.shape[axis] - 1
        spread = found.clone()
        spread.narrow(axis, 1, inner).add_(found.narrow(axis, 0, inner), alpha=0.5)
        spread.narrow(axis, 0, inner).add_(found.narrow(axis, 1, inner), alpha=0.5)
        found = spread
    return (found - values) / (2**dims - 1)
