"""Labels computed on the spot: GFN2-xTB by tblite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import embed
from sciexplain.errors import DataError

_HARTREE = 27.211386245988
"""eV (CODATA 2018)."""
_BOHR = 0.529177210903
"""Å (CODATA 2018)."""
_OCCUPIED = 1.0
"""Of two electrons per orbital; in between are only open shells."""


@dataclass(frozen=True, eq=False)
class XtbResult:
    """One electronic structure.

    Attributes
    ----------
    molecule
        With the geometry it was computed at, in Å, and all hydrogens; n atoms.
    energy
        Total energy, in eV.
    atom_energies
        (n,) in eV; their sum is ``energy``.
    charges
        (n,) Mulliken charges, in e; their sum is the molecule's charge.
    bond_orders
        (n, n) Wiberg bond orders; symmetric, without unit.
    homo, lumo
        Energies of the highest occupied and the lowest unoccupied orbital, in eV.
    """

    molecule: Molecule
    energy: float
    atom_energies: NDArray[np.float64]
    charges: NDArray[np.float64]
    bond_orders: NDArray[np.float64]
    homo: float
    lumo: float

    @property
    def gap(self) -> float:
        """From HOMO to LUMO, in eV."""
        return self.lumo - self.homo


def xtb(molecule: Molecule, *, seed: int = 0) -> XtbResult:
    """Energy, charges and bond orders of a molecule in vacuum, closed shell, by GFN2-xTB.

    Parameters
    ----------
    molecule
        Where it has no geometry, one is made by :func:`~sciexplain.domains.molecules.prepare.embed`.
    seed
        Of that geometry.

    Raises
    ------
    DataError
        The calculation does not converge, or cannot be done for these atoms.
    InputError
        There is no geometry and none can be made.

    References
    ----------
    C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019).

    Examples
    --------
    >>> from sciexplain.domains.molecules.convert import from_smiles
    >>> water = xtb(from_smiles("O"))
    >>> f"{water.energy:.1f} eV, oxygen {water.charges[0]:.1f} e"
    '-138.0 eV, oxygen -0.6 e'
    """
    tblite: Any = require("tblite.interface", extra="molecules")
    molecule = embed(molecule, seed)
    assert molecule.positions is not None
    try:
        calculator = tblite.Calculator(
            "GFN2-xTB", molecule.numbers, molecule.positions / _BOHR, charge=float(molecule.charge)
        )
        calculator.set("verbosity", 0)
        result = calculator.singlepoint()
        occupations, orbitals = result.get("orbital-occupations"), result.get("orbital-energies") * _HARTREE
        bond_orders = result.get("bond-orders")
        energy, atom_energies = float(result.get("energy")) * _HARTREE, result.get("energies") * _HARTREE
        charges = result.get("charges")
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"{molecule.name or molecule.source or 'The molecule'}: GFN2-xTB gives no result "
            f"({' '.join(str(error).split())}); leave it out, or give another geometry or charge"
        ) from error
    occupied = occupations > _OCCUPIED
    return XtbResult(
        molecule=molecule,
        energy=energy,
        atom_energies=atom_energies,
        charges=charges,
        bond_orders=bond_orders.reshape(len(molecule), len(molecule)),
        homo=float(orbitals[occupied].max()) if occupied.any() else float("nan"),
        lumo=float(orbitals[~occupied].min()) if not occupied.all() else float("nan"),
    )
