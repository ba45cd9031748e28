r"""Positive and negative contributions to the outputs of a linear layer, for inputs of any sign.

With :math:`|x| ⋆ |W| = \sum_i |x_i||w_{ij}|`, one more convolution, both sums are at hand,
:math:`\sum_i (x_i w_{ij})^\pm = (z_j \pm \sum_i |x_i||w_{ij}|) / 2`, and two transposed convolutions give what flows
back. Where one sign all but cancels, the digits are lost in the difference, and the sums are formed one by one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .blocks import blocks
from .linear_layer import LinearLayer, Messages


class Sums(NamedTuple):
    """Sums of positive and negative contributions to each output, the bias among them."""

    positive: Tensor
    negative: Tensor | None
    """None: what the positive sum leaves to ``z``."""
    exact: bool
    """Formed one by one, since one of the signs nearly cancels somewhere."""


def like(values: Tensor, pattern: Tensor) -> Tensor:
    """``values`` in the memory layout of ``pattern``, which they usually have."""
    if values.shape == pattern.shape and values.stride() == pattern.stride():
        return values
    return torch.empty_like(pattern).copy_(values)


def sums_by_sign(layer: LinearLayer, *, exact: bool) -> Sums:
    """The sums of ``layer``; ``exact`` where a rule divides by one of them, so that relative precision counts."""
    x, bias = layer.x, layer.bias
    b_plus, b_minus = (None, None) if bias is None else (bias.clamp(min=0), bias.clamp(max=0))
    if layer.nonnegative_input:
        positive = layer.forward(x, layer.positive_weight, b_plus)
        if exact and _differ_in_few_digits(like(layer.z, positive), positive):
            return Sums(positive, layer.forward(x, layer.negative_weight, b_minus), True)
        return Sums(positive, None, False)
    total = layer.forward(x.abs(), layer.weight.abs(), None if bias is None else bias.abs())
    z = like(layer.z, total)
    cancels = exact and (_differ_in_few_digits(-z, total) or _differ_in_few_digits(z, total))
    if not cancels:
        return Sums((total + z).div_(2), None, False)
    x_plus, x_minus, w_plus, w_minus = x.clamp(min=0), x.clamp(max=0), layer.positive_weight, layer.negative_weight
    return Sums(
        layer.forward(x_plus, w_plus, b_plus).add_(layer.forward(x_minus, w_minus)),
        layer.forward(x_plus, w_minus, b_minus).add_(layer.forward(x_minus, w_plus)),
        True,
    )


@torch.no_grad()
def _differ_in_few_digits(a: Tensor, b: Tensor) -> bool:
    """Whether somewhere the difference of ``a`` and ``b`` has lost most of its digits (an exact 0 has lost none)."""
    limit = torch.finfo(a.dtype).eps ** (1 / 3)
    for a_, b_ in blocks(a, b):
        difference = torch.threshold((a_ - b_).abs_(), 0.0, float("inf"))
        if bool((difference.div_(b_.abs()) < limit).any()):
            return True
    return False


def to_contributions(layer: LinearLayer, factors: list[Tensor], *, exact: bool) -> Tensor:
    r""":math:`\sum_j [(x_i w_{ij})^+ u^+_j + (x_i w_{ij})^- u^-_j] / x_i` for ``factors`` :math:`[u^-, u^+]`."""
    x, w_plus, w_minus = layer.x, layer.positive_weight, layer.negative_weight
    layer.credit(lambda: _messages(layer, *factors))
    if layer.nonnegative_input:
        above = layer.transpose(factors.pop(), w_plus)
        return above.add_(layer.transpose(factors.pop(), w_minus))
    down, up = factors
    if exact:
        above = layer.transpose(up, w_plus).add_(layer.transpose(down, w_minus))
        below = layer.transpose(up, w_minus).add_(layer.transpose(down, w_plus))
        return torch.where(x < 0, below, above)
    if up.requires_grad:
        plain = layer.transpose((up + down) / 2, layer.weight)
        return plain + layer.transpose((up - down) / 2, layer.weight.abs()) * x.sign()
    for u, d in blocks(up, down):
        half_difference = (u - d).div_(2)
        u.add_(d).div_(2)
        d.copy_(half_difference)
    plain, absolute = layer.transpose(up, layer.weight), layer.transpose(down, layer.weight.abs())
    for p, a, x_ in blocks(plain, like(absolute, plain), like(x, plain)):
        p.addcmul_(a, x_.sign())
    return plain


def _messages(layer: LinearLayer, down: Tensor, up: Tensor) -> list[Messages]:
    """The terms of :func:`to_contributions`, :math:`x w (u^+ + u^-) / 2 + |x w| (u^+ - u^-) / 2`."""
    x, weight = layer.x, layer.weight
    return [Messages(x, (up + down) / 2, weight), Messages(x.abs(), (up - down) / 2, weight.abs())]
