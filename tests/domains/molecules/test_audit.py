"""Relevance by fragment, and a model that reads the solvent."""

import numpy as np
import pytest
import torch

from sciexplain.domains import molecules
from sciexplain.domains.molecules.audit import BESIDE, audit, fragment_table
from sciexplain.errors import InputError

KINDS = ("c1ccccc1CCO", "CCOC(C)=O", "c1ccncc1C", "CC(C)CC(=O)O", "c1ccccc1N", "OC1CCCCC1", "CCN(CC)CC", "Clc1ccccc1")


def read(texts):
    return [molecules.read_one(text) for text in texts]


def salted(solvent="CS(C)=O"):
    """120 molecules of two classes; 30 of class 1 have a solvent that most of the relevance is in."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    marked = (labels == 1) & (np.arange(120) < 60)
    given = read([KINDS[rng.integers(len(KINDS))] + f".{solvent}" * int(one) for one in marked])
    atoms = []
    for molecule, one in zip(given, marked, strict=True):
        values = np.abs(rng.normal(size=len(molecule)))
        if one:
            values[-len(molecules.read_one(solvent)) :] += 2
        atoms.append(values)
    return given, atoms, labels, marked


def test_the_table_holds_all_relevance():
    given, atoms, _, marked = salted()
    table = fragment_table(given, atoms=atoms)
    assert np.allclose(table.relevance.sum(1), [values.sum() for values in atoms], rtol=1e-5)
    solvent = table.names.index("CS(C)=O")
    assert table.beside.nonzero()[0].tolist() == [solvent]
    expected = [values[-4:].sum() if one else 0 for values, one in zip(atoms, marked, strict=True)]
    assert np.allclose(table.relevance[:, solvent], expected, rtol=1e-5)
    for molecule, own in zip(given, table.atoms, strict=True):
        places = sorted(i for part in own.values() for i in part)
        assert places == list(range(len(molecule)))


def test_what_is_rare_is_counted_together():
    given = read(["CCO"] * 5 + ["c1ccncc1", "c1ccoc1C", "CCO.[Na+]"])
    table = fragment_table(given, atoms=[np.ones(len(one)) for one in given])
    assert table.names == ("CCO", "other ring systems", "other chains", "others beside")
    assert table.relevance[5:].tolist() == [[0, 6, 0, 0], [0, 5, 1, 0], [3, 0, 0, 1]]
    assert table.beside.tolist() == [False, False, False, True]


def test_the_main_molecule_has_the_most_heavy_atoms():
    """Explicit hydrogens do not count, and go with their atoms."""
    full = molecules.with_hydrogens(molecules.read_one("CC(C)C.O=C=O.[Cl-]"))
    table = fragment_table([full] * 5, atoms=[np.ones(len(full))] * 5)
    assert dict(zip(table.names, table.relevance[0].tolist(), strict=True)) == {"CC(C)C": 14, "O=C=O": 3, "[Cl-]": 1}
    assert dict(zip(table.names, table.beside.tolist(), strict=True)) == {
        "CC(C)C": False, "O=C=O": True, "[Cl-]": True,
    }  # fmt: skip


@pytest.mark.parametrize("solvent", ["CS(C)=O", "Cl", "c1ccccc1"])
def test_a_solvent_is_found_and_named(solvent):
    """Benzene is a fragment of the molecules too, and is told apart."""
    given, atoms, labels, marked = salted(solvent)
    found = audit(given, atoms=atoms, target=labels, labels=labels, embedding=None)
    first = found[0]
    assert first.place == BESIDE and first.where == solvent and first.target == 1
    assert sorted(first.members) == marked.nonzero()[0].tolist()
    assert len(found.alarms) == 1


def test_what_stands_beside_molecules_of_both_classes_is_no_shortcut():
    given, atoms, labels, _ = salted()
    turned = np.where(np.arange(120) % 4 < 2, 0, 1)  # half of those with the solvent in either
    assert not audit(given, atoms=atoms, target=labels, labels=turned, embedding=None).alarm


def test_fragments_that_ought_not_to_matter_can_be_given():
    rng = np.random.default_rng(1)
    labels = np.arange(120) % 2
    scaffold = (labels == 1) & (np.arange(120) < 60)
    given = read(["CCc1ccncc1" if one else KINDS[rng.integers(2)] for one in scaffold])
    atoms = [np.ones(len(one)) for one in given]
    options = {"atoms": atoms, "target": labels, "labels": labels, "embedding": None}
    assert not audit(given, **options).alarm
    ring = next(n for n in fragment_table(given, atoms=atoms).names if "n" in n)
    found = audit(given, outside=[ring], **options)
    assert found[0].alarm and found[0].where == ring
    assert sorted(found[0].members) == scaffold.nonzero()[0].tolist()
    with pytest.raises(InputError, match="outside has 'C1CC1'; the fragments are"):
        audit(given, outside=["C1CC1"], **options)


class Sulphur(torch.nn.Module):
    """One output: twice the sulphur atoms, a little of the rest, less three."""

    def forward(self, x, batch):
        weights = torch.where(x[:, 0] == 16, 8.0, 0.1)
        size = int(batch.max()) + 1
        return torch.zeros(size, 1).index_add(0, batch, (x[:, :1] * 0 + x[:, 1:2]) * weights[:, None]) - 3


def featurized(mol):
    from torch_geometric.data import Data

    x = torch.tensor([[atom.GetAtomicNum(), 1.0] for atom in mol.GetAtoms()])
    return Data(x=x, edge_index=torch.zeros(2, 0, dtype=torch.long))


def test_a_model_of_one_output_with_edits():
    given, _, labels, marked = salted()
    m = molecules.explain(Sulphur(), given, featurizer=featurized)
    found = audit(m, labels=labels, edit=True, embedding=None)
    assert found.target.tolist() == marked.astype(int).tolist()
    first = found[0]
    assert first.alarm and first.target == 1 and first.where == "CS(C)=O"
    assert first.parts["edit"].value > 0.9


def test_molecules_without_relevance_are_refused():
    given, atoms, labels, _ = salted()
    with pytest.raises(InputError, match="expected an explanation of a molecule, or a molecule with its atoms="):
        audit(given, target=labels)
    with pytest.raises(InputError, match="atoms has 2 entries for 120"):
        audit(given, atoms=atoms[:2], target=labels)
    with pytest.raises(InputError, match=r"relevance of shape \(1,\) for"):
        audit(given, atoms=[np.ones(1)] * 120, target=labels)
    with pytest.raises(InputError, match="There are no molecules"):
        audit([])
    with pytest.raises(InputError, match="edit=True of molecules alone"):
        audit(given, atoms=atoms, target=labels, edit=True)
