"""Geometries to look at."""

import numpy as np
import pytest
from ase.build import molecule as ase_molecule
from rdkit import Chem

from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import read_one
from sciexplain.domains.molecules.solid import page_solid, solid
from sciexplain.errors import InputError


def test_its_own_geometry_is_kept_and_only_turned():
    atoms = ase_molecule("CH3CH2OH")
    made = page_solid(Molecule(atoms.numbers.astype(np.int64), positions=atoms.positions))
    positions = np.array(made["positions"]).reshape(-1, 3) / 1000
    apart, own = (np.linalg.norm(p[:, None] - p, axis=-1) for p in (positions, atoms.positions))
    np.testing.assert_allclose(apart, own, atol=2e-3)
    assert made["made"] == "" and made["hydrogens"] == [] and set(made["radii"]) == {"C", "H", "O"}
    spread = positions.std(0)
    assert spread[0] >= spread[1] >= spread[2]


@pytest.mark.parametrize("smiles", ["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"])
def test_turning_never_mirrors(smiles):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    conformer = Chem.Conformer(mol.GetNumAtoms())
    for i, place in enumerate(np.array(page_solid(read_one(smiles))["positions"]).reshape(-1, 3) / 1000):
        conformer.SetAtomPosition(i, place.tolist())
    mol.AddConformer(conformer)
    Chem.AssignStereochemistryFrom3D(mol)
    assert Chem.MolToSmiles(Chem.RemoveHs(mol)) == Chem.CanonSmiles(smiles)


def test_one_is_made_where_there_is_none():
    salt = read_one("CC(=O)[O-].[Na+]")
    made = solid(salt)
    assert "ETKDGv3" in made.made and "seed 0" in made.made
    assert made.hydrogens == (0, 0, 0) and len(made.positions) == 8
    apart = np.linalg.norm(made.positions[:, None] - made.positions, axis=-1) + 9 * np.eye(8)
    assert apart.min() > 0.9 and apart[4].min() > 1.5  # sodium stands beside
    assert 1.4 < apart[0, 1] < 1.6
    np.testing.assert_array_equal(solid(salt).positions, made.positions)


@pytest.mark.parametrize("smiles", ["[He]", "[Na+].[Cl-]", "O"])
def test_very_small_ones(smiles):
    molecule = read_one(smiles)
    positions = np.array(page_solid(molecule)["positions"]).reshape(-1, 3)
    assert len(positions) >= len(molecule) and len(np.unique(positions, axis=0)) == len(positions)


def test_neither_bonds_nor_positions():
    with pytest.raises(InputError, match="positions but no bonds"):
        solid(Molecule(np.array([6]), "carbon"))
