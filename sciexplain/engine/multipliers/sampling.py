"""Sampling a signal at places that depend on the input too (spatial transformers, deformable attention)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .node import Operation, joined, pulled_back


def sampled(op: Operation) -> Tensor:
    r"""``grid_sample``, linear in the signal, shared between signal and grid by the Shapley value of the two.

    The signal gets :math:`\tfrac12 [f(s, g) - f(s_0, g) + f(s, g_0) - f(s_0, g_0)]`, as a linear map of its change.
    The rest goes to the place of each output, half to each coordinate (a third in space) that has changed.
    """
    signal, grid = op.argument(0, "input"), op.argument(1, "grid")
    tape = op.engine.tape
    signals, grids = tape.pair(signal), tape.pair(grid)

    def at(s: Tensor, g: Tensor) -> Tensor:
        args = [s if a is signal else g if a is grid else a for a in op.args]
        result: Tensor = op.func(
            *args, **{k: s if v is signal else g if v is grid else v for k, v in op.kwargs.items()}
        )
        return result

    def multiply(m: Tensor) -> Sequence[Tensor | None]:
        shares: dict[int, Tensor] = {}
        if op.is_active(signal):
            for g in (grids.sample, grids.reference):
                (half,) = pulled_back(lambda leaves, g=g: at(leaves[0], g), [signals.sample], m / 2)  # type: ignore[misc]
                assert half is not None
                shares[id(signal)] = shares.get(id(signal), torch.zeros_like(half)) + half
        moved = [at(s, grids.sample) - at(s, grids.reference) for s in (signals.sample, signals.reference)]
        of_places = (m * (moved[0] + moved[1]) / 2).sum(1)[..., None]
        step = grids.difference
        coordinates = (step != 0).sum(-1, keepdim=True)
        shares[id(grid)] = torch.where(step == 0, torch.zeros_like(step), of_places / (coordinates * step))
        return [shares[id(t)] for t in inputs]

    inputs = op.inputs()
    return op.record(joined(op.value(), inputs, multiply))
