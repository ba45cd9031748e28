"""Class activation maps weighted by gradients: Grad-CAM and Grad-CAM++."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError, ModelError, RuleError
from ..inputs import Inputs, buffers_restored
from ..targets import Target, explained_output, start
from .gradient import zeros
from .part import Part
from .spatial import Maps, Reshape

_UPSAMPLING = {1: "linear", 2: "bilinear", 3: "trilinear"}


def gradcam(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    layer: str | None = None,
    reshape: Reshape | None = None,
) -> Part:
    r"""Grad-CAM, :math:`\max(0, \sum_k α_k A_k)` with :math:`α_k` the mean of :math:`∂f/∂A_k` over the map.

    Selvaraju et al. 2017, *Grad-CAM: visual explanations from deep networks via gradient-based localization*,
    eq. 1–2.

    Parameters
    ----------
    layer : str, optional
        Name of the module whose output is A. Default: the last one that puts out a map (N, C, \*spatial) of which more
        than one position matters for the score.
    reshape : callable, optional
        From a module's output to a map, for transformers: ``lambda t: t[:, 1:].unflatten(1, (14, 14)).movedim(-1, 1)``.

    Notes
    -----
    The map is the only entry of the result's ``layers``, under the name of its module, shape (N, \*spatial). The
    relevance is the map upsampled (linearly) to the size of the input, each position's value shared equally by the
    input's channels, so that the sum over channels is the upsampled map. Of several inputs, the one with as many
    spatial dimensions as the map gets it. The map is not a decomposition of the score; its sum has no meaning.
    """
    return _cam(_mean, model, inputs, target, layer, reshape)


def gradcam_plus_plus(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    layer: str | None = None,
    reshape: Reshape | None = None,
) -> Part:
    r"""Grad-CAM++, :math:`\max(0, \sum_k w_k A_k)`, whose weights count every place where a map speaks for the class.

    :math:`w_k = \sum_{p} \frac{g_{kp}^2}{2 g_{kp}^2 + \sum_q A_{kq} \, g_{kp}^3} \max(0, g_{kp})` with
    :math:`g = ∂f/∂A`; Chattopadhay et al. 2018, *Grad-CAM++: generalized gradient-based visual explanations for deep
    convolutional networks*, eq. 10 and 19. The paper's factor exp(score), which scales the map of a sample as a whole,
    is left out.

    Parameters
    ----------
    layer, reshape
        As for ``gradcam``, and so is the result.
    """
    return _cam(_plus_plus, model, inputs, target, layer, reshape)


def _mean(activation: Tensor, gradient: Tensor) -> Tensor:
    """The weight of each channel, (N, C), from A and its gradient, (N, C, positions)."""
    return gradient.mean(2)


def _plus_plus(activation: Tensor, gradient: Tensor) -> Tensor:
    denominator = 2 * gradient.square() + activation.sum(2, keepdim=True) * gradient**3
    alpha = gradient.square() / torch.where(denominator == 0, torch.ones_like(denominator), denominator)
    return (alpha * gradient.clamp(min=0)).sum(2)


def _cam(
    weigh: Callable[[Tensor, Tensor], Tensor],
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    layer: str | None,
    reshape: Reshape | None,
) -> Part:
    leaves = inputs.leaves()
    copies = inputs.cloned().replaced({k: v.clone() for k, v in leaves.items()})
    maps = Maps(inputs.batch_size, layer, any_layout=reshape is not None)
    with buffers_restored(model):
        output = maps.run(lambda: copies.call(model), tokens=not leaves)
    begin = start(output, target, inputs.batch_size)
    explained = begin.score if callable(target) else explained_output(output).detach()
    name, activation, gradient = _last_map(maps, output, begin.objective, reshape)
    weights = weigh(activation.flatten(2), gradient.flatten(2))
    cam = torch.einsum("nc,nc...->n...", weights, activation).clamp(min=0)
    place = _place(inputs, cam)
    relevance = {k: _upsampled(cam, v) if k == place else zeros(v, begin.score) for k, v in inputs.tensors()}
    return Part(relevance, explained, begin.target, begin.score, layers={name: (cam,)})


def _last_map(maps: Maps, output: Any, objective: Tensor, reshape: Reshape | None) -> tuple[str, Tensor, Tensor]:
    """Name, values and gradient of the last map of which more than one position matters."""
    if maps.layer is not None and maps.layer not in maps.names:
        raise InputError(
            f"layer={maps.layer!r}: no module of that name ran; there are {', '.join(filter(None, maps.names))}."
        )
    for name, tensor in reversed(maps.found):
        if (tensor is output and maps.layer is None) or not objective.requires_grad:
            continue
        (gradient,) = torch.autograd.grad(objective, tensor, retain_graph=True, allow_unused=True)
        if gradient is None:
            continue
        activation = tensor.detach()
        if reshape is not None:
            activation, gradient = _reshaped(reshape, name, activation), _reshaped(reshape, name, gradient)
        if activation.ndim < 3:
            continue
        if maps.layer is not None or int((gradient != 0).any(1).flatten(1).any(0).sum()) > 1:
            return name, activation, gradient
    if maps.layer is not None:
        raise InputError(
            f"layer={maps.layer!r}: its output is no map (N, C, *spatial) that the score depends on; pass reshape= "
            "where it holds tokens."
        )
    raise ModelError(
        "Grad-CAM found no module with an output (N, C, *spatial) over more than one position that the score depends "
        "on. Name one with layer=, and for tokens (N, T, C) pass reshape=."
    )


def _reshaped(reshape: Reshape, name: str, tensor: Tensor) -> Tensor:
    try:
        found = reshape(tensor)
    except (RuntimeError, IndexError, ValueError):
        found = None  # the output of another kind of layer
    if found is None:
        return tensor.new_empty(0)
    if not isinstance(found, Tensor) or found.ndim < 3 or found.shape[0] != tensor.shape[0]:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise RuleError(
            f"reshape made {shape} of the output {tuple(tensor.shape)} of {name!r}; expected a map (N, C, *spatial)."
        )
    return found


def _place(inputs: Inputs, cam: Tensor) -> str:
    """The input that the map belongs to: floats before integers, and room for the map's dimensions."""
    dims = cam.ndim - 1
    fits = [(k, v) for k, v in inputs.tensors() if inputs.is_batched(k) and v.ndim > dims and v.dtype != torch.bool]
    fits = [(k, v) for k, v in fits if v.is_floating_point()] or fits
    if dims not in _UPSAMPLING or len(fits) != 1:
        shapes = ", ".join(f"{k} {tuple(v.shape)}" for k, v in inputs.tensors())
        raise InputError(
            f"The map has the shape {tuple(cam.shape)}; expected 1 to 3 spatial dimensions and one input that has as "
            f"many, not {shapes}. Name another layer, or wrap the model in a function of one input."
        )
    return fits[0][0]


def _upsampled(cam: Tensor, like: Tensor) -> Tensor:
    dims = cam.ndim - 1
    size, channels = like.shape[-dims:], like.shape[1:-dims]
    large = F.interpolate(cam[:, None], size=size, mode=_UPSAMPLING[dims], align_corners=False)[:, 0]
    shared = large / prod(channels)
    return shared.view(len(cam), *(1,) * len(channels), *size).expand(like.shape).clone()
