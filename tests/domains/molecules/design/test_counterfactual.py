"""Counterfactuals: decided otherwise, as similar as told, at different places, and none where there is none."""

import numpy as np
import pytest
import torch
from counting_networks import NITROS, OXYGENS, Counting
from rdkit import Chem, DataStructs
from rdkit.Chem import AllChem

from sciexplain.domains import molecules
from sciexplain.domains.molecules.design import counterfactual, learn_prior
from sciexplain.errors import InputError, TargetError

NITROTOLUENE = "Cc1ccc([N+](=O)[O-])cc1"
NITRO = Chem.MolFromSmarts("[N+](=O)[O-]")
QUICK = {"samples": 60}


def tanimoto(a, b):
    made = [AllChem.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(s), 2, 2048) for s in (a, b)]
    return DataStructs.TanimotoSimilarity(*made)


@pytest.fixture(scope="module")
def found():
    return counterfactual(Counting(NITROS, bias=[-0.5]), NITROTOLUENE, threshold=0, samples=100)


def test_the_nitro_group_is_what_it_hangs_on(found):
    assert found.prediction == 0.5 and len(found) == 6 and found.different > 6
    for one in found:
        mol = Chem.MolFromSmiles(one.smiles)
        assert not mol.HasSubstructMatch(NITRO) and one.prediction == -0.5
        assert one.similarity == pytest.approx(tanimoto(one.smiles, NITROTOLUENE), abs=1e-9)
        removed = {Chem.MolFromSmiles(found.smiles).GetAtomWithIdx(i).GetSymbol() for i in one.change.removed}
        assert "O" in removed


def test_the_most_similar_of_all_single_edits_is_found(found):
    """Against every substituent that could be put in the place of the nitro group, or nothing."""
    tails = ("F", "Cl", "O", "N", "C", "C#N", "C=O", "OC", "C(=O)O", "C(F)(F)F", "N(C)C", "C(C)=O", "c2ccccc2")
    by_hand = [tanimoto(f"Cc1ccc({tail})cc1", NITROTOLUENE) for tail in tails]
    assert found[0].similarity >= max(by_hand)


def test_different_places_come_first():
    """Two oxygens at places that are not alike: each can go alone."""
    found = counterfactual(Counting(OXYGENS), "OCCCCC(=O)c1ccccc1", change=-1, number=4, **QUICK)
    places = [one.change.places for one in found]
    assert places[0] != places[1] and all(one.prediction <= found.prediction - 1 for one in found)


def test_numbers_rise_or_fall_by_what_is_asked():
    rising = counterfactual(Counting(OXYGENS), "CCCCO", change=2, **QUICK)
    assert len(rising) and all(one.prediction >= 3 and one.label is None for one in rising)
    assert rising.question == "up by 2" and rising.prediction == 1


def test_classes_become_others():
    model = Counting((0.0, 0.0, 1.0, 0.0), (0.0, 1.0, -1.0, 0.0), (0.25, 0.0, -2.0, 0.0), bias=[0.0, 0.1, 0.0])
    any_other = counterfactual(model, NITROTOLUENE, **QUICK)
    assert any_other.label == 0 and len(any_other) and all(one.label != 0 for one in any_other)
    given = counterfactual(model, NITROTOLUENE, 2, samples=600, similarity=0.1)
    assert all(one.label == 2 for one in given)
    with pytest.raises(TargetError, match="is the predicted class already"):
        counterfactual(model, NITROTOLUENE, 0, **QUICK)
    with pytest.raises(TargetError, match="out of range"):
        counterfactual(model, NITROTOLUENE, 3, **QUICK)


def test_the_same_for_any_batches_and_hydrogens_as_given():
    model = Counting((0.3, 0.2, 0.1, 0.0)).train()
    first, again = (
        counterfactual(model, "CCOC(C)=O", change=0.5, batch_size=size, seed=1, **QUICK) for size in (64, 5)
    )
    assert [one.smiles for one in first] == [one.smiles for one in again] and model.training
    full = molecules.with_hydrogens(molecules.read_one("CCO"))
    found = counterfactual(Counting((0.0, 0.0, 0.0, 1.0)), full, change=3, **QUICK)
    assert found.prediction == 9 and all(len(one.molecule) == one.prediction >= 12 for one in found)


def test_limits_are_kept():
    known = learn_prior(
        ["Cc1ccccc1", "CCc1ccccc1", "Oc1ccccc1", "Cc1ccccc1O", "Cc1ccc(O)cc1", "Cc1ccc(C)cc1", NITROTOLUENE]
    )
    found = counterfactual(
        Counting(NITROS), NITROTOLUENE, threshold=0.5, similarity=0.3, elements=["C", "O"], prior=known, **QUICK
    )
    assert len(found) and found.dropped["too unlike"] and found.dropped["too unusual"]
    for one in found:
        assert one.similarity >= 0.3 and one.log_density >= known.floor
        assert {a.GetSymbol() for a in Chem.MolFromSmiles(one.smiles).GetAtoms()} <= {"C", "O"}


def test_nothing_is_found_where_nothing_can_be(tmp_path):
    found = counterfactual(Counting((0.0, 0.0, 0.0, 0.0)), "CCO", threshold=1, **QUICK)
    assert len(found) == found.different == 0 and found.asked > 50 and found._repr_svg_() is None
    assert found.to_csv(tmp_path / "x.csv").read_text().count("\n") == 2
    with pytest.raises(InputError, match="no counterfactual among"):
        found.grid()


@pytest.mark.parametrize(
    ("molecule", "options", "error", "message"),
    [
        ("CCO", {}, TargetError, "one output, 1 here; say what would be another decision"),
        ("CCO", {"threshold": 0, "change": 1}, TargetError, "expected one of them"),
        ("CCO", {"change": 0}, TargetError, "change=0"),
        ("CCO", {"threshold": float("nan")}, TargetError, "threshold=nan"),
        ("CC.O", {"threshold": 0}, InputError, "exactly one whole molecule"),
        (["CC", "CCO"], {"threshold": 0}, InputError, "exactly one whole molecule"),
        ("CCO", {"threshold": 0, "number": 0}, InputError, "number=0"),
        ("CCO", {"threshold": 0, "groups": ["CC"]}, InputError, r"one \* on a single bond"),
    ],
)
def test_what_cannot_be_meant_is_refused(molecule, options, error, message):
    with pytest.raises(error, match=message):
        counterfactual(Counting(OXYGENS), molecule, **options)


def test_models_that_cannot_take_the_molecule_say_why():
    def positions(z, pos, batch):
        return torch.zeros(int(batch.max()) + 1)

    with pytest.raises(InputError, match="found no positions"):
        counterfactual(positions, "CCO", threshold=0)


def test_files_and_pictures(found, tmp_path):
    rows = found.to_csv(tmp_path / "x.csv").read_text().splitlines()
    assert len(rows) == 8 and rows[1].startswith(f"{found.smiles},0.5,,1.0")
    back = list(Chem.SDMolSupplier(str(found.to_sdf(tmp_path / "x.sdf"))))
    assert [Chem.MolToSmiles(mol) for mol in back] == [found.smiles, *(one.smiles for one in found)]
    assert back[1].GetProp("change") == found[0].change.text
    drawing = found.grid()
    assert [part.molecule.name for part in drawing.parts[1::2]] == [one.smiles for one in found]
    assert drawing.svg == found.grid().svg and drawing.png()[1:4] == b"PNG"
    assert [one["smiles"] for one in found.as_json()["counterfactuals"]] == [one.smiles for one in found]


def test_pictures_lay_both_out_alike(found):
    """Common atoms lie where they lie in the original, up to one shift and scale."""
    drawing = found.grid()
    original, other = drawing.parts[0].molecule.mol, drawing.parts[1].molecule.mol
    assert original.GetNumConformers() and other.GetNumConformers()
    same = np.array(found[0].change.same)
    a, b = (mol.GetConformer().GetPositions()[same[:, k], :2] for k, mol in enumerate((original, other)))
    assert a - a.mean(0) == pytest.approx(b - b.mean(0), abs=1e-3)
