r"""Propagation rules of layer-wise relevance propagation (LRP).

A linear layer computes :math:`z_j = \sum_i x_i w_{ij} + b_j`. A rule says which share of the relevance
:math:`R_j` of an output goes to each contribution :math:`x_i w_{ij}`. Most rules are a table of
:class:`Share` lines, read as

.. math::
    R_i = \sum_{\text{shares}} \text{weight} \sum_j
          \frac{p\,(x_i w_{ij})^+ + n\,(x_i w_{ij})^-}
               {\operatorname{stab}\left(\sum_i \dots + p\,b_j^+ + n\,b_j^-\right)} R_j

with :math:`(\cdot)^+ = \max(\cdot, 0)`, :math:`(\cdot)^- = \min(\cdot, 0)` and
:math:`\operatorname{stab}(t) = t + \text{stabilizer}\cdot\operatorname{sign}(t)`, :math:`\operatorname{sign}(0) = +1`.
Inputs may have any sign.

The engine carries :math:`c = R / a` (relevance over activation), so a rule takes ``c`` of its layer's output and
returns ``c`` of its input; a rule with ``yields_relevance`` returns the relevance itself.

References
----------
Bach et al. 2015, *On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
propagation*, PLoS ONE 10(7). Montavon et al. 2017, *Explaining nonlinear classification decisions with deep Taylor
decomposition*, Pattern Recognition 65. Montavon et al. 2019, *Layer-wise relevance propagation: an overview*.
Andéol et al. 2021, *Learning domain invariant representations by joint Wasserstein distance minimization* (the γ-rule
for signed inputs). Lapuschkin et al. 2019, *Unmasking Clever Hans predictors*, Nat. Commun. 10 (flat rule).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from .errors import RuleError

__all__ = [
    "AlphaBeta",
    "Epsilon",
    "Flat",
    "Gamma",
    "GeneralizedGamma",
    "Pass",
    "Rule",
    "Share",
    "WSquare",
    "ZBox",
    "ZPlus",
    "stabilize",
]


def stabilize(values: Tensor, stabilizer: float) -> Tensor:
    """``values + stabilizer * sign(values)`` with ``sign(0) = +1``, never finer than the dtype can hold."""
    stabilizer = max(stabilizer, torch.finfo(values.dtype).tiny)
    return values + torch.copysign(values.new_tensor(stabilizer), values)


class LinearLayer(Protocol):
    """What a rule may ask of a linear layer ``z = x ⋆ weight + bias`` met by the engine."""

    weight: Tensor
    bias: Tensor | None
    rectified: bool

    @property
    def x(self) -> Tensor: ...
    @property
    def z(self) -> Tensor: ...
    @property
    def input_shape(self) -> torch.Size: ...
    @property
    def nonnegative_input(self) -> bool: ...
    def forward(self, x: Tensor, weight: Tensor) -> Tensor: ...
    def transpose(self, values: Tensor, weight: Tensor) -> Tensor: ...
    def expand_input(self, value: float | Tensor) -> Tensor: ...
    def absorb(self, *, bias: Tensor | None = None, stabilizer: Tensor | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Share:
    """One line of a rule's table: factors of positive and negative contributions, and where it holds.

    ``side`` restricts the line to outputs ``z > 0`` (+1) or ``z < 0`` (−1); 0 means all outputs.
    """

    positive: float
    negative: float
    weight: float = 1.0
    side: int = 0


@dataclass(frozen=True)
class Rule:
    """Base of all rules. A subclass gives :meth:`shares`, or overrides :meth:`propagate`."""

    stabilizer: float = field(default=1e-9, kw_only=True)

    yields_relevance: ClassVar[bool] = False
    """Whether :meth:`propagate` returns relevance instead of relevance over activation."""
    needs_input: ClassVar[bool] = True
    """Whether the layer's input values are read."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, int | float) and not (value >= 0 and value < float("inf")):
                raise RuleError(f"{type(self).__name__}({name}={value}): expected a finite number >= 0.")

    def shares(self) -> tuple[Share, ...]:
        """The rule's table."""
        raise NotImplementedError

    def propagate(self, layer: LinearLayer, c: Tensor) -> Tensor:
        """Send ``c`` of the layer's output back to its input.

        Parameters
        ----------
        layer : LinearLayer
            The layer with its input ``x``, output ``z``, ``weight`` and ``bias`` (broadcastable to ``z``).
        c : Tensor, shape of ``layer.z``
            Relevance over activation at the output.

        Returns
        -------
        Tensor, shape of ``layer.x``
            Relevance over activation at the input.
        """
        # Behind a ReLU no output below zero carries relevance, so its lines vanish.
        shares = [s for s in self.shares() if not (layer.rectified and s.side < 0)]
        relevance = c * layer.z
        if layer.nonnegative_input and len(shares) == 1:
            return self._propagate_mixed(layer, relevance, shares[0])
        positive, negative = _contribution_sums(layer)
        to_positive: Tensor | None = None
        to_negative: Tensor | None = None
        for share in shares:
            bias = _mixed_bias(layer, share)
            total = _add(_scaled(positive, share.positive), _scaled(negative, share.negative))
            g = self._ratio(layer, relevance, total, bias, share)
            to_positive = _add(to_positive, _scaled(g, share.positive))
            to_negative = _add(to_negative, _scaled(g, share.negative))
        return _to_contributions(layer, to_positive, to_negative)

    def _propagate_mixed(self, layer: LinearLayer, relevance: Tensor, share: Share) -> Tensor:
        """The case of inputs >= 0 and one line: the factors go into the weights."""
        weight = _mix(layer.weight, share)
        total = layer.forward(layer.x, weight)
        g = self._ratio(layer, relevance, total, _mixed_bias(layer, share), share)
        return layer.transpose(g, weight)

    def _ratio(
        self, layer: LinearLayer, relevance: Tensor, total: Tensor | None, bias: Tensor | None, share: Share
    ) -> Tensor:
        total = _add(total, bias)
        assert total is not None
        denominator = stabilize(total, self.stabilizer)
        g = relevance / denominator
        if share.weight != 1:
            g = g * share.weight
        if share.side and not layer.rectified:
            g = g * (layer.z > 0 if share.side > 0 else layer.z < 0)
        layer.absorb(bias=None if bias is None else g * bias, stabilizer=g * (denominator - total))
        return g


def _mix(values: Tensor, share: Share) -> Tensor:
    """``positive * values⁺ + negative * values⁻``."""
    if share.positive == share.negative:
        return values if share.positive == 1 else values * share.positive
    if share.negative == 0:
        return values.clamp(min=0) if share.positive == 1 else values.clamp(min=0) * share.positive
    return torch.where(values > 0, values * share.positive, values * share.negative)


def _mixed_bias(layer: LinearLayer, share: Share) -> Tensor | None:
    return None if layer.bias is None else _mix(layer.bias, share)


def _scaled(values: Tensor, factor: float) -> Tensor | None:
    if factor == 0:
        return None
    return values if factor == 1 else values * factor


def _add(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _without_bias(layer: LinearLayer) -> Tensor:
    return layer.z if layer.bias is None else layer.z - layer.bias


def _contribution_sums(layer: LinearLayer) -> tuple[Tensor, Tensor]:
    r"""Sums of the positive and of the negative contributions to each output, without bias.

    For inputs of any sign, :math:`\sum_i (x_i w_{ij})^\pm = (z_j - b_j \pm \sum_i |x_i||w_{ij}|) / 2`.
    """
    if layer.rectified:  # the values below zero are gone; they carry no relevance, but the sums need them
        z = layer.forward(layer.x, layer.weight)
    else:
        z = _without_bias(layer)
    if layer.nonnegative_input:
        positive = layer.forward(layer.x, layer.weight.clamp(min=0))
        return positive, (z - positive).clamp_(max=0)
    absolute = layer.forward(layer.x.abs(), layer.weight.abs())
    return ((z + absolute) / 2).clamp_(min=0), ((z - absolute) / 2).clamp_(max=0)


def _to_contributions(layer: LinearLayer, to_positive: Tensor | None, to_negative: Tensor | None) -> Tensor:
    r""":math:`\sum_j [(x_i w_{ij})^+ u^+_j + (x_i w_{ij})^- u^-_j] / x_i` for both signs of ``x``."""
    weight = layer.weight
    if layer.nonnegative_input:
        up = None if to_positive is None else layer.transpose(to_positive, weight.clamp(min=0))
        down = None if to_negative is None else layer.transpose(to_negative, weight.clamp(max=0))
        total = _add(up, down)
        assert total is not None
        return total
    zero = torch.zeros_like(layer.z)
    u_plus = zero if to_positive is None else to_positive
    u_minus = zero if to_negative is None else to_negative
    plain = layer.transpose((u_plus + u_minus) / 2, weight)
    absolute = layer.transpose((u_plus - u_minus) / 2, weight.abs())
    return plain + torch.where(layer.x < 0, -absolute, absolute)


@dataclass(frozen=True)
class Epsilon(Rule):
    r"""LRP-ε: every contribution in proportion, :math:`R_i = \sum_j x_i w_{ij} / (z_j + ε\,\mathrm{sign}\,z_j) R_j`.

    Bach et al. 2015, eq. 58. ``epsilon=0`` is LRP-0.
    """

    epsilon: float = 1e-6
    needs_input = False

    def propagate(self, layer: LinearLayer, c: Tensor) -> Tensor:
        if self.epsilon > 0:
            # c z / (z + ε sign z) = c − ε c / (|z| + ε): two passes over memory instead of five
            kept = torch.addcdiv(c, c, layer.z.abs().add_(self.epsilon), value=-self.epsilon)
            layer.absorb(stabilizer=(c - kept) * layer.z)
            c = kept
        if layer.bias is not None:
            layer.absorb(bias=c * layer.bias)
        return layer.transpose(c, layer.weight)


@dataclass(frozen=True)
class GeneralizedGamma(Rule):
    r"""LRP-γ for inputs and outputs of any sign: contributions of the output's own sign count :math:`1 + γ` times.

    Andéol et al. 2021. Equal to :class:`Gamma` where inputs are ≥ 0 and a ReLU follows.
    """

    gamma: float = 0.25

    def shares(self) -> tuple[Share, ...]:
        return Share(1 + self.gamma, 1, side=+1), Share(1, 1 + self.gamma, side=-1)


@dataclass(frozen=True)
class ZPlus(Rule):
    r"""The :math:`z^+` rule: positive contributions only. Montavon et al. 2017, eq. 17; signed inputs as αβ with β = 0."""

    def shares(self) -> tuple[Share, ...]:
        return (Share(1, 0),)


@dataclass(frozen=True)
class AlphaBeta(Rule):
    r"""LRP-αβ: positive contributions share ``alpha`` of the relevance, negative ones ``-beta``; ``alpha - beta = 1``.

    Bach et al. 2015, eq. 60.
    """

    alpha: float = 2.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if abs(self.alpha - self.beta - 1) > 1e-12:
            raise RuleError(
                f"AlphaBeta(alpha={self.alpha}, beta={self.beta}): alpha - beta must be 1, or relevance is not conserved."
            )

    def shares(self) -> tuple[Share, ...]:
        lines = Share(1, 0, weight=self.alpha), Share(0, 1, weight=-self.beta)
        return lines if self.beta else lines[:1]


@dataclass(frozen=True)
class Gamma(Rule):
    r"""LRP-γ as first published: weights :math:`w + γ w^+` and bias :math:`b + γ b^+`, whatever the sign of the input.

    Montavon et al. 2019, sec. 10.2.
    """

    gamma: float = 0.25

    def propagate(self, layer: LinearLayer, c: Tensor) -> Tensor:
        share = Share(1 + self.gamma, 1)
        return self._propagate_mixed(layer, c * layer.z, share)


@dataclass(frozen=True)
class _Spreading(Rule):
    """Relevance spread by weight alone, whatever the input's values: the result is relevance, also where x = 0."""

    yields_relevance = True
    needs_input = False

    def spread(self, weight: Tensor) -> Tensor:
        """The weights that relevance follows."""
        raise NotImplementedError

    def propagate(self, layer: LinearLayer, c: Tensor) -> Tensor:
        weight = self.spread(layer.weight)
        total = layer.forward(layer.expand_input(1.0), weight)
        denominator = stabilize(total, self.stabilizer)
        g = c * layer.z / denominator
        layer.absorb(stabilizer=g * (denominator - total))
        return layer.transpose(g, weight)


@dataclass(frozen=True)
class WSquare(_Spreading):
    r"""The :math:`w^2` rule, :math:`R_i = \sum_j w_{ij}^2 / \sum_i w_{ij}^2 \, R_j`, for unbounded real inputs.

    Montavon et al. 2017, eq. 12. The bias takes no part.
    """

    def spread(self, weight: Tensor) -> Tensor:
        return weight.square()


@dataclass(frozen=True)
class Flat(_Spreading):
    r"""The flat rule: every input that an output sees gets the same. Lapuschkin et al. 2019. The bias takes no part."""

    def spread(self, weight: Tensor) -> Tensor:
        return torch.ones_like(weight)


@dataclass(frozen=True)
class ZBox(Rule):
    r"""The :math:`z^B` rule for inputs with :math:`l_i \le x_i \le h_i`, such as pixels.

    :math:`R_i = \sum_j (x_i w_{ij} - l_i w_{ij}^+ - h_i w_{ij}^-) / \sum_i (\dots) \, R_j`;
    Montavon et al. 2017, eq. 16. The bias takes no part.

    Parameters
    ----------
    low, high : float or Tensor
        Bounds of the layer's input: a number, one per channel (shape ``(C,)``), or a tensor that broadcasts to
        the input.

    Raises
    ------
    RuleError
        When the bounds do not fit the input's shape, or the input leaves them.
    """

    low: float | Tensor
    high: float | Tensor

    yields_relevance = True

    def __post_init__(self) -> None:
        if not self.stabilizer >= 0:
            raise RuleError(f"ZBox(stabilizer={self.stabilizer}): expected a number >= 0.")
        if not bool((torch.as_tensor(self.low) <= torch.as_tensor(self.high)).all()):
            raise RuleError(f"ZBox(low={self.low}, high={self.high}): low must not exceed high.")

    def check(self, layer: LinearLayer) -> None:
        """Refuse an input that leaves the bounds, beyond rounding."""
        x, low, high = layer.x, layer.expand_input(self.low), layer.expand_input(self.high)
        slack = 1e-5 * max(float(high.abs().max()), float(low.abs().max()), 1e-30)
        below, above = float((x - low).amin()), float((high - x).amin())
        if below < -slack or above < -slack:
            raise RuleError(
                f"ZBox(low, high): the input leaves its bounds: it spans [{float(x.amin()):.6g}, {float(x.amax()):.6g}], "
                f"the bounds are [{float(low.amin()):.6g}, {float(high.amax()):.6g}]. "
                "Give the bounds of the network's input after all preprocessing, per channel where it differs."
            )

    def propagate(self, layer: LinearLayer, c: Tensor) -> Tensor:
        x, low, high = layer.x, layer.expand_input(self.low), layer.expand_input(self.high)
        weight, positive, negative = layer.weight, layer.weight.clamp(min=0), layer.weight.clamp(max=0)
        total = layer.forward(x, weight) - layer.forward(low, positive) - layer.forward(high, negative)
        denominator = stabilize(total, self.stabilizer)
        g = c * layer.z / denominator
        layer.absorb(stabilizer=g * (denominator - total))
        relevance = x * layer.transpose(g, weight)
        relevance -= low * layer.transpose(g, positive)
        relevance -= high * layer.transpose(g, negative)
        return relevance


@dataclass(frozen=True)
class Pass(Rule):
    r"""Relevance passes unchanged, :math:`R_i = R_j`; for layers and activations with as many inputs as outputs."""

    yields_relevance = True
    needs_input = False

    def propagate(self, layer: LinearLayer, c: Tensor) -> Tensor:
        relevance = c * layer.z
        if relevance.shape != layer.input_shape:
            raise RuleError(
                "Pass() needs as many inputs as outputs; "
                f"this layer maps {tuple(layer.input_shape)} to {tuple(relevance.shape)}."
            )
        return relevance
