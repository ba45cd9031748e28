"""Some of very many samples, kept while they pass by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .errors import DataError
from .representations import Points


@dataclass(frozen=True)
class Kept:
    """Samples that were kept: indices (M,), scores (M,), features (M, D)."""

    indices: Tensor
    scores: Tensor
    features: Tensor


class Pool:
    """The ``limit`` samples that come first in an order, or in a random one; whatever the batches."""

    def __init__(self, limit: int, seed: int) -> None:
        self.limit, self._random = limit, np.random.default_rng(seed)
        self._parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._held = 0

    def add(self, index: Tensor, wanted: Tensor, points: Points, order: Tensor | None) -> None:
        if self.limit == 0:
            return
        # one draw for every sample, wanted or not, so that it is the same in any batch
        order = torch.from_numpy(self._random.random(len(index))) if order is None else order
        self._parts.append((order[wanted], index[wanted], points.scores[wanted], points.features[wanted]))
        self._held += int(wanted.sum())
        if self._held > 2 * self.limit:
            self._compact(self.limit)

    def _compact(self, limit: int) -> None:
        order, index, scores, features = (torch.cat(columns) for columns in zip(*self._parts, strict=True))
        first = torch.argsort(order, stable=True)[:limit]
        self._parts = [(order[first], index[first], scores[first], features[first])]
        self._held = len(first)

    def kept(self, limit: int | None = None) -> Kept:
        """In the order of the data."""
        if not self._parts:
            raise DataError("The data has no samples.")
        self._compact(self.limit if limit is None else limit)
        _, index, scores, features = self._parts[0]
        by_index = torch.argsort(index)
        return Kept(index[by_index], scores[by_index], features[by_index])
