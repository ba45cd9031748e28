"""When a model says something else: a class, a threshold, a number that rises or falls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from sciexplain.domains.molecules.design.question import scored
from sciexplain.domains.molecules.families.base import name_of
from sciexplain.domains.molecules.graphs import Family
from sciexplain.errors import TargetError


@dataclass(frozen=True)
class Decision:
    """What counts as another decision.

    Attributes
    ----------
    value
        From outputs (K, tasks) to (K,): the number that decides.
    gain
        From outputs (K, tasks) to (K,): how far they are on the other side, negative if they are not there.
    label
        From outputs (K, tasks) to classes (K,); None where the question is a number.
    text
        In words.
    """

    value: Callable[[Tensor], Tensor]
    gain: Callable[[Tensor], Tensor]
    label: Callable[[Tensor], Tensor] | None
    text: str


def decide(output: Tensor, target: Any, threshold: float | None, change: float | None, family: Family) -> Decision:
    """What would be another decision than the one of an output (1, tasks).

    Raises
    ------
    TargetError
        The question does not fit the output.
    """

    def value(y: Tensor) -> Tensor:
        return scored(y, target, family)

    if threshold is not None and change is not None:
        raise TargetError(f"threshold={threshold} and change={change}; expected one of them")
    if threshold is not None:
        if not np.isfinite(threshold):
            raise TargetError(f"threshold={threshold}; expected a number that the output can cross")
        above = bool(value(output)[0] > threshold)

        def crossed(y: Tensor) -> Tensor:
            return threshold - value(y) if above else value(y) - threshold

        return Decision(value, crossed, None, f"to {threshold:g} or below" if above else f"above {threshold:g}")
    if change is not None:
        if not change or not np.isfinite(change):
            raise TargetError(f"change={change}; expected how much the output should rise, or fall if it is negative")
        begin = float(value(output)[0])
        sign = 1.0 if change > 0 else -1.0
        text = f"{'up' if change > 0 else 'down'} by {abs(change):g} {family.unit}".strip()
        return Decision(value, lambda y: sign * (value(y) - begin) - abs(change), None, text)
    if output.shape[1] == 1:
        raise TargetError(
            f"{name_of(family.model)} has one output, {float(output[0, 0]):.3g} here; say what would be another "
            "decision: threshold=0 for a logit, threshold=0.5 for a probability, change=1.0 for a number."
        )
    own = int(output[0].argmax())
    if target is None:
        rest = [k for k in range(output.shape[1]) if k != own]

        def left(y: Tensor) -> Tensor:
            return y[:, rest].amax(1) - y[:, own]

        return Decision(lambda y: y[:, own], left, lambda y: y.argmax(1), f"to another class than {own}")
    scored(output, target, family)
    if not isinstance(target, int):
        raise TargetError(f"target={target!r}: expected a class, or threshold= or change= beside it")
    wanted = target % output.shape[1]
    if wanted == own:
        raise TargetError(f"target={target} is the predicted class already; give another, or None for any other")
    others = [k for k in range(output.shape[1]) if k != wanted]

    def reached(y: Tensor) -> Tensor:
        return y[:, wanted] - y[:, others].amax(1)

    return Decision(lambda y: y[:, wanted], reached, lambda y: y.argmax(1), f"to class {wanted}")
