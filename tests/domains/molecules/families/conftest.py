"""Molecules of both kinds, and the check that every family must pass."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

import sciexplain as sx
from sciexplain.domains.molecules.molecule import Molecule

Chem = pytest.importorskip("rdkit.Chem")
AllChem = pytest.importorskip("rdkit.Chem.AllChem")


def flat(smiles: str) -> Molecule:
    mol = Chem.MolFromSmiles(smiles)
    numbers = np.array([a.GetAtomicNum() for a in mol.GetAtoms()], dtype=np.int64)
    return Molecule(numbers, smiles, mol, charge=Chem.GetFormalCharge(mol))


def embedded(smiles: str) -> Molecule:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(mol, randomSeed=7) == 0
    numbers = np.array([a.GetAtomicNum() for a in mol.GetAtoms()], dtype=np.int64)
    return Molecule(numbers, smiles, mol, mol.GetConformer().GetPositions(), Chem.GetFormalCharge(mol))


@pytest.fixture(scope="session")
def molecules() -> list[Molecule]:
    """Nitroaniline with its charges, ethanol, and methane: one atom and no bond."""
    return [flat("O=[N+]([O-])c1ccc(N)cc1"), flat("CCO"), flat("C")]


@pytest.fixture(scope="session")
def geometries() -> list[Molecule]:
    return [embedded("CCO"), embedded("NC=O")]


@pytest.fixture
def molecule_of() -> Callable[[str], Molecule]:
    return flat


@pytest.fixture
def geometry_of() -> Callable[[str], Molecule]:
    return embedded


@pytest.fixture
def check() -> Callable[[Any, Sequence[Molecule]], None]:
    """In a batch as one by one; every operation has a rule; where all relevance went is known."""

    def holds(family: Any, given: Sequence[Molecule]) -> None:
        together = family.predict(given)
        alone = torch.cat([family.predict([molecule]) for molecule in given])
        torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)
        for molecule, predicted in zip(given, together, strict=True):
            graphs = family.collate([family.graph(molecule)])
            for name, atoms in graphs.places.items():
                assert len(atoms) == len(graphs.tensors[name])
            explained = {name: graphs.tensors[name] for name in graphs.places}
            target = 0 if predicted.ndim else None
            e = sx.explain(lambda **tensors: graphs.call(tensors), explained, target, ledger=True)  # noqa: B023
            assert e.ledger is not None and not e.unknown
            assert float(e.ledger.gap.abs().max()) < 1e-9 * max(1.0, float(e.score.abs().max()))
            assert any(bool(r.any()) for r in e.relevance.values())

    return holds
