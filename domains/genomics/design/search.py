"""Ascent over real sequences by saturation mutagenesis, to where no allowed step is better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sciexplain.domains.genomics.design.constraints import Codes, Limit
from sciexplain.domains.genomics.design.problem import Problem

_FARTHEST = 8
"""Substitutions of one step, at most."""


@dataclass(frozen=True, eq=False)
class Found:
    """A sequence that was found.

    Attributes
    ----------
    codes
        (L,).
    value
        Of the objective.
    settled
        Whether no allowed substitution, and with a budget of edits no exchange of one edit for another, is better.
    """

    codes: Codes
    value: float
    settled: bool


def search(problem: Problem, codes: Codes, steps: int) -> Found:
    """From an allowed sequence to a local maximum, in at most so many rounds of mutagenesis.

    A round scores every substitution exactly and takes the allowed sequence within a few of them that scores best in
    sum; where the model finds that sequence no better, within half as many, down to one. With a budget of edits, each
    edit is then taken back in turn for the best other one.
    """
    value = float(problem.objective.values(codes[None])[0])
    while True:
        codes, value, steps, settled = _ascend(problem, codes, value, steps)
        if not settled or not problem.limits:
            return Found(codes, value, settled)
        exchanged, steps = _exchanged(problem, codes, value, steps)
        if exchanged is None:
            return Found(codes, value, steps > 0)
        codes, value = exchanged


def _ascend(problem: Problem, codes: Codes, value: float, steps: int) -> tuple[Codes, float, int, bool]:
    farthest = _FARTHEST if problem.edits is None else max(1, min(_FARTHEST, problem.edits))
    while steps > 0:
        steps -= 1
        better = _step(problem, codes, value, farthest)
        if better is None:
            return codes, value, steps, True
        codes, value, taken = better
        farthest = min(2 * taken, _FARTHEST)
    return codes, value, steps, False


def _step(problem: Problem, codes: Codes, value: float, farthest: int) -> tuple[Codes, float, int] | None:
    effects = problem.objective.effects(codes)
    within = farthest
    while within >= 1:
        proposed = problem.best(effects, Limit(codes, within))
        if proposed is None or (proposed == codes).all():
            return None
        found = float(problem.objective.values(proposed[None])[0])
        if _higher(found, value):
            return proposed, found, within
        within //= 2
    return None


def _exchanged(problem: Problem, codes: Codes, value: float, steps: int) -> tuple[tuple[Codes, float] | None, int]:
    """A better sequence with one edit taken back and another made; None where there is none."""
    assert problem.origin is not None
    for position in problem.edited(codes):
        if steps <= 0:
            break
        steps -= 1
        back = codes.copy()
        back[position] = problem.origin[position]
        proposed = problem.best(problem.objective.effects(back), Limit(back, 1))
        if proposed is None or (proposed == codes).all():
            continue
        found = float(problem.objective.values(proposed[None])[0])
        if _higher(found, value):
            return (proposed, found), steps
    return None, steps


def _higher(found: float, value: float) -> bool:
    """By more than rounding."""
    return found > value + 1e-6 * max(1.0, abs(value)) and bool(np.isfinite(found))
