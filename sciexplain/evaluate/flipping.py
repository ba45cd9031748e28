"""Taking parts away, or putting them in, in the order of their relevance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import torch
from torch import Tensor

from ..errors import InputError
from ..methods.randomness import generators
from .curves import Comparison, Flipping, Mode, Order
from .removal import Removal

Steps = int | Sequence[float] | Tensor | None

MASKS_AT_ONCE = 2**20
"""Truth values of one call to ``Removal.scores``."""


def flipping(
    removal: Removal,
    relevance: Sequence[Tensor] | Tensor,
    *,
    order: Order = "most",
    mode: Mode = "deletion",
    steps: Steps = 50,
    seed: int = 0,
) -> Flipping:
    """The score as parts are taken away (or put in) by their relevance.

    A step that changes nothing costs nothing: where no further part goes, or only parts that are already what fills
    them (``removal.inert``), the score is that of the step before.

    Parameters
    ----------
    removal
        The samples and their parts: atoms, bonds, nucleotides; :class:`~sciexplain.evaluate.TensorRemoval` for pixels.
    relevance
        Of each sample (parts,), or (N, parts).
    order
        ``"most"`` relevant first, ``"least"`` relevant first (the same order backwards), or ``"random"``. Parts of
        equal relevance come in a random order.
    mode
        ``"deletion"`` starts from the whole sample, ``"insertion"`` from one with nothing left.
    steps
        int: so many even steps. A sequence of fractions in 0..1; 0 is added. None: one part after the other, in as many
        steps as the largest sample has parts. Of P parts, round(fraction · P) go.
    seed
        Of ties and of the random order.

    Returns
    -------
    Flipping

    Raises
    ------
    InputError

    References
    ----------
    Bach et al. 2015, PLoS ONE 10(7), Pixel-flipping. Samek et al. 2017, IEEE TNNLS 28(11).
    """
    if order not in get_args(Order) or mode not in get_args(Mode):
        raise InputError(
            f"order={order!r}, mode={mode!r}: expected order {', '.join(map(repr, get_args(Order)))} and mode "
            f"{', '.join(map(repr, get_args(Mode)))}."
        )
    sizes = torch.tensor(removal.sizes, dtype=torch.long)
    if not len(sizes) or int(sizes.min()) < 1:
        raise InputError(
            f"There are {len(sizes)} samples, the smallest of {min(removal.sizes, default=0)} parts; expected some."
        )
    fractions = fractions_of(steps, int(sizes.max()))
    places = _places(relevance, sizes, order, seed)
    counts = (fractions * sizes[:, None] + (0.5 + 1e-9)).floor().long()  # (N, S); a half is one, also of 5/12 · 18
    return Flipping(fractions, _scores(removal, places, counts, mode), order, mode)


def compare(
    removal: Removal,
    relevance: Mapping[str, Sequence[Tensor] | Tensor],
    *,
    mode: Mode = "deletion",
    steps: Steps = 50,
    seed: int = 0,
) -> Comparison:
    """Curves of several explanations of the same samples, both ways, beside a random order.

    Parameters
    ----------
    removal, mode, steps, seed
        As for :func:`flipping`.
    relevance
        By name, each as for :func:`flipping`.
    """
    if not relevance:
        raise InputError("relevance is empty; expected explanations by name.")
    orders: tuple[Order, Order] = ("most", "least")
    most, least = (
        {k: flipping(removal, r, order=order, mode=mode, steps=steps, seed=seed) for k, r in relevance.items()}
        for order in orders
    )
    anything = [torch.zeros(size) for size in removal.sizes]
    return Comparison(most, least, flipping(removal, anything, order="random", mode=mode, steps=steps, seed=seed))


def fractions_of(steps: Steps, parts: int) -> Tensor:
    """The fractions (S,) from 0 that steps stand for.

    Raises
    ------
    InputError
    """
    if steps is None:
        steps = parts
    if isinstance(steps, int) and not isinstance(steps, bool) and steps >= 1:
        return torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    try:
        given = torch.as_tensor(steps, dtype=torch.float64).flatten()
    except (TypeError, ValueError, RuntimeError):
        given = torch.zeros(0)
    if isinstance(steps, int) or not given.numel() or not bool(((given >= 0) & (given <= 1)).all()) or given.max() == 0:
        raise InputError(f"steps={steps!r}: expected a number of steps, fractions in 0..1, or None for single parts.")
    return torch.cat([given.new_zeros(1), given]).unique()


def _places(relevance: Any, sizes: Tensor, order: Order, seed: int) -> Tensor:
    """When the turn of each part comes, (N, largest size); behind all others for what is no part."""
    n, largest = len(sizes), int(sizes.max())
    if len(relevance) != n:
        raise InputError(f"relevance is of {len(relevance)} samples, but there are {n}.")
    if isinstance(relevance, Tensor) and relevance.shape == (n, largest) and bool((sizes == largest).all()):
        values = relevance.detach().cpu().double()
    else:
        values = torch.zeros(n, largest, dtype=torch.float64)
        for row, given, size in zip(values, relevance, sizes.tolist(), strict=True):
            found = torch.as_tensor(given).detach().cpu().double()
            if found.shape != (size,):
                raise InputError(
                    f"relevance has shape {tuple(found.shape)} for a sample of {size} parts; expected ({size},)."
                )
            row[:size] = found
    if not bool(torch.isfinite(values).all()):
        raise InputError("relevance has values that are NaN or infinite; they have no rank.")
    draws = generators(seed, n)
    drawn = torch.stack([torch.randperm(largest, generator=draws(i)) for i in range(n)])
    if order == "random":
        values = torch.zeros_like(values)
    missing = torch.arange(largest) >= sizes[:, None]
    values = values.masked_fill(missing, float("-inf"))
    by_value = drawn.gather(1, values.gather(1, drawn).argsort(dim=1, descending=True, stable=True))
    places = torch.empty_like(by_value).scatter_(1, by_value, torch.arange(largest).expand(n, -1))
    if order == "least":
        places = torch.where(missing, places, sizes[:, None] - 1 - places)
    return places


def _scores(removal: Removal, places: Tensor, counts: Tensor, mode: Mode) -> Tensor:
    """The score of each sample at each step, (N, S) float64: of the first ``counts`` parts gone, or there."""
    n, steps = counts.shape
    inert = getattr(removal, "inert", None)
    effective = torch.ones_like(places) if inert is None else (~inert).long()
    in_order = torch.zeros_like(places).scatter_(1, places, effective)
    changed = torch.cat([torch.zeros(n, 1, dtype=torch.long), in_order.cumsum(1)], 1).gather(1, counts)
    new = torch.ones_like(changed, dtype=torch.bool)
    new[:, 1:] = changed[:, 1:] != changed[:, :-1]
    step, sample = new.T.nonzero(as_tuple=True)
    even = len(set(removal.sizes)) == 1
    at_once = max(1, MASKS_AT_ONCE // places.shape[1])
    scores = torch.zeros(n, steps, dtype=torch.float64)
    places, counts = places.int(), counts.int()  # a quarter of the time goes into masks otherwise
    for block in torch.arange(len(step)).split(at_once):
        s, k = sample[block], step[block]
        passed = places[s] < counts[s, k][:, None]
        kept = ~passed if mode == "deletion" else passed
        masks: Any = kept if even else [row[: removal.sizes[i]] for row, i in zip(kept, s.tolist(), strict=True)]
        scores[s, k] = removal.scores(s.tolist(), masks).double().cpu()
    last = torch.where(new, torch.arange(steps), 0).cummax(1).values
    return scores.gather(1, last)
