"""Hydrogens, geometries and bonds against RDKit's own answers, force-field minima and the molecules they came from."""

from pathlib import Path

import ase
import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers, rdMolTransforms
from scipy.spatial.distance import pdist

from sciexplain.domains.molecules.indices import canonical_smiles
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import embed, perceive_bonds, with_hydrogens
from sciexplain.domains.molecules.read import read_one
from sciexplain.errors import InputError

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def bare(molecule: Molecule, charge: int | None = None) -> Molecule:
    """The same as an XYZ file has it."""
    assert molecule.positions is not None
    charge = molecule.charge if charge is None else charge
    return read_one(ase.Atoms(molecule.numbers, molecule.positions, info={"charge": charge, "name": molecule.name}))


@pytest.mark.parametrize("smiles", [ASPIRIN, "[Na+].CC(=O)[O-]", "C[CH]C", "[H][H]", "[2H]C"])
def test_hydrogens_follow_the_atoms_there_are(smiles: str) -> None:
    molecule = read_one(smiles)
    full = with_hydrogens(molecule)
    hydrogens = sum(atom.GetTotalNumHs() for atom in Chem.MolFromSmiles(smiles).GetAtoms())
    assert full.numbers.tolist() == molecule.numbers.tolist() + [1] * hydrogens
    assert (full.name, full.charge, full.positions) == (smiles, molecule.charge, None)
    assert with_hydrogens(full).numbers.tolist() == full.numbers.tolist()
    assert len(molecule) == Chem.MolFromSmiles(smiles).GetNumAtoms()


def test_hydrogens_get_places_in_a_geometry() -> None:
    heavy = read_one(Chem.RemoveHs(embed(read_one(ASPIRIN)).mol))
    full = with_hydrogens(heavy)
    assert heavy.positions is not None and full.positions is not None
    np.testing.assert_array_equal(full.positions[: len(heavy)], heavy.positions)
    assert pdist(full.positions).min() > 0.9


@pytest.mark.parametrize(
    ("smiles", "force_field"),
    [
        (ASPIRIN, "MMFF"),
        ("[Na+].[Cl-]", "MMFF"),
        ("C[CH]C", "MMFF"),
        ("CB(O)O", "UFF"),
        ("C", "MMFF"),
        ("[H][H]", "UFF"),
    ],
)
def test_geometries_are_minima(smiles: str, force_field: str) -> None:
    molecule = embed(read_one(smiles))
    assert molecule.positions is not None and molecule.positions.shape == (len(molecule), 3)
    np.testing.assert_array_equal(molecule.mol.GetConformer().GetPositions(), molecule.positions)
    if force_field == "MMFF":
        properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule.mol)
        field = rdForceFieldHelpers.MMFFGetMoleculeForceField(
            molecule.mol, properties, ignoreInterfragInteractions=False
        )
    else:
        assert not rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule.mol)
        field = rdForceFieldHelpers.UFFGetMoleculeForceField(molecule.mol, ignoreInterfragInteractions=False)
    field.Initialize()
    assert np.abs(field.CalcGrad()).max() < 0.1
    assert len(molecule) == 1 or pdist(molecule.positions).min() > 0.7


def test_methane_is_a_tetrahedron() -> None:
    conformer = embed(read_one("C")).mol.GetConformer()
    assert rdMolTransforms.GetAngleDeg(conformer, 1, 0, 2) == pytest.approx(109.47, abs=0.1)


def test_geometries_repeat_and_keep_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"smiles,name,y\n{ASPIRIN},aspirin,2\n")
    molecule = read_one(tmp_path / "a.csv")
    one, again, other = (embed(molecule, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.positions, again.positions)
    assert one.positions is not None and not np.allclose(one.positions, other.positions)
    assert (one.name, one.labels, one.source) == ("aspirin", {"y": 2.0}, "a.csv:2")
    assert embed(one) is one and molecule.positions is None


@pytest.mark.parametrize(("smiles", "words"), [("*C", "neither MMFF94 nor UFF knows"), ("C1#CC1", "finds no geometry")])
def test_molecules_without_geometry(smiles: str, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=words) as caught:
        embed(read_one(smiles))
    assert smiles in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_seeds_are_not_negative() -> None:
    with pytest.raises(InputError, match="seed=-1"):
        embed(read_one("C"), seed=-1)


@pytest.mark.parametrize("smiles", [ASPIRIN, "C[N+](C)(C)C", "O=C=O", "c1ccc2[nH]ccc2c1", "CC(=O)[O-]", "C#N", "[He]"])
def test_bonds_are_those_of_the_molecule(smiles: str) -> None:
    molecule = embed(read_one(smiles))
    found = perceive_bonds(bare(molecule))
    assert canonical_smiles(found) == Chem.CanonSmiles(smiles)
    assert found.numbers.tolist() == [atom.GetAtomicNum() for atom in found.mol.GetAtoms()] == molecule.numbers.tolist()
    np.testing.assert_array_equal(found.mol.GetConformer().GetPositions(), molecule.positions)
    assert perceive_bonds(found) is found


def test_bonds_that_cannot_be(capfd: pytest.CaptureFixture[str]) -> None:
    methane = bare(embed(read_one("C")), charge=2)
    with pytest.raises(InputError, match=r"'C': no bonds fit these positions and the charge 2 \("):
        perceive_bonds(methane)
    with pytest.raises(InputError, match="'Na' is periodic"):
        perceive_bonds(read_one(ase.Atoms("Na", cell=[4, 4, 4], pbc=True)))
    with pytest.raises(InputError, match="neither bonds nor positions"):
        perceive_bonds(Molecule(np.array([6])))
    positions_only = Molecule(np.array([6]), "carbon", positions=np.zeros((1, 3)))
    with pytest.raises(InputError, match="'carbon' has positions but no bonds; perceive_bonds"):
        with_hydrogens(positions_only)
    assert embed(positions_only) is positions_only
    assert capfd.readouterr().err == ""
