"""Operations as formulas of simpler ones, each of which adds up: normalisations, statistics, distances, quotients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Dims = int | Sequence[int] | None


def _dims(x: Tensor, dim: Dims) -> list[int]:
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return list(range(x.ndim))
    return [d % x.ndim for d in ([dim] if isinstance(dim, int) else dim)]


def standardized(x: Tensor, dims: Sequence[int], eps: float) -> Tensor:
    centered = x - x.mean(tuple(dims), keepdim=True)
    return centered * torch.rsqrt((centered * centered).mean(tuple(dims), keepdim=True) + eps)


def scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> Tensor:
    return scaled(standardized(input, range(-len(normalized_shape), 0), eps), weight, bias)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    dims = tuple(range(-len(normalized_shape), 0))
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    return scaled(input * torch.rsqrt((input * input).mean(dims, keepdim=True) + eps), weight, None)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> Tensor:
    grouped = input.reshape(input.shape[0], num_groups, -1)
    column = (-1, *(1,) * (input.ndim - 2))
    return scaled(
        standardized(grouped, [-1], eps).reshape(input.shape),
        None if weight is None else weight.reshape(column),
        None if bias is None else bias.reshape(column),
    )


def channels_norm(
    x: Tensor, mean: Tensor | None, var: Tensor | None, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """BatchNorm by its running statistics, or by those of the batch where it has none."""
    column = (-1, *(1,) * (x.ndim - 2))

    def shaped(t: Tensor | None) -> Tensor | None:
        return None if t is None else t.reshape(column)

    if mean is None or var is None:
        return scaled(standardized(x, [d for d in range(x.ndim) if d != 1], eps), shaped(weight), shaped(bias))
    scale = torch.rsqrt(var + eps) if weight is None else weight * torch.rsqrt(var + eps)
    shift = -mean * scale if bias is None else bias - mean * scale
    return scaled(x, shaped(scale), shaped(shift))


def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    *_: Any,
) -> Tensor:
    """As ``torch.batch_norm`` has its arguments."""
    return channels_norm(input, running_mean, running_var, weight, bias, eps)


def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    *_: Any,
) -> Tensor:
    """As ``torch.instance_norm`` has its arguments."""
    if not use_input_stats:
        return channels_norm(input, running_mean, running_var, weight, bias, eps)
    return group_norm(input, input.shape[1], weight, bias, eps)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    squares = (input * input).reshape(input.shape[0], 1, input.shape[1], -1)
    padded = F.pad(squares, (0, 0, size // 2, (size - 1) // 2))
    mean = F.avg_pool2d(padded, (size, 1), stride=1).reshape(input.shape)
    return input * (mean * alpha + k) ** -beta


def var(
    x: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    if isinstance(dim, bool):  # var(x, unbiased)
        dim, unbiased = None, dim
    dims = _dims(x, dim)
    count = math.prod(x.shape[d] for d in dims)
    off = correction if correction is not None else (0 if unbiased is False else 1)
    centered = x - x.mean(tuple(dims), keepdim=True)
    return (centered * centered).sum(tuple(dims), keepdim=keepdim) / max(count - off, 0)


def std(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return torch.sqrt(var(x, *args, **kwargs))


def vector_norm(x: Tensor, ord: Any = 2, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    x = x if dtype is None else x.to(dtype)
    dims = tuple(_dims(x, dim))
    if ord == math.inf:
        return x.abs().amax(dims, keepdim=keepdim)
    if ord == -math.inf:
        return x.abs().amin(dims, keepdim=keepdim)
    if ord == 0:
        return (x != 0).to(x.dtype).sum(dims, keepdim=keepdim)
    if ord == 1:
        return x.abs().sum(dims, keepdim=keepdim)
    if ord == 2:
        return torch.sqrt((x * x).sum(dims, keepdim=keepdim))
    return (x.abs() ** ord).sum(dims, keepdim=keepdim) ** (1 / ord)


def norm(x: Tensor, p: Any = "fro", dim: Dims = None, keepdim: bool = False, *_: Any, dtype: Any = None) -> Tensor:
    if p == "nuc":
        return torch.linalg.matrix_norm(x, "nuc", (-2, -1) if dim is None else dim, keepdim)
    return vector_norm(x, 2 if p in ("fro", None) else float(p), dim, keepdim, dtype=dtype)


def linalg_norm(x: Tensor, ord: Any = None, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    of_matrix = ord not in (None, "fro") and (x.ndim == 2 if dim is None else len(_dims(x, dim)) == 2)
    if of_matrix:
        return torch.linalg.matrix_norm(x, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(x, 2 if ord in (None, "fro") else ord, dim, keepdim, dtype=dtype)


def normalize(input: Tensor, p: float = 2.0, dim: Dims = 1, eps: float = 1e-12, out: None = None) -> Tensor:
    return input / vector_norm(input, p, dim, keepdim=True).clamp_min(eps)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Tensor:
    return vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)


def hypot(x: Tensor, other: Tensor) -> Tensor:
    return torch.sqrt(x * x + other * other)


def quotient(input: Any, other: Any, *, rounding_mode: None = None) -> Tensor:
    return input * torch.reciprocal(other)


def power(input: Any, exponent: Any) -> Tensor:
    """Both depend on the input."""
    return torch.exp(exponent * torch.log(input))


def log_add(x: Tensor, other: Tensor) -> Tensor:
    return torch.logsumexp(torch.stack(torch.broadcast_tensors(x, other)), 0)


def lp_pool(dims: int) -> Callable[..., Tensor]:
    pool = getattr(F, f"avg_pool{dims}d")

    def pooled(
        input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> Tensor:
        count = kernel_size**dims if isinstance(kernel_size, int) else math.prod(kernel_size)
        mean = pool(input**norm_type, kernel_size, stride, 0, ceil_mode)
        return (mean * count) ** (1.0 / norm_type)

    return pooled


def dropout(input: Tensor, *_: Any, **__: Any) -> Tensor:
    return input.view_as(input)


def rrelu(input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, *_: Any, **__: Any) -> Tensor:
    return F.leaky_relu(input, (lower + upper) / 2)


def aminmax(x: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    dims = () if dim is None else (dim,)
    return torch.return_types.aminmax((x.amin(dims, keepdim=keepdim), x.amax(dims, keepdim=keepdim)))


WRITTEN_OUT: dict[str, Callable[..., Any]] = {
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "batch_norm": batch_norm,
    "instance_norm": instance_norm,
    "group_norm": group_norm,
    "local_response_norm": local_response_norm,
    "var": var,
    "std": std,
    "norm": norm,
    "linalg_norm": linalg_norm,
    "linalg_vector_norm": vector_norm,
    "normalize": normalize,
    "pairwise_distance": pairwise_distance,
    "cdist": cdist,
    "hypot": hypot,
    "logaddexp": log_add,
    "aminmax": aminmax,
    "rrelu": rrelu,
    **{f"lp_pool{d}d": lp_pool(d) for d in (1, 2, 3)},
}
