"""What the score loses when a part of the input is hidden."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError, RuleError
from ..inputs import Inputs
from ..targets import Target
from .gradient import zeros
from .options import PerInput, removable, values_like
from .part import Part
from .randomness import generators
from .variants import Variants
from .windows import Window, windows_over

Sampler = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""From one sample, a mask of the same shape that is true on the window, and a generator, to values for the window.

The generator is the CPU's, so that draws are the same on every device.
"""


def occlusion(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    window: int | tuple[int, ...] | None = None,
    stride: int | tuple[int, ...] | None = None,
    fill: PerInput | Sampler = 0.0,
    samples: int = 1,
    seed: int = 0,
    chunk: int | None = None,
) -> Part:
    r"""The prediction difference of each window, :math:`R_i = f(x) - f(x \text{ with } i\text{'s window hidden})`.

    Zeiler and Fergus 2014, sec. 4.2; with a conditional sampler as ``fill``, Zintgraf et al. 2017, *Visualizing deep
    neural network decisions: prediction difference analysis*, eq. 1–3, on scores. Where windows overlap, a value gets
    the mean of its windows' differences. Every value of a window has the whole difference, so that Σ R is no part of
    the score.

    Parameters
    ----------
    window, stride : int, tuple of int, or None
        Of the spatial dimensions, all channels together; with one number more, of the channels too. Window None: single
        features of a table (N, features), otherwise about 200 windows. Stride None: windows side by side.
    fill : float, Tensor, one for each input, or callable
        What stands in the window: a number (for tokens, the padding token), a tensor that broadcasts to the input, or
        ``fill(x, mask, generator)``, which draws values for the window of one sample ``x`` given what is outside.
    samples : int
        Draws of a callable fill, over which the score is averaged.
    seed : int
        Of the draws; the same for every sample of a batch and for every window.
    chunk : int, optional
        Rows in one forward pass.

    Notes
    -----
    Of several inputs, each is occluded in turn, integers too; truth values are masks and are left alone.
    """
    if samples < 1 or (samples > 1 and not callable(fill)):
        raise RuleError(f"occlusion(samples={samples}): expected 1, or more with a callable fill.")
    names = removable(inputs)
    windows = {k: windows_over(v, window, stride) for k, v in inputs.tensors() if k in names}
    fills = None if callable(fill) else values_like(fill, inputs, names, "fill")
    draws = generators(seed, samples)
    variants = Variants(model, inputs, target, chunk)
    score, n = variants.begin.score, inputs.batch_size
    if len(score) not in (1, n):
        raise ModelError(
            f"{n} rows of input give {len(score)} scores; occlusion needs one for each row, or one for all."
        )
    relevance = {}
    for name, value in inputs.tensors():
        if name not in names:
            relevance[name] = zeros(value, score)
            continue

        def occluded(block: range, name: str = name, value: Tensor = value) -> dict[str, Tensor]:
            copies = value.detach().expand(len(block), *value.shape).clone()
            for copy, i in zip(copies, block, strict=True):
                place = (slice(None), *windows[name][i // samples])
                copy[place] = (
                    fills[name][place] if fills is not None else _drawn(fill, value, place, draws(i % samples))
                )
            return {name: copies}

        scores = variants.scores(len(windows[name]) * samples, occluded)
        hidden = scores.view(-1, samples, len(score)).mean(1)
        relevance[name] = _spread(score - hidden, windows[name], value)
    return Part(relevance, variants.output, variants.begin.target, score)


def _drawn(fill: Any, value: Tensor, place: Window, generator: torch.Generator) -> Tensor:
    """The sampler's values for one window of every sample, each with the same random numbers."""
    mask = torch.zeros(value.shape[1:], dtype=torch.bool, device=value.device)
    mask[place[1:]] = True
    state, drawn = generator.get_state(), []
    for x in value.detach():
        generator.set_state(state)
        found = fill(x.clone(), mask, generator)
        try:
            drawn.append(torch.as_tensor(found).to(value).expand(value.shape[1:])[place[1:]])
        except (RuntimeError, TypeError, ValueError):
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise RuleError(
                f"fill(x, mask, generator) returned {shape}; expected values that broadcast to the sample's shape "
                f"{tuple(value.shape[1:])}."
            ) from None
    return torch.stack(drawn)


def _spread(differences: Tensor, windows: list[Window], like: Tensor) -> Tensor:
    """The mean difference (windows, N) of the windows that each value is in."""
    total = differences.new_zeros(like.shape)
    count = differences.new_zeros(like.shape[1:])
    for difference, window in zip(differences, windows, strict=True):
        total[(slice(None), *window)] += difference.view(-1, *(1,) * len(window))
        count[window] += 1
    return total / count
