"""Formulae in the form that a page draws."""

import re

import numpy as np
import pytest
from ase.build import molecule as ase_molecule
from rdkit import Chem

from sciexplain.domains.molecules.formula import UNIT, connections, formula, symbols
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import read_one
from sciexplain.domains.molecules.skeleton import skeleton

PEPTIDE = Chem.MolToSmiles(Chem.MolFromSequence("AGLKDEFRWSAGLKDEFRWS"))
SMILES = ["CC(=O)Oc1ccccc1C(=O)O", "[Na+].[Cl-]", "O", "[He]", "C[C@H](N)C(=O)[O-].[K+]", "C1CC2CCC1C2", PEPTIDE]


def water() -> Molecule:
    """Positions and nothing else."""
    atoms = ase_molecule("H2O")
    return Molecule(atoms.numbers.astype(np.int64), "water", positions=atoms.positions)


def icosahedron() -> Molecule:
    golden = (1 + 5**0.5) / 2
    shell = [(0, a, b * golden) for a in (-1, 1) for b in (-1, 1)]
    points = [(0.0, 0.0, 0.0), *[p[k:] + p[:k] for p in shell for k in range(3)]]
    return Molecule(np.full(13, 29), "Cu13", positions=np.array(points) * 1.3)


@pytest.mark.parametrize("smiles", SMILES)
def test_a_formula_is_that_of_the_drawings(smiles):
    molecule = read_one(smiles)
    made = formula(molecule)
    paper = skeleton(molecule, *(side / UNIT for side in made["size"]))
    places = np.array(made["places"]).reshape(-1, 2) / UNIT
    np.testing.assert_allclose(places, paper.places, atol=0.5 / UNIT + 1e-9)
    assert len(made["paths"]) == len(paper.shapes) and made["order"] is None
    assert (places > 0).all() and (places < np.array(made["size"]) / UNIT).all()
    for d, kind, _, _ in made["paths"]:
        assert re.fullmatch(r"([MLQC]-?\d+ -?\d+( -?\d+ -?\d+)*|Z)+", d) and kind in ("bond", "wedge", "letter")


def test_what_has_no_formula_is_a_projection():
    made = formula(icosahedron())
    assert sorted(made["order"]) == list(range(13)) and made["paths"] == []


def test_bonds_have_their_kinds():
    aspirin = read_one("CC(=O)Oc1ccccc1C(=O)O")
    found = {(i, j): (kind, lines) for i, j, kind, lines in connections(aspirin)}
    assert len(found) == aspirin.mol.GetNumBonds()
    assert found[0, 1] == ("single", 1) and found[1, 2] == ("double", 2)
    ring = [lines for kind, lines in found.values() if kind == "aromatic"]
    assert sorted(ring) == [1, 1, 1, 2, 2, 2]
    assert [bond[2] for bond in connections(water())] == ["contact", "contact"]
    assert symbols(water()) == ["O", "H", "H"]
