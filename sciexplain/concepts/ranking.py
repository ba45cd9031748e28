"""Over many samples: which channels are most relevant, and which samples each is most relevant in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..membership import ClassTarget


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


@dataclass(frozen=True, eq=False)
class TopChannels:
    """The k most relevant channels of a layer for a class, each with m real examples.

    Attributes
    ----------
    layer : str
    target
    channels : tuple of int
        The most relevant first.
    relevance : Tensor, shape (k,)
        Of each, the mean over the members of the class, in the unit of the output.
    share : Tensor, shape (k,)
        Of what speaks for the class: of the sum over the channels whose mean relevance is positive.
    count : int
        Members.
    indices : Tensor, shape (k, m)
        In the data: the members in which the channel is most relevant (RelMax), the most relevant first.
    scores : Tensor, shape (k, m)
        The channel's relevance there.
    """

    layer: str
    target: ClassTarget
    channels: tuple[int, ...]
    relevance: Tensor
    share: Tensor
    count: int
    indices: Tensor
    scores: Tensor

    def __len__(self) -> int:
        return len(self.channels)

    def __repr__(self) -> str:
        shares = ", ".join(f"{c} ({100 * s:.0f} %)" for c, s in zip(self.channels, self.share.tolist(), strict=True))
        return f"{type(self).__name__}({self.layer!r}, target {self.target!r}: channels {shares})"


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
