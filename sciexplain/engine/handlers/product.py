"""Sums, products and quotients of signals, gates and constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import names, tags
from ..call import Call, with_slope
from ..layer import Layer, layer_of
from ..maps import Contraction, Convolution, Dense
from .activation import secant
from .signals import multiply, passed_on


def _scaled_by_constant(call: Call, x: Tensor) -> Any:
    tag = tags.tag_of(x)
    if call.lrp.carries_relevance(x):
        return passed_on(call, x)
    call.stage, call.gate = tag.stage, tag.gate
    return call.run()


def _mul(call: Call) -> Any:
    a, b = call.argument(0, "input"), call.argument(1, "other")
    if call.is_active(a) and call.is_active(b):
        return multiply(call, a, b)
    return _scaled_by_constant(call, call.active[0])


def _div(call: Call) -> Any:
    """Numerator takes all; a denominator is a normalising statistic, constant."""
    numerator, denominator = call.argument(0, "input"), call.argument(1, "other")
    if not call.is_active(denominator):
        return _scaled_by_constant(call, numerator)
    if not call.is_active(numerator):
        return normalizer(call)
    call.treatment = "denominator is constant"
    call.gate = tags.tag_of(numerator).gate
    call.replace(Tensor.detach, only=lambda t: t is denominator)
    call.active = [t for t in call.active if t.requires_grad]
    if not call.active:  # x / x
        return call.run()
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    return call.run()


def normalizer(call: Call) -> Any:
    """A reciprocal: a statistic that scales a signal. Used as a signal itself, it has no rule, and is named."""
    lrp, module, name = call.lrp, call.lrp.modules.name, call.name
    call.treatment, call.gate, call.remainder = "statistic", True, "unruled"
    call.replace(lrp.entering, only=lrp.carries_relevance)
    result = call.run()

    def used_as_signal(c: Tensor) -> None:
        if bool((c != 0).any()):
            lrp.note_unknown(name, module)

    result.register_hook(used_as_signal)
    return result


def bias_target(call: Call) -> tuple[Layer, Tensor] | None:
    """For ``z + b`` behind a layer without bias: the layer, and ``b`` with its sign."""
    if call.name not in ("add", "sub", "subtract") or len(call.active) != 1:
        return None
    x, other = call.argument(0, "input"), call.argument(1, "other")
    if not call.is_active(x):
        if call.name != "add":
            return None
        x, other = other, x
    layer = layer_of(x)
    if layer is None or not layer.takes_bias or not isinstance(other, Tensor):
        return None
    if isinstance(layer.map, Dense | Convolution):
        axis = layer.map.output_channel(x)
    elif isinstance(layer.map, Contraction):
        axis = x.ndim - 1
    else:
        return None
    shape = (1,) * (x.ndim - other.ndim) + tuple(other.shape)
    # any first dimension, or one sample alone would be another case than the same sample in a batch
    if len(shape) != x.ndim or any(n != 1 for d, n in enumerate(shape) if d not in (0, axis)):
        return None
    if any(n > m for n, m in zip(shape, x.shape, strict=True)):
        return None
    sign = call.kwargs.get("alpha", 1) * (1 if call.name == "add" else -1)
    return layer, (other * sign).to(layer.dtype)


def _affine(call: Call) -> Any:
    if len(call.active) > 1:
        call.gate = all(tags.tag_of(t).gate for t in call.active)
        call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
        return call.run()
    if (found := bias_target(call)) is not None:
        layer, bias = found
        call.layer, call.stage, call.treatment = layer.with_bias(bias), tags.DEEP, f"bias of {layer.op}"
        with torch.no_grad():
            value = call.run()
        return call.layer.emit(value)
    return _scaled_by_constant(call, call.active[0])


def _halved(call: Call) -> Any:
    """Homogeneous of degree 2, such as a variance: half the gradient conserves."""
    call.treatment = "½ gradient"
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    call.replace(lambda t: with_slope(t, lambda c: c / 2))
    return call.run()


def _prod(call: Call) -> Any:
    x, dim = call.argument(0, "input"), call.argument(1, "dim")
    n = x.numel() if dim is None else x.shape[dim]
    call.treatment = f"1/{n} to each factor"
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    call.replace(lambda t: with_slope(t, lambda c: c / n))
    return call.run()


def _reciprocal_power(call: Call) -> Any:
    """``pow`` with a negative exponent is a reciprocal; others are activations."""
    exponent = call.argument(1, "exponent")
    if call.name != "__rpow__" and isinstance(exponent, int | float) and exponent < 0:
        return normalizer(call)
    return secant(call)


def _addmm(a: Tensor, b: Tensor, c: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    product = torch.matmul(b, c)
    return (product if alpha == 1 else product * alpha) + (a if beta == 1 else a * beta)


def _addbmm(a: Tensor, b: Tensor, c: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    product = torch.bmm(b, c).sum(0)
    return (product if alpha == 1 else product * alpha) + (a if beta == 1 else a * beta)


def _addr(a: Tensor, b: Tensor, c: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return a * beta + torch.outer(b, c) * alpha


def _addcmul(a: Tensor, b: Tensor, c: Tensor, *, value: float = 1) -> Tensor:
    return a + b * c * value


def _addcdiv(a: Tensor, b: Tensor, c: Tensor, *, value: float = 1) -> Tensor:
    return a + b / c * value


def _lerp(start: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    return start * (1 - weight) + end * weight


def _var_mean(x: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    return torch.var(x, *args, **kwargs), _mean_like_var(x, *args, **kwargs)


def _std_mean(x: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    return torch.std(x, *args, **kwargs), _mean_like_var(x, *args, **kwargs)


def _mean_like_var(x: Tensor, dim: Any = None, *args: Any, keepdim: bool = False, **kwargs: Any) -> Tensor:
    return x.mean() if dim is None else x.mean(dim, keepdim=keepdim or bool(args[1:2] and args[1]))


def _cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Two signals, with their norms as statistics."""
    n1 = torch.linalg.vector_norm(x1, dim=dim, keepdim=True).clamp_min(eps)
    n2 = torch.linalg.vector_norm(x2, dim=dim, keepdim=True).clamp_min(eps)
    return ((x1 / n1) * (x2 / n2)).sum(dim)


HANDLERS: dict[str, Callable[[Call], Any]] = {
    **dict.fromkeys(names.AFFINE, _affine),
    **dict.fromkeys(("mul", "multiply"), _mul),
    **dict.fromkeys(("div", "divide", "true_divide"), _div),
    **dict.fromkeys(names.NORMALIZERS, normalizer),
    **dict.fromkeys(("var",), _halved),
    **dict.fromkeys(("pow", "__pow__", "__rpow__", "float_power"), _reciprocal_power),
    "prod": _prod,
}

WRITTEN_OUT: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("addmm", "addmv", "baddbmm"), _addmm),
    "addbmm": _addbmm,
    "addr": _addr,
    "addcmul": _addcmul,
    "addcdiv": _addcdiv,
    "lerp": _lerp,
    "var_mean": _var_mean,
    "std_mean": _std_mean,
    "cosine_similarity": _cosine_similarity,
}
