"""Operations that pick one of their arguments: maxima, order statistics, choices by a mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..call import tensors_in
from ..tape import Pair
from .node import Operation, joined, pulled_back


def _over(shares: Tensor | None, here: Tensor, there: Tensor) -> Tensor | None:
    """Shares per change; what has not changed, infinities among it, has none."""
    return None if shares is None else torch.where(here == there, torch.zeros_like(here), shares / (here - there))


def winner(extreme: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Operation], Any]:
    """A maximum (or minimum): the winner of each pass gets what it adds to the loser's level.

    With ``t = max(y, y₀)``, the sample's winner gets ``t − y₀``, the reference's ``y − t``. What a winner gets is not
    0 only where its own value has changed in that direction, so the shares always add up.
    """

    def handler(op: Operation) -> Any:
        inputs = op.inputs()
        found = op.value()
        several = not isinstance(found, Tensor)
        pairs = [op.engine.tape.pair(t) for t in inputs]

        def at(values: Sequence[Tensor]) -> Tensor:
            result = op.at(inputs, values)
            return result[0] if several else result

        def multiply(m: Tensor) -> Sequence[Tensor | None]:
            if used():
                op.engine.decisions.add(op.name)
            here, there = [p.sample for p in pairs], [p.reference for p in pairs]
            top = extreme(after.sample, after.reference)
            won = pulled_back(at, here, m * (top - after.reference))
            lost = pulled_back(at, there, m * (after.sample - top))
            return [_over(_sum(w, v), a, b) for w, v, a, b in zip(won, lost, here, there, strict=True)]

        values = joined(found[0] if several else found, inputs, multiply)
        result = with_first(found, values) if several else values
        used = op.engine.watch(found[1]) if several else lambda: False
        op.record(result)
        after = op.engine.tape.pair(values)
        return result

    return handler


def with_first(found: Any, first: Tensor) -> Any:
    """The results ``found``, the first of them exchanged."""
    items = (first, *found[1:])
    return type(found)(*items) if hasattr(found, "_fields") else type(found)(items)


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


def ordered(op: Operation) -> Any:
    """Order statistics (sort, top-k, median, k-th value) along one dimension.

    If the indices are used too (routing to experts, reordering), the sample's order holds for the reference and each
    value moves with its index. Otherwise a value's change goes to the element that has it now, or had it in the
    reference, if that element changed in the same direction, and else to all that did, in proportion.
    """
    (x,) = op.inputs()
    found = op.value()
    values, indices = (found, None) if isinstance(found, Tensor) else (found[0], found[1])
    dim = op.dimension()
    if indices is None or dim is None or indices.ndim != x.ndim:
        return _ordered_without_indices(op, x, values, found, dim)
    used = op.engine.watch(indices)
    before = op.engine.tape.pair(x)

    def run(point: Tensor, *args: Any) -> Tensor:
        """What the reference gets: the element at the sample's index, or the statistic of its own."""
        return point.gather(dim, indices) if used() else op.at([x], [point])[0]

    def multiply(m: Tensor) -> tuple[Tensor]:
        if used():
            op.engine.decisions.add(op.name)
            return (torch.zeros_like(before.sample).scatter_add_(dim, indices, m),)
        own = op.at([x], [before.reference])[1]
        return (_shared(m, before, after, indices, own, dim),)

    result = joined(values, [x], multiply)
    op.engine.tape.record(run, (x,), {}, result)
    after = op.engine.tape.pair(result)
    return with_first(found, result)


def _ordered_without_indices(op: Operation, x: Tensor, values: Tensor, found: Any, dim: int | None) -> Any:
    """``median()`` of everything, ``kthvalue`` without ``keepdim`` and the like: in a shape that has them."""
    flat = dim is None
    axis = 0 if dim is None else dim % x.ndim
    engine = op.engine
    if op.name in ("median", "nanmedian"):
        kept: tuple[Any, ...] = (axis, True)
        func = getattr(torch, op.name)
    elif op.name in ("kthvalue", "mode"):
        extra = (op.argument(1, "k"),) if op.name == "kthvalue" else ()
        func, kept = getattr(torch, op.name), (*extra, axis, True)
    else:
        func, kept = torch.sort, (axis,)
    source = engine.seen(torch.flatten, x) if flat else x
    result = engine.seen(func, source, *kept)
    if op.name == "msort":
        return result[0]
    squeezed = engine.seen(torch.squeeze, result[0], axis)
    return squeezed if flat and isinstance(found, Tensor) else with_first(found, squeezed)


def _shared(m: Tensor, before: Pair, after: Pair, now: Tensor, then: Tensor, dim: int) -> Tensor:
    step, change = before.difference, after.difference
    taken = torch.zeros_like(change, dtype=torch.bool)
    out = torch.zeros_like(step)
    for index in (now, then):
        theirs = step.gather(dim, index)
        fits = ~taken & (theirs * change > 0)
        out.scatter_add_(dim, index, torch.where(fits, m * change / theirs, torch.zeros_like(m)))
        taken |= fits
    for sign in (1.0, -1.0):
        rest = torch.where(~taken & (change * sign > 0), m * change, torch.zeros_like(m)).sum(dim, keepdim=True)
        those = (step * sign).clamp(min=0)
        total = those.sum(dim, keepdim=True)
        out += torch.where((those > 0) & (total > 0), sign * rest / total, torch.zeros_like(out))
    return out


def chosen(op: Operation) -> Tensor:
    """``where`` with a mask made from the input: what changes at an element goes to its alternatives, half to each.

    Where only one of them changed, all to that one.
    """
    mask = next(t for t in tensors_in((op.args, op.kwargs)) if t.dtype == torch.bool)
    inputs = op.inputs()
    tape = op.engine.tape
    masks, pairs = tape.pair(mask), [tape.pair(t) for t in inputs]
    value = op.value()

    def multiply(m: Tensor) -> Sequence[Tensor]:
        same = masks.sample == masks.reference
        natural = pulled_back(lambda leaves: op.at(inputs, leaves), [p.sample for p in pairs], m * same)
        steps = [torch.broadcast_to(p.difference, value.shape) for p in pairs]
        movers = sum((s != 0).to(m.dtype) for s in steps)
        shares = torch.where(same, torch.zeros_like(m), m * after.difference / movers)
        parts = []
        for g, p, s in zip(natural, pairs, steps, strict=True):
            part = torch.where(s == 0, torch.zeros_like(m), shares / s).sum_to_size(p.sample.shape)
            parts.append(part if g is None else g + part)
        return parts

    result = op.record(joined(value, inputs, multiply))
    after = tape.pair(result)
    return result
