"""Index maps against the SMILES they lead to, and sums against the dense matrix of who owns which hydrogen."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ase
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from sciexplain.domains.molecules.indices import (
    bonds_onto_heavy,
    canonical_order,
    canonical_smiles,
    heavy_atoms,
    hydrogens_added,
    onto_heavy,
    owners,
)
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import embed, with_hydrogens
from sciexplain.domains.molecules.read import read, read_one
from sciexplain.errors import InputError

SMILES = [
    "CCO",
    "[H][H]",
    "[2H]c1ccccc1",
    "[Na+].CC(=O)[O-]",
    "[H+].[Cl-]",
    "C[C@H](N)C(=O)O",
    "C/C=N/[H]",
    "F[H-]F",
]


def same_graph(molecule: Molecule, smiles: str, order: np.ndarray) -> bool:
    """Whether the SMILES, read again, has the molecule's atoms and bonds in this order."""
    written = Chem.MolFromSmiles(smiles)
    edges = {(order[b.GetBeginAtomIdx()], order[b.GetEndAtomIdx()], b.GetBondType()) for b in written.GetBonds()}
    return [a.GetAtomicNum() for a in written.GetAtoms()] == molecule.numbers[order].tolist() and all(
        (bond := molecule.mol.GetBondBetweenAtoms(int(i), int(j))) is not None and bond.GetBondType() == kind
        for i, j, kind in edges
    )


def shuffled(molecule: Molecule, seed: int) -> Molecule:
    order = np.random.default_rng(seed).permutation(len(molecule))
    return read_one(Chem.RenumberAtoms(molecule.mol, order.tolist()))


def test_canonical_order_of_real_molecules(shared_data: Callable[[str], Path]) -> None:
    path = shared_data("molecules/moleculenet/ESOL_delaney-processed.csv")
    for seed, molecule in enumerate(list(read(path))[::4]):
        for version in (molecule, shuffled(with_hydrogens(molecule), seed)):
            smiles, order = canonical_smiles(version), canonical_order(version)
            assert smiles == Chem.MolToSmiles(molecule.mol)
            assert sorted(order) == heavy_atoms(version).tolist()
            assert same_graph(version, smiles, order)


@pytest.mark.parametrize("smiles", SMILES)
def test_owners(smiles: str) -> None:
    molecule = with_hydrogens(read_one(smiles))
    expected = []
    for atom in molecule.mol.GetAtoms():
        heavy = [n.GetIdx() for n in atom.GetNeighbors() if n.GetSymbol() != "H"] if atom.GetSymbol() == "H" else []
        expected.append(min(heavy) if heavy else atom.GetIdx())
    assert owners(molecule).tolist() == expected
    assert heavy_atoms(molecule).tolist() == sorted(set(expected))


def test_owners_without_bonds() -> None:
    known = embed(read_one("CC(=O)Nc1ccc(O)cc1"))
    np.testing.assert_array_equal(owners(replace(known, mol=None)), owners(known))
    # No bond orders fit the transition state of H + CH4, but distances do tell whose hydrogen is whose.
    apart = read_one(ase.Atoms("CHHe", [[0, 0, 0], [0, 0, 1.1], [0, 0, 5]]))
    assert owners(apart).tolist() == [0, 0, 2]
    assert owners(Molecule(np.array([6, 8]))).tolist() == [0, 1]
    with pytest.raises(InputError, match="neither bonds nor positions"):
        owners(Molecule(np.array([6, 1])))


@given(st.sampled_from(SMILES), st.integers(0, 2**32 - 1))
def test_values_and_bonds_onto_heavy_atoms(smiles: str, seed: int) -> None:
    molecule = shuffled(with_hydrogens(read_one(smiles)), seed)
    rng = np.random.default_rng(seed)
    n, heavy = len(molecule), heavy_atoms(molecule).tolist()
    share = np.zeros((len(heavy), n))
    for i, owner in enumerate(owners(molecule)):
        share[heavy.index(owner), i] = 1
    values = rng.normal(size=(n, 2))
    np.testing.assert_allclose(onto_heavy(values, molecule), share @ values, atol=1e-12)
    np.testing.assert_allclose(onto_heavy(values[:, 0], molecule), share @ values[:, 0], atol=1e-12)
    pairs = rng.normal(size=(n, n))
    found = np.zeros((len(heavy), len(heavy)))
    for (i, j), value in bonds_onto_heavy({(i, j): pairs[i, j] for i in range(n) for j in range(n)}, molecule).items():
        found[i, j] = value
    np.testing.assert_allclose(found, share @ pairs @ share.T, atol=1e-12)


@pytest.mark.parametrize("smiles", SMILES)
def test_hydrogens_added(smiles: str) -> None:
    molecule = read_one(smiles)
    found, full = hydrogens_added(molecule), with_hydrogens(molecule)
    assert found[: len(molecule)].tolist() == list(range(len(molecule))) and len(found) == len(full)
    for i in range(len(molecule), len(full)):
        assert full.numbers[i] == 1 and full.mol.GetBondBetweenAtoms(i, int(found[i])) is not None


def test_wrong_numbers_of_values() -> None:
    molecule = read_one("CCO")
    for values in ([1.0, 2.0], 1.0):
        with pytest.raises(InputError, match="for 3 atoms; expected one for each"):
            onto_heavy(values, molecule)
    for bond in ((0, 3), (-1, 0)):
        with pytest.raises(InputError, match="expected indices from 0 to 2"):
            bonds_onto_heavy({bond: 1.0}, molecule)
    with pytest.raises(InputError, match="'helium' has positions but no bonds"):
        canonical_order(Molecule(np.array([2]), "helium", positions=np.zeros((1, 3))))
