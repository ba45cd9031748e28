"""One sequence to design: where it may start, what may change, and what it must keep to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.genomics.design.constraints import Codes, Constraints, Floats, Limit
from sciexplain.domains.genomics.design.objective import Objective
from sciexplain.errors import InputError


@dataclass(frozen=True, eq=False)
class Problem:
    """Maximise an objective over the sequences that are allowed.

    Attributes
    ----------
    objective, constraints
        What to maximise, and what to keep to.
    origin
        (L,): the real sequence to start from; None: from scratch.
    edits
        How many of its letters may change; None: any number.
    options
        (L, letters + 1): which letters may stand where.
    """

    objective: Objective
    constraints: Constraints
    origin: Codes | None
    edits: int | None
    options: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        objective: Objective,
        constraints: Constraints,
        origin: Codes | None,
        edits: int | None,
        length: int,
        positions: tuple[int, int] | None = None,
        name: str = "the sequence",
    ) -> Problem:
        """Check that it can be solved.

        Raises
        ------
        InputError
            No sequence keeps to the constraints, or none within so many edits; or ``positions`` lie outside.
        """
        if positions is not None and not 0 <= positions[0] < positions[1] <= length:
            raise InputError(f"positions={positions}; expected (start, end) within 0 to {length}, end exclusive.")
        options = np.ones((length, objective.letters + 1), bool)
        options[:, -1] = False
        if origin is not None:
            here = np.arange(objective.letters + 1) == origin[:, None]
            first, last = positions or (0, length)
            kept = (origin == objective.letters) | (np.arange(length) < first) | (np.arange(length) >= last)
            options[kept] = here[kept]
        problem = cls(objective, constraints, origin, edits, options)
        if problem.best(np.zeros((length, objective.letters))) is None:
            raise InputError(problem._why(name))
        return problem

    @property
    def limits(self) -> tuple[Limit, ...]:
        """On the number of edits."""
        return () if self.origin is None or self.edits is None else (Limit(self.origin, self.edits),)

    def best(self, scores: Floats, *further: Limit) -> Codes | None:
        """The allowed sequence with the largest sum of scores (L, letters); None where there is none."""
        return self.constraints.best(scores, self.options, (*self.limits, *further))

    def beginning(self, rng: np.random.Generator, near: Codes | None = None) -> Codes:
        """The origin, or the allowed sequence nearest to it, or to another; without either one by chance."""
        near = self.origin if near is None else near
        scores = rng.gumbel(size=(len(self.options), self.objective.letters))
        if near is not None:
            known = np.flatnonzero(near < self.objective.letters)
            scores *= 1e-3
            scores[known, near[known]] += 1e3
        found = self.best(scores)
        assert found is not None  # was checked
        return found

    def edited(self, codes: Codes) -> list[int]:
        """Positions that differ from the origin."""
        return [] if self.origin is None else np.flatnonzero(codes != self.origin).tolist()

    def _why(self, name: str) -> str:
        kept = [f"gc={self.constraints.gc}"] if self.constraints.gc else []
        kept += [f"forbidden={list(self.constraints.forbidden)}"] if self.constraints.forbidden else []
        told = " and ".join(kept)
        if self.origin is not None:
            needed = self.constraints.fewest_changes(self.origin, self.options)
            if needed is not None:
                return f"{name} needs {needed} edits to keep to {told}; edits={self.edits} allows fewer."
            return f"{name}: whatever letters change, it cannot keep to {told}; allow other positions or loosen these."
        return f"No sequence of {len(self.options)} letters keeps to {told}; loosen these."
