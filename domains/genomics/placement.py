"""Sites placed at random, and how much relevance each gene gets from that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexplain.domains.genomics.gene_zones import GeneZones, Integers

_AT_ONCE = 2_000_000  # sites, or sums of genes, held by one step
_ROUNDING = 1e-9  # sums this close, relatively, are of the same scores in another order


@dataclass(frozen=True, eq=False)
class Placement:
    """Where sites are and where they could be, on one line.

    Sites that overlap are one event, seen twice: they move as one, so that the null keeps what they have in common.

    Attributes
    ----------
    group, shift, widths
        (S,): of each site, its group, its distance from where the group starts, and its width.
    lengths
        (C,): of each group.
    begin, end
        (R,): of the regions.
    """

    group: Integers
    shift: Integers
    widths: Integers
    lengths: Integers
    begin: Integers
    end: Integers

    @classmethod
    def of(cls, begin: Integers, end: Integers, regions: tuple[Integers, Integers]) -> Placement:
        """``regions``: where these start and end; apart from each other, and each site within one."""
        group, starts, ends = _groups(begin, end)
        return cls(group, begin - starts[group], end - begin, ends - starts, *regions)

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Integers, Integers]:
        """(n, S) starts and ends: each group anywhere within the regions, all places equally likely."""
        starts = np.empty((n, len(self.lengths)), dtype=np.int64)
        for length in np.unique(self.lengths):
            columns = np.flatnonzero(self.lengths == length)
            room = np.maximum(self.end - self.begin - length + 1, 0)
            after = np.cumsum(room)
            place = rng.integers(after[-1], size=(n, len(columns)))
            region = np.searchsorted(after, place, side="right")
            starts[:, columns] = self.begin[region] + place - (after - room)[region]
        begin = starts[:, self.group] + self.shift
        return begin, begin + self.widths


def _groups(begin: Integers, end: Integers) -> tuple[Integers, Integers, Integers]:
    """Of stretches that overlap: (n,) the group of each, then where each group starts and ends."""
    order = np.argsort(begin, kind="stable")
    reach = np.maximum.accumulate(end[order])
    opens = np.ones(len(begin), dtype=bool)
    opens[1:] = begin[order][1:] >= reach[:-1]
    group = np.empty(len(begin), dtype=np.int64)
    group[order] = np.cumsum(opens) - 1
    return group, begin[order][opens], reach[np.append(opens[1:], True)[: len(begin)]]


def relevance_at_random(
    zones: GeneZones,
    placement: Placement,
    relevance: NDArray[np.float64],
    genes: Integers,
    observed: ArrayLike,
    *,
    permutations: int,
    seed: int,
) -> tuple[Integers, NDArray[np.uint8]]:
    """Place the sites again and again, and link them.

    Parameters
    ----------
    zones, placement
        On the same line.
    relevance
        (S,): what a site brings to each gene it is linked to.
    genes
        (M,): indices of the genes to count for, sorted; those within reach of the regions.
    observed
        (M,): the sum each got from the sites where they are.
    permutations, seed
        How many placements, and from which seed they are drawn.

    Returns
    -------
    as_much
        (M,): in how many placements the sum was as large.
    met
        (permutations, ⌈M / 8⌉): which genes had a site, as ``numpy.packbits`` packs them.
    """
    rng = np.random.default_rng(seed)
    column = np.full(int(genes.max(initial=-1)) + 1, -1)
    column[genes] = np.arange(len(genes))
    sites, count = len(relevance), len(genes)
    least = np.asarray(observed) * (1 - _ROUNDING)
    as_much = np.zeros(count, dtype=np.int64)
    met = []
    step = max(1, _AT_ONCE // max(sites, count, 1))
    for start in range(0, permutations, step):
        rows = min(step, permutations - start)
        begin, end = placement.draw(rng, rows)
        stretch, gene, _ = zones.links(begin.ravel(), end.ravel())
        row, site = np.divmod(stretch, max(sites, 1))
        cell = row * count + column[gene]
        sums = np.bincount(cell, weights=relevance[site], minlength=rows * count).reshape(rows, count)
        as_much += (sums >= least).sum(0)
        hit = np.zeros(rows * count, dtype=bool)
        hit[cell] = True
        met.append(np.packbits(hit.reshape(rows, count), axis=1))
    return as_much, np.concatenate(met)
