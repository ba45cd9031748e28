"""Methods that need nothing but gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, RuleError
from ..inputs import Inputs, buffers_restored
from ..targets import Start, Target, explained_output, start
from .part import Part, gradients_to


def gradients(model: Callable[..., Any], inputs: Inputs, target: Target) -> tuple[dict[str, Tensor], Start, Tensor]:
    """The gradient of the score to every floating input, the start, and the output."""
    leaves = inputs.leaves()
    if not leaves:
        raise InputError('The inputs are integer; gradients need floating point inputs. method="lrp" handles tokens.')
    with buffers_restored(model):
        output = inputs.replaced({k: v.clone() for k, v in leaves.items()}).call(model)
    begin = start(output, target, inputs.batch_size)
    found = gradients_to(begin.objective, list(leaves.values()), {})
    by_name = dict(zip(leaves, found, strict=True))
    everything = {}
    for name, value in inputs.tensors():
        g = by_name.get(name)
        everything[name] = torch.zeros(value.shape, dtype=begin.score.dtype, device=value.device) if g is None else g
    explained = begin.score if callable(target) else explained_output(output)
    return everything, begin, explained.detach()


def _part(relevance: dict[str, Tensor], begin: Start, output: Tensor) -> Part:
    return Part(relevance, output, begin.target, begin.score)


def gradient(model: Callable[..., Any], inputs: Inputs, target: Target) -> Part:
    """Sensitivity: the signed gradient. Simonyan et al. 2013."""
    return _part(*gradients(model, inputs, target))


def input_x_gradient(model: Callable[..., Any], inputs: Inputs, target: Target) -> Part:
    """Input times gradient. Shrikumar et al. 2016."""
    found, begin, output = gradients(model, inputs, target)
    return _part({k: found[k] * v.detach() for k, v in inputs.tensors()}, begin, output)


def smoothgrad(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    samples: int = 25,
    noise: float = 0.1,
    seed: int = 0,
) -> Part:
    """The mean gradient over noisy copies of the input. Smilkov et al. 2017.

    Parameters
    ----------
    samples : int
        Number of noisy copies.
    noise : float
        Standard deviation as a fraction of each sample's range of values.
    seed : int
        Of the noise; equal seeds give equal results for equal batches.
    """
    if samples < 1 or noise < 0:
        raise RuleError(f"smoothgrad(samples={samples}, noise={noise}): expected samples >= 1 and noise >= 0.")
    _, clean, output = gradients(model, inputs, target)
    total: dict[str, Tensor] = {}
    generator = torch.Generator().manual_seed(seed)
    for _ in range(samples):
        found, _, _ = gradients(model, _noisy(inputs, noise, generator), clean.fixed)
        total = {k: g / samples + total.get(k, 0) for k, g in found.items()}
    return _part(total, clean, output)


def _noisy(inputs: Inputs, noise: float, generator: torch.Generator) -> Inputs:
    noisy = {}
    for name, value in inputs.tensors():
        if value.is_floating_point():
            # the same noise for every sample, so that the batch a sample is in does not matter
            shape = (1, *value.shape[1:])
            flat = value.detach().flatten(1) if value.ndim > 1 else value.detach()[:, None]
            spread = (flat.amax(1) - flat.amin(1)).reshape(-1, *(1,) * (value.ndim - 1))
            normal = torch.randn(shape, generator=generator, dtype=value.dtype).to(value.device)
            noisy[name] = value.detach() + noise * spread * normal
    return inputs.replaced(noisy)
