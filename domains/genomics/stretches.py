"""Contiguous stretches that score high: the candidates for binding sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Stretches:
    """Stretches of many tracks, by row and then start.

    Attributes
    ----------
    rows, starts, ends
        (k,) int64, 0-based and half-open.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def sums(self, tracks: NDArray[np.floating]) -> NDArray[np.float64]:
        """(k,): the sum of tracks (N, L) over each; equal stretches have equal ones to the last digit."""
        if not len(self):
            return np.zeros(0)
        flat = np.append(tracks.astype(np.float64).ravel(), 0.0)  # so that the last end is a place too
        ends = np.stack([self.starts, self.ends], 1) + tracks.shape[1] * self.rows[:, None]
        return np.asarray(np.add.reduceat(flat, ends.ravel())[::2])


def maximal_stretches(
    tracks: NDArray[np.floating], *, max_gap: int | None = None, min_length: int = 1, max_length: int | None = None
) -> Stretches:
    """All maximal scoring stretches of each track.

    A stretch is maximal where no longer one and no part of it scores more, and it is none of another's part; so it
    bridges a dip if what lies beyond outweighs it. Positions at or below zero begin and end none, −inf is in none.

    Parameters
    ----------
    tracks
        (N, L): scores that are below zero on average, such as relevance minus a threshold.
    max_gap
        Positions at or below zero in a row that a stretch may bridge; None: any number.
    min_length
        Shorter ones are left out.
    max_length
        Longer ones are cut where they are weakest (in their middle half), until none is longer.

    Notes
    -----
    Ruzzo and Tompa, *A linear time algorithm for finding all maximal scoring subsequences*, ISMB 1999.

    Examples
    --------
    >>> track = np.array([[-1.0, 3.0, -1.0, 2.0, -9.0, 1.0]])
    >>> found = maximal_stretches(track)
    >>> found.starts, found.ends, found.sums(track)
    (array([1, 5]), array([4, 6]), array([4., 1.]))
    """
    exact = np.asarray(tracks, dtype=np.float64)
    forbidden = np.isneginf(exact)
    rows, starts, ends = _runs(exact > 0)
    sums = np.concatenate([np.zeros((len(exact), 1)), np.cumsum(np.where(forbidden, 0, exact), 1)], 1)
    walls = np.cumsum(forbidden, 1)[rows, starts]
    apart = (np.diff(rows, prepend=-1) != 0) | (np.diff(walls, prepend=-1) != 0)
    if max_gap is not None:
        apart |= starts - np.roll(ends, 1) > max_gap
    spans = [
        (int(rows[first]), int(starts[first]), int(ends[last]))
        for first, last in _merged(np.cumsum(apart), sums[rows, starts], sums[rows, ends])
    ]
    if max_length is not None:
        spans = [part for span in spans for part in _cut(exact, span, max_length)]
    table = np.array([span for span in spans if span[2] - span[1] >= min_length], dtype=np.int64).reshape(-1, 3)
    return Stretches(*table.T)


def _runs(above: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Row, start and end of each run of True."""
    edges = np.diff(np.pad(above, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    return rows, starts, np.nonzero(edges == -1)[1]


def _merged(
    groups: NDArray[np.int64], before: NDArray[np.float64], after: NDArray[np.float64]
) -> list[tuple[int, int]]:
    """First and last run of each maximal stretch, from the cumulative sums before and after each positive run.

    Runs of different groups are never merged.
    """
    done: list[tuple[int, int]] = []
    open_: list[tuple[int, int, float, float]] = []
    here = 0
    for k, (group, low, high) in enumerate(zip(groups.tolist(), before.tolist(), after.tolist(), strict=True)):
        if group != here:
            done += [entry[:2] for entry in open_]
            open_, here = [], group
        first = k
        while True:
            j = len(open_) - 1
            while j >= 0 and open_[j][2] >= low:
                j -= 1
            if j < 0:
                # nothing before starts lower, so nothing that follows can merge with it
                done += [entry[:2] for entry in open_]
                open_ = [(first, k, low, high)]
                break
            if open_[j][3] >= high:
                open_.append((first, k, low, high))
                break
            first, low = open_[j][0], open_[j][2]
            del open_[j:]
    return done + [entry[:2] for entry in open_]


def _cut(tracks: NDArray[np.float64], span: tuple[int, int, int], max_length: int) -> list[tuple[int, int, int]]:
    """A stretch in parts of at most ``max_length``, each from its first to its last position above zero."""
    row, start, end = span
    if end - start <= max_length:
        return [span]
    quarter = (end - start) // 4
    weakest = start + quarter + int(np.argmin(tracks[row, start + quarter : end - quarter]))
    parts = []
    for a, b in ((start, weakest), (weakest + 1, end)):
        above = np.flatnonzero(tracks[row, a:b] > 0)
        if len(above):
            parts += _cut(tracks, (row, a + int(above[0]), a + int(above[-1]) + 1), max_length)
    return parts
