"""Over many samples: which channels are most relevant, and which samples each is most relevant in."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Ranked(NamedTuple):
    """The k best channels, best first.

    Attributes
    ----------
    channels : tuple of int
    relevance : Tensor, shape (k,)
        Mean over samples.
    share : Tensor, shape (k,)
        Of the sum over all channels whose mean relevance is positive.
    indices : Tensor, shape (k, m)
        Of the samples in which each is most relevant, the most relevant first.
    scores : Tensor, shape (k, m)
        The channel's relevance there.
    """

    channels: tuple[int, ...]
    relevance: Tensor
    share: Tensor
    indices: Tensor
    scores: Tensor


class Ranking:
    """Channels' relevance, sample by sample; memory is that of ``examples`` samples for each channel.

    Attributes
    ----------
    count : int
        Samples so far.
    """

    def __init__(self, examples: int) -> None:
        self.count, self._examples = 0, examples
        self._sum: Tensor | None = None
        self._scores = self._indices = torch.empty(0)

    def add(self, relevance: Tensor, index: Tensor) -> None:
        """(n, channels) of the samples ``index`` (n,)."""
        relevance = relevance.detach().double().cpu()
        if self._sum is None:
            self._sum = torch.zeros(relevance.shape[1], dtype=torch.float64)
            self._scores = torch.empty(0, relevance.shape[1], dtype=torch.float64)
            self._indices = torch.empty(0, relevance.shape[1], dtype=torch.long)
        self._sum += relevance.sum(0)
        self.count += len(relevance)
        scores = torch.cat([self._scores, relevance])
        indices = torch.cat([self._indices, index[:, None].expand(relevance.shape)])
        best = torch.argsort(scores, dim=0, descending=True, stable=True)[: self._examples]
        self._scores, self._indices = scores.gather(0, best), indices.gather(0, best)

    @property
    def mean(self) -> Tensor:
        """(channels,)."""
        assert self._sum is not None
        return self._sum / self.count

    def best(self, k: int) -> Ranked:
        mean = self.mean
        chosen = torch.argsort(mean, descending=True, stable=True)[:k]
        total = mean.clamp(min=0).sum()
        return Ranked(
            channels=tuple(chosen.tolist()),
            relevance=mean[chosen],
            share=mean[chosen] / total if total > 0 else torch.zeros(len(chosen), dtype=torch.float64),
            indices=self._indices[:, chosen].T.contiguous(),
            scores=self._scores[:, chosen].T.contiguous(),
        )
