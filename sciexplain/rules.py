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
from typing import ClassVar

import torch
from torch import Tensor

from .blocks import blocks
from .errors import RuleError
from .linear_layer import LinearLayer, Messages
from .splitting import like, sums_by_sign, to_contributions

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
            if not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise RuleError(f"{type(self).__name__}({name}={value!r}): expected a finite number >= 0.")

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
        if layer.nonnegative_input and len(shares) == 1:
            return self._propagate_mixed(layer, c, shares[0])
        if c.requires_grad:
            return self._as_linear_map(layer, c, shares)
        sums = sums_by_sign(layer, exact=any(0 in (s.positive, s.negative) for s in shares))
        up = sums.positive
        down = torch.empty_like(up) if sums.negative is None else sums.negative
        for c_, z, u, d in blocks(like(c, up), like(layer.z, up), up, down):
            p, n = u, (z - u if sums.negative is None else d)
            self._split(c_, z, p, n, shares, u, d)
        self._book(layer, c, up, down)
        exact, factors = sums.exact, [down, up]
        del sums, up, down, u, d, p, n  # each is freed as soon as it is used up
        return to_contributions(layer, factors, exact=exact)

    def _split(self, c: Tensor, z: Tensor, p: Tensor, n: Tensor, shares: list[Share], up: Tensor, down: Tensor) -> None:
        """What positive and negative contributions are multiplied with, from their sums ``p`` and ``n``.

        ``up`` and ``down`` may share memory with ``p`` and ``n``. Each share's total has the sign of the share on the
        outputs it is for.
        """
        ratios = []
        for s in shares:
            sign = s.side or (1 if s.negative == 0 else -1)
            total = torch.mul(p, sign * s.positive).add_(n, alpha=sign * s.negative)
            relevance = c * (z.clamp(min=0) if s.side > 0 else z.clamp(max=0) if s.side < 0 else z)
            ratios.append((relevance.div_(_open_below(total, self.stabilizer)), sign * s.weight, s))
        for out, factor_of in ((up, lambda s: s.positive), (down, lambda s: s.negative)):
            (g, weight, s), *others = ratios
            torch.mul(g, weight * factor_of(s), out=out)
            for g, weight, s in others:
                if factor_of(s):
                    out.add_(g, alpha=weight * factor_of(s))

    def _propagate_mixed(self, layer: LinearLayer, c: Tensor, share: Share) -> Tensor:
        """One line, and inputs >= 0 (or a rule on weights): the factors go into the weights."""
        weight = _mix(layer.weight, share)
        bias = None if layer.bias is None else _mix(layer.bias, share)
        total = layer.forward(layer.x, weight, bias)
        known_sign = share.negative == 0 or bool(share.side)
        if c.requires_grad:
            denominator = _open_below(total, self.stabilizer) if known_sign else stabilize(total, self.stabilizer)
            z = layer.z.clamp(min=0) if share.side > 0 and not layer.rectified else layer.z
            return layer.transpose(c * z / denominator, weight)
        for c_, z, t in blocks(like(c, total), like(layer.z, total), total):
            denominator = _open_below(t, self.stabilizer) if known_sign else stabilize(t, self.stabilizer)
            torch.mul(c_, z.clamp(min=0) if share.side > 0 and not layer.rectified else z, out=t)
            t.div_(denominator)
        g = total
        layer.absorb_in_bias(lambda b: g * torch.where(b > 0, g.new_tensor(share.positive), share.negative))
        layer.absorb("stabilizer", lambda: c * layer.z - g * layer.forward(layer.x, weight, bias))
        layer.credit(lambda: [Messages(layer.x, g, weight)])
        return layer.transpose(g, weight)

    def _as_linear_map(self, layer: LinearLayer, c: Tensor, shares: list[Share]) -> Tensor:
        """:meth:`propagate` out of place, to be differentiated; see engine.call.slopes_fixed and engine.twins."""
        sums = sums_by_sign(layer, exact=any(0 in (s.positive, s.negative) for s in shares))
        z = like(layer.z, sums.positive)
        p, n = sums.positive, z - sums.positive if sums.negative is None else sums.negative
        up, down = torch.zeros_like(z), torch.zeros_like(z)
        for s in shares:
            sign = s.side or (1 if s.negative == 0 else -1)
            total = _open_below(sign * (s.positive * p + s.negative * n), self.stabilizer)
            share = (z.clamp(min=0) if s.side > 0 else z.clamp(max=0) if s.side < 0 else z) / total * (sign * s.weight)
            up, down = up + s.positive * share, down + s.negative * share
        c = like(c, z)
        return to_contributions(layer, [c * down, c * up], exact=sums.exact)

    def _book(self, layer: LinearLayer, c: Tensor, to_positive: Tensor, to_negative: Tensor) -> None:
        def lost() -> Tensor:
            sums = sums_by_sign(layer, exact=True)
            negative = layer.z - sums.positive if sums.negative is None else sums.negative
            return c * layer.z - to_positive * sums.positive - to_negative * negative

        layer.absorb_in_bias(lambda b: torch.where(b > 0, to_positive, to_negative))
        layer.absorb("stabilizer", lost)


def _open_below(total: Tensor, stabilizer: float) -> Tensor:
    """A denominator that is known to be positive; infinite where there is no contribution to share."""
    return torch.threshold(total, 0.0, float("inf")).add_(stabilizer)


def _mix(values: Tensor, share: Share) -> Tensor:
    """``positive * values⁺ + negative * values⁻``."""
    mixed = values.clamp(min=0)
    if share.positive - share.negative != 1:
        mixed.mul_(share.positive - share.negative)
    return mixed if share.negative == 0 else mixed.add_(values, alpha=share.negative)


@dataclass(frozen=True)
class Epsilon(Rule):
    r"""LRP-ε: every contribution in proportion, :math:`R_i = \sum_j x_i w_{ij} / (z_j + ε\,\mathrm{sign}\,z_j) R_j`.

    Bach et al. 2015, eq. 58. ``epsilon=0`` is LRP-0.
    """

    epsilon: float = 1e-6
    needs_input = False

    def propagate(self, layer: LinearLayer, c: Tensor) -> Tensor:
        z = layer.z
        if c.requires_grad:  # as a linear map of c; see engine.call.slopes_fixed, engine.twins
            if self.epsilon:
                share = 1 - self.epsilon / (z.abs() + self.epsilon)
            else:
                share = (z > 0).to(c) if layer.rectified else torch.ones_like(z)
            return layer.pull_back(c * share)
        kept = torch.empty_like(z)
        for c_, z_, k in blocks(like(c, z), z, kept):
            if layer.rectified:  # z >= 0, and 0 takes nothing
                torch.mul(c_, z_ / (z_ + self.epsilon) if self.epsilon else z_ > 0, out=k)
            else:
                size = z_.abs()
                torch.mul(c_, size.div_(size + self.epsilon) if self.epsilon else 1, out=k)
        layer.absorb_in_bias(lambda b: kept)
        layer.absorb("stabilizer", lambda: (c - kept) * z)
        layer.credit(lambda: [Messages(layer.x, kept, layer.weight)])
        return layer.pull_back(kept)


@dataclass(frozen=True)
class GeneralizedGamma(Rule):
    r"""LRP-γ for inputs and outputs of any sign: contributions of the output's own sign count :math:`1 + γ` times.

    Andéol et al. 2021. Equal to :class:`Gamma` where inputs are ≥ 0 and a ReLU follows.
    """

    gamma: float = 0.25

    def shares(self) -> tuple[Share, ...]:
        return Share(1 + self.gamma, 1, side=+1), Share(1, 1 + self.gamma, side=-1)

    def _split(self, c: Tensor, z: Tensor, p: Tensor, n: Tensor, shares: list[Share], up: Tensor, down: Tensor) -> None:
        """Both sides at once: ``|total| = |z| + γ |sum of the output's own sign|``."""
        if len(shares) == 1:
            return super()._split(c, z, p, n, shares, up, down)
        size = z.abs()
        denominator = torch.add(size, p - z.clamp(max=0), alpha=self.gamma).add_(self.stabilizer)
        g = size.mul_(c).div_(denominator)
        extra = g * z.sign().mul_(self.gamma / 2)
        g.mul_(1 + self.gamma / 2)
        torch.add(g, extra, out=up)
        torch.sub(g, extra, out=down)


@dataclass(frozen=True)
class ZPlus(Rule):
    r"""The :math:`z^+` rule: positive contributions only; signed inputs as αβ with β = 0.

    Montavon et al. 2017, eq. 17.
    """

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
                f"AlphaBeta(alpha={self.alpha}, beta={self.beta}): alpha - beta must be 1, "
                "or relevance is not conserved."
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
        return self._propagate_mixed(layer, c, Share(1 + self.gamma, 1))


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
        layer.absorb("stabilizer", lambda: g * (denominator - total))
        layer.credit(lambda: [Messages(layer.expand_input(1.0), g, weight)])
        return self.send(layer, g)

    def send(self, layer: LinearLayer, values: Tensor) -> Tensor:
        """``values`` back along the weights."""
        return layer.transpose(values, self.spread(layer.weight))


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

    def send(self, layer: LinearLayer, values: Tensor) -> Tensor:
        return layer.transpose_ones(values)


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
        x, low, high = layer.x.detach(), layer.expand_input(self.low), layer.expand_input(self.high)
        if not x.numel():
            return
        slack = 1e-5 * max(float(high.abs().max()), float(low.abs().max()), 1e-30)
        below, above = float((x - low).amin()), float((high - x).amin())
        if below < -slack or above < -slack:
            raise RuleError(
                f"ZBox(low, high): the input leaves its bounds: it spans "
                f"[{float(x.amin()):.6g}, {float(x.amax()):.6g}], "
                f"the bounds are [{float(low.amin()):.6g}, {float(high.amax()):.6g}]. "
                "Give the bounds of the network's input after all preprocessing, per channel where it differs."
            )

    def propagate(self, layer: LinearLayer, c: Tensor) -> Tensor:
        x, low, high = layer.x, layer.expand_input(self.low), layer.expand_input(self.high)
        weight, positive, negative = layer.weight, layer.positive_weight, layer.negative_weight
        shift = layer.forward(low, positive) + layer.forward(high, negative)
        if layer.bias is not None:
            shift = shift + layer.bias
        g = layer.z - shift
        if c.requires_grad:
            g = c * layer.z / stabilize(g, self.stabilizer)
            to_x, to_low, to_high = layer.transpose_all(g, (weight, positive, negative))
            return x * to_x - low * to_low - high * to_high
        for c_, z, t in blocks(like(c, g), like(layer.z, g), g):
            t.copy_(c_ * z / stabilize(t, self.stabilizer))
        layer.absorb("stabilizer", lambda: c * layer.z - g * (layer.z - shift))
        layer.credit(
            lambda: [Messages(x, g, weight), Messages(low, -g, positive), Messages(high, -g, negative)],
        )
        to_x, to_low, to_high = layer.transpose_all(g, (weight, positive, negative))
        return (x * to_x).addcmul_(low, to_low, value=-1).addcmul_(high, to_high, value=-1)


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
