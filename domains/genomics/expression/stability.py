"""Whether the same genes come up again: over seeds and folds, and in another cohort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sciexplain._optional import require
from sciexplain.domains.genomics.expression.cross_validation import CrossValidation
from sciexplain.domains.genomics.expression.rank import GeneRanking, class_means
from sciexplain.domains.genomics.expression.train import columns_of
from sciexplain.errors import InputError


@dataclass(frozen=True)
class Stability:
    """How alike M rankings of the same genes are.

    Attributes
    ----------
    similarity
        Of the sets of the k best genes, at most 1, and 0 for sets chosen at random.
    interval
        Its 95 % confidence interval.
    spearman
        Mean correlation of the ranks of all genes over pairs of rankings.
    k, runs
        Genes in a set, and M.
    """

    similarity: float
    interval: tuple[float, float]
    spearman: float
    k: int
    runs: int


@dataclass(frozen=True)
class Agreement:
    """How alike two rankings are, over the genes that both have.

    Attributes
    ----------
    genes
        That both have.
    only
        Genes of the first alone, and of the second alone.
    overlap
        Genes among the k best of both.
    k
        How many of each.
    p
        Chance of such an overlap or a larger one between sets chosen at random (hypergeometric).
    rbo
        Rank-biased overlap, 0 to 1: the best genes count most.
    spearman
        Correlation of scores over all genes.
    shared
        The genes of the overlap, the best of the first ranking first.
    """

    genes: int
    only: tuple[int, int]
    overlap: int
    k: int
    p: float
    rbo: float
    spearman: float
    shared: tuple[str, ...]


def stability(cv: CrossValidation, k: int = 100, *, over: Literal["folds", "seeds"] = "folds") -> Stability:
    """How alike the rankings of a cross-validation's folds, or of its seeds, are.

    Training parts of folds share patients, so that this is stability against a change of some patients and of the
    start of training, not against other patients; for these see :func:`agreement` of two cohorts.

    Parameters
    ----------
    cv
        With several seeds for ``over="seeds"``.
    k
        Genes in a set.

    Raises
    ------
    InputError
        There is one ranking only, or k is not between 0 and the number of genes.
    """
    columns, classes = columns_of(cv.table), len(cv.classes)
    if over == "seeds":
        scores = [class_means(r, columns, classes).mean(0) for r in cv.relevance]
    elif over == "folds":
        places = [(cv.plan.seeds.index(fold.seed), fold.test) for fold in cv.folds]
        scores = [class_means(cv.relevance[s][rows], columns[rows], classes).mean(0) for s, rows in places]
    else:
        raise InputError(f'over={over!r}; expected "folds" or "seeds".')
    if len(scores) < 2 or not 0 < k < len(cv.table.genes):
        raise InputError(
            f"{len(scores)} rankings, k={k} of {len(cv.table.genes)} genes; expected at least two rankings, and some "
            "of the genes."
        )
    stacked = np.stack(scores)
    chosen = np.zeros(stacked.shape, bool)
    np.put_along_axis(chosen, np.argsort(-stacked, axis=1, kind="stable")[:, :k], True, axis=1)
    similarity, interval = set_stability(chosen)
    stats = require("scipy.stats", extra="genomics")
    correlation = np.corrcoef(stats.rankdata(stacked, axis=1))
    return Stability(similarity, interval, float(correlation[np.triu_indices(len(stacked), 1)].mean()), k, len(stacked))


def set_stability(chosen: ArrayLike) -> tuple[float, tuple[float, float]]:
    """Stability of M sets of genes, and its 95 % confidence interval.

    For sets of one size it is the mean of Kuncheva's index over all pairs.

    Parameters
    ----------
    chosen
        (M, G), bool: which genes each set has.

    Raises
    ------
    InputError
        There are fewer than two sets, or the sets are all empty or all complete.

    Examples
    --------
    >>> set_stability([[1, 1, 0, 0], [1, 1, 0, 0]])
    (1.0, (1.0, 1.0))

    References
    ----------
    Nogueira, Sechidis and Brown 2018, JMLR 18(174), definition 4 and section 5; Kuncheva 2007, IASTED.
    """
    z = np.asarray(chosen, np.float64)
    if z.ndim != 2 or len(z) < 2 or z.min() == z.max():
        raise InputError(f"Sets of shape {z.shape}; expected at least two, neither all empty nor all complete.")
    m, g = z.shape
    sizes, frequency = z.sum(1), z.mean(0)
    mean = sizes.mean()
    chance = mean / g * (1 - mean / g)
    phi = 1 - (m / (m - 1) * frequency * (1 - frequency)).mean() / chance
    each = (
        (z * frequency).mean(1) - sizes * mean / g**2 + phi / 2 * (2 * sizes * mean / g**2 - sizes / g - mean / g + 1)
    ) / chance
    spread = 1.96 * np.sqrt(4 / m**2 * ((each - each.mean()) ** 2).sum())
    return float(phi), (float(phi - spread), float(min(phi + spread, 1)))


def agreement(a: GeneRanking, b: GeneRanking, k: int = 100, *, persistence: float = 0.98) -> Agreement:
    """How alike the rankings of two cohorts, or of two kinds of models, are.

    Both are ranked anew over the genes that both have.

    Parameters
    ----------
    a, b
        Two rankings.
    k
        Genes of each for the overlap.
    persistence
        Of the rank-biased overlap: depth d has weight ∝ persistence^d, so that .98 looks at about the first 50.

    Raises
    ------
    InputError
        They share no more than k genes, or a setting is out of range.

    References
    ----------
    Webber, Moffat and Zobel 2010, ACM TOIS 28(4), equation 32.
    """
    common = set(a.genes) & set(b.genes)
    first, second = ([gene for gene in ranking.top(len(ranking)) if gene in common] for ranking in (a, b))
    if not 0 < k < len(common) or not 0 < persistence < 1:
        raise InputError(
            f"k={k}, persistence={persistence:g}: the rankings share {len(common)} genes; expected k below that, and a "
            "persistence between 0 and 1."
        )
    stats = require("scipy.stats", extra="genomics")
    leading = set(second[:k])
    shared = [gene for gene in first[:k] if gene in leading]
    of_gene = [dict(zip(r.genes, r.score.tolist(), strict=True)) for r in (a, b)]
    scores = [[of[gene] for gene in first] for of in of_gene]
    return Agreement(
        genes=len(common),
        only=(len(a) - len(common), len(b) - len(common)),
        overlap=len(shared),
        k=k,
        p=float(stats.hypergeom.sf(len(shared) - 1, len(common), k, k)),
        rbo=rank_biased_overlap(first, second, persistence),
        spearman=float(stats.spearmanr(*scores).statistic),
        shared=tuple(shared),
    )


def rank_biased_overlap(a: list[str], b: list[str], persistence: float = 0.98) -> float:
    """Rank-biased overlap of two lists of one length, extrapolated from their end.

    Examples
    --------
    >>> rank_biased_overlap(["a", "b"], ["a", "b"]), rank_biased_overlap(["a", "b"], ["c", "d"])
    (1.0, 0.0)

    References
    ----------
    Webber, Moffat and Zobel 2010, ACM TOIS 28(4), equation 32.
    """
    if len(a) != len(b) or not a:
        raise InputError(f"Lists of {len(a)} and {len(b)}; expected the same length, at least 1.")
    place = {item: d for d, item in enumerate(b)}
    # An item counts from the depth at which both lists have it.
    met = np.array([max(d, place[item]) for d, item in enumerate(a) if item in place], np.int64)
    agreed = np.cumsum(np.bincount(met, minlength=len(a)))
    depth = np.arange(1, len(a) + 1)
    weights = persistence**depth
    ratio = agreed / depth
    return float(ratio[-1] * weights[-1] + (1 - persistence) / persistence * (ratio * weights).sum())
