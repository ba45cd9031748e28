"""What speaks against a cluster: each observation as a number, in words, and where it can be tested with a p-value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .maps import unit

Bools = NDArray[np.bool_]
Edit = Callable[[NDArray[np.int64], Bools], Any]
"""From samples (M,) and a region of their map, to the explained output (M,) when the region is edited in them."""

MOST_EDITED = 64
"""Members, and others, that an edit is tried on."""


@dataclass(frozen=True)
class Part:
    """One observation.

    Attributes
    ----------
    name
        ``"small"``, ``"one label"``, ``"alike"``, ``"apart"``, ``"edit"``, or what a place out of place is called.
    value
        0 (nothing suspicious) to 1.
    words
        The same for a reader.
    p
        Of the test against chance; None where nothing is tested.
    """

    name: str
    value: float
    words: str
    p: float | None = None


def out_of_place(
    shares: NDArray[np.float32], members: NDArray[np.int64], rng: np.random.Generator
) -> tuple[float, float, Bools]:
    """Relevance out of place that the members share, the p-value of that, and where.

    With :math:`o_{ij}` the share of sample i's positive relevance that is in feature j and out of place there,

    .. math:: E = \\sum_j \\max(0, \\mathrm{median}_{i \\in k} o_{ij} - \\mathrm{median}_{i \\notin k} o_{ij}).

    Medians keep what at least half of the members have at the *same* place; what lies elsewhere in each, as parts of an
    object that were taken for background do, cancels. The test is a rank-sum test of members against all others, in the
    features that a random half of the members chose and on the other half, so that choosing does not help.

    Parameters
    ----------
    shares
        (N, d).
    members
        Rows of the cluster.

    Returns
    -------
    E in 0..1; p; (d,) the features with a positive term.
    """
    others = np.setdiff1d(np.arange(len(shares)), members)
    contrast = _contrast(shares, members, others)
    found = float(contrast.sum())
    if not found or len(members) < 4 or not len(others):
        return found, 1.0, contrast > 0
    from scipy.stats import mannwhitneyu

    order = rng.permutation(members)
    chosen = _contrast(shares, order[::2], others) > 0
    if not chosen.any():
        return found, 1.0, contrast > 0
    ours, theirs = shares[order[1::2]][:, chosen].sum(1), shares[others][:, chosen].sum(1)
    return found, float(mannwhitneyu(ours, theirs, alternative="greater").pvalue), contrast > 0


def _contrast(
    shares: NDArray[np.float32], members: NDArray[np.int64], others: NDArray[np.int64]
) -> NDArray[np.float32]:
    more = np.median(shares[members], axis=0)
    some = more > 0  # most features hold nothing, and medians over all samples take their time
    if len(others):
        more[some] -= np.median(shares[np.ix_(others, some)], axis=0)
    return np.maximum(more, 0)


def shared_region(shares: NDArray[np.float32], members: NDArray[np.int64], rest: NDArray[np.int64]) -> Bools:
    """(d,): the smallest set of features with half of what the members have more of than the rest, on average."""
    more = shares[members].mean(0) - (shares[rest].mean(0) if len(rest) else 0)
    more = np.maximum(more, 0)
    order = np.argsort(-more, kind="stable")
    total = np.cumsum(more[order], dtype=np.float64)
    region = np.zeros(len(more), bool)
    if total[-1] > 0:
        region[order[: int(np.searchsorted(total, total[-1] / 2)) + 1]] = True
    return region


def small(size: int, of: int) -> Part:
    """The smaller its part of the class."""
    return Part("small", 1 - size / of, f"{size} of {of} samples of its class")


def alike(rows: NDArray[np.float32], members: NDArray[np.int64]) -> Part:
    """Mean cosine of two members' maps."""
    n = len(members)
    if n < 2:
        return Part("alike", 0.0, "a single sample")
    ours = unit(rows[members])
    total, lengths = ours.sum(0, dtype=np.float64), float((ours.astype(np.float64) ** 2).sum())
    value = (float(total @ total) - lengths) / (n * (n - 1))
    return Part("alike", float(np.clip(value, 0, 1)), f"its maps have a mean cosine of {value:.2f}")


def apart(conductance: float) -> Part:
    """How few of its links to nearest neighbours lead out of it."""
    return Part("apart", 1 - conductance, f"{conductance:.1%} of its links to neighbours leave it")


def one_label(
    strength: NDArray[np.float32],
    members: NDArray[np.int64],
    labels: NDArray[np.int64],
    names: Sequence[str] | None,
) -> tuple[Part, float]:
    """How pure the label is among all samples that carry what the members share.

    Carriers are the samples with at least a quarter of the members' median strength. The value is how far their purity
    is beyond the label's share in all the data: 0 no purer, 1 pure. The test is binomial, against that share.

    Parameters
    ----------
    strength
        (N,): relevance of either sign that is where the members have it, since what speaks for their class speaks
        against others. Not its share, of which those with little other relevance have more, whatever their label.
    """
    carriers = (strength > 0) & (strength >= np.median(strength[members]) / 4)
    kinds, counts = np.unique(labels[carriers], return_counts=True)
    if not len(kinds):
        return Part("one label", 0.0, "no relevance that they share"), 1.0
    from scipy.stats import binomtest

    common, count, total = kinds[counts.argmax()], int(counts.max()), int(counts.sum())
    base = float((labels == common).mean())
    value = max(0.0, (count / total - base) / (1 - base)) if base < 1 else 0.0
    name = common if names is None else names[common]
    words = f"{count} of {total} carriers have label {name} ({base:.0%} of all)"
    return Part("one label", value, words), float(binomtest(count, total, base, alternative="greater").pvalue)


def edited(
    edit: Edit,
    region: Bools,
    members: NDArray[np.int64],
    rest: NDArray[np.int64],
    rng: np.random.Generator,
) -> Part:
    """What members lose of their score when their region is edited, beyond what the rest of the class loses."""
    if not region.any():
        return Part("edit", 0.0, "no region to edit")
    ours, theirs = (_lost(edit, region, rng.permutation(rows)[:MOST_EDITED]) for rows in (members, rest))
    beside = "" if np.isnan(theirs) else f" (the rest of its class: {theirs:.0%})"
    value = float(np.clip(ours - np.nan_to_num(theirs), 0, 1))
    return Part("edit", value, f"editing it costs {ours:.0%} of the score{beside}")


def _lost(edit: Edit, region: Bools, rows: NDArray[np.int64]) -> float:
    """Median share of the score that an edit takes."""
    if not len(rows):
        return float("nan")
    before = np.asarray(edit(rows, np.zeros_like(region)), np.float64)
    after = np.asarray(edit(rows, region), np.float64)
    scored = before != 0
    return float(np.median((before - after)[scored] / np.abs(before[scored]))) if scored.any() else 0.0
