"""Choosing among points by an RBF kernel: representative ones, diverse ones, and those that are badly represented."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_EXACT = 2_000
"""Points up to which the median is over all pairs."""
_BLOCK = 1 << 22
"""Numbers of a kernel matrix at a time."""


def median_distance(points: Tensor, seed: int = 0) -> float:
    """Median Euclidean distance between points (n, d); 1 where it is 0. Above 2,000 points, that of as many of them.

    Examples
    --------
    >>> median_distance(torch.tensor([[0.0], [1.0], [3.0]]))
    2.0
    """
    if len(points) > _EXACT:
        points = points[torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))[:_EXACT]]
    found = float(torch.pdist(points.double()).median()) if len(points) > 1 else 0.0
    return found or 1.0


def rbf(a: Tensor, b: Tensor, bandwidth: float) -> Tensor:
    """(n, m) float64: :math:`\\exp(-\\lVert a_i - b_j \\rVert^2 / 2 \\sigma^2)`."""
    return distances(a, b).square_().mul_(-1 / (2 * bandwidth**2)).exp_()


def distances(a: Tensor, b: Tensor) -> Tensor:
    """(n, m) float64: Euclidean, without the short cut that loses the digits of small ones."""
    return torch.cdist(a.double(), b.double(), compute_mode="donot_use_mm_for_euclid_dist")


def mean_embedding(points: Tensor, others: Tensor, bandwidth: float) -> Tensor:
    """(n,): the kernel's mean of each point with all of others (m, d)."""
    return torch.cat([kernel.mean(1) for kernel in _kernels(points, others, bandwidth)])


def mmd_prototypes(points: Tensor, k: int, bandwidth: float) -> list[int]:
    r"""The k points whose distribution is most like that of all, greedily.

    Each step makes the most of

    .. math::
        J_b(S) = \frac{2}{n |S|} \sum_{i \in [n], j \in S} k(x_i, x_j) - \frac{1}{|S|^2} \sum_{i, j \in S} k(x_i, x_j)

    which is the squared maximum mean discrepancy of nothing less that of S (Kim et al. 2016).
    """
    mean = mean_embedding(points, points, bandwidth)
    chosen: list[int] = []
    to_chosen = torch.zeros(len(points), dtype=torch.float64)
    means = within = 0.0
    for size in range(1, k + 1):
        value = 2 / size * (means + mean) - (within + 2 * to_chosen + 1) / size**2
        value[chosen] = -torch.inf
        best = int(value.argmax())
        means, within = means + float(mean[best]), within + 2 * float(to_chosen[best]) + 1
        chosen.append(best)
        to_chosen += rbf(points, points[best : best + 1], bandwidth)[:, 0]
    return chosen


def mmd_criticisms(points: Tensor, prototypes: Tensor, count: int, bandwidth: float, barred: list[int]) -> list[int]:
    r"""The points that prototypes (m, d) represent worst, and that differ among themselves, greedily.

    Each step makes the most of :math:`\sum_{l \in C} |w(x_l)| + \log \det K_{C, C}` with the witness function
    :math:`w(x) = \frac{1}{n} \sum_i k(x, x_i) - \frac{1}{m} \sum_j k(x, y_j)` (Kim et al. 2016). There may
    be fewer than asked for, where all others are copies of those.
    """
    witness = (mean_embedding(points, points, bandwidth) - mean_embedding(points, prototypes, bandwidth)).abs()
    free = torch.ones(len(points), dtype=torch.bool)
    free[barred] = False
    chosen: list[int] = []
    rest = torch.ones(len(points), dtype=torch.float64)  # of the kernel's diagonal, behind Cholesky's steps
    factors: list[Tensor] = []
    for _ in range(count):
        value = torch.where(free & (rest > 1e-10), witness + rest.clamp(min=1e-300).log(), -torch.inf)
        best = int(value.argmax())
        if not bool(value[best] > -torch.inf):
            break
        column = rbf(points, points[best : best + 1], bandwidth)[:, 0]
        for factor in factors:
            column = column - factor * factor[best]
        factor = column / rest[best].sqrt()
        factors.append(factor)
        rest = rest - factor.square()
        free[best] = False
        chosen.append(best)
    return chosen


def spread_over(points: Tensor, candidates: Tensor, k: int, bandwidth: float) -> list[int]:
    r"""The k of ``candidates`` (c, d) that together are near to all points, greedily (facility location).

    Each step makes the most of :math:`\sum_i \max_{j \in S} k(x_i, y_j)`, which is monotone and submodular: within
    :math:`1 - 1/e` of the best (Nemhauser et al. 1978).
    """
    near = torch.zeros(len(points), dtype=torch.float64)
    chosen: list[int] = []
    for _ in range(min(k, len(candidates))):
        value = torch.cat([kernel.maximum(near).sum(1) for kernel in _kernels(candidates, points, bandwidth)])
        value[chosen] = -torch.inf
        best = int(value.argmax())
        chosen.append(best)
        near = near.maximum(rbf(points, candidates[best : best + 1], bandwidth)[:, 0])
    return chosen


def _kernels(a: Tensor, b: Tensor, bandwidth: float) -> Iterator[Tensor]:
    """The matrix of both, some rows at a time."""
    for rows in a.split(max(1, _BLOCK // max(1, len(b)))):
        yield rbf(rows, b, bandwidth)
