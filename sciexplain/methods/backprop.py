"""The gradient with another backward pass through rectifiers: guided backpropagation and the deconvnet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..engine.base import OnUnknown
from ..engine.rectifiers import Backward, Rectifiers
from ..inputs import Inputs
from ..targets import Target
from .gradient import gradients
from .part import Part


def guided_backprop(
    model: Callable[..., Any], inputs: Inputs, target: Target, *, on_unknown: OnUnknown = "warn"
) -> Part:
    r"""The gradient that negative signals do not pass: at a rectifier :math:`g \mapsto f'(z) \max(g, 0)`.

    Springenberg et al. 2015, *Striving for simplicity: the all convolutional net*, fig. 1. Rectifiers are ReLU in all
    its forms, ReLU6, and leaky, parametric and randomised ReLU with their own slope below 0; for smooth ones (GELU,
    SiLU, …) the gradient is used, and the result's ``unknown`` names them.
    """

    def backward(z: Tensor, slope: Callable[[], Tensor]) -> Callable[[Tensor], Tensor]:
        factor = slope()
        return lambda g: g.clamp(min=0) * factor

    return _rectified("guided_backprop", backward, model, inputs, target, on_unknown)


def deconvnet(model: Callable[..., Any], inputs: Inputs, target: Target, *, on_unknown: OnUnknown = "warn") -> Part:
    r"""The network run backwards, with rectifiers in the way of the signal: :math:`g \mapsto \max(g, 0)`, whatever z.

    Zeiler and Fergus 2014, sec. 2.1. Rectifiers as for ``guided_backprop``.
    """

    def backward(z: Tensor, slope: Callable[[], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda g: g.clamp(min=0)

    return _rectified("deconvnet", backward, model, inputs, target, on_unknown)


def _rectified(
    method: str,
    backward: Backward,
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    on_unknown: OnUnknown,
) -> Part:
    mode = Rectifiers(method, backward, on_unknown)

    def seen(*args: Any, **kwargs: Any) -> Any:
        with mode:
            return model(*args, **kwargs)

    found, begin, output = gradients(seen, inputs, target)
    return Part(found, output, begin.target, begin.score, unknown=tuple(mode.unknown))
