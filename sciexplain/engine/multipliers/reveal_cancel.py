r"""The RevealCancel rule: positive and negative contributions to a unit are kept apart.

A linear operation's output changes by :math:`Δz = Δz^+ + Δz^-`, its contributions by sign. The function that follows
shares its own change as if the two came in either order, each being revealed before the other cancels it:

.. math::
    Δy^\pm = \tfrac12 [f(z_0 + Δz^\pm) - f(z_0)] + \tfrac12 [f(z_0 + Δz) - f(z_0 + Δz^\mp)]

Shrikumar et al. 2017, section 3.5.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..names import listed
from ..tape import Pair
from .node import Operation, joined, pulled_back

LAYERS = listed("""
    linear matmul __matmul__ mm bmm mv einsum conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
""")
"""Linear operations whose contributions are kept apart."""


@dataclass
class Contributions:
    """What a linear operation's output is made of, and what came back for each sign beside the multiplier."""

    x: Pair
    product: Callable[[Tensor, Tensor], Tensor]
    weight: Tensor
    back: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._positive, self._negative = self.weight.clamp(min=0), self.weight.clamp(max=0)

    def sums(self) -> tuple[Tensor, Tensor]:
        up, down = self.x.difference.clamp(min=0), self.x.difference.clamp(max=0)
        return (
            self.product(up, self._positive) + self.product(down, self._negative),
            self.product(up, self._negative) + self.product(down, self._positive),
        )

    def multiply(self, m: Tensor) -> tuple[Tensor]:
        plus = sum((p for p, _ in self.back), m)
        minus = sum((n for _, n in self.back), m)
        self.back.clear()
        above = self._pull(plus, self._positive) + self._pull(minus, self._negative)
        below = self._pull(plus, self._negative) + self._pull(minus, self._positive)
        return (torch.where(self.x.difference < 0, below, above),)

    def _pull(self, m: Tensor, weight: Tensor) -> Tensor:
        (g,) = pulled_back(lambda leaves: self.product(leaves[0], weight), [self.x.sample], m)
        assert g is not None
        return g


def contributing(op: Operation) -> Tensor | None:
    """The result of a linear operation that remembers its contributions; None where it has no constant weight."""
    constants = [t for t in (*op.args[:3], *op.kwargs.values()) if isinstance(t, Tensor) and not op.is_active(t)]
    if op.name not in LAYERS or not constants or len(op.active) != 1:
        return None
    (x,), weight = op.inputs(), constants[0]

    def product(values: Tensor, w: Tensor) -> Tensor:
        chosen = {id(x): values, id(weight): w}
        args = [chosen.get(id(a), None if isinstance(a, Tensor) else a) for a in op.args]
        kwargs = {k: chosen.get(id(v), None if isinstance(v, Tensor) else v) for k, v in op.kwargs.items()}
        result: Tensor = op.func(*args, **kwargs)
        return result

    made_of = Contributions(op.engine.tape.pair(x), product, weight)
    result = op.record(joined(op.value(), [x], made_of.multiply))
    op.engine.contributions[result] = made_of
    return result


def keep_apart(
    f: Callable[[Tensor], Tensor], made_of: Contributions, m: Tensor, through: Tensor, x: Pair, y: Pair
) -> None:
    """Tell ``made_of`` what each sign gets beyond ``through``, the multiplier of both together."""
    positive, negative = made_of.sums()
    start, end = x.reference, x.sample
    at_start, at_end = y.reference, y.sample
    with_positive, with_negative = f(start + positive), f(start + negative)
    shares = (
        (positive, with_positive - at_start + at_end - with_negative),
        (negative, with_negative - at_start + at_end - with_positive),
    )
    limit = torch.finfo(m.dtype).eps ** 0.5 * torch.maximum(start.abs(), end.abs())
    plus, minus = (
        torch.where(step.abs() <= limit, torch.zeros_like(m), m * change / (2 * step) - through)
        for step, change in shares
    )
    made_of.back.append((plus, minus))
