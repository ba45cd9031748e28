"""Recurrent networks, written out as the products, gates and sums they are made of.

Gates are sigmoids, hence constants where they multiply a signal: the signal takes all (Arras et al. 2017, 2019). The
input is projected for all steps at once; the rest goes step by step, as in a cell written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

State = tuple[Tensor, ...]
"""(h,), or (h, c) of an LSTM."""


class Weights(NamedTuple):
    """Of one direction of one layer; biases and the projection of an LSTM's output may be missing."""

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None
    w_hr: Tensor | None = None


def _lstm_step(projected: Tensor, state: State, weights: Weights) -> State:
    h, c = state
    i, f, g, o = (projected + F.linear(h, weights.w_hh, weights.b_hh)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return (h if weights.w_hr is None else F.linear(h, weights.w_hr)), c


def _gru_step(projected: Tensor, state: State, weights: Weights) -> State:
    (h,) = state
    (xr, xz, xn), (hr, hz, hn) = projected.chunk(3, -1), F.linear(h, weights.w_hh, weights.b_hh).chunk(3, -1)
    r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    n = torch.tanh(xn + r * hn)
    return ((1 - z) * n + z * h,)


def _elman_step(activation: Callable[[Tensor], Tensor]) -> Callable[[Tensor, State, Weights], State]:
    def step(projected: Tensor, state: State, weights: Weights) -> State:
        return (activation(projected + F.linear(state[0], weights.w_hh, weights.b_hh)),)

    return step


Step = Callable[[Tensor, State, Weights], State]
Run = Callable[[Step, Tensor, list[int] | None, State, Weights, bool], tuple[Tensor, State]]
"""One direction of one layer; see :func:`run_steps`."""


def _cell(step: Step) -> Callable[..., Any]:
    """One step: ``cell(input, hx, w_ih, w_hh, b_ih, b_hh)``."""

    def cell(
        input: Tensor,
        hx: Tensor | Sequence[Tensor],
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None = None,
        b_hh: Tensor | None = None,
    ) -> Any:
        state = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        after = step(F.linear(input, w_ih, b_ih), state, Weights(w_ih, w_hh, b_ih, b_hh))
        return after[0] if len(after) == 1 else after

    return cell


def network(step: Step, run: Run) -> Callable[..., tuple[Tensor, ...]]:
    """A whole sequence: torch's two forms, padded ``(input, hx, …)`` and packed ``(data, batch_sizes, hx, …)``."""

    def padded(
        input: Tensor,
        hx: Any,
        params: Sequence[Tensor],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool = False,
    ) -> tuple[Tensor, ...]:
        x = input.transpose(0, 1) if batch_first else input
        p = dropout if train else 0.0
        x, state = _stack(step, run, x, None, hx, params, has_biases, num_layers, p, bidirectional)
        return (x.transpose(0, 1) if batch_first else x), *state

    def packed(
        data: Tensor,
        batch_sizes: Tensor,
        hx: Any,
        params: Sequence[Tensor],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
    ) -> tuple[Tensor, ...]:
        sizes = batch_sizes.tolist()
        x, state = _stack(
            step, run, data, sizes, hx, params, has_biases, num_layers, dropout if train else 0.0, bidirectional
        )
        return x, *state

    def either(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        sizes = args[1] if len(args) > 1 else kwargs.get("batch_sizes")
        is_packed = isinstance(sizes, Tensor) and not sizes.is_floating_point()
        return (packed if is_packed else padded)(*args, **kwargs)

    return either


def _stack(
    step: Step,
    run: Run,
    x: Tensor,
    sizes: list[int] | None,
    hx: Tensor | Sequence[Tensor],
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    bidirectional: bool,
) -> tuple[Tensor, State]:
    """All layers and directions; the state has one row for each."""
    initial = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    runs = num_layers * (1 + bidirectional)
    each = len(params) // runs
    finals: list[State] = []
    for layer in range(num_layers):
        outputs = []
        for reverse in (False, True)[: 1 + bidirectional]:
            k = len(finals)
            w_ih, w_hh, *others = params[k * each : (k + 1) * each]
            b_ih, b_hh = others[:2] if has_biases else (None, None)
            w_hr = others[-1] if len(others) % 2 else None
            state = tuple(s[k] for s in initial)
            out, final = run(step, x, sizes, state, Weights(w_ih, w_hh, b_ih, b_hh, w_hr), reverse)
            outputs.append(out)
            finals.append(final)
        x = torch.cat(outputs, -1) if bidirectional else outputs[0]
        if dropout and layer < num_layers - 1:
            x = F.dropout(x, dropout)
    return x, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))


def run_steps(
    step: Step, x: Tensor, sizes: list[int] | None, state: State, weights: Weights, reverse: bool
) -> tuple[Tensor, State]:
    """One direction of one layer over ``x`` (T, N, C), or packed (Σ sizes, C) with ``sizes`` samples in each step."""
    projected = F.linear(x, weights.w_ih, weights.b_ih)
    steps = list(projected.unbind(0) if sizes is None else projected.split(sizes))
    counts = [state[0].shape[0]] * len(steps) if sizes is None else sizes
    order = range(len(steps))[::-1] if reverse else range(len(steps))
    starts, ended = state, []
    state = tuple(s[: counts[order[0]]] for s in starts) if sizes is not None else starts
    outputs: list[Tensor] = []
    for t, following in pairwise([*order, None]):
        assert t is not None
        state = step(steps[t], state, weights)
        outputs.append(state[0])
        now = counts[t]
        after = now if following is None else counts[following]
        if after < now:  # samples that end here
            ended.append(tuple(s[after:] for s in state))
            state = tuple(s[:after] for s in state)
        elif after > now:  # samples that begin, from the far end
            state = tuple(torch.cat([s, start[now:after]]) for s, start in zip(state, starts, strict=True))
    if ended:
        state = tuple(torch.cat(parts) for parts in zip(state, *reversed(ended), strict=True))
    if reverse:
        outputs.reverse()
    return (torch.stack(outputs) if sizes is None else torch.cat(outputs)), state


def _mkldnn_rnn_layer(
    input: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    hx: Tensor,
    cx: Tensor,
    reverse: bool,
    *options: Any,
) -> tuple[Tensor, ...]:
    """One direction of one LSTM layer, as decomposed programs have it."""
    state = tuple(s.reshape(input.shape[1], -1) for s in (hx, cx))
    out, (h, c) = run_steps(_lstm_step, input, None, state, Weights(w_ih, w_hh, b_ih, b_hh), reverse)
    return out, h.view_as(hx), c.view_as(cx), out.new_empty(0)


STEPS: dict[str, Step] = {
    "lstm": _lstm_step,
    "gru": _gru_step,
    "rnn_tanh": _elman_step(torch.tanh),
    "rnn_relu": _elman_step(torch.relu),
}

WRITTEN_OUT: dict[str, Callable[..., Any]] = {
    **{name: network(step, run_steps) for name, step in STEPS.items()},
    **{f"{name}_cell": _cell(step) for name, step in STEPS.items()},
    "mkldnn_rnn_layer": _mkldnn_rnn_layer,
}
