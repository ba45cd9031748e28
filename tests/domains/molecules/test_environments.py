"""What an atom is bonded to."""

import pytest
from rdkit import Chem

from sciexplain.domains.molecules.environments import environments
from sciexplain.domains.molecules.sketch import sketch

SMILES = ["CC(=O)Oc1ccccc1C(=O)O", "[O-][N+](=O)c1ccc[nH]1", "FC(F)(Cl)Br", "[Na+].[Cl-]", "C[Si](C)(C)[Se]C"]


@pytest.mark.parametrize("smiles", SMILES)
def test_they_are_smarts_of_their_atom(smiles):
    mol = Chem.MolFromSmiles(smiles)
    for atom, text in zip(mol.GetAtoms(), environments(mol), strict=True):
        pattern = Chem.MolFromSmarts(text)
        assert atom.GetIdx() in {match[0] for match in mol.GetSubstructMatches(pattern, uniquify=False)}, text
        assert pattern.GetAtomWithIdx(0).GetDegree() == atom.GetDegree()


def test_hydrogens_count_alike_whether_they_are_atoms_or_not():
    implicit = Chem.MolFromSmiles("CCO")
    found = list(environments(Chem.AddHs(implicit)))
    assert found[:3] == list(environments(implicit)) and found[3] == "[#1]-C" and found[-1] == "[#1]-O"


def test_sketches():
    assert sketch("*c1ccccc1").startswith("data:image/svg+xml;base64,")
    assert sketch("[C](-C)(-O)=O", smarts=True).startswith("data:image/svg+xml;base64,")
    assert sketch("c1ccc") == "" and sketch("<script>") == ""
