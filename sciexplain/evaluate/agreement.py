"""Whether methods agree on the same samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..explanation import Explanation
from .similarity import as_maps, cosine, sign_agreement, spearman, ssim, top_overlap


@dataclass(frozen=True)
class Agreement:
    """How alike two explanations of each sample are; every measure (N,) float64, 1 where they are the same.

    Attributes
    ----------
    spearman
        Rank correlation; NaN where an explanation is constant.
    cosine
        NaN where an explanation is zero.
    top
        Share of the most relevant values (by magnitude) that both have among theirs.
    sign
        The same, counted where the signs agree too.
    ssim
        Structural similarity of maps; None for explanations that are none.
    """

    spearman: Tensor
    cosine: Tensor
    top: Tensor
    sign: Tensor
    ssim: Tensor | None


def agreement(a: Any, b: Any, *, top: float = 0.1) -> Agreement:
    """Rank correlation, cosine, overlap of the most relevant, sign and structure between two explanations.

    Parameters
    ----------
    a, b
        Explanations or tensors (N, ...) of one shape, or lists of such with a tensor for each sample (atoms).
    top
        Which share of the values counts as most relevant; at least one value.

    Raises
    ------
    InputError

    Examples
    --------
    >>> a = torch.tensor([[3.0, 2.0, 1.0, 0.0]])
    >>> found = agreement(a, -a, top=0.5)
    >>> round(float(found.spearman), 9), float(found.top)
    (-1.0, 1.0)

    References
    ----------
    Krishna et al. 2022, *The disagreement problem in explainable machine learning*. Adebayo et al. 2018 for the use of
    rank correlation and structural similarity.
    """
    if not 0 < top <= 1:
        raise InputError(f"top={top}: expected a share in 0..1.")
    first, second = _samples(a), _samples(b)
    if [x.shape for x in first] != [x.shape for x in second]:
        raise InputError(
            f"The explanations have shapes {[tuple(x.shape) for x in first][:3]} and "
            f"{[tuple(x.shape) for x in second][:3]}; expected the same samples in both."
        )
    found = [_of(x, y, top) for x, y in zip(first, second, strict=True)]
    maps = [f.ssim for f in found if f.ssim is not None]
    spearmans, cosines, tops, signs = (
        torch.cat([getattr(f, name) for f in found]) for name in ("spearman", "cosine", "top", "sign")
    )
    return Agreement(spearmans, cosines, tops, signs, torch.cat(maps) if len(maps) == len(found) else None)


def agreement_matrix(explanations: Mapping[str, Any], *, measure: str = "spearman", top: float = 0.1) -> Tensor:
    """One measure between every two of several explanations: (K, K, N), in the order of the names.

    Parameters
    ----------
    measure
        An attribute of :class:`Agreement`.
    """
    names = list(explanations)
    if measure not in Agreement.__dataclass_fields__:
        raise InputError(f"measure={measure!r}: expected one of {', '.join(Agreement.__dataclass_fields__)}.")
    pairs = {}
    for i, a in enumerate(names):
        for j in range(i, len(names)):
            found = getattr(agreement(explanations[a], explanations[names[j]], top=top), measure)
            if found is None:
                raise InputError(f"measure={measure!r} needs maps (N, C, *spatial).")
            pairs[i, j] = pairs[j, i] = found
    rows = [torch.stack([pairs[i, j] for j in range(len(names))]) for i in range(len(names))]
    return torch.stack(rows)


def _of(a: Tensor, b: Tensor, top: float) -> Agreement:
    k = max(1, round(top * a[0].numel()))
    has_maps = a.ndim > 2 and a.shape[2:].numel() > 1
    return Agreement(
        spearman(a, b),
        cosine(a, b),
        top_overlap(a, b, k),
        sign_agreement(a, b, k),
        ssim(as_maps(a), as_maps(b)) if has_maps else None,
    )


def _samples(given: Any) -> list[Tensor]:
    """One tensor of all samples, or one (1, ...) for each."""
    if isinstance(given, Explanation):
        given = given.relevance
    if isinstance(given, list | tuple):
        tensors = [torch.as_tensor(g).detach().cpu()[None] for g in given]
    else:
        tensors = [torch.as_tensor(given).detach().cpu()]
    if not tensors or any(t.ndim < 2 or not t.numel() for t in tensors):
        raise InputError("An explanation is empty or has no dimension but the samples'; expected (N, ...).")
    if not all(bool(torch.isfinite(t).all()) for t in tensors):
        raise InputError("An explanation has values that are NaN or infinite.")
    return tensors
