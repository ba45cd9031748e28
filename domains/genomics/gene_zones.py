"""Which genes a stretch of the genome belongs to, for many stretches at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.genomics.interval import Interval

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Line:
    """All chromosomes on one line, ``{chromosome: where it starts}``, so that one search serves them all."""

    offsets: dict[str, int]

    @classmethod
    def of(cls, intervals: Iterable[Interval], gap: int) -> Line:
        """Room for these, with ``gap`` bp between chromosomes."""
        ends: dict[str, int] = {}
        for interval in intervals:
            ends[interval.chrom] = max(ends.get(interval.chrom, 0), interval.end)
        offsets = np.cumsum([0, *(end + gap for end in ends.values())])
        return cls(dict(zip(ends, offsets.tolist(), strict=False)))

    def positions(self, places: Iterable[tuple[str, int]]) -> Integers:
        """Of positions on chromosomes."""
        return np.array([self.offsets[chrom] + position for chrom, position in places], dtype=np.int64)

    def spans(self, intervals: Sequence[Interval]) -> tuple[Integers, Integers]:
        """Starts and ends of intervals."""
        return self.positions((i.chrom, i.start) for i in intervals), self.positions(
            (i.chrom, i.end) for i in intervals
        )


@dataclass(frozen=True, eq=False)
class GeneZones:
    """Genes on one line: the zone of each, its body with the promoters, and where transcription starts.

    Attributes
    ----------
    opens, closes, zone_genes
        (G,): where the zone of a gene starts and ends, in the order of ``opens``, and the index of its gene.
    borders, first, covering
        Between two neighbouring ``borders`` the same genes' zones hold: ``covering[first[i]:first[i + 1]]`` left of
        border i.
    starts, first_start, start_genes
        Positions of transcription start sites without repeats, and the genes at each.
    distance
        In bp, how far a stretch outside all zones may be from the nearest start.
    """

    opens: Integers
    closes: Integers
    zone_genes: Integers
    borders: Integers
    first: Integers
    covering: Integers
    starts: Integers
    first_start: Integers
    start_genes: Integers
    distance: int

    @classmethod
    def of(cls, opens: Integers, closes: Integers, starts: Integers, owners: Integers, distance: int) -> GeneZones:
        """``opens``, ``closes``: (G,); ``starts``, ``owners``: (T,), each start and the index of its gene."""
        order = np.argsort(opens, kind="stable")
        opens, closes = opens[order], closes[order]
        borders = np.unique(np.concatenate([opens, closes]))
        left = np.searchsorted(borders, opens)
        zone, part = _ranges(left + 1, np.searchsorted(borders, closes) - left)
        by_part = np.argsort(part, kind="stable")
        first = np.searchsorted(part[by_part], np.arange(len(borders) + 2))
        positions, place = np.unique(starts, return_inverse=True)
        by_place = np.argsort(place, kind="stable")
        first_start = np.searchsorted(place[by_place], np.arange(len(positions) + 1))
        return cls(
            opens,
            closes,
            order,
            borders,
            first,
            order[zone[by_part]],
            positions,
            first_start,
            owners[by_place],
            distance,
        )

    def links(self, begin: Integers, end: Integers) -> tuple[Integers, Integers, NDArray[np.bool_]]:
        """All pairs of stretch and gene, and whether they overlap; a stretch in no zone goes to the nearest start."""
        part = np.searchsorted(self.borders, begin, side="right")
        held = self.first[part + 1] - self.first[part]
        low = np.searchsorted(self.opens, begin, side="right")
        opened = np.maximum(np.searchsorted(self.opens, end, side="left") - low, 0)
        inside, entry = _ranges(self.first[part], held)
        entering, zone = _ranges(low, opened)
        outside = np.flatnonzero(held + opened == 0)
        far, nearest = self._nearest(begin[outside], end[outside])
        stretch = np.concatenate([inside, entering, outside[far]])
        gene = np.concatenate([self.covering[entry], self.zone_genes[zone], nearest])
        return stretch, gene, np.arange(len(stretch)) < len(inside) + len(entering)

    def _nearest(self, begin: Integers, end: Integers) -> tuple[Integers, Integers]:
        right = np.searchsorted(self.starts, begin)
        # Chromosomes are further apart than this.
        none = self.distance + 1
        to_left = np.where(right > 0, begin - self.starts[np.maximum(right - 1, 0)], none)
        to_right = np.where(
            right < len(self.starts), self.starts[np.minimum(right, len(self.starts) - 1)] - end + 1, none
        )
        best = np.minimum(np.minimum(to_left, to_right), self.distance)
        stretch = np.concatenate([np.flatnonzero(to_left == best), np.flatnonzero(to_right == best)])
        place = np.concatenate([right[to_left == best] - 1, right[to_right == best]])
        pair, entry = _ranges(self.first_start[place], self.first_start[place + 1] - self.first_start[place])
        return stretch[pair], self.start_genes[entry]

    def within(self, begin: Integers, end: Integers) -> Integers:
        """Genes that some stretch inside the regions ``begin`` to ``end`` is linked to, whatever its length."""
        middles = (self.starts[1:] + self.starts[:-1]) // 2
        # A stretch meets the zones that its bases meet, and the start nearest to it is that of one of its ends, so
        # single bases suffice; from left to right, a gene can only come in at one of these.
        points = np.unique(np.concatenate([self.borders, middles, middles + 1, self.starts - self.distance]))
        low = np.searchsorted(points, begin)
        _, inside = _ranges(low, np.searchsorted(points, end) - low)
        bases = np.concatenate([begin, points[inside]])
        return np.unique(self.links(bases, bases + 1)[1])


def _ranges(first: Integers, count: Integers) -> tuple[Integers, Integers]:
    """All members of ranges of ``count`` numbers from ``first`` on, and which range each is of."""
    owner = np.repeat(np.arange(len(count)), count)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + first[owner]
