r"""Softmax and its kin, added up exactly and without overflow.

With :math:`L = \log \sum_i e^{x_i}`: :math:`\log p_i = x_i - L` and :math:`p_i = e^{x_i - L}`. Exponential and
logarithm take their secants (logarithmic means, as in index decomposition: Ang 2004, *Decomposition analysis for
policymaking in energy*), the rest is linear:

.. math::
    ΔL = \sum_i w_i Δx_i, \quad w_i = \frac{Δe_i / Δx_i}{ΔS / ΔL}, \qquad
    Δp_i = \frac{Δp_i}{Δ\log p_i} (Δx_i - ΔL)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from ..tape import Pair
from .node import Operation, joined


def _exp_secant(a: Tensor, b: Tensor) -> Tensor:
    """``(eᵃ − eᵇ) / (a − b)``, in the middle ``e`` to the mean; 0 where both are −∞."""
    step = a - b
    near = (step.abs() < torch.finfo(step.dtype).eps ** 0.25) | (a == b)
    middle = torch.where(a == b, a, (a + b) / 2)
    # sinh(t/2)/(t/2) to the second order; the quotient is exact further out
    series = torch.exp(middle) * (1 + torch.where(near, step, 0.0).nan_to_num(0.0).square() / 24)
    return torch.where(near, series, (torch.exp(a) - torch.exp(b)) / step)


def _weights(pair: Pair, dim: Any) -> Tensor:
    """What each argument adds to ``L`` per change."""
    here, there = pair.sample, pair.reference
    log_here, log_there = torch.logsumexp(here, dim, keepdim=True), torch.logsumexp(there, dim, keepdim=True)
    top = torch.maximum(log_here, log_there)
    return _exp_secant(here - top, there - top) / _exp_secant(log_here - top, log_there - top)


def softmax(kind: Literal["softmax", "softmin", "log_softmax", "logsumexp"]) -> Callable[[Operation], Any]:
    """Exponential and logarithm take their secants between reference and sample, the rest is linear."""

    def handler(op: Operation) -> Tensor:
        (x,) = op.inputs()
        dim = op.dimension()
        dtype = op.argument(2, "dtype")
        if isinstance(dtype, torch.dtype) and dtype != x.dtype:
            x = op.engine.seen(Tensor.to, x, dtype)
            op.replace(lambda _: x)
        if kind == "softmin":
            x = op.engine.seen(torch.neg, x)
            op.func, op.args, op.kwargs, op.active = torch.softmax, (x, dim), {}, [x]
        pair = op.engine.tape.pair(x)
        assert dim is not None

        def multiply(m: Tensor) -> tuple[Tensor]:
            if kind == "logsumexp":
                dims = [d % x.ndim for d in ([dim] if isinstance(dim, int) else dim)]
                kept = [1 if d in dims else n for d, n in enumerate(x.shape)]
                return (m.reshape(kept) * _weights(pair, dim),)
            weights = _weights(pair, dim)
            if kind != "log_softmax":
                logs = torch.log_softmax(pair.sample, dim), torch.log_softmax(pair.reference, dim)
                m = m * _exp_secant(*logs)
            return (m - weights * m.sum(dim, keepdim=True),)

        return op.record(joined(op.value(), [x], multiply))

    return handler
