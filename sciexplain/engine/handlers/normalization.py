"""Normalisations whose statistics come from the sample: the statistics that divide are constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..call import Call, local
from ..precision import fine
from .linear import affine_channels


def _standardized(call: Call, x: Tensor, value: Tensor, scale: Tensor, dims: list[int], view: Any = None) -> Tensor:
    """``(x − mean) / std`` with a constant std: the mean is part of the linear map, which is its own transpose."""
    call.treatment, call.remainder = "std is constant", "bias"
    shape = x.shape if view is None else view

    def slope(c: Tensor) -> Tensor:
        g = (c * scale).reshape(shape)
        return (g - g.mean(dims, keepdim=True)).reshape(x.shape)

    return local(x, value, slope)


def _prepared(call: Call) -> tuple[Tensor, Tensor]:
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    with torch.no_grad():
        value = call.run()
    (x,) = call.active
    return x, value


def _reciprocal_std(x: Tensor, normalized: Any, eps: float) -> Tensor:
    """Over the last dimensions, which stay as ones; torch's own kernel takes a twentieth of ``var``'s time."""
    return torch.native_layer_norm(fine(x), normalized, None, None, eps)[2]


def _layer_norm(call: Call) -> Any:
    x, value = _prepared(call)
    normalized = call.argument(1, "normalized_shape")
    dims = [-1 - i for i in range(len(normalized))]
    weight, eps = call.argument(2, "weight"), call.argument(4, "eps", 1e-5)
    scale = _reciprocal_std(x.detach(), normalized, eps)
    return _standardized(call, x, value, scale if weight is None else scale * weight, dims)


def _rms_norm(call: Call) -> Any:
    x, value = _prepared(call)
    dims = [-1 - i for i in range(len(call.argument(1, "normalized_shape")))]
    weight, eps = call.argument(2, "weight"), call.argument(3, "eps")
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    scale = torch.rsqrt(fine(x.detach()).square().mean(dims, keepdim=True) + eps)
    if weight is not None:
        scale = scale * weight
    call.treatment = "rms is constant"
    return local(x, value, lambda c: c * scale)


def _grouped(call: Call, groups: int, weight: Tensor | None, eps: float) -> Any:
    x, value = _prepared(call)
    view = (x.shape[0], groups, -1)
    grouped = x.detach().reshape(view)
    scale = (
        _reciprocal_std(grouped, grouped.shape[-1:], eps)
        .expand(view[0], groups, x[0].numel() // groups)
        .reshape(x.shape)
    )
    if weight is not None:
        scale = scale * weight.reshape(-1, *(1,) * (x.ndim - 2))
    return _standardized(call, x, value, scale, [-1], view)


def _group_norm(call: Call) -> Any:
    return _grouped(call, call.argument(1, "num_groups"), call.argument(2, "weight"), call.argument(4, "eps", 1e-5))


def _instance_norm(call: Call) -> Any:
    x, mean, var, weight, bias, use_input_stats, _, eps = (
        call.argument(i, n, d)
        for i, (n, d) in enumerate(
            {"input": None, "running_mean": None, "running_var": None, "weight": None, "bias": None,
             "use_input_stats": True, "momentum": 0.1, "eps": 1e-5}.items()
        )
    )  # fmt: skip
    if use_input_stats:
        return _grouped(call, x.shape[1], weight, eps)
    scale = torch.rsqrt(var + eps) if weight is None else weight * torch.rsqrt(var + eps)
    shift = -mean * scale if bias is None else bias - mean * scale
    return affine_channels(call, x, scale, shift, (weight, bias))


def _local_response_norm(call: Call) -> Any:
    x, value = _prepared(call)
    values = x.detach()
    slope = torch.where(values == 0, torch.ones_like(values), value / values)
    call.treatment = "statistic is constant"
    return local(x, value, lambda c: c * slope)


HANDLERS: dict[str, Callable[[Call], Any]] = {
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "local_response_norm": _local_response_norm,
}
