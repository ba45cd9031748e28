"""Random walks over all edges of small multigraphs, compiled: the inner loops of :mod:`~.shuffle`.

A sequence is a walk over its dinucleotides. To draw one of all walks over the same edges with the same ends, each with
the same probability, choose an edge out of each letter that is taken last, such that these form a tree towards the last
letter; then leave each letter by its other edges in random order, and by its last one at last.

References
----------
S. F. Altschul and B. W. Erickson, Mol. Biol. Evol. 2, 526 (1985); D. Kandel, Y. Matias, R. Unger and P. Winkler,
Discrete Appl. Math. 71, 171 (1996). Random numbers: SplitMix64, G. L. Steele, D. Lea and C. H. Flood, OOPSLA 2014.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require

_numba: Any = require("numba", extra="genomics")

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_FNV = np.uint64(0x100000001B3)
_BITS = np.uint64(40)  # of a random number; times a number of edges below 2**24 these are 64


@_numba.njit(nogil=True, inline="always")
def _mixed(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> np.uint64(30))) * _MIX[0]
    z = (z ^ (z >> np.uint64(27))) * _MIX[1]
    return z ^ (z >> np.uint64(31))


@_numba.njit(nogil=True, cache=True)
def _walk(
    start: int,
    end: int,
    counts: NDArray[np.int64],
    trees: NDArray[np.int64],
    weights: NDArray[np.float64],
    state: NDArray[np.uint64],
    letters: NDArray[np.uint8],
) -> None:
    """Walk from letter ``start``, which is there, to ``end``, once in each row of ``letters``."""
    n = len(letters)
    here = np.empty(n, np.int64)
    final = np.empty((n, 4), np.int64)
    # how many of a letter's edges, but for its last one, are left to the first letter, to the first two, …
    left = np.empty((n, 4, 4), np.uint32)
    for w in range(n):
        here[w] = letters[w, start]
        state[w] += _STEP
        share = (_mixed(state[w]) >> np.uint64(11)) / 2.0**53
        tree = 0
        while share >= weights[tree]:
            tree += 1
        final[w] = trees[tree]
        for a in range(4):
            total = 0
            for b in range(4):
                total += counts[a, b] - (final[w, a] == b)
                left[w, a, b] = total
    # walks side by side: while one waits for its numbers the processor takes the others on
    for t in range(start + 1, end):
        for w in range(n):
            state[w] += _STEP
            edges = left[w, here[w]]
            random = _mixed(state[w]) >> (np.uint64(64) - _BITS)
            drawn = np.uint32((random * np.uint64(edges[3])) >> _BITS)
            b = 0
            for i in range(4):
                passed = drawn >= edges[i]
                b += passed
                edges[i] -= np.uint32(not passed)
            if b == 4:
                b = final[w, here[w]]
            here[w] = b
            letters[w, t] = b


@_numba.njit(nogil=True, cache=True)
def shuffle_rows(
    codes: NDArray[np.uint8],
    segments: NDArray[np.int64],
    counts: NDArray[np.int64],
    trees: NDArray[np.int64],
    weights: NDArray[np.float64],
    first: int,
    last: int,
    seed: np.uint64,
    one: Any,
    out: NDArray[Any],
) -> None:
    """Write shuffles of rows ``first`` to ``last``, one-hot.

    Parameters
    ----------
    codes
        (N, L): letters 0 to 3, and 4 where there is none.
    segments
        (S, 3): row, start and end of each run of letters, ordered by row.
    counts
        (S, 4, 4): how often each letter is followed by each.
    trees
        (S, T, 4): for each tree the letter that each letter is left for at last; -1 where none is.
    weights
        (S, T): how many choices of last edges give this tree, summed up over trees, divided by their total.
    seed
        Of all rows; with a row's letters it gives the row's random numbers.
    one
        What stands for 1 in ``out``.
    out
        (N, n, 4, L).
    """
    n, length = out.shape[1], out.shape[3]
    letters = np.empty((n, length), np.uint8)
    state = np.empty(n, np.uint64)
    run = np.searchsorted(segments[:, 0], first)
    for row in range(first, last):
        key = _mixed(seed + _STEP)
        for t in range(length):
            key = (key ^ np.uint64(codes[row, t])) * _FNV
        for w in range(n):
            state[w] = _mixed(key + np.uint64(w) * _STEP)
            letters[w] = codes[row]
        while run < len(segments) and segments[run, 0] == row:
            _walk(segments[run, 1], segments[run, 2], counts[run], trees[run], weights[run], state, letters)
            run += 1
        for w in range(n):
            for a in range(4):
                for t in range(length):
                    out[row, w, a, t] = one if letters[w, t] == a else 0
