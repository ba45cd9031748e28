"""Excitation backpropagation: LRP with a rule of its own, started with probability 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..composites import Composite
from ..engine.base import OnUnknown
from ..errors import InputError
from ..inputs import Inputs
from ..linear_layer import LinearLayer
from ..rules import Rule
from ..targets import Target
from .lrp import lrp
from .part import Part


@dataclass(frozen=True)
class _Winning(Rule):
    r"""Marginal winning probability, :math:`P_i = \sum_j x_i^+ w_{ij}^+ / \sum_i x_i^+ w_{ij}^+ \; P_j`.

    Zhang et al. 2018, eq. 5 and 6. Only excitation counts: no negative weight, no negative input, no bias.
    """

    def propagate(self, layer: LinearLayer, c: Tensor) -> Tensor:
        weight, x = layer.positive_weight, layer.x
        excited = x if layer.nonnegative_input else x.clamp(min=0)
        total = layer.forward(excited, weight)
        g = c * layer.z / torch.where(total > 0, total, float("inf"))
        sent = layer.transpose(g, weight)
        layer.absorb("stabilizer", lambda: c * layer.z - g * total)
        return sent if layer.nonnegative_input else sent * (x > 0)


def excitation_backprop(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    layers: Sequence[str] = (),
    on_unknown: OnUnknown = "warn",
) -> Part:
    r"""The probability of each input to win a top-down race through excitatory connections.

    A neuron hands its winning probability to those that excite it, in proportion to :math:`x_i w_{ij}^+`; Zhang et al.
    2018, *Top-down neural attention by excitation backprop*, IJCV 126, eq. 5–6. The race starts with probability 1 at
    the explained output of each sample, so that ``score`` is 1 and Σ R is 1 where no neuron lacks excitation; what
    such neurons win is lost.

    Parameters
    ----------
    layers : sequence of str
        The argument of ``explain``: modules at whose outputs the winning probabilities are wanted too.

    Notes
    -----
    The paper assumes activations >= 0. Inputs below 0 win nothing, and where summands of either sign meet (residual
    networks) they share in proportion, as in LRP, so that shares may be negative there.
    """
    rule = Composite(default=_Winning())
    part = lrp(model, inputs, target, composite=rule, layers=layers, ledger=False, on_unknown=on_unknown)
    score, n = part.score, inputs.batch_size
    if len(score) > 1 and not all(inputs.is_batched(name) for name in part.relevance):
        raise InputError(
            "excitation_backprop starts with probability 1 for each sample, which an input that the samples share "
            "would mix; pass batch_size=1."
        )
    # All is proportional to what starts, so starting with 1 is dividing by it. An output of exactly 0 starts nothing.
    share = torch.where(score == 0, torch.zeros_like(score), 1 / score)

    def divided(values: Tensor) -> Tensor:
        fits = len(score) in (1, values.shape[0]) if values.ndim else len(score) == 1
        if not fits:
            raise InputError(f"layers: an output of shape {tuple(values.shape)} has no row for each of {n} samples.")
        return values * share.to(values).view(-1, *(1,) * (values.ndim - 1)) if values.ndim else values * share[0]

    return Part(
        relevance={k: divided(r) for k, r in part.relevance.items()},
        output=part.output,
        target=part.target,
        score=(score != 0).to(score),
        layers={k: tuple(divided(r) for r in slots) for k, slots in part.layers.items()},
        unknown=part.unknown,
        stepped_over=part.stepped_over,
    )
