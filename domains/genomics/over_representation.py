"""Whether chosen genes fall into gene sets more often than by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require

Integers = NDArray[np.int64]


def contingency(chosen: NDArray[np.bool_], sets: Sequence[NDArray[np.intp]]) -> Integers:
    """Count genes, for each set.

    Parameters
    ----------
    chosen
        (N,): which genes of the background were chosen.
    sets
        Indices of the genes in each of S sets.

    Returns
    -------
    (S, 4): chosen in the set, not chosen in it, chosen outside it, neither.

    Examples
    --------
    >>> contingency(np.array([True, True, False, False, False]), [np.array([0, 2])])
    array([[1, 1, 1, 2]])
    """
    inside = np.array([chosen[members].sum() for members in sets], dtype=np.int64)
    sizes = np.array([len(members) for members in sets], dtype=np.int64)
    outside = chosen.sum() - inside
    return np.stack([inside, sizes - inside, outside, len(chosen) - sizes - outside], 1)


def hypergeometric_p(tables: Integers) -> NDArray[np.float64]:
    """(S,): chance of as many chosen genes in the set, or more, if all genes of the background are equally likely."""
    inside, rest, outside, _ = tables.T
    law = require("scipy.stats", extra="genomics").hypergeom
    p = law.sf(inside - 1, tables.sum(1), inside + rest, inside + outside)
    return np.clip(np.asarray(p, dtype=np.float64), 0.0, 1.0)


def odds_ratios(tables: Integers) -> NDArray[np.float64]:
    """(S,): infinite where only the denominator is 0, NaN where both are."""
    inside, rest, outside, neither = tables.T.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(inside * neither / (rest * outside))
