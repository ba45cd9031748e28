"""Single edits of graphs: what each makes, that all are there, and that they can be undone."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from sciexplain.domains.molecules.design.chemistry import whole
from sciexplain.domains.molecules.design.edits import Edit, applied, edits, random_edit, side
from sciexplain.domains.molecules.design.groups import GROUPS, parsed_group
from sciexplain.errors import InputError

ELEMENTS = (6, 7, 8, 9)
SMILES = [
    "C", "CO", "CC=O", "C#N", "c1ccccc1", "c1cc[nH]c1", "C1CC1", "C[C@H](N)C(=O)O", "O=[N+]([O-])c1ccccc1",
    "F/C=C/C", "CC(=O)Oc1ccccc1C(=O)O", "CN1CCC[C@H]1c1cccnc1", "c1ccc2ccccc2c1", "CS(=O)(=O)N",
]  # fmt: skip


def parsed(smiles):
    return whole(Chem.MolFromSmiles(smiles))[0]


@cache
def neighbours(smiles, groups=()):
    """Canonical SMILES of everything that one edit makes."""
    mol = parsed(smiles)
    made = [whole(applied(mol, e)) for found in edits(mol, ELEMENTS, groups).values() for e in found]
    return {pair[1] for pair in made if pair is not None}


@pytest.mark.parametrize(
    ("smiles", "edit", "expected"),
    [
        ("CCO", Edit("replace atom", (2,), element=7), "CCN"),
        ("c1cc[nH]c1", Edit("replace atom", (3,), element=8), "c1ccoc1"),
        ("c1ccccc1", Edit("replace atom", (0,), element=7), "c1ccncc1"),
        ("CCO", Edit("delete atom", (0,)), "CO"),
        ("CCO", Edit("delete atom", (1,)), "CO"),
        ("C1CCC1", Edit("delete atom", (1,)), "C1CC1"),
        ("CC", Edit("add atom", (1,), element=9), "CCF"),
        ("CC", Edit("insert atom", (0, 1), element=8), "COC"),
        ("CO", Edit("change bond", (0, 1), order=2), "C=O"),
        ("C#N", Edit("change bond", (0, 1), order=2), "C=N"),
        ("CCCCC", Edit("close ring", (0, 4)), "C1CCCC1"),
        ("C1CCCC1", Edit("open ring", (1, 2)), "CCCCC"),
        ("c1ccccc1", Edit("attach group", (0,), group="*[N+](=O)[O-]"), "O=[N+]([O-])c1ccccc1"),
        ("CN", Edit("attach group", (1,), group="*c1cccs1"), "CNc1cccs1"),
        ("O=[N+]([O-])c1ccccc1", Edit("delete group", (1, 3)), "c1ccccc1"),
        ("O=[N+]([O-])c1ccccc1", Edit("replace group", (1, 3), group="*O"), "Oc1ccccc1"),
    ],
)
def test_each_edit(smiles, edit, expected):
    mol = Chem.MolFromSmiles(smiles)
    before = Chem.MolToSmiles(mol)
    assert whole(applied(mol, edit))[1] == Chem.CanonSmiles(expected)
    assert Chem.MolToSmiles(mol) == before


def test_all_neighbours_of_a_small_molecule():
    """Everything one atom or bond away from methanol, by hand."""
    mol = parsed("CO")
    made = {whole(applied(mol, e))[1] for found in edits(mol, (6, 8), ["*C#C"]).values() for e in found}
    replaced, deleted = {"CC", "OO"}, {"C", "O"}
    added, inserted = {"CCO", "OCO", "COC", "COO"}, {"CCO", "COO"}
    groups = {"C#CCO", "C#COC", "C#CO", "C#CC"}
    assert made == replaced | deleted | added | inserted | groups | {"C=O"}


@pytest.mark.parametrize("smiles", [s for s in SMILES if "+" not in s and "@" not in s and "/" not in s])
def test_edits_of_atoms_and_bonds_can_be_undone(smiles):
    own = whole(Chem.MolFromSmiles(smiles))[1]
    mol = parsed(smiles)
    undoable = ("replace atom", "add atom", "insert atom", "close ring")
    made = [e for kind, found in edits(mol, ELEMENTS, ()).items() if kind in undoable for e in found]
    for edit in np.random.default_rng(0).permutation(len(made))[:12].tolist():
        pair = whole(applied(mol, made[edit]))
        # What changes an aromatic ring as a whole has no single edit back.
        inside = made[edit].kind == "close ring" and all(
            mol.GetAtomWithIdx(i).GetIsAromatic() for i in made[edit].atoms
        )
        if pair is not None and _aromatic(pair[0]) == _aromatic(mol) and not inside:
            assert own in neighbours(pair[1]), (made[edit], pair[1])


def _aromatic(mol):
    return sum(atom.GetIsAromatic() for atom in mol.GetAtoms())


@given(st.sampled_from(SMILES), st.integers(0, 2**32 - 1))
def test_random_edits_are_among_all(smiles, seed):
    mol = parsed(smiles)
    kind, made = random_edit(mol, ELEMENTS, ("*C#N",), np.random.default_rng(seed))
    assert kind in edits(mol, ELEMENTS, ("*C#N",))
    pair = whole(made)
    assert pair is None or pair[1] in neighbours(smiles, ("*C#N",))
    assert pair is None or {a.GetAtomicNum() for a in pair[0].GetAtoms()} <= {*ELEMENTS, 16}


def test_charged_atoms_change_only_with_their_group():
    mol = parsed("O=[N+]([O-])c1ccccc1")
    charged = {a.GetIdx() for a in mol.GetAtoms() if a.GetFormalCharge()}
    for kind, found in edits(mol, ELEMENTS).items():
        for edit in found:
            assert kind in ("delete group", "replace group") or not charged & set(edit.atoms)


def test_sides_of_a_bond():
    mol = Chem.MolFromSmiles("CCOc1ccccc1")
    assert side(mol, 2, 3) == {0, 1, 2} and side(mol, 3, 2) == set(range(3, 9))


@pytest.mark.parametrize("smiles", GROUPS.values(), ids=GROUPS)
def test_groups_attach_where_their_star_is(smiles):
    mol = Chem.MolFromSmiles("c1ccccc1")
    made = whole(applied(mol, Edit("attach group", (0,), group=smiles)))[1]
    assert made == Chem.CanonSmiles(smiles.replace("*", "c9ccccc9"))


@pytest.mark.parametrize("group", ["C#N", "*C*", "*=O", "*(", ""])
def test_what_is_no_group_is_refused(group):
    with pytest.raises(InputError, match=r"expected SMILES with one \*"):
        parsed_group(group)
