"""A model's forward pass on one sequence, kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from sciexplain.domains.genomics.reach.watch import Mixing, Unfollowable, Watch, in_place, tensors
from sciexplain.domains.genomics.reach.windows import Base

_SEEN = (Tensor, int, float, complex, bool, str, type(None), torch.dtype, torch.device)

Score = Callable[[Any], Tensor]
"""From the model's output to (rows,)."""


@dataclass(eq=False)
class Step:
    """One operation.

    Attributes
    ----------
    name
        Of the operation.
    structure, leaves
        What it returned, for ``tree_unflatten``; the class Tensor in the place of tensors.
    outputs
        The tensors that it returned.
    reads
        The tensors that it read: numbers of the steps that gave them, −1 for the sequence, and which of their outputs.
    needed
        For each output, whether the score depends on it.
    row_dims
        For each output, the dimension of the rows; −1 where it has none, which only happens if it is not needed.
    """

    name: str
    structure: TreeSpec
    leaves: list[Any]
    outputs: list[Base]
    reads: list[tuple[int, int]]
    needed: list[bool] = field(default_factory=list)
    row_dims: list[int] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Record:
    """The forward pass on one original sequence.

    Attributes
    ----------
    steps
        In their order.
    input
        The sequence, (1, channels, L).
    score
        Of the original, (1,).
    """

    steps: list[Step]
    input: Base
    score: Tensor


class _Recorder(Watch):
    """Keeps what every operation gave."""

    def __init__(self, given: Tensor) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.input = Base(given)
        self.number: dict[int, tuple[int, int]] = {id(given): (-1, 0)}
        self.alive: dict[int, tuple[int, Tensor]] = {id(given): (-1, given)}
        self.last_read: dict[int, int] = {}
        self.written: list[tuple[int, Tensor]] = []

    def active(self, value: Tensor) -> bool:
        return id(value) in self.number

    def step(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        read = [value for value in tensors((args, kwargs)) if self.active(value)]
        reads = [self.number[id(value)] for value in read]
        for value in read:
            self.last_read[id(value)] = self.count
        if kwargs.get("out") is not None or name in ("__setitem__", "__delitem__", "data_"):
            raise Unfollowable(f"{name} writes into a given tensor")
        if in_place(name, args, kwargs):
            if not self.active(args[0]):
                raise Unfollowable(f"{name} writes into a tensor that the sequence had no part in")
            self.written.append((self.count, args[0]))
            number, which = self.number[id(args[0])]
            base = self.input if number < 0 else self.steps[number].outputs[which]
            base.tensor = args[0].clone()
        leaves, structure = tree_flatten(func(*args, **kwargs))
        if strange := [leaf for leaf in leaves if not isinstance(leaf, _SEEN)]:
            raise Unfollowable(f"{name} gives {type(strange[0]).__name__}")
        outputs: list[Base] = []
        for value in tensors(leaves):
            self.number[id(value)] = (self.count, len(outputs))
            self.alive.setdefault(id(value), (self.count, value))
            outputs.append(Base(value))
        rest = [Tensor if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        self.steps.append(Step(name, structure, rest, outputs, reads))
        return tree_unflatten(leaves, structure)

    def check_views(self) -> None:
        """Refuse what writes into memory that another tensor shows, if that is read afterwards."""
        for when, target in self.written:
            place = target.untyped_storage().data_ptr()
            for since, other in self.alive.values():
                shares = other is not target and since < when and other.untyped_storage().data_ptr() == place
                if shares and self.last_read.get(id(other), -1) > when:
                    raise Unfollowable(f"{self.steps[when].name} writes into a tensor of which a view is read later")


class _Rows(Watch):
    """Finds the dimension of the rows in every output, by what doubles with them."""

    def __init__(self, given: Tensor, steps: list[Step]) -> None:
        super().__init__()
        self.steps, self.alive = steps, {id(given): given}

    def active(self, value: Tensor) -> bool:
        return id(value) in self.alive

    def step(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.count >= len(self.steps) or self.steps[self.count].name != name:
            raise Mixing("it does something else with two sequences than with one")
        step, found = self.steps[self.count], func(*args, **kwargs)
        for base, value, needed in zip(step.outputs, tensors(found), step.needed, strict=True):
            self.alive[id(value)] = value
            if needed and value.ndim != base.tensor.ndim:
                raise Mixing(f"{name} has another number of dimensions for two sequences")
            pairs = enumerate(zip(base.tensor.shape, value.shape, strict=False))
            other = [(i, after == 2 * before) for i, (before, after) in pairs if before != after]
            if needed and (len(other) != 1 or not other[0][1]):
                raise Mixing(f"{name} mixes the sequences of a batch")
            step.row_dims.append(other[0][0] if other else -1)
        return found


def record(model: Callable[..., Any], score: Score, sequence: Tensor, earlier: Record | None = None) -> Record:
    """Run the model on one sequence (1, channels, L) and keep what every operation gave.

    Parameters
    ----------
    earlier
        Of another sequence: where the model does the same again, it is not tried on two rows again.

    Raises
    ------
    Unfollowable
        It writes into parts of tensors, it mixes sequences, or the score does not come from operations that can be
        seen.
    """
    given = sequence.clone()
    recorder = _Recorder(given)
    with recorder:
        found = score(model(given))
    if recorder.number.get(id(found), (-1, 0))[0] < 0:
        raise Unfollowable("its score does not come from the sequence by operations that can be seen")
    recorder.check_views()
    steps = recorder.steps
    _mark_needed(steps, recorder.number[id(found)])
    if earlier is not None and [s.name for s in earlier.steps] == [s.name for s in steps]:
        for step, other in zip(steps, earlier.steps, strict=True):
            step.row_dims = other.row_dims
    else:
        twice = sequence.expand(2, -1, -1).clone()
        with _Rows(twice, steps):
            score(model(twice))
    return Record(steps, recorder.input, found.detach())


def _mark_needed(steps: list[Step], last: tuple[int, int]) -> None:
    """Mark what the score depends on, and what is read only once."""
    for step in steps:
        step.needed = [False] * len(step.outputs)
    steps[last[0]].needed[last[1]] = True
    reads: dict[tuple[int, int], int] = {}
    for step in reversed(steps):
        # what gives no tensor steers the model, such as a value that it compares
        if any(step.needed) or not step.outputs:
            for number, which in step.reads:
                reads[number, which] = reads.get((number, which), 0) + 1
                if number >= 0:
                    steps[number].needed[which] = True
    for number, step in enumerate(steps):
        for which, base in enumerate(step.outputs):
            base.single = reads.get((number, which), 0) == 1
