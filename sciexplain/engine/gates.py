"""What may become a gate.

A gate is a positive weight: a sigmoid, a softmax, ``exp``, ``softplus``, a normalising statistic, and whatever is put
together from gates only. Where it multiplies a signal it is a constant, and the signal takes all. Some gates show only
in two steps; until the second one, a :class:`Hint` is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import names

if TYPE_CHECKING:
    from .tags import Tag


@dataclass(eq=False, slots=True)
class Hint:
    """A tensor that the next operation may turn into a gate."""

    def scaled(self, factor: float) -> Hint | None:
        """What remains after multiplication by a number."""
        return None


@dataclass(eq=False, slots=True)
class Bounded(Hint):
    """Values within ``±limit``, of a tanh or erf: adding a number that is not smaller makes a gate, as in 1 + tanh."""

    limit: float = 1.0

    def scaled(self, factor: float) -> Hint:
        return Bounded(self.limit * abs(factor))


@dataclass(eq=False, slots=True)
class Shifted(Hint):
    """A signal plus a number: cut to an interval from 0 on it is a gate, as in relu6(x + 3)."""

    positive: bool = False
    """Whether it was cut at 0 already."""


@dataclass(eq=False, slots=True)
class Chosen(Hint):
    """The largest of some logits: their softmax routes, whatever becomes of other softmaxes."""


@dataclass(eq=False, slots=True)
class Powers(Hint):
    """Exponentials, and sums of them: the quotient of the two is a softmax."""

    normalized: bool = False
    """Whether that quotient was formed; the slope of the exponentials is then their derivative."""

    def scaled(self, factor: float) -> Hint:
        return self


def number(value: object) -> float | None:
    """``value`` where it is one number that can be had for nothing."""
    if isinstance(value, Tensor):
        return float(value) if value.ndim == 0 and value.device.type == "cpu" and not value.is_complex() else None
    return float(value) if isinstance(value, int | float) else None


def together(inputs: Sequence[Tag]) -> tuple[bool, Hint | None]:
    """(gate, hint) of what is put together linearly, or picked, from tensors with these tags: of gates only, a gate."""
    first = inputs[0]
    if len(inputs) == 1:
        return first.gate, first.hint
    return all(t.gate for t in inputs), first.hint if all(t.hint is first.hint for t in inputs) else None


def picked(tag: Tag, name: str, gate: bool, hint: Hint | None) -> tuple[bool, Hint | None]:
    """(gate, hint) of the values that ``name`` picked from a tensor with ``tag``."""
    if tag.squash in ("softmax", "sigmoid"):
        return True, hint
    return gate, Chosen() if name == "topk" and not gate else hint


def shifted(tag: Tag, constant: object) -> tuple[bool, Hint | None]:
    """(gate, hint) after a constant was added to a tensor with ``tag``."""
    by = number(constant)
    if isinstance(tag.hint, Bounded):
        return by is not None and abs(by) >= tag.hint.limit, None
    if tag.gate:
        stabilized = isinstance(tag.hint, Powers) and by is not None and 0 <= by <= 1e-3
        return by is None or by >= 0, tag.hint if stabilized else None
    return False, Shifted() if by is not None and by > 0 else None


def scaled(tag: Tag, constant: object) -> tuple[bool, Hint | None]:
    """(gate, hint) after multiplication by a constant."""
    if tag.hint is None:
        return tag.gate, None
    factor = number(constant)
    if factor is None:
        return tag.gate, tag.hint if isinstance(tag.hint, Powers) else None
    return tag.gate, tag.hint.scaled(factor)


def activated(tag: Tag, name: str, f: Callable[[Tensor], Tensor], like: Tensor) -> tuple[bool, Hint | None]:
    """(gate, hint) of the activation ``f`` called ``name`` at a tensor with ``tag``."""
    hint: Hint | None = Powers() if name in ("exp", "exp2") else None
    if name in names.BOUNDED and not tag.gate:
        hint = Bounded()
    gate = name in names.GATES or (tag.gate and name in names.KEEPS_GATES)
    if not gate and isinstance(tag.hint, Shifted) and name in names.CUTS:
        low, high = f(like.new_tensor([0.0 if tag.hint.positive else -torch.inf, torch.inf])).tolist()
        gate = low == 0 and high < torch.inf
        hint = Shifted(positive=True) if low == 0 and not gate else None
    return gate, hint
