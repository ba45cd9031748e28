"""Sums, products and quotients of signals, gates and constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import gates, names, tags
from ..call import Call, with_slope
from ..layer import Layer, layer_of, layer_viewed
from ..maps import Contraction, Convolution, Dense
from .activation import secant
from .signals import multiply, passed_on


def _scaled_by_constant(call: Call, x: Tensor, constant: object) -> Any:
    tag = tags.tag_of(x)
    if call.lrp.carries_relevance(x):
        return passed_on(call, x)
    call.stage = tag.stage
    call.gate, call.hint = gates.scaled(tag, constant)
    return call.run()


def _mul(call: Call) -> Any:
    """A gate is constant, and the signal takes all; two signals get half each."""
    a, b = call.argument(0, "input"), call.argument(1, "other")
    if call.is_active(a) and call.is_active(b):
        return multiply(call, a, b)
    return _scaled_by_constant(call, a if call.is_active(a) else b, b if call.is_active(a) else a)


def _div(call: Call) -> Any:
    """Numerator takes all; a denominator is a normalising statistic, constant."""
    numerator, denominator = call.argument(0, "input"), call.argument(1, "other")
    if not call.is_active(denominator):
        factor = gates.number(denominator)
        return _scaled_by_constant(call, numerator, 1 / factor if factor else None)
    if not call.is_active(numerator):
        return normalizer(call)
    powers = tags.tag_of(numerator).hint
    if isinstance(powers, gates.Powers) and tags.tag_of(denominator).hint is powers:
        return _softmax_by_hand(call, powers)
    call.treatment = "denominator is constant"
    call.gate = tags.tag_of(numerator).gate
    call.replace(Tensor.detach, only=lambda t: t is denominator)
    call.active = [t for t in call.active if t.requires_grad]
    if not call.active:  # x / x
        return call.run()
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    return call.run()


def _solved(call: Call) -> Any:
    """``A⁻¹ B``: as a quotient, with A in the denominator."""
    matrix = call.argument(0, "A")
    right = call.argument(1, "B")
    if not call.is_active(matrix):
        call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
        return call.run()
    if not call.is_active(right):
        return normalizer(call)
    call.treatment = "matrix is constant"
    call.replace(Tensor.detach, only=lambda t: t is matrix)
    call.active = [t for t in call.active if t.requires_grad]
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    return call.run()


def _softmax_by_hand(call: Call, powers: gates.Powers) -> Any:
    """``exp(z) / Σ exp(z)`` as the softmax it is: its derivative, through both."""
    powers.normalized = True
    call.treatment, call.remainder = "first-order expansion", "bias"
    call.gate = call.lrp.composite.attention == "constant"
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    return call.run()


def _sampled(call: Call) -> Any:
    """The signal sampled at a grid: where to look is a decision, as a gate is. A grid alone has no rule."""
    signal, grid = call.argument(0, "input"), call.argument(1, "grid")
    if not call.is_active(signal):
        call.treatment, call.remainder = "no rule", "unruled"
        call.lrp.note_unknown(f"{call.name} of a constant")
    elif call.is_active(grid):
        call.treatment = "grid is constant"
        call.replace(Tensor.detach, only=lambda t: t is grid)
        call.active = [t for t in call.active if t.requires_grad]
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


def bias_target(call: Call) -> tuple[Layer, Tensor, float] | None:
    """For ``z ± b`` behind a layer without bias: the layer, ``b``, and its sign or factor."""
    if call.name not in ("add", "sub") or len(call.active) != 1:
        return None
    x, other = call.argument(0, "input"), call.argument(1, "other")
    if not call.is_active(x):
        if call.name != "add":
            return None
        x, other = other, x
    if not isinstance(other, Tensor):
        return None
    sign = call.argument(2, "alpha", 1) * (1 if call.name == "add" else -1)
    layer = layer_of(x)
    if layer is None and (layer := layer_viewed(x)) is not None:
        per_channel = layer.takes_bias and other.numel() == other.shape[-1:].numel() == x.shape[-1]
        return (layer, other.reshape(-1), sign) if per_channel else None
    if layer is None or not layer.takes_bias:
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
    return layer, other, sign


def _affine(call: Call) -> Any:
    if len(call.active) > 1:
        call.gate, call.hint = gates.together([tags.tag_of(t) for t in call.active])
        call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
        return call.run()
    if (found := bias_target(call)) is not None:
        layer, bias, sign = found
        call.layer, call.stage, call.treatment = layer.with_bias(bias, sign), tags.DEEP, f"bias of {layer.op}"
        value = call.evaluated()
        shape = layer.z.shape
        return call.layer.emit(value) if value.shape == shape else call.layer.emit(value.view(shape)).view(value.shape)
    x = call.active[0]
    tag, constant = tags.tag_of(x), _added(call, x)
    result = _scaled_by_constant(call, x, -1.0)
    if constant is not None:
        call.gate, call.hint = gates.shifted(tag, constant)
    return result


def _added(call: Call, x: Tensor) -> object:
    """The constant that a sum or difference adds to ``x`` or ``-x``."""
    a, b = call.argument(0, "input"), call.argument(1, "other")
    other = b if call.is_active(a) else a
    value, alpha = gates.number(other), call.argument(2, "alpha", 1)
    if value is None or alpha != 1:
        return other
    return -value if call.name == "sub" and call.is_active(a) else value


def _halved(call: Call) -> Any:
    """Homogeneous of degree 2, such as a variance: half the gradient conserves."""
    call.treatment = "½ gradient"
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    call.replace(lambda t: with_slope(t, lambda c: c / 2))
    return call.run()


def _prod(call: Call) -> Any:
    """An equal share to each factor."""
    x, dim = call.argument(0, "input"), call.argument(1, "dim")
    n = x.numel() if dim is None else x.shape[dim]
    call.treatment, call.gate = f"1/{n} to each factor", tags.tag_of(x).gate
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    call.replace(lambda t: with_slope(t, lambda c: c / n))
    return call.run()


def _power(call: Call) -> Any:
    """``x ** n`` with a negative exponent is a reciprocal, ``n ** x`` an exponential; others are activations."""
    base, exponent = call.argument(0, "input"), call.argument(1, "exponent")
    if call.name == "pow" and isinstance(exponent, int | float) and exponent < 0:
        return normalizer(call)
    result = secant(call)
    call.gate = call.gate or (len(call.active) == 1 and (call.name == "__rpow__" or not call.is_active(base)))
    return result


def _cumulative_product(call: Call) -> Any:
    """Prefixes of 1, 2, … factors, which share alike."""
    x, dim = call.argument(0, "input"), call.argument(1, "dim")
    call.treatment, call.gate = "1/n to each factor", tags.tag_of(x).gate
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    factors = torch.arange(1, x.shape[dim] + 1, device=x.device, dtype=x.dtype)
    factors = factors.reshape([-1 if d == dim % x.ndim else 1 for d in range(x.ndim)])
    return with_slope(call.run(), lambda c: c / factors)


def _plus(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    product = product if alpha == 1 else product * alpha
    if beta == 0:
        return product
    return product + (input if beta == 1 else input * beta)


def _addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return _plus(input, torch.matmul(mat1, mat2), beta, alpha)


def _addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return _plus(input, torch.matmul(mat, vec), beta, alpha)


def _baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return _plus(input, torch.bmm(batch1, batch2), beta, alpha)


def _addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return _plus(input, torch.bmm(batch1, batch2).sum(0), beta, alpha)


def _addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return _plus(input, torch.outer(vec1, vec2), beta, alpha)


def _addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    return input + (tensor1 * tensor2 if value == 1 else tensor1 * tensor2 * value)


def _addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    return input + (tensor1 / tensor2 if value == 1 else tensor1 / tensor2 * value)


def _lerp(input: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    return input * (1 - weight) + end * weight


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
    "mul": _mul,
    "div": _div,
    **dict.fromkeys(names.NORMALIZERS, normalizer),
    **dict.fromkeys(("linalg_solve_triangular", "linalg_solve"), _solved),
    "var": _halved,
    **dict.fromkeys(("pow", "__rpow__"), _power),
    **dict.fromkeys(("grid_sample", "grid_sampler"), _sampled),
    "prod": _prod,
    "cumprod": _cumulative_product,
}

WRITTEN_OUT: dict[str, Callable[..., Any]] = {
    "addmm": _addmm,
    "addmv": _addmv,
    "baddbmm": _baddbmm,
    "addbmm": _addbmm,
    "addr": _addr,
    "addcmul": _addcmul,
    "addcdiv": _addcdiv,
    "lerp": _lerp,
    "var_mean": _var_mean,
    "std_mean": _std_mean,
    "cosine_similarity": _cosine_similarity,
}
