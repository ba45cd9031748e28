"""What maximisation found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

Inputs = Tensor | tuple[Tensor, ...] | dict[str, Tensor]


class Step(NamedTuple):
    """Progress: the number of the step from 1, of how many, and the objective before it.

    Attributes
    ----------
    values
        (rows,): of all restarts, for several targets one after the other.
    """

    number: int
    steps: int
    values: Tensor


Report = Callable[[Step], object]


@dataclass(frozen=True, eq=False)
class Maximization:
    """Inputs that maximise a target, the best first.

    Attributes
    ----------
    target
        As given.
    inputs
        (R, *shape): one from each restart; a tuple or dict of tensors where the prior's decoder makes such.
    values
        (R,): the objective there (the logit, for a class), without penalties and density.
    totals
        (R,): what was maximised and is sorted by: value − penalties + weight · log-density.
    penalty
        (R,): all penalties together.
    output
        (R, …): the model's output on ``inputs``, logits in the place of a final softmax or sigmoid; None where the
        output holds no tensor of its own or several.
    probabilities
        (R,): of the target, where it is a class.
    stepped_over
        ``"softmax"``, ``"log_softmax"`` or ``"sigmoid"``, where the model ends in one.
    trace
        (steps, R): the objective before every step, of what the transforms made of the inputs.
    codes
        (R, *code_shape): what was stepped on.
    log_density
        (R,): of the prior; None without one.
    """

    target: Any
    inputs: Inputs
    values: Tensor
    totals: Tensor
    penalty: Tensor
    output: Tensor | None
    probabilities: Tensor | None
    stepped_over: str | None
    trace: Tensor
    codes: Tensor
    log_density: Tensor | None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def best(self) -> Inputs:
        """The first of ``inputs``, without a batch dimension."""
        if isinstance(self.inputs, Tensor):
            return self.inputs[0]
        if isinstance(self.inputs, dict):
            return {name: value[0] for name, value in self.inputs.items()}
        return tuple(value[0] for value in self.inputs)

    def __repr__(self) -> str:
        probability = "" if self.probabilities is None else f", p = {float(self.probabilities[0]):.3g}"
        return f"Maximization({self.target}: {float(self.values[0]):.4g}{probability}, {len(self)} restarts)"
