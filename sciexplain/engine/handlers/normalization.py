"""Normalisations whose statistics come from the sample: the statistics that divide are constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..call import Call
from ..precision import fine
from .linear import affine_channels


def _standardized(
    call: Call, x: Tensor, value: Tensor, scale: Tensor, weight: Tensor | None, dims: list[int], view: Any = None
) -> Tensor:
    """``(x − mean) · scale · weight`` with a constant scale: the mean is part of the linear map, its own transpose."""
    call.treatment, call.remainder = "std is constant", "bias"
    whole = x.shape  # not x itself, which would be kept
    shape = whole if view is None else view

    def slope(c: Tensor) -> Tensor:
        g = fine(c) if weight is None else fine(c) * weight
        g = g.reshape(shape) * scale
        return g.sub_(g.mean(dims, keepdim=True)).reshape(whole)

    return call.lrp.local(x, value, slope)


def _prepared(call: Call) -> tuple[Tensor, Tensor]:
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    (x,) = call.active
    return x, call.evaluated()


def _reciprocal_std(x: Tensor, normalized: Any, eps: float) -> Tensor:
    """Over the last dimensions, which stay as ones; torch's own kernel takes a twentieth of ``var``'s time."""
    if x.requires_grad:  # of which the kernel knows nothing
        return torch.rsqrt(fine(x).var([-1 - i for i in range(len(normalized))], correction=0, keepdim=True) + eps)
    return torch.native_layer_norm(fine(x), normalized, None, None, eps)[2]


def _layer_norm(call: Call) -> Any:
    """The standard deviation is constant, the mean is part of the linear map."""
    x, value = _prepared(call)
    normalized = call.argument(1, "normalized_shape")
    dims = [-1 - i for i in range(len(normalized))]
    weight, eps = call.lrp.values_of(call.argument(2, "weight")), call.argument(4, "eps", 1e-5)
    return _standardized(call, x, value, _reciprocal_std(call.lrp.values_of(x), normalized, eps), weight, dims)


def _rms_norm(call: Call) -> Any:
    """The root mean square is constant."""
    x, value = _prepared(call)
    dims = [-1 - i for i in range(len(call.argument(1, "normalized_shape")))]
    weight, eps = call.lrp.values_of(call.argument(2, "weight")), call.argument(3, "eps")
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    scale = torch.rsqrt(fine(call.lrp.values_of(x)).square().mean(dims, keepdim=True) + eps)
    call.treatment = "rms is constant"
    return call.lrp.local(x, value, lambda c: fine(c) * scale if weight is None else fine(c) * weight * scale)


def _grouped(call: Call, groups: int, weight: Tensor | None, eps: float) -> Any:
    x, value = _prepared(call)
    view = (x.shape[0], groups, -1)
    grouped, weight = call.lrp.values_of(x).reshape(view), call.lrp.values_of(weight)
    scale = _reciprocal_std(grouped, grouped.shape[-1:], eps)
    column = None if weight is None else weight.reshape(-1, *(1,) * (x.ndim - 2))
    return _standardized(call, x, value, scale, column, [-1], view)


def _group_norm(call: Call) -> Any:
    """The standard deviation is constant, the mean is part of the linear map."""
    return _grouped(call, call.argument(1, "num_groups"), call.argument(2, "weight"), call.argument(4, "eps", 1e-5))


def _batch_norm(call: Call) -> Any:
    """By its running statistics an affine map: merged with the layer before it, or a layer of its own."""
    x, mean, var = (call.argument(i, n) for i, n in enumerate(("input", "running_mean", "running_var")))
    weight, bias, eps = call.argument(3, "weight"), call.argument(4, "bias"), call.argument(7, "eps", 1e-5)
    if mean is None or var is None:
        return _by_batch(call, x, weight, eps)
    if call.argument(5, "training", False):
        call.lrp.note_training("batch_norm")
        call.func, call.args, call.kwargs = F.batch_norm, (x, mean, var, weight, bias, False, 0.0, eps), {}
    return _by_running_statistics(call, x, mean, var, weight, bias, eps)


def _by_batch(call: Call, x: Tensor, weight: Tensor | None, eps: float) -> Any:
    x, value = _prepared(call)
    dims = [d for d in range(x.ndim) if d != 1]
    scale = torch.rsqrt(fine(call.lrp.values_of(x)).var(dims, correction=0, keepdim=True) + eps)
    weight = call.lrp.values_of(weight)
    column = None if weight is None else weight.reshape(-1, *(1,) * (x.ndim - 2))
    return _standardized(call, x, value, scale, column, dims)


def _by_running_statistics(
    call: Call, x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Any:
    weight, bias = call.lrp.values_of(weight), call.lrp.values_of(bias)
    scale = torch.rsqrt(var + eps) if weight is None else weight * torch.rsqrt(var + eps)
    shift = -mean * scale if bias is None else bias - mean * scale
    return affine_channels(call, x, scale, shift, (weight, bias))


def _instance_norm(call: Call) -> Any:
    """As a group norm of single channels; with running statistics, as a batch norm."""
    x, mean, var = (call.argument(i, n) for i, n in enumerate(("input", "running_mean", "running_var")))
    weight, bias, eps = call.argument(3, "weight"), call.argument(4, "bias"), call.argument(7, "eps", 1e-5)
    if mean is None or var is None:
        return _grouped(call, x.shape[1], weight, eps)
    if call.argument(5, "use_input_stats", True):
        call.lrp.note_training("instance_norm")
        call.func, call.args, call.kwargs = F.instance_norm, (x, mean, var, weight, bias, False, 0.0, eps), {}
    return _by_running_statistics(call, x, mean, var, weight, bias, eps)


def _local_response_norm(call: Call) -> Any:
    """The statistic is constant."""
    x, value = _prepared(call)
    values = call.lrp.values_of(x)
    slope = torch.where(values == 0, torch.ones_like(values), value / values)
    call.treatment = "statistic is constant"
    return call.lrp.local(x, value, lambda c: c * slope)


HANDLERS: dict[str, Callable[[Call], Any]] = {
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "local_response_norm": _local_response_norm,
}
