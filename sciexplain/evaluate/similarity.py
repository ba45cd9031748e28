"""How alike two explanations of each sample are."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import InputError

Similarity = Callable[[Tensor, Tensor], Tensor]
"""From two relevances (N, \\*shape) to (N,)."""


def ranks(values: Tensor) -> Tensor:
    """Ranks from 1 along the last of (N, V), the mean rank for ties; float64.

    Examples
    --------
    >>> ranks(torch.tensor([[0.5, 2.0, 0.5]]))
    tensor([[1.5000, 3.0000, 1.5000]], dtype=torch.float64)
    """
    ordered, order = values.sort(dim=1)
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    group = new.cumsum(1) - 1
    places = torch.arange(1, values.shape[1] + 1, dtype=torch.float64, device=values.device).expand(values.shape)
    sums = torch.zeros_like(places).scatter_add_(1, group, places)
    count = torch.zeros_like(places).scatter_add_(1, group, torch.ones_like(places))
    return torch.zeros_like(places).scatter_(1, order, (sums / count.clamp(min=1)).gather(1, group))


def pearson(a: Tensor, b: Tensor) -> Tensor:
    """Correlation (N,) of (N, ...) and (N, ...); NaN where one of them is constant."""
    a, b = (x.double().flatten(1) - x.double().flatten(1).mean(1, keepdim=True) for x in (a, b))
    return _cosine(a, b)


def spearman(a: Tensor, b: Tensor) -> Tensor:
    """Rank correlation (N,), ties at their mean rank; NaN where one of them is constant."""
    return pearson(ranks(a.double().flatten(1)), ranks(b.double().flatten(1)))


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of the angle (N,); NaN where one of them is zero."""
    return _cosine(a.double().flatten(1), b.double().flatten(1))


def ssim(a: Tensor, b: Tensor, *, window: int = 7) -> Tensor:
    """Structural similarity (N,) of maps (N, \\*spatial) or (N, C, \\*spatial), whose channels are summed.

    A uniform window with the unbiased covariance, K₁ = 0.01, K₂ = 0.03, the mean over all places where the window fits,
    as scikit-image has it. The data range is that of both maps together; identical maps are 1.

    Parameters
    ----------
    window
        Odd; no longer than the shortest side, else the longest odd number that fits.

    References
    ----------
    Wang et al. 2004, IEEE TIP 13(4), eq. 13.
    """
    if window < 1 or window % 2 == 0:
        raise InputError(f"window={window}: expected an odd number.")
    a, b = a.double(), b.double()
    shortest = min(a.shape[2:])
    size = min(window, shortest - (shortest % 2 == 0))
    dims = a.ndim - 2
    pool = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[dims]

    def local(x: Tensor) -> Tensor:
        return pool(x, size, stride=1)

    both = torch.cat([a.flatten(1), b.flatten(1)], 1)
    extent = (both.amax(1) - both.amin(1)).view(-1, *(1,) * (a.ndim - 1))
    unbiased = size**dims / max(size**dims - 1, 1)
    mean_a, mean_b = local(a), local(b)
    variance_a, variance_b = (unbiased * (local(x * x) - m * m) for x, m in ((a, mean_a), (b, mean_b)))
    covariance = unbiased * (local(a * b) - mean_a * mean_b)
    c1, c2 = (0.01 * extent).square(), (0.03 * extent).square()
    above = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    below = (mean_a.square() + mean_b.square() + c1) * (variance_a + variance_b + c2)
    each = torch.where(below > 0, above / below, torch.ones_like(below))
    return each.flatten(1).mean(1)


def as_maps(relevance: Tensor) -> Tensor:
    """(N, C, \\*spatial) as (N, 1, \\*spatial), channels summed.

    Raises
    ------
    InputError
        For what has no spatial dimensions.
    """
    if relevance.ndim < 3 or prod(relevance.shape[2:]) < 2:
        raise InputError(
            f"Structural similarity compares maps (N, C, *spatial), not relevance of shape {tuple(relevance.shape)}; "
            'take similarity="spearman".'
        )
    return relevance.sum(1, keepdim=True)


def top_overlap(a: Tensor, b: Tensor, k: int) -> Tensor:
    """Share (N,) of the k values of largest magnitude in one that are among those of the other.

    Krishna et al. 2022, *The disagreement problem in explainable machine learning*, feature agreement.
    """
    return _top(a, k).logical_and(_top(b, k)).double().sum(1) / k


def sign_agreement(a: Tensor, b: Tensor, k: int) -> Tensor:
    """As :func:`top_overlap`, of those with the same sign. Krishna et al. 2022, sign agreement."""
    same = a.flatten(1).sign() == b.flatten(1).sign()
    return (_top(a, k) & _top(b, k) & same).double().sum(1) / k


def _top(values: Tensor, k: int) -> Tensor:
    magnitude = values.double().flatten(1).abs()
    chosen = magnitude.argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.zeros_like(magnitude, dtype=torch.bool).scatter_(1, chosen, True)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    lengths = a.norm(dim=1) * b.norm(dim=1)
    return torch.where(lengths > 0, (a * b).sum(1) / lengths, float("nan")).clamp(-1, 1)


def _ssim_of_maps(a: Tensor, b: Tensor) -> Tensor:
    return ssim(as_maps(a), as_maps(b))


SIMILARITIES: dict[str, Similarity] = {
    "spearman": spearman,
    "pearson": pearson,
    "cosine": cosine,
    "ssim": _ssim_of_maps,
}


def similarity_of(given: str | Similarity) -> Similarity:
    """By name, or a function as it is.

    Raises
    ------
    InputError
    """
    if isinstance(given, str):
        if given not in SIMILARITIES:
            raise InputError(
                f"similarity={given!r}: expected one of {', '.join(map(repr, SIMILARITIES))} or a function."
            )
        return SIMILARITIES[given]
    if not callable(given):
        raise InputError(f"similarity is {type(given).__name__}; expected a name or a function of two tensors.")
    return given
