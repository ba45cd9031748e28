"""Methods that need nothing but one gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..inputs import Inputs, buffers_restored
from ..targets import Start, Target, explained_output, start
from .part import Part, gradients_to


def gradients(model: Callable[..., Any], inputs: Inputs, target: Target) -> tuple[dict[str, Tensor], Start, Tensor]:
    """The gradient of the score to every floating input, the start, and the output."""
    leaves = inputs.leaves()
    if not leaves:
        raise no_floats()
    with buffers_restored(model):
        output = inputs.replaced({k: v.clone() for k, v in leaves.items()}).call(model)
    begin = start(output, target, inputs.batch_size)
    found = gradients_to(begin.objective, list(leaves.values()), {})
    by_name = dict(zip(leaves, found, strict=True))
    everything = {}
    for name, value in inputs.tensors():
        g = by_name.get(name)
        everything[name] = zeros(value, begin.score) if g is None else g
    explained = begin.score if callable(target) else explained_output(output)
    return everything, begin, explained.detach()


def floats(inputs: Inputs) -> dict[str, Tensor]:
    """The inputs that a method of gradients can explain.

    Raises
    ------
    InputError
        When there are none.
    """
    found = {k: v.detach() for k, v in inputs.tensors() if v.is_floating_point()}
    if not found:
        raise no_floats()
    return found


def no_floats() -> InputError:
    return InputError(
        "The inputs are integer; this method follows gradients and needs floating point inputs. "
        'method="lrp" handles tokens, and so does "deeplift".'
    )


def zeros(like: Tensor, score: Tensor) -> Tensor:
    """The relevance of an input that gets none."""
    return torch.zeros(like.shape, dtype=score.dtype, device=like.device)


def gradient(model: Callable[..., Any], inputs: Inputs, target: Target) -> Part:
    r"""Sensitivity, the signed gradient :math:`R_i = ∂f / ∂x_i`. Simonyan et al. 2013."""
    found, begin, output = gradients(model, inputs, target)
    return Part(found, output, begin.target, begin.score, multipliers=_of_floats(found, inputs))


def input_x_gradient(model: Callable[..., Any], inputs: Inputs, target: Target) -> Part:
    r"""Input times gradient, :math:`R_i = x_i \, ∂f / ∂x_i`. Shrikumar et al. 2016."""
    found, begin, output = gradients(model, inputs, target)
    relevance = {k: found[k] * v.detach() for k, v in inputs.tensors()}
    return Part(relevance, output, begin.target, begin.score, multipliers=_of_floats(found, inputs))


def _of_floats(found: dict[str, Tensor], inputs: Inputs) -> dict[str, Tensor]:
    return {k: found[k] for k in floats(inputs)}
