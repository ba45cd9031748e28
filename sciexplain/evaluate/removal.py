"""What can be taken away from a sample, and what the model then says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


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
