"""What changed between molecules: least, the same in any order of atoms, and in a chemist's words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from sciexplain.domains.molecules.design.changes import change

CASES = [
    ("O=[N+]([O-])c1ccccc1", "Oc1ccccc1", "NO₂ → OH", 3, 1),
    ("O=[N+]([O-])c1ccccc1", "c1ccccc1", "−NO₂", 3, 0),
    ("O=[N+]([O-])c1ccccc1", "O=Cc1ccccc1", "NO₂ → CHO", 3, 2),
    ("c1ccccc1", "Cc1ccccc1", "+CH₃", 0, 1),
    ("c1ccccc1C", "c1ccncc1C", "CH → N", 0, 0),
    ("CCOCC", "CCSCC", "O → S", 0, 0),
    ("COc1ccccc1", "CSc1ccccc1", "CH₃O → CH₃S", 2, 2),
    ("CCCC=O", "CCCCO", "C=O → C–O", 0, 0),
    ("CCCCC", "C1CCCC1", "ring closed", 0, 0),
    ("C1CCCC1", "CCCCC", "ring opened", 0, 0),
    ("CCc1ccccc1", "FC(F)(F)Cc1ccccc1", "3 × +F", 0, 3),
    ("CCO", "CCO", "the arrangement", 0, 0),
]


@pytest.mark.parametrize(("a", "b", "text", "gone", "new"), CASES)
def test_in_words_and_numbers(a, b, text, gone, new):
    found = change(Chem.MolFromSmiles(a), Chem.MolFromSmiles(b))
    assert (found.text, len(found.removed), len(found.added)) == (text, gone, new)


@pytest.mark.parametrize("case", CASES)
def test_atoms_are_accounted_for(case):
    a, b = Chem.MolFromSmiles(case[0]), Chem.MolFromSmiles(case[1])
    found = change(a, b)
    assert found.removed | {i for i, _ in found.same} == set(range(a.GetNumAtoms()))
    assert found.added | {j for _, j in found.same} == set(range(b.GetNumAtoms()))
    assert len(found.removed) + len(found.same) == a.GetNumAtoms()
    swapped = {i for i, j in found.same if a.GetAtomWithIdx(i).GetSymbol() != b.GetAtomWithIdx(j).GetSymbol()}
    assert swapped == {i for i, _ in found.replaced}
    assert bool(found.places) == (found.size > 0)


@settings(max_examples=30)
@given(st.sampled_from(CASES), st.integers(0, 2**32 - 1))
def test_the_order_of_atoms_does_not_matter(case, seed):
    rng = np.random.default_rng(seed)
    a, b = (
        Chem.RenumberAtoms(mol, rng.permutation(mol.GetNumAtoms()).tolist())
        for mol in map(Chem.MolFromSmiles, case[:2])
    )
    found = change(a, b)
    assert found.text == case[2] and found.size == change(*map(Chem.MolFromSmiles, case[:2])).size
