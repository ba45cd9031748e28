"""From clusters to strategies: an alarm gets all of its samples, whatever the clustering cut them into."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .judge import Judge
from .result import Cluster

Rows = NDArray[np.int64]


def gathered(
    clusters: Sequence[Cluster], finer: Sequence[Cluster], judge: Judge, leaving: Callable[[Rows], float]
) -> list[Cluster]:
    """The clusters of one class, where each strategy that raised an alarm is one of them, with all of its samples.

    Spectral clustering may cut a strategy in pieces, or divide a class by something else first. Alarms are therefore
    looked for in finer clusters too, and the samples of an alarm are all of the class with at least half of its
    members' median share of what raised it. What is left of clusters that were mostly such samples goes to the nearest
    other cluster.

    Parameters
    ----------
    clusters
        Those that the eigengap gives.
    finer
        Further ones, of the same samples.
    judge
        Of clusters.
    leaving
        Conductance of some samples of the class.
    """
    found: list[Cluster] = []
    left, finer = list(clusters), list(finer)
    while alarms := [one for one in (*left, *finer) if one.alarm]:
        best = max(alarms, key=lambda one: one.suspicion)
        assert best.place is not None
        members = judge.carriers(best.place, judge.maps.pooled_region(best.region), best.members)
        whole = judge(best.target, members, leaving(members))
        if not whole.alarm:  # as a whole it may be what half of the others have too
            whole, members = best, best.members
        found.append(whole)
        left = _without(left, members, judge, leaving, keep=True)
        finer = _without(finer, members, judge, leaving, keep=False)
    return found + left


def _without(
    clusters: Sequence[Cluster], members: Rows, judge: Judge, leaving: Callable[[Rows], float], *, keep: bool
) -> list[Cluster]:
    """Clusters without some samples; what is left of those that lose half or more joins the nearest, or is dropped."""
    target = clusters[0].target if clusters else 0
    rests = [np.setdiff1d(one.members, members) for one in clusters]
    stay = [2 * len(rest) > len(one) for one, rest in zip(clusters, rests, strict=True)]
    groups = [rest for rest, stays in zip(rests, stay, strict=True) if stays]
    loose = [rest for rest, stays in zip(rests, stay, strict=True) if not stays and len(rest)]
    if keep and loose:
        groups = _joined(groups, np.concatenate(loose), judge.rows)
    before = {tuple(np.sort(one.members).tolist()): one for one in clusters}
    return [before.get(tuple(group.tolist())) or judge(target, group, leaving(group)) for group in groups]


def _joined(groups: list[Rows], loose: Rows, rows: NDArray[np.float32]) -> list[Rows]:
    """Each of some samples in the group with the nearest mean."""
    if not groups:
        return [np.sort(loose)]
    means = np.stack([rows[group].mean(0) for group in groups])
    nearest = np.stack([((rows[loose] - mean) ** 2).sum(1) for mean in means]).argmin(0)
    return [np.sort(np.r_[group, loose[nearest == k]]) for k, group in enumerate(groups)]
