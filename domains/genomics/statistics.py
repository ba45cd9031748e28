"""P-values from a sampled null, and false discovery rates."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexplain.errors import InputError

Side = Literal["greater", "less", "two-sided"]


def empirical_p(
    observed: ArrayLike, null: ArrayLike, *, side: Side = "greater", draws: int | None = None
) -> NDArray[np.float64]:
    """P-values of scores against scores drawn under the null: (1 + number as extreme) / (1 + number drawn).

    The one added counts the score itself as a draw; so no p is 0, and p ≤ α has a chance of at most α under the null,
    ties included.

    Parameters
    ----------
    observed
        Scores, of any shape.
    null
        (m,): one sample for all of them. (m, \\*shape of observed): each has its own.
    side
        What counts as extreme: ``"greater"`` or equal, ``"less"`` or equal, or ``"two-sided"``, twice the smaller of
        both, at most 1.
    draws
        How many were drawn where ``null`` lists only the larger ones, others being below all of ``observed``; None: m.

    Returns
    -------
    As shaped as ``observed``, from 1 / (draws + 1) to 1.

    Raises
    ------
    InputError
        There is no null, a number is NaN, the shapes do not go together, or there are more draws listed than drawn.

    Notes
    -----
    Phipson and Smyth, Statistical Applications in Genetics and Molecular Biology 9, 39 (2010), equation 2.

    Examples
    --------
    >>> empirical_p([3.0, 1.0], [0.0, 1.0, 2.0])
    array([0.25, 0.75])
    """
    seen, drawn = np.asarray(observed, dtype=np.float64), np.asarray(null, dtype=np.float64)
    if side not in ("greater", "less", "two-sided"):
        raise InputError(f'side={side!r}; expected "greater", "less" or "two-sided".')
    listed = len(drawn) if drawn.ndim else 0
    total = listed if draws is None else draws
    if total == 0:
        raise InputError("The null holds no scores; expected at least one draw.")
    if total < listed or (draws is not None and side != "greater"):
        raise InputError(f'draws={draws} for {listed} in the null; expected at least as many, and side="greater".')
    if np.isnan(seen).any() or np.isnan(drawn).any():
        raise InputError("NaN among the scores or their null; expected numbers.")
    if side == "two-sided":
        both = np.minimum(empirical_p(seen, drawn), empirical_p(seen, drawn, side="less"))
        return np.minimum(2 * both, 1)
    if side == "less":
        return empirical_p(-seen, -drawn)
    if drawn.ndim == 1:
        extreme = len(drawn) - np.searchsorted(np.sort(drawn), seen, side="left")
    elif drawn.shape[1:] == seen.shape:
        extreme = (drawn >= seen).sum(0)
    else:
        raise InputError(f"null has shape {drawn.shape}; expected (m,) or (m, *{seen.shape}).")
    return np.asarray((1 + extreme) / (1 + total), dtype=np.float64)


def benjamini_hochberg(p: ArrayLike, *, tests: int | None = None) -> NDArray[np.float64]:
    """Q-values: for each p, the smallest false discovery rate at which it is still called.

    Calling all q ≤ α keeps the expected share of false calls at α or below where the p-values are independent or
    positively dependent.

    Parameters
    ----------
    p
        P-values of one family of tests, of any shape; NaN is no test, stays NaN and does not count.
    tests
        How many there were where ``p`` leaves out some whose p is 1; None: as many as are given.

    Returns
    -------
    As shaped as ``p``.

    Raises
    ------
    InputError
        A number is not within 0..1, or there are more than ``tests``.

    Notes
    -----
    Benjamini and Hochberg, Journal of the Royal Statistical Society B 57, 289 (1995); dependence: Benjamini and
    Yekutieli, Annals of Statistics 29, 1165 (2001).

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.9])
    array([0.04      , 0.05333333, 0.05333333, 0.9       ])
    """
    given = np.asarray(p, dtype=np.float64)
    tested = ~np.isnan(given)
    values = given[tested]
    if ((values < 0) | (values > 1)).any():
        raise InputError(f"p-values from {values.min():g} to {values.max():g}; expected 0 to 1.")
    number = len(values) if tests is None else tests
    if number < len(values):
        raise InputError(f"tests={tests} for {len(values)} p-values; expected at least as many.")
    order = np.argsort(-values, kind="stable")
    ranks = np.arange(len(values), 0, -1)
    q = np.empty_like(values)
    q[order] = np.minimum.accumulate(np.minimum(values[order] * number / ranks, 1))
    out = np.full(given.shape, np.nan)
    out[tested] = q
    return out
