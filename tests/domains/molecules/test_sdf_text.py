"""Molecules of a run's SDF."""

import numpy as np
from ase.build import molecule as ase_molecule
from rdkit import Chem

from sciexplain.domains.molecules.files import write_sdf
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import read_one
from sciexplain.domains.molecules.sdf_text import molecule_of, records, score

PEPTIDE = Chem.MolToSmiles(Chem.MolFromSequence("AGLKDEFRWSAGLKDEFRWS"))


def test_records_come_back(tmp_path):
    atoms = ase_molecule("CH3CHO")
    bare = Molecule(atoms.numbers.astype(np.int64), "no bonds", positions=atoms.positions)
    molecules = [read_one("OCC"), bare, read_one("[O-][N+](=O)c1ccccc1"), read_one(PEPTIDE)]
    values = [np.linspace(-1, 1, len(m)) for m in molecules]
    scores = [0.1, -1 / 3, 1e-300, 7.0]
    write_sdf(tmp_path / "a.sdf", molecules[:2], values[:2], None, scores[:2])
    write_sdf(tmp_path / "b.sdf", molecules[2:], values[2:], None, scores[2:])
    found = list(records([tmp_path / "a.sdf", tmp_path / "b.sdf"]))
    assert [score(record) for record in found] == scores
    for molecule, record in zip(molecules, found, strict=True):
        back = molecule_of(record)
        assert back.numbers.tolist() == molecule.numbers.tolist()
        assert (back.positions is None) == (molecule.positions is None)
        if molecule.mol is not None:
            assert Chem.MolToSmiles(back.mol) == Chem.MolToSmiles(molecule.mol)
    # that atoms touch is in the record, but not how they are bound
    acetaldehyde = molecule_of(found[1])
    assert acetaldehyde.mol is None
    np.testing.assert_allclose(acetaldehyde.positions, bare.positions, atol=1e-4)
