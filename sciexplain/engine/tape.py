"""A forward pass recorded operation by operation, and replayed on a reference.

The model's own Python code runs once, on the sample. The tape then repeats the same operations on other values: one
forward pass per reference, without the model's control flow, so that the decisions made for the sample hold (which
branch, which expert, which index), and every operation of the sample has its counterpart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from .call import tensors_in
from .keep import Keeper, Kept


class Pair:
    """The values of one tensor in the sample's pass and in the pass of the reference replayed last."""

    __slots__ = ("_reference", "_sample")

    def __init__(self, sample: Kept) -> None:
        self._sample = sample
        self._reference: Kept | None = None

    @property
    def sample(self) -> Tensor:
        return self._sample.get()

    @property
    def reference(self) -> Tensor:
        if self._reference is None:  # does not depend on the input
            return self._sample.get()
        return self._reference.get()

    @property
    def difference(self) -> Tensor:
        return self.sample - self.reference


@dataclass(frozen=True, slots=True)
class _Slot:
    """Stands in a recorded call for a tensor that depends on the input."""

    index: int


@dataclass(slots=True)
class _Operation:
    func: Callable[..., Any]
    args: Any
    kwargs: Any
    changes: int | None
    """The slot that the operation overwrites."""
    outputs: tuple[int | None, ...]


@dataclass(slots=True)
class _Keep:
    slot: int
    pair: Pair


@dataclass(slots=True)
class _Restart:
    """A constant that the operations to come will write into, as it was before."""

    slot: int
    values: Tensor


class Tape:
    """Records operations on tensors that depend on the input; see the module's text."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._slots: Any = WeakIdKeyDictionary()
        self._steps: list[_Operation | _Keep | _Restart] = []
        self._count = 0
        self._last_uses: dict[int, list[int]] | None = None

    # -- recording -------------------------------------------------------------------------------------------------

    def add(self, tensor: Tensor) -> int:
        """A slot for ``tensor``: an input, or the result of an operation."""
        slot = self._slots[tensor] = self._count
        self._count += 1
        return slot

    def slot_of(self, tensor: Tensor) -> int | None:
        """The slot of a tensor that depends on the input; of a view, by what it is a view of."""
        slot: int | None = self._slots.get(tensor)
        base = tensor._base
        if slot is None and base is not None and base in self._slots and tensor.requires_grad:
            return self._record_view(base, tensor)
        return slot

    def knows(self, tensor: Tensor) -> bool:
        return self.slot_of(tensor) is not None

    def _record_view(self, base: Tensor, view: Tensor) -> int:
        layout = tuple(view.shape), view.stride(), view.storage_offset()
        args = (_Slot(self._slots[base]), *layout)
        slot = self.add(view)
        self._steps.append(_Operation(torch.as_strided, args, {}, None, (slot,)))
        return slot

    def record(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: Any,
        *,
        follows: Callable[[Tensor], bool] = lambda t: True,
    ) -> None:
        """``func(*args, **kwargs)`` gave ``result``; of its tensors, those that ``follows`` accepts get slots."""
        args, kwargs = self._with_slots(args), self._with_slots(dict(kwargs))
        outputs = tuple(self.add(t) if follows(t) else None for t in tensors_in(result))
        self._steps.append(_Operation(_as_now(func), args, kwargs, None, outputs))

    def record_change(
        self, func: Callable[..., Any], target: Tensor, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """``func(*args, **kwargs)`` is about to overwrite ``target``."""
        if self.slot_of(target) is None:
            base = target if target._base is None else target._base
            if base not in self._slots:
                values = base.detach().clone()
                self._steps.append(_Restart(self.add(base), values))
            if base is not target:
                self._record_view(base, target)
        args, kwargs = self._with_slots(args), self._with_slots(dict(kwargs))
        self._steps.append(_Operation(_as_now(func), args, kwargs, self._slots[target], ()))

    def pair(self, tensor: Tensor) -> Pair:
        """Both values of ``tensor`` as it is now."""
        pair = Pair(self._keeper.keep(tensor))
        if (slot := self.slot_of(tensor)) is not None:
            self._steps.append(_Keep(slot, pair))
        return pair

    def _with_slots(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            slot = self.slot_of(value)
            return self._keeper.keep(value) if slot is None else _Slot(slot)
        if isinstance(value, tuple | list):
            items = [self._with_slots(v) for v in value]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        if isinstance(value, dict):
            return {k: self._with_slots(v) for k, v in value.items()}
        if isinstance(value, slice):
            return slice(*(self._with_slots(v) for v in (value.start, value.stop, value.step)))
        return value

    # -- replaying -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def replay(self, inputs: Iterable[tuple[int, Tensor]], wanted: Iterable[int] = ()) -> dict[int, Tensor]:
        """Repeat the recorded operations on ``inputs`` (slot, values); the values of the slots ``wanted``."""
        if self._last_uses is None:
            self._last_uses = self._find_last_uses()
        wanted = set(wanted)
        live, keeper = dict(inputs), Keeper()
        for number, step in enumerate(self._steps):
            if isinstance(step, _Keep):
                step.pair._reference = keeper.keep(live[step.slot])
            elif isinstance(step, _Restart):
                live[step.slot] = step.values.clone()
            else:
                if step.changes is not None:
                    keeper.before_change(live[step.changes])
                result = step.func(*_filled(step.args, live), **_filled(step.kwargs, live))
                for slot, value in zip(step.outputs, tensors_in(result), strict=False):
                    if slot is not None:
                        live[slot] = value
            for slot in self._last_uses.get(number, ()):
                if slot not in wanted:
                    live.pop(slot, None)
        return {slot: live[slot] for slot in wanted}

    def _find_last_uses(self) -> dict[int, list[int]]:
        last: dict[int, int] = {}
        for number, step in enumerate(self._steps):
            if isinstance(step, _Operation):
                last.update(dict.fromkeys((s for s in step.outputs if s is not None), number))
                last.update(dict.fromkeys(_slots_in((step.args, step.kwargs)), number))
            else:
                last[step.slot] = number
        by_step: dict[int, list[int]] = {}
        for slot, number in last.items():
            by_step.setdefault(number, []).append(slot)
        return by_step


def _filled(value: Any, live: dict[int, Tensor]) -> Any:
    if isinstance(value, _Slot):
        return live[value.index]
    if isinstance(value, Kept):
        return value.get()
    if isinstance(value, tuple | list):
        items = [_filled(v, live) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {k: _filled(v, live) for k, v in value.items()}
    if isinstance(value, slice):
        return slice(*(_filled(v, live) for v in (value.start, value.stop, value.step)))
    return value


def _slots_in(value: Any) -> list[int]:
    if isinstance(value, _Slot):
        return [value.index]
    if isinstance(value, tuple | list):
        return [s for v in value for s in _slots_in(v)]
    if isinstance(value, dict):
        return [s for v in value.values() for s in _slots_in(v)]
    if isinstance(value, slice):
        return _slots_in((value.start, value.stop, value.step))
    return []


def _as_now(func: Callable[..., Any]) -> Callable[..., Any]:
    """``func`` under the autocast of this moment."""
    for device in ("cpu", "cuda"):
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)

            def autocast(*args: Any, **kwargs: Any) -> Any:
                with torch.autocast(device, dtype, cache_enabled=False):  # noqa: B023
                    return func(*args, **kwargs)

            return autocast
    return func
