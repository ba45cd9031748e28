"""How faithful one explanation is: the most relevant parts against random ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..evaluate.removal import Removal

STEPS = 16
RANDOM_ORDERS = 20
_AT_ONCE = 64


def faithfulness(taken: tuple[Removal, Tensor], *, seed: int = 0) -> dict[str, Any] | None:
    """How fast the explained output falls when the most relevant parts are taken away, and when random ones are.

    Parameters
    ----------
    taken
        Of one sample, how its parts are taken away, and the relevance of each (parts,).
    seed
        Of the random orders.

    Returns
    -------
    ``fractions`` of the parts that are gone, the ``curve`` of the explained output, its mean fall ``area`` (AOPC), the
    ``random_areas`` of random orders, their number ``random_orders``, and how many of them fall less, ``beaten``. None
    for a sample of one part.

    Notes
    -----
    Samek et al. 2017, IEEE TNNLS 28, eq. 12.
    """
    removal, relevance = taken
    parts = removal.sizes[0]
    if parts < 2:
        return None
    steps = min(STEPS, parts)
    gone = [round(parts * step / steps) for step in range(steps + 1)]
    generator = torch.Generator().manual_seed(seed)
    orders = [relevance.detach().double().cpu().argsort(descending=True, stable=True)]
    orders += [torch.randperm(parts, generator=generator) for _ in range(RANDOM_ORDERS)]
    kept = []
    for order in orders:
        rank = order.argsort()
        kept += [rank >= count for count in gone]
    scores = torch.cat(
        [
            removal.scores([0] * len(kept[i : i + _AT_ONCE]), kept[i : i + _AT_ONCE])
            for i in range(0, len(kept), _AT_ONCE)
        ]
    )
    curves = scores.double().reshape(len(orders), -1)
    areas = (curves[:, :1] - curves).mean(1).tolist()
    return {
        "fractions": [count / parts for count in gone],
        "curve": curves[0].tolist(),
        "random_curve": curves[1:].mean(0).tolist(),
        "area": areas[0],
        "random_areas": areas[1:],
        "random_orders": RANDOM_ORDERS,
        "beaten": sum(area < areas[0] for area in areas[1:]),
    }
