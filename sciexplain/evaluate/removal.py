"""What can be taken away from a sample, and what the model then says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..errors import InputError


class Removal(Protocol):
    """N samples made of parts that can be taken away: pixels, atoms, bonds, nucleotides.

    Attributes
    ----------
    sizes
        Parts of each sample.
    """

    sizes: tuple[int, ...]

    def scores(self, samples: Sequence[int], kept: Sequence[Tensor]) -> Tensor:
        """The explained output of samples of which only some parts are left.

        Parameters
        ----------
        samples
            M indices of samples; one may occur several times.
        kept
            For each of them, (sizes[sample],) bool: the parts that are left.

        Returns
        -------
        (M,) float64
        """
        ...


def check_parts(sizes: Sequence[int], samples: Sequence[int], kept: Sequence[Tensor]) -> None:
    """That there is a truth value for every part of each sample.

    Raises
    ------
    InputError
    """
    if len(samples) != len(kept):
        raise InputError(f"{len(samples)} samples and {len(kept)} sets of parts; expected one set for each.")
    for sample, keep in zip(samples, kept, strict=True):
        if not 0 <= sample < len(sizes) or keep.shape != (sizes[sample],) or keep.dtype != torch.bool:
            raise InputError(
                f"Sample {sample} with parts {tuple(keep.shape)} {keep.dtype}; expected one of {len(sizes)} samples, "
                "and a truth value for each of its parts."
            )
