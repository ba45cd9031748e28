"""From molecules to PyG's Data."""

from typing import Any

import numpy as np
import pytest

from sciexplain.domains.molecules.families import featurizers
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError, ModelError

pytest.importorskip("torch_geometric")
from torch_geometric.utils import from_smiles


def test_pyg_is_that_of_its_datasets(molecules: list[Molecule]) -> None:
    for molecule in molecules:
        ours, theirs = featurizers.pyg(molecule.mol), from_smiles(molecule.name)
        assert ours.x.equal(theirs.x) and ours.edge_index.equal(theirs.edge_index)
        assert ours.edge_attr.equal(theirs.edge_attr)


def test_positions(geometries: list[Molecule], molecules: list[Molecule]) -> None:
    data = featurizers.positions(geometries[0])
    assert data.z.tolist() == geometries[0].numbers.tolist()
    np.testing.assert_array_equal(data.pos.numpy(), geometries[0].positions)
    with pytest.raises(InputError, match="CCO: found no positions"):
        featurizers.positions(molecules[1])


def test_what_it_gets(molecules: list[Molecule]) -> None:
    def of_molecule(molecule: Molecule) -> Any:
        return molecule

    def of_anything(mol: Any) -> Any:
        return mol

    bare = Molecule(np.array([1, 1]))
    assert featurizers.apply(of_molecule, molecules[0]) is molecules[0]
    assert featurizers.apply(of_anything, molecules[0]) is molecules[0].mol
    assert featurizers.apply(of_anything, bare) is bare


def test_errors_name_the_molecule_and_its_atom(molecule_of: Any) -> None:
    known = [1, 6, 7, 8]

    def by_number(mol: Any) -> list[int]:
        return [known.index(a.GetAtomicNum()) for a in mol.GetAtoms()]

    def by_symbol(mol: Any) -> list[int]:
        return [{"C": 0}[a.GetSymbol()] for a in mol.GetAtoms()]

    molecule = molecule_of("CC[Se]C")
    with pytest.raises(InputError, match=r"^CC\[Se\]C: the featurizer .*34 is not in list \(atom 2 is Se\)"):
        featurizers.apply(by_number, molecule)
    with pytest.raises(InputError, match=r"KeyError: 'Se' \(atom 2 is Se\)"):
        featurizers.apply(by_symbol, molecule)


def test_what_is_no_featurizer() -> None:
    with pytest.raises(ModelError, match="featurizer='ogb': expected 'pyg', 'positions' or a function"):
        featurizers.find("ogb")
    with pytest.raises(ModelError, match="takes SMILES, in which atoms may stand in another order"):
        featurizers.find(from_smiles)
    with pytest.raises(ModelError, match="featurizer is int"):
        featurizers.find(3)  # type: ignore[arg-type]
