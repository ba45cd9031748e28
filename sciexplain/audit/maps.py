"""Relevance as rows that can be compared: pooled pixels, and the share of each in what speaks for a decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError
from ..explanation import Explanation

Floats = NDArray[np.float32]

_AT_ONCE = 1024
"""Samples that are masked at a time."""


@dataclass(frozen=True, eq=False)
class Maps:
    """Relevance of N samples, pooled.

    Attributes
    ----------
    whole
        (N, H, W) or (N, d): channels summed.
    shape
        Of one pooled map: (h, w) or (d,).
    """

    whole: Floats
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.whole)

    @property
    def full(self) -> tuple[int, ...]:
        """Shape of a map before pooling."""
        return self.whole.shape[1:]

    @cached_property
    def unit(self) -> Floats:
        """(N, pools): each row of length 1, or 0, so that rows are compared by where relevance is, not how much."""
        return unit(_pool(self.whole, self.shape))

    @cached_property
    def shares(self) -> Floats:
        """(N, pools): of positive relevance, each row summing to 1, or to 0 where nothing speaks for the decision."""
        return self.shares_within(np.ones((1, *self.full), np.float32))

    def shares_within(self, mask: NDArray[Any]) -> Floats:
        """The same of what lies within a mask (N or 1, *full) of 0 to 1."""
        found = [_share(part, mask if len(mask) == 1 else mask[i : i + _AT_ONCE]) for i, part in self._parts()]
        return np.concatenate([_pool(part, self.shape) for part in found])

    def strength(self, region: NDArray[np.bool_], mask: NDArray[Any] | None = None) -> Floats:
        """(N,): relevance of either sign in a region (*full,), and where given within a mask (N or 1, *full)."""
        found = []
        for i, part in self._parts():
            within = region if mask is None else region * (mask if len(mask) == 1 else mask[i : i + _AT_ONCE])
            found.append((np.abs(part) * within).reshape(len(part), -1).sum(1))
        return np.concatenate(found)

    def average(self, rows: NDArray[np.int64]) -> Floats:
        """Mean relevance of some samples, (*full,)."""
        mean: Floats = self.whole[rows].mean(0)
        return mean

    def unpooled(self, region: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A pooled region (d,) on the map's own pixels, (*full,)."""
        places = np.ix_(*(_bins(whole, part) for whole, part in zip(self.full, self.shape, strict=True)))
        on_pixels: NDArray[np.bool_] = region.reshape(self.shape)[places]
        return on_pixels

    def pooled_region(self, region: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(pools,): the pools of a region on the map's own pixels."""
        within: NDArray[np.bool_] = _pool(region[None].astype(np.float32), self.shape)[0] > 0
        return within

    def _parts(self) -> Iterator[tuple[int, Floats]]:
        for i in range(0, len(self), _AT_ONCE):
            yield i, self.whole[i : i + _AT_ONCE]


def maps_of(relevance: Any, pool: int) -> Maps:
    """Relevance as rows.

    Parameters
    ----------
    relevance
        (N, C, H, W), (N, H, W) or (N, d) as a tensor or array; one :class:`~sciexplain.Explanation` or a list of them,
        of inputs (N, C, H, W), (N, C, L) or (N, d). Channels are summed.
    pool
        Pixels along the longer side of a pooled map; (N, d) is kept as it is.

    Raises
    ------
    InputError
        Another shape, nothing, or numbers that are not finite.
    """
    rows = _rows(relevance)
    if not rows.size:
        raise InputError("There is no relevance to audit; give a sample at least.")
    if not np.isfinite(rows).all():
        wrong = int((~np.isfinite(rows.reshape(len(rows), -1)).all(1)).sum())
        raise InputError(f"The relevance of {wrong} of {len(rows)} samples is not finite; leave them out.")
    full = rows.shape[1:]
    # Square pools: the longer side decides.
    factor = max(1.0, max(full) / pool) if len(full) == 2 else 1.0
    shape = tuple(max(1, round(side / factor)) for side in full)
    return Maps(rows, shape)


def unit(rows: Floats) -> Floats:
    """Rows of length 1, or 0."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)


def explained_classes(relevance: Any) -> NDArray[np.int64] | None:
    """(N,): the classes that explanations are of; of a single output 1 where it is above 0, else 0. None: unknown."""
    explanations = _explanations(relevance)
    if not explanations:
        return None
    if single_output(explanations):
        return np.concatenate([(one.score > 0).long().cpu().numpy() for one in explanations])
    targets = [one.target.cpu().numpy() for one in explanations if one.target is not None]
    return np.concatenate(targets).astype(np.int64) if len(targets) == len(explanations) else None


def single_output(relevance: Any) -> bool:
    """Whether it is explanations of a model with one output."""
    explanations = _explanations(relevance)
    return bool(explanations) and all(_single(one) for one in explanations)


def _explanations(relevance: Any) -> list[Explanation]:
    given = [relevance] if isinstance(relevance, Explanation) else relevance
    listed = isinstance(given, Sequence) and not isinstance(given, str)
    return list(given) if listed and all(isinstance(one, Explanation) for one in given) else []


def _single(explanation: Explanation) -> bool:
    """Whether the model has one output, whose sign is what it says."""
    output = explanation.output
    return output.ndim == 1 or output.shape[1:] == (1,)


def _of_inputs(explanation: Explanation) -> torch.Tensor:
    """(N, *spatial): channels summed, speaking for what the model says."""
    relevance = explanation.relevance
    if not isinstance(relevance, torch.Tensor):
        raise InputError(
            "The explanation is of several inputs; give the relevance of one of them: explanation.relevance[0]"
        )
    rows = relevance.sum(1) if relevance.ndim > 2 else relevance
    if not _single(explanation):
        return rows
    return torch.where((explanation.score > 0).reshape(-1, *(1,) * (rows.ndim - 1)), rows, -rows)


def _rows(relevance: Any) -> Floats:
    """(N, H, W) or (N, d), channels summed."""
    if explanations := _explanations(relevance):
        found = [_of_inputs(one) for one in explanations]
        if len(shapes := {tuple(one.shape[1:]) for one in found}) > 1:
            raise InputError(f"Explanations of inputs of {sorted(shapes)}; expected one shape")
        relevance = torch.cat(found)
    if isinstance(relevance, torch.Tensor):
        relevance = relevance.detach().float().cpu().numpy()
    try:
        rows = np.asarray(relevance, np.float32)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"relevance is {type(relevance).__name__}; expected an explanation, or numbers (N, C, H, W), (N, H, W) or "
            f"(N, d) of one size: {error}"
        ) from error
    if rows.ndim == 4:
        rows = rows.sum(1)
    if rows.ndim not in (2, 3):
        raise InputError(f"relevance has shape {rows.shape}; expected (N, C, H, W), (N, H, W) or (N, d)")
    return rows


def _share(rows: Floats, mask: NDArray[Any]) -> Floats:
    """Positive relevance within a mask over all positive relevance of each sample."""
    positive = np.maximum(rows, 0)
    total = positive.sum(tuple(range(1, positive.ndim)), keepdims=True)
    positive = positive * mask
    return np.divide(positive, total, out=np.zeros_like(positive), where=total > 0).astype(np.float32)


def _bins(whole: int, part: int) -> NDArray[np.int64]:
    """To which of ``part`` nearly equal pools each of ``whole`` pixels belongs."""
    return np.arange(whole) * part // whole


def _pool(rows: Floats, shape: tuple[int, ...]) -> Floats:
    """Sums over pools, so that a map keeps its sum."""
    for axis, part in enumerate(shape, start=1):
        if part != rows.shape[axis]:
            starts = np.searchsorted(_bins(rows.shape[axis], part), np.arange(part))
            rows = np.add.reduceat(rows, starts, axis=axis)
    return np.ascontiguousarray(rows.reshape(len(rows), -1), np.float32)
