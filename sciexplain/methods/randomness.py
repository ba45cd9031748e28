"""Random numbers that depend on the seed and the number of the draw, and on nothing else."""

from __future__ import annotations

from collections.abc import Callable

import torch


def generators(seed: int, count: int) -> Callable[[int], torch.Generator]:
    """For each of ``count`` draws a generator of its own, so that draws can be made in any order and again."""
    seeds = torch.randint(2**62, (count,), generator=torch.Generator().manual_seed(seed)).tolist()
    return lambda i: torch.Generator().manual_seed(seeds[i])
