"""What a sequence is compared with: shuffles of its own, nothing, or what the user gives."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.domains.genomics.shuffle import shuffle_dinucleotides
from sciexplain.errors import InputError

Reference = Tensor | Literal["shuffled", "zero", "uniform"] | int | None


def references_for(reference: Reference, sequences: Sequences, seed: int) -> Tensor:
    """(N, K, channels, L): K references for each sequence; what follows the letters is kept as it is.

    Parameters
    ----------
    reference
        ``"shuffled"``: 20 shuffles of each that keep its dinucleotides; a number: that many; ``"zero"``;
        ``"uniform"``: the same share of every letter; or a tensor, (channels, L), (N, channels, L) or
        (N, K, channels, L), with or without the channels after the letters.

    Raises
    ------
    InputError
        Another word, or a tensor that does not fit.
    """
    letters = sequences.one_hot
    if isinstance(reference, str) and reference == "shuffled":
        reference = 20
    if isinstance(reference, int) and not isinstance(reference, bool) and reference > 0:
        found = shuffle_dinucleotides(letters, reference, seed)
    elif isinstance(reference, str) and reference in ("zero", "uniform"):
        value = 0.0 if reference == "zero" else 1 / letters.shape[1]
        found = torch.full_like(letters, value)[:, None]
    elif isinstance(reference, Tensor):
        found = _fitted(reference.to(letters), sequences)
    else:
        raise InputError(
            f'reference={reference!r}; expected "shuffled", a number of shuffles, "zero", "uniform", or a tensor '
            "shaped like the sequences."
        )
    if sequences.extra is not None and found.shape[2] == letters.shape[1]:
        found = torch.cat([found, sequences.extra[:, None].expand(-1, found.shape[1], -1, -1)], 2)
    return found


def _fitted(reference: Tensor, sequences: Sequences) -> Tensor:
    n, channels, length = sequences.inputs.shape
    given = tuple(reference.shape)
    if reference.ndim == 2:
        reference = reference[None].expand(n, -1, -1)
    if reference.ndim == 3:
        reference = reference[:, None]
    wide = reference.ndim == 4 and reference.shape[2] in (channels, sequences.one_hot.shape[1])
    if not wide or reference.shape[0] not in (1, n) or reference.shape[3] != length or not reference.shape[1]:
        raise InputError(
            f"reference has shape {given}; expected ({channels}, {length}), ({n}, {channels}, {length}) or, for K "
            f"references each, ({n}, K, {channels}, {length})."
        )
    return reference.expand(n, -1, -1, -1)
