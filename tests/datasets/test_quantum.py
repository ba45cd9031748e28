from dataclasses import replace

import numpy as np
import pytest

from sciexplain.datasets.quantum import xtb
from sciexplain.domains.molecules.convert import from_smiles
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import DataError, InputError


@pytest.mark.parametrize("smiles", ["O", "CC(N)=O", "c1ccccc1", "[NH4+]", "CC([O-])=O", "[H][H]", "[Na+].[Cl-]"])
def test_atoms_add_up(smiles):
    molecule = from_smiles(smiles)
    found = xtb(molecule)
    assert found.atom_energies.sum() == pytest.approx(found.energy, abs=1e-8)
    assert found.charges.sum() == pytest.approx(molecule.charge, abs=1e-6)
    np.testing.assert_allclose(found.bond_orders, found.bond_orders.T, atol=1e-10)
    assert len(found.atom_energies) == len(found.molecule.positions)
    assert found.gap == found.lumo - found.homo > 0


def test_what_chemists_know():
    water, ethene, ethane = (xtb(from_smiles(smiles)) for smiles in ("O", "C=C", "CC"))
    # GFN2-xTB's total energy of water at its minimum is −5.0705 hartree, i.e. −137.98 eV.
    assert water.energy == pytest.approx(-137.98, abs=0.03)
    assert water.charges[0] < -0.4 < 0.2 < water.charges[1]
    assert ethene.bond_orders[0, 1] == pytest.approx(2, abs=0.1)
    assert ethane.bond_orders[0, 1] == pytest.approx(1, abs=0.1)
    assert ethene.gap < ethane.gap


def test_given_geometry_is_kept():
    stretched = Molecule(np.array([1, 1]), positions=np.array([[0.0, 0, 0], [0, 0, 1.5]]))
    found = xtb(stretched)
    assert found.molecule is stretched
    assert found.energy > xtb(replace(stretched, positions=np.array([[0.0, 0, 0], [0, 0, 0.75]]))).energy + 0.5


def test_what_cannot_be_computed_is_said():
    with pytest.raises(DataError, match=r"uranium.*GFN2-xTB gives no result"):
        xtb(Molecule(np.array([92, 1]), name="uranium", positions=np.array([[0.0, 0, 0], [0, 0, 2]])))
    with pytest.raises(InputError):
        xtb(Molecule(np.array([6, 1])))
