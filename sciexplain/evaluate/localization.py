"""Whether relevance lies where it should: against masks of pixels, atoms or nucleotides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..errors import InputError
from ..explanation import Explanation
from .similarity import ranks

Sign = Literal["positive", "absolute", "signed"]


@dataclass(frozen=True)
class Localization:
    """How well each sample's relevance lies on its mask; every measure (N,) float64, NaN for empty masks.

    Attributes
    ----------
    pointing
        Pointing game: 1 where the most relevant value is on the mask; where several share the maximum, the share of
        them that is. Zhang et al. 2018, IJCV 126(10).
    mass
        Relevance mass accuracy: Σ relevance on the mask / Σ relevance. NaN where there is none.
    rank
        Relevance rank accuracy: of the K most relevant values, K the size of the mask, the share on the mask.
    top
        Top-k intersection: of the k most relevant values, the share on the mask.
    auc
        Area under the ROC curve of relevance as a classifier of the mask: the chance that a value on it has more
        relevance than one off it. NaN for masks that cover everything too.
    coverage
        Size of the mask as a share of all values: what a random explanation gets for all but ``auc``, which is 0.5.
    """

    pointing: Tensor
    mass: Tensor
    rank: Tensor
    top: Tensor
    auc: Tensor
    coverage: Tensor


def localization(relevance: Any, masks: Any, *, sign: Sign = "positive", k: int | None = None) -> Localization:
    """Pointing game, relevance mass and rank accuracy, top-k intersection and AUC against masks.

    Parameters
    ----------
    relevance
        Explanation, tensor or array (N, ...), or a list with one for each sample (atoms, nucleotides).
    masks
        Where relevance should lie: truth values, or numbers of which those above 0 count; shaped like the relevance, or
        (N, \\*spatial), whereupon the relevance of (N, C, \\*spatial) is summed over channels. A list for a list.
    sign
        ``"positive"``: negative relevance counts as none. ``"absolute"``: its magnitude counts. ``"signed"``: as it is,
        where masses may be below 0 or above 1.
    k
        Of the top-k intersection. None: a tenth of the values.

    Raises
    ------
    InputError

    Examples
    --------
    >>> found = localization(torch.tensor([[3.0, 1.0, 0.0, -2.0]]), torch.tensor([[1, 0, 0, 1]]))
    >>> float(found.pointing), float(found.mass), float(found.rank), float(found.auc)
    (1.0, 0.75, 0.5, 0.625)

    References
    ----------
    Arras, Osman and Samek 2022, *CLEVR-XAI*, Information Fusion 81 (mass, rank). Theiner et al. 2022, WACV
    (top-k intersection). Fawcett 2006, Pattern Recognition Letters 27 (AUC).
    """
    if sign not in get_args(Sign):
        raise InputError(f"sign={sign!r}: expected one of {', '.join(map(repr, get_args(Sign)))}.")
    if isinstance(relevance, Explanation):
        relevance = relevance.relevance
    each = [_of(*_fitted(torch.as_tensor(r), torch.as_tensor(m)), sign, k) for r, m in _batches(relevance, masks)]
    names = Localization.__dataclass_fields__
    return Localization(*(torch.cat([getattr(e, name) for e in each]) for name in names))


def _batches(relevance: Any, masks: Any) -> list[tuple[Any, Any]]:
    """The whole batch, or each sample as a batch of one."""
    if not isinstance(relevance, list | tuple):
        return [(relevance, masks)]
    if not isinstance(masks, Sequence | Tensor) or len(masks) != len(relevance) or not len(relevance):
        given = len(masks) if isinstance(masks, Sequence | Tensor) else type(masks).__name__
        raise InputError(f"relevance is of {len(relevance)} samples, masks of {given}; expected one mask for each.")
    return [(torch.as_tensor(r)[None], torch.as_tensor(m)[None]) for r, m in zip(relevance, masks, strict=True)]


def _fitted(relevance: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Both (N, V): in double precision, and truth values."""
    relevance = relevance.detach().cpu().double()
    masks = masks.detach().cpu()
    if not bool(torch.isfinite(relevance).all()):
        raise InputError("relevance has values that are NaN or infinite; they have no rank.")
    shape = tuple(relevance.shape)
    if relevance.ndim > 2 and tuple(masks.shape) in ((shape[0], *shape[2:]), (shape[0], 1, *shape[2:])):
        relevance = relevance.sum(1)
    elif relevance.ndim > 1 and tuple(masks.shape) == (shape[0], 1, *shape[1:]):
        masks = masks[:, 0]
    elif tuple(masks.shape) != shape or relevance.ndim < 2:
        raise InputError(
            f"relevance has shape {shape}, masks {tuple(masks.shape)}; expected masks shaped like the relevance, or "
            "one value per position for all channels."
        )
    return relevance.flatten(1), masks.flatten(1) > 0


def _of(relevance: Tensor, masks: Tensor, sign: Sign, k: int | None) -> Localization:
    n, size = relevance.shape
    values = relevance.clamp(min=0) if sign == "positive" else relevance.abs() if sign == "absolute" else relevance
    inside = masks.double()
    count = inside.sum(1)
    nothing = torch.full((n,), float("nan"), dtype=torch.float64)
    top = max(1, size // 10) if k is None else k
    if not 1 <= top <= size:
        raise InputError(f"k={k}: expected 1 to {size}, the number of values.")

    def known(found: Tensor, condition: Tensor) -> Tensor:
        return torch.where(condition, found, nothing)

    greatest = (values == values.amax(1, keepdim=True)).double()
    order = values.argsort(dim=1, descending=True, stable=True)
    hits = inside.gather(1, order).cumsum(1)
    total = values.sum(1)
    # Mann and Whitney's statistic, ties counted half.
    outside = size - count
    auc = ((ranks(values) * inside).sum(1) - count * (count + 1) / 2) / (count * outside)
    return Localization(
        pointing=known((greatest * inside).sum(1) / greatest.sum(1), count > 0),
        mass=known((values * inside).sum(1) / total, (count > 0) & (total != 0)),
        rank=known(hits.gather(1, (count.long() - 1).clamp(min=0)[:, None])[:, 0] / count, count > 0),
        top=known(hits[:, top - 1] / top, count > 0),
        auc=known(auc, (count > 0) & (outside > 0)),
        coverage=count / size,
    )
