"""Recurrent layers: each direction from the first position on that a substitution changes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sciexplain.domains.genomics.reach.calls import Call, Result
from sciexplain.domains.genomics.reach.windows import Local


def recurrent(call: Call) -> Result:
    """An LSTM, GRU or simple recurrent network: the steps before the change are taken from the original."""
    if len(call.args) != 9 or not isinstance(call.args[3], bool):  # packed sequences
        return NotImplemented
    x, initial, weights, biases, layers, dropout, training, both, batch_first = call.args
    each = 4 if biases else 2
    if not isinstance(x, Local) or not x.plain or len(x.dims) != 3 or x.delta.ndim != 3 or (training and dropout):
        return NotImplemented
    if x.dims != (((0,), (1,), (2,)) if batch_first else ((1,), (0,), (2,))):
        return NotImplemented
    if len(weights) != each * layers * (1 + both) or any(isinstance(v, Local) for v in _pair(initial)):
        return NotImplemented
    x = x.common()
    low, high = x.span()
    values = x.full() if batch_first else x.full().transpose(0, 1)
    outputs, last = [], []
    for direction in range(1 + both):
        own = list(weights[direction * each : (direction + 1) * each])
        begin = [v[direction] for v in _pair(initial)]
        steps = values[:, low:] if direction == 0 else values[:, :high].flip(1)
        skipped = x.length - steps.shape[1]
        kept = _first_layer(call, x, own, begin, direction)
        state = begin
        if skipped:
            state = [part[skipped - 1].expand(x.rows, -1) for part in kept]
        state = [s.unsqueeze(0).contiguous() for s in state]
        out, *ends = call.func(
            steps, tuple(state) if len(state) > 1 else state[0], own, biases, 1, 0.0, False, False, True
        )
        before = kept[0][:skipped].expand(x.rows, -1, -1)
        done = torch.cat([before, out], 1)
        outputs.append(done if direction == 0 else done.flip(1))
        last.append([e[0] for e in ends])
    found = torch.cat(outputs, -1)
    ends = [torch.stack(parts) for parts in zip(*last, strict=True)]
    if layers > 1:
        further = [v[1 + both :] for v in _pair(initial)]
        found, *more = call.func(
            found,
            tuple(v.contiguous() for v in further) if len(further) > 1 else further[0].contiguous(),
            list(weights[each * (1 + both) :]),
            biases,
            layers - 1,
            0.0,
            False,
            both,
            True,
        )
        ends = [torch.cat(pair) for pair in zip(ends, more, strict=True)]
    return (found if batch_first else found.transpose(0, 1), *ends)


def _first_layer(call: Call, x: Local, weights: list[Tensor], begin: list[Tensor], direction: int) -> list[Tensor]:
    """(L, hidden) each: the first layer's state after every step on the original sequence, in the order of steps."""
    key = ("states", direction)
    names = [(*key, i) for i in range(len(begin))]
    if names[0] not in x.base.derived:
        steps = x.whole() if direction == 0 else x.whole().flip(0)
        state = [v[:1].unsqueeze(0).contiguous() for v in begin]
        biases = len(weights) > 2
        out = call.func(
            steps[None], tuple(state) if len(state) > 1 else state[0], weights, biases, 1, 0.0, False, False, True
        )[0][0]
        x.base.derived[names[0]] = out
        if len(begin) > 1:
            x.base.derived[names[1]] = _cells(steps, out, weights, begin)
    return [x.base.derived[name] for name in names]


def _cells(steps: Tensor, out: Tensor, weights: list[Tensor], begin: list[Tensor]) -> Tensor:
    """(L, hidden): an LSTM's cell states, of whose gates the outputs tell all but the recurrence."""
    earlier = torch.cat([begin[0][:1], out[:-1]])
    gates = steps @ weights[0].t() + earlier @ weights[1].t() + sum(weights[2:])
    new, forget, candidate, _ = gates.chunk(4, 1)
    gain, forget = new.sigmoid() * candidate.tanh(), forget.sigmoid()
    cell, cells = begin[1][0], []
    for keep, add in zip(forget, gain, strict=True):
        cell = keep * cell + add
        cells.append(cell)
    return torch.stack(cells)


def _pair(state: Any) -> tuple[Any, ...]:
    return tuple(state) if isinstance(state, tuple | list) else (state,)
