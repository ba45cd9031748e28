"""Reference models: they learn, they keep their units, they are the same after saving."""

import numpy as np
import pytest
import torch

from sciexplain.datasets import LabelledMolecules
from sciexplain.domains import molecules
from sciexplain.domains.molecules import reference
from sciexplain.errors import InputError, ModelError

SMILES = ["C" * n + end for n in range(1, 9) for end in ("O", "N", "", "Cl", "C(=O)O")]


def _data(kind="regression"):
    found = [molecules.read_one(s) for s in SMILES]
    heteroatoms = np.array([float((m.numbers != 6).sum()) for m in found])
    targets = 100.0 + 25.0 * heteroatoms if kind == "regression" else (heteroatoms > 0).astype(float)
    order = np.random.default_rng(0).permutation(len(found))
    parts = np.split(order, [24, 32])
    return LabelledMolecules(
        "chains", found, targets[:, None], ("value",), ("kJ/mol",), kind, *map(np.sort, parts), "random, seed 0"
    )


@pytest.mark.parametrize("kind", ["gin", "gat", "gcn", "dmpnn"])
def test_it_learns_in_real_units_and_stays_the_same(kind, tmp_path):
    torch.manual_seed(0)
    trained = reference.train(_data(), kind, epochs=60, width=16, layers=2, lr=5e-3, batch_size=8)
    assert trained.test["RMSE"] < 0.7 * trained.baseline["RMSE"]
    folder = reference.save(trained, tmp_path / "model")
    family = molecules.load_model(folder)
    assert (family.unit, family.tasks) == ("kJ/mol", ("value",))
    own = molecules.families.find(trained.model)
    found = [molecules.read_one(s) for s in ("CCO", "CCCC", "O=CO")]
    torch.testing.assert_close(family.predict(found), own.predict(found))
    assert float(family.predict(found)[1]) == pytest.approx(100.0, abs=25)
    for a in molecules.explain(family, found):
        absorbed = sum(map(float, a.ledger.absorbed.values()))
        assert float(a.atoms.sum()) + absorbed == pytest.approx(a.score, rel=1e-4)


def test_classes_and_geometries(tmp_path):
    classes = reference.train(_data("classification"), "gin", epochs=30, width=16, layers=2, lr=5e-3)
    assert classes.test["AUROC"] > 0.8
    small = _data()
    energies = reference.train(small, "schnet", epochs=2, width=8, layers=2)
    family = molecules.load_model(reference.save(energies, tmp_path / "schnet"))
    (a,) = molecules.explain(family, [molecules.embed(molecules.read_one("CO"))])
    assert len(a) == 6 and a.depth == 2
    with pytest.raises(InputError, match="positions"):
        molecules.explain(family, ["CO"])


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(InputError):
        reference.train(_data(), "gin", epochs=0)
    with pytest.raises(ModelError):
        reference.train(_data(), "transformer", epochs=1)
    with pytest.raises(ModelError):
        reference.load(tmp_path)
