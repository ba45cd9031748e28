"""The rescale rule: a function of one number gets the secant between reference and sample.

``m = (f(x) − f(x₀)) / (x − x₀)``, and the derivative in the middle where the two all but meet. Shrikumar et al. 2017,
*Learning important features through propagating activation differences*, eq. 10 and section 3.5.2.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...blocks import blocks
from ...splitting import like
from ..tape import Pair
from .node import Operation, joined, pulled_back
from .reveal_cancel import keep_apart


def rescale(op: Operation) -> Tensor:
    """The rescale rule for a function of one active argument; masks made from the input may take part."""
    (x,) = op.inputs()
    value = op.value()
    if value.shape != x.shape:
        op.replace(lambda t: op.engine.seen(torch.broadcast_to, t, value.shape))
        (x,) = op.inputs()
    before = op.engine.tape.pair(x)

    made_of = op.engine.contributions.get(x)

    def f(values: Tensor) -> Tensor:
        value: Tensor = op.at([x], [values])
        return value

    def multiply(m: Tensor) -> tuple[Tensor]:
        through = m * _secant(f, before, after)
        if made_of is not None:
            keep_apart(f, made_of, m, through, before, after)
        return (through,)

    result = op.record(joined(value, [x], multiply))
    after = op.engine.tape.pair(result)
    return result


def rectify(op: Operation) -> Tensor:
    """ReLU: its secant between ``low`` and ``high`` is ``high / (high − low)``, held between 0 and 1."""
    (x,) = op.inputs()
    if x in op.engine.contributions:
        return rescale(op)
    pair = op.engine.tape.pair(x)

    def multiply(m: Tensor) -> tuple[Tensor]:
        sample, out = pair.sample, torch.empty_like(pair.sample)
        tiny = torch.finfo(out.dtype).tiny
        for m_, a, b, o in blocks(like(m, sample), sample, like(pair.reference, sample), out):
            torch.sub(a, b, out=o).abs_().add_(tiny)
            torch.div(torch.maximum(a, b), o, out=o).clamp_(0, 1).mul_(m_)
        return (out,)

    return op.record(joined(op.value(), [x], multiply))


def _secant(f: Callable[[Tensor], Tensor], x: Pair, y: Pair) -> Tensor:
    here, there = x.sample, x.reference
    step = here - there
    # nearer than this the quotient is rounding noise, while the derivative in the middle is exact to O(step²)
    near = step.abs() <= torch.finfo(step.dtype).eps ** 0.5 * torch.maximum(here.abs(), there.abs())
    near |= here == there  # also infinities
    slope = y.difference.div_(step)
    if bool(near.any()):
        middle = torch.where(here == there, here, (here + there) / 2)
        (derivative,) = pulled_back(lambda leaves: f(leaves[0]), [middle], torch.ones_like(middle))
        assert derivative is not None
        slope = torch.where(near, derivative, slope)
    # a vertical tangent, or no number to begin with, moves nothing: the values are the same
    return torch.where(near & ~torch.isfinite(slope), torch.zeros_like(slope), slope)
