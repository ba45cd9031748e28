"""Elementwise nonlinearities: the secant through f(0), and functions expanded at their input."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...blocks import blocks
from ...rules import Pass, stabilize
from ...splitting import like
from .. import gates, names, tags
from ..call import Call, swapped, tensors_in
from ..layer import layer_of
from ..waypoints import held


def secant(call: Call) -> Any:
    """Slope ``(f(z) − f(0)) / z``; at ``z = 0`` its limit, the derivative. ``f(0)`` counts as bias."""
    lrp = call.lrp
    if len(call.active) != 1:
        call.treatment, call.remainder = "no rule", "unruled"
        lrp.note_unknown(call.name)
        call.replace(lrp.entering, only=lrp.carries_relevance)
        return call.run()
    call.replace(lrp.entering, only=lrp.carries_relevance)
    (z,) = call.active
    call.treatment, call.remainder = "secant", "bias"
    call.squash = call.name == "sigmoid"
    tag = tags.tag_of(z)

    f, values = _alone(call, z), lrp.values_of(z)
    with nullcontext() if lrp.twins is not None else torch.no_grad():
        y = f(values)
    with torch.no_grad():
        call.gate, call.hint = gates.activated(tag, call.name, f, values)
    rule = lrp.composite.rule_for_module(lrp.modules.path)
    if isinstance(rule, Pass):
        call.treatment = str(rule)
        slope = y / stabilize(values, rule.stabilizer)
    elif all(t is z for t in tensors_in((call.args, call.kwargs))) and not isinstance(call.hint, gates.Powers):
        kept = lrp.keeper.keep(z)  # which the layer before keeps too; the slope would be one more
        return lrp.local(z, y, lambda c: _times_secant(c, f, kept.get(), _at_zero(call, z, f)))
    else:
        slope = _secant_slope(f, values, y, _at_zero(call, z, f))
    if isinstance(powers := call.hint, gates.Powers):
        derivative = y if call.name == "exp" else y * math.log(2)
        return lrp.local(z, y, lambda c: c * (derivative if powers.normalized else slope))
    return lrp.local(z, y, lambda c: c * slope)


def _alone(call: Call, z: Tensor) -> Callable[[Tensor], Tensor]:
    """The call as a function of ``z`` alone."""
    given, twins = (call.args, call.kwargs), call.lrp.twins
    if twins is not None:
        given = twins.arguments(given, {id(z): z})

    def f(values: Tensor) -> Tensor:
        args, kwargs = swapped(given, {id(z): values})
        result: Tensor = call.func(*args, **kwargs)
        return result

    return f


class AtZero(NamedTuple):
    """An activation at 0: its value and derivative, and whether the value is 0."""

    value: Tensor
    slope: Tensor
    vanishes: bool


def _at_zero(call: Call, z: Tensor, f: Callable[[Tensor], Tensor]) -> AtZero:
    """Found once for each activation of a model."""
    key, given = None, (*call.args, *call.kwargs.values())
    if all(value is z or not isinstance(value, Tensor) for value in given):
        options = tuple(... if value is z else repr(value) for value in given)
        key = (call.func, tuple(call.kwargs), options, z.dtype, z.device)
        if (known := call.lrp.at_zero.get(key)) is not None:
            return known
    with torch.enable_grad():
        origin = z.new_zeros(z.shape if key is None else (), requires_grad=True)
        value = f(origin)
        (slope,) = torch.autograd.grad(value.sum(), origin, allow_unused=True)
    if slope is None or not bool(torch.isfinite(slope).all()):
        slope = torch.zeros_like(value)
    found = AtZero(value.detach(), slope.to(z.dtype), bool((value == 0).all()))
    if key is not None:
        call.lrp.at_zero[key] = found
    return found


def _times_secant(c: Tensor, f: Callable[[Tensor], Tensor], z: Tensor, at_zero: AtZero) -> Tensor:
    """``c`` times the slope, in pieces that stay in the cache."""
    if c.requires_grad or z.requires_grad:  # to be differentiated
        return c * _secant_slope(f, z, f(z), at_zero)
    result = torch.empty_like(z)
    for c_, z_, out in blocks(like(c, z), z, result):
        torch.mul(c_, _secant_slope(f, z_, f(z_), at_zero), out=out)
    return result


def _secant_slope(f: Callable[[Tensor], Tensor], z: Tensor, y: Tensor, at_zero: AtZero) -> Tensor:
    if z.requires_grad:
        return _differentiable_slope(f, z, y, at_zero)
    if at_zero.vanishes:
        return torch.where(z == 0, at_zero.slope, y / z)
    # f(z) − f(0) loses its digits near 0: there the derivative at z / 2 is exact to O(z²)
    small = z.abs() < torch.finfo(z.dtype).eps ** (1 / 3)
    slope = (y - at_zero.value) / z
    if bool(small.any()):
        with torch.enable_grad():
            middle = (z / 2).requires_grad_()
            (derivative,) = torch.autograd.grad(f(middle).sum(), middle)
        slope = torch.where(small, derivative, slope)
    return slope


def _differentiable_slope(f: Callable[[Tensor], Tensor], z: Tensor, y: Tensor, at_zero: AtZero) -> Tensor:
    """The slope as a function of ``z`` and of what else ``f`` depends on; near 0 with the derivative of f′(z / 2)."""
    origin = torch.zeros_like(z, requires_grad=True)
    start = f(origin)
    (steepness,) = torch.autograd.grad(start.sum(), origin, create_graph=True, allow_unused=True)
    smooth = steepness is None or bool(torch.isfinite(steepness).all())
    near = z.abs() < torch.finfo(z.dtype).eps ** (1 / 3) if smooth else z == 0
    slope = (y - start) / torch.where(near, 1, z)
    if not bool(near.any()):
        return slope
    with torch.no_grad():
        there = _secant_slope(f, z.detach(), y.detach(), at_zero)
    if smooth:
        (derivative,) = torch.autograd.grad(f(middle := z / 2).sum(), middle, create_graph=True)
        there = there + (derivative - derivative.detach())
    return torch.where(near, there, slope)


def _relu(call: Call) -> Any:
    """The gradient; right behind a linear layer, one node with it, so that only one tensor is kept."""
    layer = layer_of(call.active[0])
    if layer is None or held(layer):
        tag = tags.tag_of(call.active[0])
        call.gate, call.hint = tag.gate, gates.Shifted(positive=True) if isinstance(tag.hint, gates.Shifted) else None
        call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
        return call.run()
    call.layer = layer.rectify()
    call.stage = tags.tag_of(call.active[0]).stage
    return call.layer.emit(call.evaluated())


def _taylor(call: Call) -> Any:
    call.treatment, call.remainder = "first-order expansion", "bias"
    hint = tags.tag_of(call.active[0]).hint
    call.gate = call.name in names.SOFTMAX and (
        call.lrp.composite.attention == "constant" or isinstance(hint, gates.Chosen)
    )
    if isinstance(hint, gates.Powers):  # the logarithm of summed exponentials
        hint.normalized = True
    call.squash = call.name in ("softmax", "log_softmax")
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    return call.run()


def _dropout(call: Call) -> Any:
    call.treatment = "moves"
    training = call.argument(2, "training", call.argument(2, "train", False))
    if training and call.argument(1, "p", 0.5):
        call.lrp.note_training(call.name)
    tag = tags.tag_of(call.active[0])
    call.stage, call.gate, call.hint = tag.stage, tag.gate, tag.hint
    return call.lrp.alias(call.argument(0, "input"))


def _rrelu(call: Call) -> Any:
    """Its slope in evaluation mode."""
    lower, upper = call.argument(1, "lower", 1 / 8), call.argument(2, "upper", 1 / 3)
    if call.argument(3, "training", False):
        call.lrp.note_training(call.name)
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    call.func, call.args, call.kwargs = torch.nn.functional.leaky_relu, (call.active[0], (lower + upper) / 2), {}
    return call.run()


def _glu(x: Tensor, dim: int = -1) -> Tensor:
    signal, gate = x.chunk(2, dim)
    return signal * torch.sigmoid(gate)


HANDLERS: dict[str, Callable[[Call], Any]] = {
    **dict.fromkeys(names.ACTIVATIONS, secant),
    **dict.fromkeys(names.TAYLOR, _taylor),
    **dict.fromkeys(names.DROPOUT, _dropout),
    "relu": _relu,
    "rrelu": _rrelu,
}

WRITTEN_OUT: dict[str, Callable[..., Any]] = {"glu": _glu}
