"""Gradient ascent of all restarts of all targets in one batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, ModelError, NonFiniteOutputError, TargetError
from ..inputs import Inputs
from ..targets import explained_output, logits_of
from .objectives import Logit, LogProbability, Objective, check_class, log_probabilities
from .observe import Seen, first_parameter, observe
from .parameterizations import Parameterization, shape_of
from .priors import drawn, log_density_of
from .result import Maximization, Report, Step
from .surroundings import like_codes

Penalty = Callable[[Tensor], Tensor]
"""From inputs (n, …) to what each costs (n,)."""
Transform = Callable[[Tensor, torch.Generator], Tensor]
"""What the model sees instead of the inputs, drawn anew in every step."""
Operator = Callable[[Tensor, int], Tensor]
"""What becomes of the inputs themselves after a step, by its number."""

Optimizer = Callable[..., torch.optim.Optimizer]

OPTIMIZERS: dict[str, Optimizer] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


@dataclass(frozen=True)
class Ascent:
    """All restarts of all targets, (targets · restarts) rows, those of one target together."""

    model: Callable[..., Any]
    objectives: Sequence[Objective]
    given: Parameterization
    penalties: Sequence[Penalty]
    transforms: Sequence[Transform]
    operators: Sequence[Operator]
    density_weight: float
    restarts: int

    def started(self, start: Tensor | None, generator: torch.Generator) -> Tensor:
        shape = (self.restarts, *shape_of(self.given.code_shape))
        codes = drawn(self.given, self.restarts, generator) if start is None else torch.as_tensor(start).detach()
        if tuple(codes.shape) != shape:
            raise InputError(f"start has shape {tuple(codes.shape)}; expected (restarts, *code_shape) = {shape}.")
        codes = codes.to(like_codes(self.given, self.model))
        return codes.repeat(len(self.objectives), *[1] * (codes.ndim - 1)).requires_grad_()

    def ascend(
        self,
        codes: Tensor,
        optimizer: Optimizer,
        steps: int,
        lr: float,
        generator: torch.Generator,
        report: Report,
    ) -> Tensor:
        """Move the codes in place; the objective before every step, (steps, rows)."""
        stepping, trace = optimizer([codes], lr=lr), []
        for number in range(1, steps + 1):
            stepping.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * (number - 1) / steps)) / 2
            inputs = self.decoded(codes)
            values = self.values(self.seen(self._transformed(inputs, generator)))
            totals = self.totals(values, inputs, codes)
            if not totals.requires_grad or not values.requires_grad:
                raise TargetError("The objective does not depend on the input; a maximum cannot be searched for.")
            if not bool(torch.isfinite(totals).all()):
                raise NonFiniteOutputError(
                    f"The objective is NaN or infinite in step {number} of {steps}; check the model's output, or take "
                    f"a smaller lr (now {lr:g})."
                )
            (codes.grad,) = torch.autograd.grad(-totals.sum(), codes, allow_unused=True)
            stepping.step()
            with torch.no_grad():
                codes.copy_(self._projected(codes, number))
            trace.append(values.detach())
            report(Step(number, steps, trace[-1]))
        return torch.stack(trace)

    def decoded(self, codes: Tensor) -> Any:
        """The model's inputs, in its own device and dtype."""
        like = first_parameter(self.model)
        inputs = self.given.decode(codes)
        if not like.numel():
            return inputs
        if isinstance(inputs, Tensor):
            return _like(inputs, like)
        if isinstance(inputs, dict):
            return {name: _like(value, like) for name, value in inputs.items()}
        return tuple(_like(value, like) for value in inputs)

    def seen(self, inputs: Any) -> Seen:
        names = {name for objective in self.objectives for name in objective.layers}
        try:
            return observe(self.model, inputs, names)
        except RuntimeError as error:
            given = {name: tuple(value.shape) for name, value in Inputs.of(inputs).tensors()}
            error.add_note(
                f"The model was run on {given}, made of codes of shape {tuple(self.given.code_shape)}; a shape is that "
                "of one input, without the batch dimension."
            )
            raise

    def values(self, seen: Seen) -> Tensor:
        """(rows,)."""
        parts = [o(seen.rows(rows)) for o, rows in zip(self.objectives, self._groups(), strict=True)]
        if any(part.shape != (self.restarts,) for part in parts):
            raise TargetError(
                f"The target gives {[tuple(part.shape) for part in parts]} for {self.restarts} inputs; expected one "
                "value for each."
            )
        return torch.cat(parts)

    def totals(self, values: Tensor, inputs: Any, codes: Tensor) -> Tensor:
        """(rows,): what is maximised."""
        total = values.to(codes.dtype) - self.penalty(inputs, codes)
        density = log_density_of(self.given, codes) if self.density_weight else None
        return total if density is None else total + self.density_weight * density

    def penalty(self, inputs: Any, codes: Tensor) -> Tensor:
        total = torch.zeros(len(codes), dtype=codes.dtype, device=codes.device)
        for penalty in self.penalties:
            total = total + penalty(_one(inputs, penalty)).to(total)
        return total

    def results(self, targets: Sequence[Any], codes: Tensor, trace: Tensor) -> tuple[Maximization, ...]:
        inputs = self.decoded(codes)
        seen = self.seen(inputs)
        values = self.values(seen)
        totals, penalty = self.totals(values, inputs, codes).detach(), self.penalty(inputs, codes).detach()
        density = log_density_of(self.given, codes)
        found = []
        for target, objective, rows in zip(targets, self.objectives, self._groups(), strict=True):
            order = totals[rows].argsort(descending=True, stable=True) + rows.start
            output = _tensor_of(seen.output, len(codes))
            found.append(
                Maximization(
                    target=target,
                    inputs=_taken(inputs, order),
                    values=values.detach()[order],
                    totals=totals[order],
                    penalty=penalty[order],
                    output=None if output is None else output[order],
                    probabilities=_probabilities(objective, seen, order),
                    stepped_over=seen.stepped_over,
                    trace=trace[:, order],
                    codes=codes.detach()[order],
                    log_density=None if density is None else density.detach()[order],
                )
            )
        return tuple(found)

    def _groups(self) -> list[slice]:
        return [slice(i * self.restarts, (i + 1) * self.restarts) for i in range(len(self.objectives))]

    def _transformed(self, inputs: Any, generator: torch.Generator) -> Any:
        """Every target's restarts alike, so that none depends on which others are searched for."""
        for transform in self.transforms:
            given, before = _one(inputs, transform), generator.get_state()
            parts = []
            for rows in self._groups():
                generator.set_state(before)
                parts.append(transform(given[rows], generator))
            inputs = torch.cat(parts)
        return inputs

    def _projected(self, codes: Tensor, number: int) -> Tensor:
        for operator in self.operators:
            codes = operator(codes, number)
        project = getattr(self.given, "project", None)
        return codes if project is None else project(codes)


def _like(value: Tensor, like: Tensor) -> Tensor:
    return value.to(like) if value.is_floating_point() else value.to(like.device)


def _one(inputs: Any, of: Any) -> Tensor:
    if not isinstance(inputs, Tensor):
        raise InputError(f"{of} takes one tensor, but the prior makes a {type(inputs).__name__} of them.")
    return inputs


def _tensor_of(output: Any, rows: int) -> Tensor | None:
    try:
        found = explained_output(output).detach()
    except ModelError:
        return None
    return found if found.ndim and len(found) == rows else None


def _taken(inputs: Any, order: Tensor) -> Any:
    named = Inputs.of(inputs)
    return named.rebuild({name: value.detach()[order] for name, value in named.tensors()})


def _probabilities(objective: Objective, seen: Seen, order: Tensor) -> Tensor | None:
    if not isinstance(objective, Logit | LogProbability):
        return None
    logits = logits_of(seen.output).detach()[order]
    check_class(objective.index, logits)
    return None if logits.ndim > 2 else log_probabilities(logits, seen.stepped_over)[:, objective.index].exp()
