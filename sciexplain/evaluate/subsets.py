"""Whether the relevance of random sets of parts goes with what the score loses without them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..methods.randomness import generators
from ..targets import Target
from .parts import Parts
from .removal import Removal
from .scoring import Output
from .similarity import pearson
from .tensor_removal import Fill, TensorRemoval, target_of


@dataclass(frozen=True)
class SensitivityN:
    """Correlations for several sizes of sets.

    Attributes
    ----------
    sizes
        (K,) LongTensor: parts in a set.
    correlations
        (N, K) float64, 1 at best; NaN where the sums or the scores do not vary.
    """

    sizes: Tensor
    correlations: Tensor

    @property
    def mean(self) -> Tensor:
        """Over samples (K,), those without a value left out: the curve of the paper."""
        return self.correlations.nanmean(0)

    @property
    def values(self) -> Tensor:
        """Over sizes (N,): one number for each sample."""
        return self.correlations.nanmean(1)


def subset_correlation(
    removal: Removal,
    relevance: Sequence[Tensor] | Tensor,
    *,
    size: int | float,
    subsets: int = 100,
    seed: int = 0,
) -> Tensor:
    r"""Correlation over random sets S of :math:`\sum_{i∈S} R_i` and :math:`f(x) - f(x_{\setminus S})`, (N,) float64.

    Parameters
    ----------
    removal
        Samples and their parts.
    relevance
        Of each sample's parts.
    size
        Parts in a set: a number, or a fraction of each sample's parts below 1.
    subsets
        How many sets.
    seed
        Of the sets; each sample has its own.

    Raises
    ------
    InputError
    """
    sizes = removal.sizes
    if isinstance(subsets, bool) or subsets < 2:
        raise InputError(f"subsets={subsets}: expected 2 or more, for a correlation.")
    if isinstance(size, float) and 0 < size < 1:
        counts = [max(1, round(size * parts)) for parts in sizes]
    elif isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= min(sizes, default=0):
        counts = [size] * len(sizes)
    else:
        raise InputError(
            f"size={size!r}: expected a whole number from 1 to {min(sizes, default=0)} parts, or a fraction below 1."
        )
    if len(relevance) != len(sizes):
        raise InputError(f"relevance is of {len(relevance)} samples, but there are {len(sizes)}.")
    draws = generators(seed, len(sizes))
    whole = removal.scores(range(len(sizes)), [torch.ones(parts, dtype=torch.bool) for parts in sizes]).double().cpu()
    found = []
    for i, (parts, count) in enumerate(zip(sizes, counts, strict=True)):
        worth = torch.as_tensor(relevance[i]).detach().cpu().double()
        if worth.shape != (parts,) or not bool(torch.isfinite(worth).all()):
            raise InputError(f"relevance[{i}] of shape {tuple(worth.shape)}; expected {parts} finite numbers.")
        chosen = torch.rand(subsets, parts, generator=draws(i)).argsort(1)[:, :count]
        removed = torch.zeros(subsets, parts, dtype=torch.bool).scatter_(1, chosen, True)
        left = removal.scores([i] * subsets, list(~removed)).double().cpu()
        found.append(pearson((removed.double() @ worth)[None], (whole[i] - left)[None]))
    return torch.cat(found)


def sensitivity_n(
    model: Callable[..., Any],
    inputs: Tensor,
    relevance: Any,
    target: Target = None,
    *,
    sizes: Sequence[int] | Tensor | int | None = None,
    subsets: int = 100,
    filler: Fill = "zero",
    parts: Parts = None,
    output: Output = "score",
    batch_size: int = 128,
    seed: int = 0,
) -> SensitivityN:
    """Correlation of relevance and loss of score over random sets of n parts, for several n.

    Parameters
    ----------
    sizes
        Values of n, one or several. None: ten from 1 to 80 % of the parts, evenly on a logarithmic scale.
    subsets
        Random sets for each n.
    model, inputs, relevance, target, filler, parts, output, batch_size, seed
        As for :func:`~sciexplain.evaluate.pixel_flipping`.

    Raises
    ------
    InputError, TargetError, ModelError

    References
    ----------
    Ancona et al. 2018, *Towards better understanding of gradient-based attribution methods*, ICLR (sensitivity-n).
    """
    removal = TensorRemoval(
        model, inputs, target_of(relevance, target), filler=filler, parts=parts, output=output, batch_size=batch_size,
        seed=seed,
    )  # fmt: skip
    count = removal.sizes[0]
    if sizes is None:
        most = torch.tensor(max(1.0, 0.8 * count), dtype=torch.float64)
        sizes = sorted(set(torch.logspace(0, float(most.log10()), 10).round().int().tolist()))
    sizes = torch.as_tensor(sizes).reshape(-1).tolist()
    worth = removal.fold(relevance)
    found = [subset_correlation(removal, worth, size=n, subsets=subsets, seed=seed + i) for i, n in enumerate(sizes)]
    if not found:
        raise InputError("sizes is empty; expected numbers of parts.")
    return SensitivityN(torch.tensor(sizes), torch.stack(found, 1))


def faithfulness_correlation(
    model: Callable[..., Any],
    inputs: Tensor,
    relevance: Any,
    target: Target = None,
    *,
    size: int | float = 0.2,
    subsets: int = 100,
    filler: Fill = "mean",
    parts: Parts = None,
    output: Output = "score",
    batch_size: int = 128,
    seed: int = 0,
) -> Tensor:
    """Correlation of relevance and loss of score over random sets of one size, (N,) float64.

    Parameters
    ----------
    size
        Parts in a set, or a fraction of them below 1.
    model, inputs, relevance, target, subsets, filler, parts, output, batch_size, seed
        As for :func:`sensitivity_n`.

    Raises
    ------
    InputError, TargetError, ModelError

    References
    ----------
    Bhatt, Weller and Moura 2020, *Evaluating and aggregating feature-based model explanations*, IJCAI.
    """
    removal = TensorRemoval(
        model, inputs, target_of(relevance, target), filler=filler, parts=parts, output=output, batch_size=batch_size,
        seed=seed,
    )  # fmt: skip
    return subset_correlation(removal, removal.fold(relevance), size=size, subsets=subsets, seed=seed)
