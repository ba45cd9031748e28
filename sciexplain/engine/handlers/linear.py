"""Linear layers: their rule comes from the composite; BatchNorm and a following bias are merged into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError
from ...linear_layer import Messages
from ...rules import ZBox
from .. import tags
from ..call import Call, with_slope
from ..layer import Layer, is_lone_batch_norm, layer_of, port
from ..maps import Contraction, Convolution, Dense, Diagonal, LinearMap
from ..precision import fine_dtype, without_autocast
from ..waypoints import held, tapped
from .signals import multiply, passed_on


def as_layer(
    call: Call,
    x: Tensor,
    linear_map: LinearMap,
    weight: Tensor,
    bias: Tensor | None,
    learned: tuple[Tensor | None, Tensor | None] | None = None,
) -> Tensor:
    """Run the call as the layer ``z = x ⋆ weight + bias`` with the rule its place and kind give it.

    ``learned`` are the parameters to credit for weight and bias, in their shapes, where they are not those themselves.
    """
    lrp, stage = call.lrp, tags.tag_of(x).stage
    lone = isinstance(linear_map, Diagonal)
    first = stage < tags.DEEP and not lone
    path = lrp.modules.path
    rule, rule_if_last = (
        lrp.composite.rule_for(linear_map.kind, path, first=first, last=last) for last in (False, True)
    )
    value = call.evaluated()
    weight, bias = lrp.values_of(weight), lrp.values_of(bias)
    layer = Layer(
        lrp=lrp,
        index=lrp.layer_count,
        op=call.name,
        map=linear_map,
        rules=(rule, rule_if_last),
        port=port(x),
        stage=stage,
        raw_weight=weight,
        bias=None if bias is None else bias.to(fine_dtype(value.dtype)),
        kept_x=None,
        takes_bias=bias is None,
        dtype=fine_dtype(value.dtype),
    )
    if lrp.credits is not None:
        layer.parameter, learned_bias = (weight, bias) if learned is None else learned
        if learned_bias is not None:
            layer.bias_credits = layer.credits_bias(learned_bias)
    lrp.layer_count += 1
    if (fed := layer_of(x)) is not None and _can_take_in(layer, fed, x):
        layer = _behind_batch_norm(layer, fed)
    else:
        converts = stage == tags.RAW and lrp.yields_relevance  # c to relevance, or back: takes the input's values
        if lrp.credits is not None or any(r.needs_input or r.yields_relevance != converts for r in layer.rules):
            layer.kept_x = lrp.keeper.keep(x)
    for candidate in {rule, rule_if_last}:
        if isinstance(candidate, ZBox):
            candidate.check(layer)
    call.layer, call.treatment = layer, str(rule)
    call.stage = stage if lone else tags.DEEP
    return layer.emit(value)


def _can_take_in(layer: Layer, batch_norm: Layer, x: Tensor) -> bool:
    return (
        is_lone_batch_norm(batch_norm)
        and isinstance(layer.map, Dense | Convolution)
        and layer.map.input_channel(x.ndim) == 1
        and not any(rule.yields_relevance for rule in layer.rules)
    )


def _behind_batch_norm(layer: Layer, batch_norm: Layer) -> Layer:
    """A BatchNorm that stood alone and the layer after it, as one layer on the BatchNorm's input.

    The shift becomes a bias; where a convolution pads with zeros it differs at the border.
    """
    if tapped(batch_norm):
        raise InputError(
            f"The normalisation in front of {layer.lrp.modules.name!r} is one layer with it, so that nothing is known "
            "of relevance between them; ask at the output of another module."
        )
    layer.lrp.captures.merge(batch_norm.captures)
    shift = batch_norm.bias
    assert shift is not None
    constant, weight = layer.expand_input(shift.to(layer.dtype).reshape(-1)), layer.weight
    with without_autocast(weight.device):
        bias = layer.forward(constant, weight)
    layer.bias = bias if layer.bias is None else bias + layer.bias
    if layer.lrp.credits is not None:
        layer.bias_credits += (_through(layer, batch_norm, constant, weight),)
    layer.input_scale = batch_norm.weight.to(layer.dtype).reshape(-1)
    del layer.weight  # was without the scale
    layer.port, layer.stage = batch_norm.port, batch_norm.stage
    layer.kept_x, layer.row = batch_norm.kept_x, batch_norm.row
    if layer.row is not None:
        layer.row.operation += f" + {layer.op}"
    return layer


def _through(layer: Layer, batch_norm: Layer, constant: Tensor, weight: Tensor) -> Callable[[Tensor], None]:
    """The BatchNorm's ``constant`` reaches the output through the layer's ``weight``: both are credited."""

    def credit(factor: Tensor) -> None:
        layer.credit(lambda: [Messages(constant, factor, weight)])
        for further in batch_norm.bias_credits:
            further(layer.transpose(factor, weight))

    return credit


def _dynamic(call: Call, *factors: Tensor) -> Any:
    """Weights that depend on the input: a product of two signals, half to each."""
    both = all(call.is_active(f) for f in factors)
    call.treatment, call.remainder = ("½ to each factor" if both else "gradient"), "bias"
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    if both:
        call.replace(lambda t: with_slope(t, lambda c: c / 2), only=lambda t: True)
    return call.run()


def _linear(call: Call) -> Any:
    """The composite's rule; with weights that depend on the input, a product of two signals, half to each."""
    x, weight, bias = (call.argument(i, n) for i, n in enumerate(("input", "weight", "bias")))
    if call.is_active(weight) or call.is_active(bias) or not call.is_active(x):
        return _dynamic(call, x, weight)
    return as_layer(call, x, Dense(), weight, bias)


_CONVOLUTION_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED_ARGUMENTS = (
    "input",
    "weight",
    "bias",
    "stride",
    "padding",
    "output_padding",
    "groups",
    "dilation",
)


def _convolution(dims: int, transposed: bool) -> Callable[[Call], Any]:
    """The composite's rule; with weights that depend on the input, a product of two signals, half to each."""
    names = _TRANSPOSED_ARGUMENTS if transposed else _CONVOLUTION_ARGUMENTS

    def handler(call: Call) -> Any:
        given = {n: call.argument(i, n) for i, n in enumerate(names)}
        x, weight, bias = given["input"], given["weight"], given["bias"]
        if call.is_active(weight) or call.is_active(bias) or not call.is_active(x):
            return _dynamic(call, x, weight)
        stride, dilation = _each(given["stride"], dims, 1), _each(given["dilation"], dims, 1)
        padding, extra = _padding(given["padding"], weight, dilation, dims)
        linear_map = Convolution(
            dims=dims,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=1 if given["groups"] is None else given["groups"],
            transposed=transposed,
            output_padding=_each(given.get("output_padding"), dims, 0) if transposed else (),
            extra=extra,
        )
        if bias is not None:
            bias = bias.reshape(-1, *(1,) * dims)
        return as_layer(call, x, linear_map, weight, bias)

    return handler


def _aten_convolution(call: Call) -> Any:
    """The composite's rule; with weights that depend on the input, a product of two signals, half to each."""
    x, weight, bias, stride, padding, dilation, transposed, output_padding, groups = call.args[:9]
    if call.is_active(weight) or call.is_active(bias) or not call.is_active(x):
        return _dynamic(call, x, weight)
    dims = weight.ndim - 2
    linear_map = Convolution(
        dims,
        _each(stride, dims, 1),
        _each(padding, dims, 0),
        _each(dilation, dims, 1),
        groups,
        transposed,
        _each(output_padding, dims, 0),
    )
    return as_layer(call, x, linear_map, weight, None if bias is None else bias.reshape(-1, *(1,) * dims))


def _each(value: Any, dims: int, default: int) -> tuple[int, ...]:
    if value is None:
        return (default,) * dims
    if isinstance(value, int):
        return (value,) * dims
    return tuple(value) * (dims if len(value) == 1 else 1)


def _padding(
    padding: Any, weight: Tensor, dilation: tuple[int, ...], dims: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Symmetric padding, and what ``"same"`` adds on the far side for even kernels."""
    if padding == "valid":
        return (0,) * dims, ()
    if padding != "same":
        return _each(padding, dims, 0), ()
    total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    extra = tuple(side for t in reversed(total) for side in (0, t % 2))
    return tuple(t // 2 for t in total), extra if any(extra) else ()


def contraction(call: Call, a: Tensor, b: Tensor, product: Callable[[Tensor, Tensor], Tensor]) -> Any:
    """``product(a, b)``, linear in both: a layer where one is constant, a product of signals where none is."""
    if a.layout != torch.strided or b.layout != torch.strided:
        return call.run()
    active, constant = (a, b) if call.is_active(a) else (b, a)
    if not call.is_active(constant) and tags.tag_of(active).gate and bool(((constant == 0) | (constant == 1)).all()):
        call.gate = True  # only sent to other places
        return call.run()
    if not call.is_active(b):
        if call.name in ("matmul", "mm") and b.ndim == 2:
            return as_layer(call, a, Dense(), call.lrp.values_of(b).mT, None)
        return as_layer(call, a, Contraction(product), b, None)
    if not call.is_active(a):
        return as_layer(call, b, Contraction(lambda x, w: product(w, x)), a, None)
    return multiply(call, a, b)


def _two_factors(first: str, second: str) -> Callable[[Call], Any]:
    """With one factor constant, the composite's rule for dense layers; else as a product."""

    def handler(call: Call) -> Any:
        a, b = call.argument(0, first), call.argument(1, second)
        return contraction(call, a, b, lambda x, w: call.func(x, w, *call.args[2:], **_rest(call, first, second)))

    return handler


def _rest(call: Call, *names: str) -> dict[str, Any]:
    return {k: v for k, v in call.kwargs.items() if k not in names}


def _einsum(call: Call) -> Any:
    """With one factor constant, the composite's rule for dense layers; else as a product."""
    equation, operands = call.args[0], call.args[1:]
    if not isinstance(equation, str):
        return _many_factors(call)
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    if len(operands) == 2:
        return contraction(call, *operands, product=lambda a, b: torch.einsum(equation, a, b))
    return _many_factors(call)


def _many_factors(call: Call) -> Any:
    n = len(call.active)
    call.treatment = "gradient" if n == 1 else f"1/{n} to each factor"
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    if n > 1:
        call.replace(lambda t: with_slope(t, lambda c: c / n))
    return call.run()


def _bilinear(call: Call) -> Any:
    """With one factor constant, the composite's rule for dense layers; else as a product."""
    a, b, weight, bias = (call.argument(i, n) for i, n in enumerate(("input1", "input2", "weight", "bias")))
    if call.is_active(a) and call.is_active(b):
        call.remainder = "bias"
        return multiply(call, a, b)
    x, other, equation = (a, b, "kij,...j->...ki") if call.is_active(a) else (b, a, "kij,...i->...kj")
    effective = torch.einsum(equation, call.lrp.values_of(weight), call.lrp.values_of(other))
    if call.lrp.credits is not None:
        call.lrp.credits.made(call.lrp, torch.einsum, call.name, (equation, weight, other), {}, effective)
    return as_layer(call, x, Contraction(lambda x, w: torch.einsum("...ki,...i->...k", w, x)), effective, bias)


def affine_channels(
    call: Call, x: Tensor, scale: Tensor, shift: Tensor, learned: tuple[Tensor | None, Tensor | None] = (None, None)
) -> Any:
    """``scale * x + shift`` per channel (dimension 1), with the parameters of both."""
    column = (-1, *(1,) * (x.ndim - 2))
    layer = layer_of(x)
    if layer is not None and isinstance(layer.map, Dense | Convolution) and layer.map.output_channel(x) == 1:
        if held(layer):
            raise InputError(
                f"A subspace is asked for in front of the normalisation {call.lrp.modules.name!r}, which is one layer "
                "with the linear layer before it; ask for a subspace of its own output."
            )
        merged = layer.behind_affine(scale.to(layer.dtype), shift.to(layer.dtype), column, learned[1])
        call.layer, call.stage, call.treatment = merged, tags.DEEP, f"merged into {layer.op}"
        return merged.emit(call.evaluated())
    if call.lrp.carries_relevance(x):
        return passed_on(call, x)
    kind = "convolution" if x.ndim > 2 else "linear"
    weight, bias = (None if p is None else p.reshape(column) for p in learned)
    return as_layer(call, x, Diagonal(kind), scale.reshape(column), shift.reshape(column), (weight, bias))


HANDLERS: dict[str, Callable[[Call], Any]] = {
    "linear": _linear,
    "bilinear": _bilinear,
    "convolution": _aten_convolution,
    "einsum": _einsum,
    **{f"conv{d}d": _convolution(d, transposed=False) for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": _convolution(d, transposed=True) for d in (1, 2, 3)},
    **dict.fromkeys(
        (
            "matmul",
            "dot",
            "inner",
            "vdot",
            "tensordot",
            "outer",
            "kron",
            "cross",
            "linalg_cross",
            "linalg_vecdot",
        ),
        _two_factors("input", "other"),
    ),
    **dict.fromkeys(("mm", "bmm"), _two_factors("input", "mat2")),
    "mv": _two_factors("input", "vec"),
}
