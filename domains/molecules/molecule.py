"""One molecule, as every reader gives it and every model family takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Molecule:
    """Atoms in one order, with whatever else is known of them.

    Attributes
    ----------
    numbers
        (n,) int64: atomic numbers. This order is that of all relevance.
    name
        As the file has it, or the SMILES.
    mol
        The RDKit molecule, whose atoms stand in the order of ``numbers``; None where only positions are known.
    positions
        (n, 3) float64, in Å; None for a molecule without a geometry.
    charge
        Total charge, in units of e.
    source
        Where it came from, such as ``"drugs.csv:12"``.
    cell, periodic
        (3, 3) lattice vectors in Å as rows, and in which directions they repeat; None for a molecule in vacuum.
    labels
        What else the file says of it, such as measured values, by column.
    """

    numbers: NDArray[np.int64]
    name: str = ""
    mol: Any = None
    positions: NDArray[np.float64] | None = None
    charge: int = 0
    source: str = ""
    cell: NDArray[np.float64] | None = None
    periodic: tuple[bool, bool, bool] = (False, False, False)
    labels: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.numbers)
