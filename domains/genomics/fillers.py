"""What can stand in the place of a sequence's letters."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.domains.genomics.shuffle import shuffle_dinucleotides
from sciexplain.errors import InputError

Filler = Literal["zero", "background", "random", "shuffled", "sampled"] | Tensor


def filled(batch: Sequences, filler: Filler, draws: int, seed: int) -> Tensor:
    """What stands where letters are taken away.

    Parameters
    ----------
    batch
        N sequences of length L.
    filler
        See :class:`sciexplain.domains.genomics.removal.NucleotideRemoval`.
    draws
        How many, of fillers that are drawn; of the others there is 1.
    seed
        Of the draws.

    Returns
    -------
    (N, draws, letters, L), with what is no letter left as it is.

    Raises
    ------
    InputError
        The filler does not fit, or draws is below 1.
    """
    if draws < 1:
        raise InputError(f"draws={draws}: expected 1 or more.")
    letters = batch.one_hot
    n, channels, length = letters.shape
    is_letter = ((letters != 0).sum(1) == 1) & (letters.amax(1) == 1)
    if isinstance(filler, Tensor):
        try:
            given = filler[:, None] if filler.ndim == 1 else filler
            found = given.to(letters).expand(n, channels, length)[:, None]
        except RuntimeError:
            raise InputError(
                f"filler has shape {tuple(filler.shape)}; expected ({channels},), ({channels}, {length}) or "
                f"({n}, {channels}, {length})."
            ) from None
    elif filler == "zero":
        found = torch.zeros_like(letters)[:, None]
    elif filler == "background":
        counts = letters.double().sum((0, 2))
        share = counts / counts.sum().clamp(min=1)
        found = share.to(letters)[:, None].expand(n, channels, length)[:, None]
    elif filler == "random":
        steps = torch.stack([_draws(seed, i, channels - 1, (draws, length)) + 1 for i in range(n)])
        others = (letters.argmax(1)[:, None].cpu() + steps) % channels
        found = torch.eye(channels, dtype=letters.dtype)[others].movedim(-1, 2)
    elif filler == "shuffled":
        if channels != 4:
            raise InputError(f'{batch.alphabet.name} has no dinucleotide shuffles; use filler="random" or "sampled".')
        found = shuffle_dinucleotides(letters, draws, seed)
    elif filler == "sampled":
        if n < 2:
            raise InputError('filler="sampled" takes the letters of other sequences; give at least two sequences.')
        steps = torch.stack([_draws(seed, i, n - 1, (draws,)) + 1 for i in range(n)])
        found = letters[(torch.arange(n)[:, None] + steps) % n]
    else:
        raise InputError(
            f'filler={filler!r}; expected "zero", "background", "random", "shuffled", "sampled" or a tensor.'
        )
    return torch.where(is_letter[:, None, None], found.to(letters), letters[:, None])


def _draws(seed: int, row: int, below: int, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.random.default_rng([seed, row]).integers(below, size=shape))
