"""The fewest substitutions that lift a margin above 0: all of one or two, and more by search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciexplain.domains.genomics.design.constraints import Codes, Constraints, Floats
from sciexplain.domains.genomics.design.objective import Objective, Value, value_of
from sciexplain.domains.genomics.design.problem import Problem
from sciexplain.domains.genomics.design.search import search
from sciexplain.errors import TargetError
from sciexplain.targets import explained_output


@dataclass(frozen=True, eq=False)
class Question:
    """When the prediction of a sequence is another: where the objective, a margin, is above 0.

    Attributes
    ----------
    objective
        The margin.
    shown
        From a model's output to what is told of it, (n, outputs).
    classes
        Whether the largest of these is the prediction.
    """

    objective: Objective
    shown: Callable[[Any], Tensor]
    classes: bool

    @classmethod
    def of(cls, objective: Objective, origin: Codes, target: Any, threshold: float | None, name: str) -> Question:
        raw = _raw(objective, origin)
        if not callable(target):
            y = explained_output(raw)
            if y.ndim > 2 or (y.ndim == 2 and y.shape[1] > 1 and threshold is None):
                if y.ndim > 2:
                    raise TargetError(f"The output has shape {tuple(y.shape)}; give a callable from it to (N,).")
                return cls(replace(objective, value=_margin(y[0], target, name)), explained_output, True)
        value = value_of(target, raw)
        limit = 0.0 if threshold is None else float(threshold)
        above = bool(value(raw).detach() > limit)

        def crossing(output: Any) -> Tensor:
            return limit - value(output) if above else value(output) - limit

        return cls(replace(objective, value=crossing), lambda output: value(output)[:, None], False)

    def told(self, codes: Codes) -> tuple[float, ...]:
        """What the model says of a sequence (L,)."""
        return tuple(self.shown(_raw(self.objective, codes))[0].detach().double().tolist())


def any_output(output: Any) -> Tensor:
    """Whether there is an output at all; what is asked of it is found later."""
    y = explained_output(output)
    return y.flatten(1).sum(1) if y.ndim > 1 else y


def _raw(objective: Objective, codes: Codes) -> Any:
    """A model's output for one sequence (L,)."""
    with torch.no_grad():
        return objective.outputs(objective.one_hot(codes[None]))


def _margin(logits: Tensor, target: Any, name: str) -> Value:
    """By how much another class, or the one asked for, is above the others."""
    predicted, classes = int(logits.argmax()), len(logits)
    if target is None:
        wanted = [c for c in range(classes) if c != predicted]
        kept = [predicted]
    else:
        index = int(target) if hasattr(target, "__index__") and not isinstance(target, bool) else classes
        if not -classes <= index < classes:
            raise TargetError(f"target={target!r}; expected a class, 0 to {classes - 1}, or None for any other.")
        wanted = [index % classes]
        kept = [c for c in range(classes) if c != wanted[0]]
        if predicted == wanted[0]:
            raise TargetError(f"{name} is predicted as class {predicted} already; ask for another, or for None.")

    def margin(output: Any) -> Tensor:
        y = explained_output(output)
        return y[:, wanted].amax(1) - y[:, kept].amax(1)

    return margin


@dataclass(frozen=True, eq=False)
class Hunt:
    """For the nearest sequence whose margin is above 0."""

    question: Question
    constraints: Constraints
    origin: Codes
    positions: tuple[int, int] | None
    name: str
    pairs: int
    steps: int
    rng: np.random.Generator

    def problem(self, edits: int) -> Problem:
        objective = self.question.objective
        return Problem.of(objective, self.constraints, self.origin, edits, len(self.origin), self.positions, self.name)

    def nearest(self, edits: int) -> tuple[Problem, Codes | None, int]:
        """With the problem it solves; and how many edits are needed for certain."""
        every = self.problem(len(self.origin))
        needed = max(1, every.constraints.fewest_changes(self.origin, every.options) or 0)
        single = self._single(every) if needed == 1 else None
        if single is not None:
            return every, single, 1
        needed, codes = max(needed, 2), None
        tried = self.origin
        for budget in range(needed, edits + 1):
            problem = self.problem(budget)
            found = search(problem, problem.beginning(self.rng, tried), self.steps)
            tried = found.codes
            if found.value > 0:
                codes = self._pruned(problem, found.codes)
                break
        if needed == 2 and edits >= 2 and (codes is None or (codes != self.origin).sum() > 2):
            letters = self.question.objective.letters
            free = int((every.options.sum(1) > 1).sum())
            if (letters - 1) ** 2 * free * (free - 1) // 2 <= self.pairs:
                pair = self._pair(every)
                codes, needed = (pair, 2) if pair is not None else (codes, 3)
        return every, codes, needed

    def _single(self, problem: Problem) -> Codes | None:
        """The allowed substitution with the highest margin, if that is above 0; all are tried."""
        value = float(problem.objective.values(self.origin[None])[0])
        return self._highest(problem, self.origin, problem.objective.effects(self.origin), value)

    def _pair(self, problem: Problem) -> Codes | None:
        """An allowed pair of substitutions with a margin above 0; all are tried, the likeliest first."""
        effects = np.where(problem.options[:, :-1], problem.objective.effects(self.origin), -np.inf)
        where, letter = np.nonzero(problem.options[:, :-1] & (np.arange(effects.shape[1]) != self.origin[:, None]))
        order = np.argsort(-effects[where, letter], kind="stable")
        for i in order.tolist():
            first = self.origin.copy()
            first[where[i]] = letter[i]
            behind = (int(where[i]) + 1, len(self.origin))  # so each pair is tried once
            if behind[0] == behind[1]:
                continue
            value = float(problem.objective.values(first[None])[0])
            found = self._highest(problem, first, problem.objective.effects(first, behind), value, behind)
            if found is not None:
                return found
        return None

    def _highest(
        self, problem: Problem, codes: Codes, effects: Floats, value: float, positions: tuple[int, int] | None = None
    ) -> Codes | None:
        """Of the allowed substitutions that lift the margin above 0, that which lifts it most."""
        first, last = positions or (0, len(codes))
        free = problem.options[:, :-1] & (np.arange(effects.shape[1]) != codes[:, None])
        free[:first] = free[last:] = False
        # a little below 0, because windows and whole sequences are rounded differently
        where, letter = np.nonzero(free & (value + effects > -1e-4 * max(1.0, abs(value))))
        if not len(where):
            return None
        changed = np.repeat(codes[None], len(where), 0)
        changed[np.arange(len(where)), where] = letter
        changed = changed[problem.constraints.hold(changed)]
        if not len(changed):
            return None
        values = problem.objective.values(changed)
        return changed[values.argmax()] if values.max() > 0 else None

    def _pruned(self, problem: Problem, codes: Codes) -> Codes:
        """Without edits that are not needed."""
        for position in problem.edited(codes):
            fewer = codes.copy()
            fewer[position] = self.origin[position]
            if problem.constraints.hold(fewer[None])[0] and problem.objective.values(fewer[None])[0] > 0:
                codes = fewer
        return codes
