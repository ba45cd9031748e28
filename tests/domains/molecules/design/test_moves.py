"""Changed SELFIES and crossed molecules: whole, of the elements asked for, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from sciexplain.domains.molecules.design import crossover, stoned
from sciexplain.domains.molecules.design.chemistry import whole

SMILES = ["CCO", "CC(=O)Oc1ccccc1C(=O)O", "CN1CCC[C@H]1c1cccnc1", "O=[N+]([O-])c1ccc(C(F)(F)F)cc1", "CS(=O)(=O)N"]


@given(st.sampled_from(SMILES), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_changed_selfies_are_molecules(smiles, changes, seed):
    mol = Chem.MolFromSmiles(smiles)
    made, again = (stoned.changed(mol, (6, 7, 8), np.random.default_rng(seed), changes) for _ in range(2))
    if made is None:
        return
    assert Chem.MolToSmiles(made) == Chem.MolToSmiles(again)
    assert whole(made) is not None
    if not changes:
        assert Chem.MolToSmiles(made) == Chem.MolToSmiles(mol)


def test_what_selfies_has_no_symbols_for_is_left_alone():
    iodine_of_valence_three = Chem.MolFromSmiles("CI(Cl)Cl")
    assert stoned.changed(iodine_of_valence_three, (6,), np.random.default_rng(0)) is None


def test_cuts_are_single_bonds_outside_rings():
    mol = Chem.MolFromSmiles("O=[N+]([O-])c1ccc(CCO)cc1")
    assert {frozenset(cut[:2]) for cut in crossover.cuts(mol)} == {
        frozenset(pair) for pair in ((1, 3), (6, 7), (7, 8), (8, 9))
    }


@pytest.mark.parametrize(
    ("a", "cut_of_a", "b", "cut_of_b", "expected"),
    [
        ("CCO", (1, 2), "Cc1ccccc1", (1, 0), "CCc1ccccc1"),
        ("O=[N+]([O-])c1ccccc1", (1, 3), "CO", (0, 1), "C[N+](=O)[O-]"),
        ("Cn1cccc1", (1, 0), "C[C@H](F)Cl", (1, 0), "FC(Cl)n1cccc1"),
    ],
)
def test_parts_are_joined_at_their_cuts(a, cut_of_a, b, cut_of_b, expected):
    made = crossover.joined(Chem.MolFromSmiles(a), cut_of_a, Chem.MolFromSmiles(b), cut_of_b)
    plain = Chem.RemoveHs(whole(made)[0])
    Chem.RemoveStereochemistry(plain)
    assert Chem.MolToSmiles(plain) == Chem.CanonSmiles(expected)


@given(st.sampled_from(SMILES), st.sampled_from(SMILES), st.integers(0, 2**32 - 1))
def test_crossing_keeps_atoms_of_both(a, b, seed):
    one, other = Chem.MolFromSmiles(a), Chem.MolFromSmiles(b)
    made = crossover.crossed(one, other, np.random.default_rng(seed))
    pair = None if made is None else whole(made)
    if pair is not None:
        assert "." not in pair[1]
        assert 2 <= pair[0].GetNumAtoms() <= one.GetNumAtoms() + other.GetNumAtoms() - 2


def test_benzene_has_nothing_to_cut():
    benzene = Chem.MolFromSmiles("c1ccccc1")
    assert all(crossover.crossed(benzene, benzene, np.random.default_rng(seed)) is None for seed in range(4))
