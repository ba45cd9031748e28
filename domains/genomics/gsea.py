"""Gene set enrichment of a ranking: the running sum, its largest deviation, and that of sets drawn at random."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciexplain.errors import InputError

_AT_ONCE = 4_000_000  # numbers held by one step of the permutations
_ROUNDING = 1e-12  # scores this close came from the same sums in another order

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Values of genes from high to low, and which of them are tied.

    Attributes
    ----------
    order
        (n,): index of the gene at each rank.
    weights
        (n,): \\|value\\|^weight at each rank.
    first, last
        (n,): of each rank, the ranks at which its group of equal values starts and ends, the end not in.
    """

    order: Integers
    weights: Floats
    first: Integers
    last: Integers

    @classmethod
    def of(cls, values: Floats, weight: float = 1.0) -> Ranking:
        """Rank values, highest first.

        Raises
        ------
        InputError
            A value is not finite, or ``weight`` is below 0.
        """
        if not np.isfinite(values).all():
            raise InputError(f"{(~np.isfinite(values)).sum()} of {len(values)} values are not finite; leave them out.")
        if weight < 0:
            raise InputError(f"weight={weight}; expected 0 or above: the power to which |value| is raised.")
        order = np.argsort(-values, kind="stable")
        ranked = values[order]
        first = np.searchsorted(-ranked, -ranked, side="left")
        last = np.searchsorted(-ranked, -ranked, side="right")
        return cls(order, np.abs(ranked) ** weight, first, last)

    def __len__(self) -> int:
        return len(self.order)


def enrichment_scores(ranking: Ranking, hits: Integers) -> tuple[Floats, Integers]:
    """Largest deviation from zero of the running sums, and the rank at which it is reached.

    Down the ranking the sum rises by a hit's share of the hits' weight and falls by 1 / (n − k) at every other gene.
    Genes of equal value are passed in one step: their order among each other means nothing, so it may not count.

    Parameters
    ----------
    ranking
        Of n genes.
    hits
        (m, k): for each of m sets, the ranks of its k genes in rising order; 0 < k < n.

    Returns
    -------
    scores
        (m,): from −1 to 1; 0 where all genes of a set weigh nothing.
    ranks
        (m,): genes of the leading edge have ranks below it where the score is positive, else from it on.

    Notes
    -----
    Subramanian et al., PNAS 102, 15545 (2005), equation 1 of the appendix.
    """
    k = hits.shape[1]
    weights = ranking.weights[hits]
    total = weights.sum(1, keepdims=True)
    risen = np.cumsum(weights, 1) / np.where(total == 0, 1, total)
    index = np.arange(k)
    first, last = ranking.first[hits], ranking.last[hits]
    changes = first[:, 1:] != first[:, :-1]
    opens = np.pad(changes, ((0, 0), (1, 0)), constant_values=True)
    closes = np.pad(changes, ((0, 0), (0, 1)), constant_values=True)
    # The sum is highest after a group that holds hits, lowest before one.
    misses = len(ranking) - k
    after = np.where(closes, risen - (last - index - 1) / misses, -np.inf)
    before = np.where(opens, np.pad(risen[:, :-1], ((0, 0), (1, 0))) - (first - index) / misses, np.inf)
    rows = np.arange(len(hits))
    top, low = after.argmax(1), before.argmin(1)
    high, deep = after[rows, top], before[rows, low]
    rises = high >= -deep
    scores = np.where(total[:, 0] == 0, 0.0, np.where(rises, high, deep))
    return scores, np.where(rises, last[rows, top], first[rows, low])


def null_scores(ranking: Ranking, sizes: Iterable[int], *, permutations: int, seed: int) -> dict[int, Floats]:
    """Enrichment scores of sets of genes drawn at random: ``{size: (permutations,)}``.

    The null of a set depends on its size alone, so one is drawn for each size, the smaller sets being the first genes
    of the larger ones.
    """
    wanted = sorted(set(sizes))
    null = {size: np.empty(permutations) for size in wanted}
    if not wanted:
        return null
    rng = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // len(ranking))
    for start in range(0, permutations, step):
        stop = min(start + step, permutations)
        drawn = np.broadcast_to(np.arange(len(ranking)), (stop - start, len(ranking)))
        drawn = rng.permuted(drawn, axis=1)[:, : wanted[-1]]
        for size in wanted:
            null[size][start:stop] = enrichment_scores(ranking, np.sort(drawn[:, :size], axis=1))[0]
    return null


def significance(scores: Floats, nulls: Iterable[Floats]) -> tuple[Floats, Floats]:
    """Normalised scores and p-values of scores, each against its own null.

    A positive score is compared with the part of its null that is not negative, a negative one with the part that is
    not positive: p = (1 + number as extreme) / (1 + number in that part). The normalised score is the score over the
    mean of those of its sign; NaN where there are none. A score of 0 tells nothing: NaN and p = 1.
    """
    pairs = [_significance(score, null) for score, null in zip(scores.tolist(), nulls, strict=True)]
    normalised, p = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return normalised, p


def _significance(score: float, null: Floats) -> tuple[float, float]:
    if score == 0:
        return np.nan, 1.0
    part = np.abs(null[null * score >= 0])
    extreme = (part >= abs(score) - _ROUNDING).sum()
    of_sign = part[part > 0]
    return score / of_sign.mean() if len(of_sign) else np.nan, (1 + extreme) / (1 + len(part))


def leading_edge(ranking: Ranking, hits: Integers, score: float, rank: int) -> Iterator[int]:
    """Indices of the genes that make the score, from the end of the ranking at which they lie."""
    if score > 0:
        yield from ranking.order[hits[hits < rank]].tolist()
    elif score < 0:
        yield from ranking.order[hits[hits >= rank][::-1]].tolist()
