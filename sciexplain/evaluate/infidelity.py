"""Whether an explanation foretells what a change of the input does to the score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..errors import InputError
from ..explanation import Explanation
from ..methods.randomness import generators
from ..targets import Target
from .fillers import filler_of
from .parts import part_map, relevance_like
from .scoring import Output, Scorer
from .tensor_removal import Fill, checked, target_of

Perturbation = Literal["square", "subset", "gaussian"]
Kind = Literal["multipliers", "relevance"]


def infidelity(
    model: Callable[..., Any],
    inputs: Tensor,
    explanation: Any,
    target: Target = None,
    *,
    kind: Kind | None = None,
    perturbation: Perturbation = "square",
    size: float = 0.25,
    noise: float = 0.2,
    filler: Fill = "zero",
    draws: int = 100,
    scaled: bool = False,
    output: Output = "score",
    batch_size: int = 128,
    seed: int = 0,
) -> Tensor:
    r"""Expected squared error of what an explanation foretells, (N,) float64; small is good.

    :math:`E_I\,[(I^\top Φ - (f(x) - f(x - I)))^2]` over random changes I.

    Parameters
    ----------
    explanation
        Explanation, or tensor or array: Φ.
    kind
        ``"multipliers"``: Φ is what one more unit of an input gets, such as a gradient. ``"relevance"``: the whole
        worth of an input against the filler, so that :math:`I^\top Φ` is the sum over what is removed; not for
        ``"gaussian"``. None: the multipliers of an Explanation that has them and its relevance otherwise; tensors are
        multipliers.
    perturbation
        ``"square"``: a window at a random place is replaced by the filler, all channels together. ``"subset"``: random
        positions are. ``"gaussian"``: noise everywhere.
    size
        Side of the window as a fraction of each side, or the fraction of positions.
    noise
        Standard deviation of the noise as a fraction of each sample's range.
    filler
        As for :func:`~sciexplain.evaluate.pixel_flipping`, but not one that depends on what is left.
    draws
        Changes of each sample.
    scaled
        First multiply Φ of each sample by the number that makes the error least, so that only its direction counts.
    model, inputs, target, output, batch_size, seed
        As for :func:`~sciexplain.evaluate.pixel_flipping`.

    Raises
    ------
    InputError, TargetError, ModelError

    References
    ----------
    Yeh et al. 2019, *On the (in)fidelity and sensitivity of explanations*, NeurIPS, definition 2.1 and their square
    removal.
    """
    if perturbation not in get_args(Perturbation) or kind not in (None, *get_args(Kind)):
        raise InputError(
            f"perturbation={perturbation!r}, kind={kind!r}: expected perturbation "
            f"{', '.join(map(repr, get_args(Perturbation)))} and kind {', '.join(map(repr, get_args(Kind)))} or None."
        )
    if not 0 < size <= 1 or not noise > 0 or not hasattr(draws, "__index__") or draws < 1:
        raise InputError(
            f"size={size}, noise={noise}, draws={draws}: expected 0 < size <= 1, noise > 0, and a whole number >= 1."
        )
    x = checked(inputs)
    if not x.is_floating_point():
        raise InputError(f"inputs is a tensor of {x.dtype}; infidelity changes values by amounts and needs floats.")
    phi, kind = _phi(explanation, kind, x)
    if kind == "relevance" and perturbation == "gaussian":
        raise InputError('Relevance says nothing of small changes; give multipliers, or perturbation="square".')
    scorer = Scorer(model, x, target_of(explanation, target), output=output, batch_size=batch_size)
    fill = None if perturbation == "gaussian" else filler_of(filler).fit(x, seed)
    if fill is not None and not isinstance(fill, Tensor):
        raise InputError(f"filler={filler!r} depends on what is left; infidelity needs values that do not.")
    random = generators(seed, len(x))
    found = []
    for i in range(len(x)):
        if fill is None:
            spread = noise * (x[i].max() - x[i].min())
            drawn = torch.randn(draws, *x.shape[1:], generator=random(i), dtype=torch.float64)
            changes = drawn.to(x) * spread
            told = (changes.double() * phi[i]).flatten(1).sum(1)
        else:
            windows = _windows(x, draws, size, random(i), square=perturbation == "square")
            changes = torch.where(windows, x[i] - fill[i], torch.zeros_like(x[i]))
            told = (phi[i] * (windows if kind == "relevance" else changes.double())).flatten(1).sum(1)
        of = torch.full((draws,), i, device=x.device)
        lost = scorer.given[i] - scorer(x[i] - changes, of)
        found.append(_mean_square(told.cpu(), lost, scaled))
    return torch.stack(found)


def _mean_square(told: Tensor, lost: Tensor, scaled: bool) -> Tensor:
    if scaled:
        square = told.square().sum()
        told = told * torch.where(square > 0, (told * lost).sum() / square, 0)
    return (told - lost).square().mean()


def _phi(explanation: Any, kind: Kind | None, x: Tensor) -> tuple[Tensor, Kind]:
    values = explanation
    if isinstance(explanation, Explanation):
        kind = kind or ("relevance" if explanation.multipliers is None else "multipliers")
        values = explanation.relevance if kind == "relevance" else explanation.multipliers
        if values is None:
            raise InputError(f'The explanation by {explanation.method!r} has no multipliers; use kind="relevance".')
    phi = relevance_like(values, x).double()
    if phi.shape != x.shape and (kind or "multipliers") == "multipliers":
        raise InputError(f"Multipliers have shape {tuple(phi.shape)}; expected that of the inputs, {tuple(x.shape)}.")
    if phi.shape != x.shape:  # the worth of a position is shared by its channels
        phi = phi.expand_as(x) / x.shape[1]
    return phi, kind or "multipliers"


def _windows(x: Tensor, draws: int, size: float, generator: torch.Generator, *, square: bool) -> Tensor:
    """Where one sample is changed, (draws, 1 or features, \\*spatial)."""
    shape = part_map(x, None).numbers.shape[1:]
    spatial = shape[1:] or shape
    if not square or len(shape) == 1:
        places = torch.rand(draws, *shape, generator=generator).flatten(1)
        count = max(1, round(size * places.shape[1]))
        chosen = places.argsort(1)[:, :count]
        windows = torch.zeros_like(places, dtype=torch.bool).scatter_(1, chosen, True).view(draws, *shape)
    else:
        windows = torch.ones(draws, *spatial, dtype=torch.bool)
        for axis, length in enumerate(spatial):
            side = max(1, round(size * length))
            begin = torch.randint(length - side + 1, (draws, 1), generator=generator)
            along = torch.arange(length)
            inside = (along >= begin) & (along < begin + side)
            windows &= inside.view(draws, *(1,) * axis, length, *(1,) * (len(spatial) - axis - 1))
        windows = windows[:, None]
    return windows.to(x.device)
