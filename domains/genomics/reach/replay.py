"""The recorded forward pass again, on windows: the model's own code runs on tensors that stand for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_unflatten

from sciexplain.domains.genomics.reach.calls import Call
from sciexplain.domains.genomics.reach.handlers import HANDLERS
from sciexplain.domains.genomics.reach.record import Record, Score, Step
from sciexplain.domains.genomics.reach.watch import Unfollowable, Watch, in_place, mapped, tensors
from sciexplain.domains.genomics.reach.windows import Base, Local

_STATE = "_reached"
"""What a tensor stands for: a :class:`Local`, or a tensor with all values; True where it has these itself."""


_WHOLE = "_reached_whole"
"""All values of a tensor that stands for windows, once they have been worked out."""


@dataclass(frozen=True, eq=False)
class Replayed:
    """Scores, and how they came about.

    Attributes
    ----------
    scores
        (M,)
    largest
        Number of values of the largest tensor that was made.
    whole
        Operations that were given windows and had to be given all values.
    """

    scores: Tensor
    largest: int
    whole: frozenset[str]


class _Replay(Watch):
    """Does every operation on windows, or on whole tensors where it has to."""

    def __init__(self, record: Record, rows: int, store: dict[Any, Tensor]) -> None:
        super().__init__()
        self.record, self.rows, self.store = record, rows, store
        self.largest = 0
        self.whole: set[str] = set()

    def active(self, value: Tensor) -> bool:
        return hasattr(value, _STATE)

    def step(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.count >= len(self.record.steps) or self.record.steps[self.count].name != name:
            raise Unfollowable(f"{name} is not what it did on the original sequence")
        step, writes = self.record.steps[self.count], in_place(name, args, kwargs)
        if step.outputs and not any(step.needed):
            return args[0] if writes else self._returned(step, [None] * len(step.outputs))
        result = self._on_windows(step, name, func, args, kwargs, writes)
        if result is NotImplemented:
            if any(isinstance(getattr(t, _STATE, None), Local) for t in tensors((args, kwargs))):
                self.whole.add(name)
            result = func(*mapped(_whole, args), **mapped(_whole, kwargs))
            if not step.outputs:
                return result
            result = tuple(tensors(result))
        results = result if isinstance(result, tuple) else (result,)
        for value in results:
            if value is not None:
                self.largest = max(self.largest, value.delta.numel() if isinstance(value, Local) else value.numel())
        if writes:
            if hasattr(args[0], _WHOLE):
                delattr(args[0], _WHOLE)
            setattr(args[0], _STATE, True if results[0] is args[0] else results[0])
            return args[0]
        return self._returned(step, results)

    def _on_windows(
        self,
        step: Step,
        name: str,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        writes: bool,
    ) -> Any:
        if writes:
            name = name.replace("__i", "__") if name.startswith("__") else name.removesuffix("_")
        states = [getattr(t, _STATE) for t in tensors((args, kwargs)) if self.active(t)]
        if name not in HANDLERS or not step.outputs or not all(isinstance(s, Local) for s in states):
            return NotImplemented
        call = Call(
            name,
            func,
            mapped(_state, args),
            mapped(_state, kwargs),
            step.outputs,
            step.needed,
            self.rows,
            self.store,
        )
        return HANDLERS[name](call)

    def _returned(self, step: Step, values: Sequence[Local | Tensor | None]) -> Any:
        """What the model gets to see, structured as the operation returns it."""
        if step.structure.is_leaf():
            return self.shown(step.outputs[0], values[0], step.row_dims[0])
        shown = iter(
            [self.shown(base, value, dim) for base, value, dim in zip(step.outputs, values, step.row_dims, strict=True)]
        )
        leaves = [next(shown) if leaf is Tensor else leaf for leaf in step.leaves]
        return tree_unflatten(leaves, step.structure)

    def shown(self, base: Base, value: Local | Tensor | None, row_dim: int) -> Tensor:
        """All values; or a tensor of that shape without any, NaN should something look at them."""
        like = base.tensor
        shape = [size * self.rows if i == row_dim else size for i, size in enumerate(like.shape)]
        if isinstance(value, Tensor):
            if list(value.shape) != shape:
                raise Unfollowable("a shape does not follow from the number of sequences")
            setattr(value, _STATE, True)
            return value
        blank = torch.full((), torch.nan if like.is_floating_point() else 0, dtype=like.dtype, device=like.device)
        found = blank.expand(shape)
        setattr(found, _STATE, value)
        return found


def _state(value: Tensor) -> Local | Tensor:
    """The windows that a tensor stands for; itself, if it stands for none."""
    return getattr(value, _STATE, value)


def _whole(value: Tensor) -> Tensor:
    """A tensor with all values, for any that stands for windows."""
    state = getattr(value, _STATE, True)
    if isinstance(state, Local):
        if not hasattr(value, _WHOLE):
            setattr(value, _WHOLE, state.full())
        state = getattr(value, _WHOLE)
    return state if isinstance(state, Tensor) else value


def replay(
    model: Callable[..., Any], score: Score, record: Record, positions: Tensor, deltas: Tensor, store: dict[Any, Tensor]
) -> Replayed:
    """Scores of the recorded sequence with one position changed, for each of M rows.

    Parameters
    ----------
    positions
        (M,) ascending, on the CPU.
    deltas
        (M, channels): by how much that position differs.
    store
        Kept for the model between calls.

    Raises
    ------
    Unfollowable
        The model does something else than on the original sequence.
    """
    length = record.input.tensor.shape[2]
    local = Local(record.input, positions, deltas.unsqueeze(1), ((0,), (2,), (1,)), length)
    mode = _Replay(record, len(positions), store)
    given = mode.shown(record.input, local, 0)
    with mode:
        found = score(model(given))
    return Replayed(_whole(found), mode.largest, frozenset(mode.whole))
