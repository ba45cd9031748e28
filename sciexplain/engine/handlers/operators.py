"""Operators of exported programs, as the functions that users call.

``torch.export`` and its decompositions use operators with other arguments than the functions they stand for, or with
results beside the one that matters (statistics, masks, random states). Each is written as that function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def _statistics(x: Tensor, dims: Sequence[int], eps: float | None) -> tuple[Tensor, Tensor]:
    var, mean = torch.var_mean(x.detach(), tuple(dims), correction=0, keepdim=True)
    return mean, torch.rsqrt(var + (eps or 0.0))


def _nothing(x: Tensor) -> Tensor:
    return x.new_empty(0)


def _native_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    out = F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    return out, _nothing(input), _nothing(input)


def _native_batch_norm_legit(input: Tensor, weight: Tensor | None, bias: Tensor | None, *others: Any) -> Any:
    if len(others) == 5:
        return _native_batch_norm(input, weight, bias, *others)
    training, momentum, eps = others  # no running statistics
    return _native_batch_norm(input, weight, bias, None, None, training, momentum, eps)


def _native_batch_norm_functional(*args: Any) -> tuple[Tensor, ...]:
    return (*_native_batch_norm(*args), args[3], args[4])


def _native_batch_norm_no_training(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    return _native_batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps)


def _cudnn_batch_norm(*args: Any) -> tuple[Tensor, ...]:
    return (*_native_batch_norm(*args), _nothing(args[0]))


def _native_layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    dims = [-1 - i for i in range(len(normalized_shape))]
    return F.layer_norm(input, list(normalized_shape), weight, bias, eps), *_statistics(input, dims, eps)


def _fused_rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, eps: float | None
) -> tuple[Tensor, Tensor]:
    return F.rms_norm(input, list(normalized_shape), weight, eps), _nothing(input)


def _native_group_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, n: int, c: int, hxw: int, group: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    mean, std = _statistics(input.reshape(n, group, -1), [-1], eps)
    return F.group_norm(input, group, weight, bias, eps), mean[..., 0], std[..., 0]


def _native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    return F.dropout(input, p, bool(train)), torch.ones_like(input, dtype=torch.bool)


def _rrelu_with_noise(
    input: Tensor, noise: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, *rest: Any
) -> Tensor:
    return F.rrelu(input, lower, upper, training)


def _log_sigmoid_forward(input: Tensor) -> tuple[Tensor, Tensor]:
    return F.logsigmoid(input), _nothing(input)


def _addmm_activation(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1, use_gelu: bool = False
) -> Tensor:
    z = torch.addmm(input, mat1, mat2, beta=beta, alpha=alpha)
    return F.gelu(z, approximate="tanh") if use_gelu else torch.relu(z)


def _library_convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    *flags: bool,
) -> Tensor:
    """Of mkldnn, which takes the padding before the stride."""
    zeros = [0] * len(stride)
    result: Tensor = torch.ops.aten.convolution(input, weight, bias, stride, padding, dilation, False, zeros, groups)
    return result


def _convolution_mode(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: str, dilation: Any, groups: int
) -> Tensor:
    convolution: Callable[..., Tensor] = (F.conv1d, F.conv2d, F.conv3d)[weight.ndim - 3]
    return convolution(input, weight, bias, stride, padding, dilation, groups)


def _copy(input: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    return src.to(input.dtype).expand(input.shape).clone()


def _grouped_mm(
    input: Tensor, mat2: Tensor, offs: Tensor | None = None, bias: Tensor | None = None, out_dtype: Any = None
) -> Tensor:
    """Products of consecutive rows with one matrix each: the tokens of each expert of a mixture."""
    if offs is None or input.ndim != 2 or mat2.ndim != 3:
        out = torch.bmm(input, mat2) if offs is None else _grouped_by_columns(input, mat2, offs)
    else:
        ends = offs.tolist()
        parts = [input[a:b] @ w for a, b, w in zip([0, *ends], ends, mat2, strict=False)]
        if ends[-1] < len(input):  # rows of no group
            parts.append(input.new_zeros(len(input) - ends[-1], mat2.shape[-1]))
        out = torch.cat(parts)
    out = out if bias is None else out + bias
    return out if out_dtype is None else out.to(out_dtype)


def _grouped_by_columns(input: Tensor, mat2: Tensor, offs: Tensor) -> Tensor:
    ends = offs.tolist()
    spans = list(zip([0, *ends], ends, strict=False))
    if input.ndim == 3:  # consecutive columns of the second factor
        return torch.cat([w @ mat2[:, a:b] for w, (a, b) in zip(input, spans, strict=True)], -1)
    return torch.stack([input[:, a:b] @ mat2[a:b] for a, b in spans])


def _attention(results: int, *order: str) -> Callable[..., Any]:
    """A fused attention kernel; ``order`` names its arguments after query, key and value."""

    def kernel(query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        given = dict(zip(order, args, strict=False)) | kwargs
        out = F.scaled_dot_product_attention(
            query,
            key,
            value,
            given.get("attn_mask", given.get("attn_bias")),
            given.get("dropout_p", 0.0),
            given.get("is_causal", False),
            scale=given.get("scale"),
            enable_gqa=given.get("enable_gqa", key.shape[-3] != query.shape[-3]),
        )
        return (out, *(_nothing(query) for _ in range(results - 1)))

    return kernel


WRITTEN_OUT: dict[str, Callable[..., Any]] = {
    "native_batch_norm": _native_batch_norm,
    "_native_batch_norm_legit": _native_batch_norm_legit,
    "_native_batch_norm_legit_functional": _native_batch_norm_functional,
    "_native_batch_norm_legit_no_training": _native_batch_norm_no_training,
    "cudnn_batch_norm": _cudnn_batch_norm,
    "miopen_batch_norm": _native_batch_norm,
    "native_layer_norm": _native_layer_norm,
    "_fused_rms_norm": _fused_rms_norm,
    "native_group_norm": _native_group_norm,
    "native_dropout": _native_dropout,
    "rrelu_with_noise": _rrelu_with_noise,
    "log_sigmoid_forward": _log_sigmoid_forward,
    "_addmm_activation": _addmm_activation,
    "copy": _copy,
    "_convolution_mode": _convolution_mode,
    "mkldnn_convolution": _library_convolution,
    "_grouped_mm": _grouped_mm,
    "grouped_mm": _grouped_mm,
    "_scaled_dot_product_flash_attention_for_cpu": _attention(2, "dropout_p", "is_causal"),
    "_scaled_dot_product_flash_attention": _attention(9, "dropout_p", "is_causal", "return_debug_mask"),
    "_scaled_dot_product_efficient_attention": _attention(4, "attn_bias", "with_log_sums", "dropout_p", "is_causal"),
    "_scaled_dot_product_cudnn_attention": _attention(9, "attn_bias", "with_log_sums", "dropout_p", "is_causal"),
    "_scaled_dot_product_fused_attention_overrideable": _attention(9, "attn_bias", "dropout_p", "is_causal"),
    "_scaled_dot_product_attention_math": _attention(2, "attn_mask", "dropout_p", "is_causal", "dropout_mask"),
}
