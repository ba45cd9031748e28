"""Searching molecules: what is promised of every one of them, and of the search."""

import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from counting_networks import EFFICIENT, OXYGENS, Counting
from rdkit import Chem, DataStructs
from rdkit.Chem import AllChem, Crippen

from sciexplain.domains import molecules
from sciexplain.domains.molecules.design import learn_prior, maximize
from sciexplain.domains.molecules.design.evolution import ordered
from sciexplain.domains.molecules.families import find
from sciexplain.errors import InputError, TargetError

START = ["CCO", "CCCCC", "c1ccccc1C", "CC(=O)N", "CCOC(C)=O", "CCN(C)C", "OCCCO"]
QUICK = {"steps": 5, "population": 16}


def tanimoto(a, b):
    made = [AllChem.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(s), 2, 2048) for s in (a, b)]
    return DataStructs.TanimotoSimilarity(*made)


def counted(smiles, weights):
    mol = Chem.MolFromSmiles(smiles)
    numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    nitros = len(mol.GetSubstructMatches(Chem.MolFromSmarts("[N+](=O)[O-]")))
    return float(np.dot(weights, [numbers.count(8), numbers.count(7), nitros, len(numbers)]))


@pytest.mark.parametrize("moves", ["selfies", "fragments", "both"])
@pytest.mark.parametrize(("direction", "sign"), [("up", 1), ("down", -1)])
def test_molecules_are_real_new_and_better(moves, direction, sign):
    design = maximize(Counting(EFFICIENT), start=START, max_atoms=9, moves=moves, direction=direction, **QUICK)
    smiles = [one.smiles for one in design]
    assert len(set(smiles)) == len(smiles) > 10
    for one in design:
        mol = Chem.MolFromSmiles(one.smiles)
        assert mol is not None and Chem.MolToSmiles(mol) == one.smiles and "." not in one.smiles
        assert mol.GetNumHeavyAtoms() <= 9 and Chem.GetFormalCharge(mol) == 0
        assert {a.GetSymbol() for a in mol.GetAtoms()} <= {"C", "N", "O"}
        assert not any(a.GetNumRadicalElectrons() for a in mol.GetAtoms())
        assert one.prediction == pytest.approx(counted(one.smiles, EFFICIENT), abs=1e-5)
        assert one.nearest == pytest.approx(max(tanimoto(one.smiles, s) for s in START), abs=1e-9)
    predictions = [sign * one.prediction for one in design]
    assert predictions == sorted(predictions, reverse=True)
    assert predictions[0] > sign * design.start
    best = [sign * generation.best for generation in design.trace]
    assert best == sorted(best) and len(best) == 6


def test_the_optimum_is_found():
    """Two oxygens on as few atoms as hold them; a peroxide and carbonic acid would have more, and are not made."""
    design = maximize(Counting((1.0, 0.0, 0.0, -0.3)), start=["CCO"], max_atoms=4, steps=8, population=12)
    assert {one.smiles for one in design[:3]} == {"O=O", "O=C=O", "O=CO"} and design[3].prediction < 1


def test_lineage_leads_back_to_the_start():
    design = maximize(Counting(EFFICIENT), start=START, max_atoms=9, **QUICK)
    line = design.lineage(0)
    assert line[0].move == "start" and line[0].smiles in {Chem.CanonSmiles(s) for s in START}
    assert line[-1].smiles == design[0].smiles
    for parent, child in pairwise(line):
        assert child.parents[0] == parent.smiles and child.step > parent.step


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_seeds_decide_and_batches_do_not(batch_size):
    model = Counting((1.0, 0.37, 0.11, -0.21))
    first, again = (maximize(model, start=START, seed=3, batch_size=b, **QUICK) for b in (64, batch_size))
    assert [one.values for one in first] == [pytest.approx(one.values, abs=1e-5) for one in again]
    assert [g.best for g in first.trace] == pytest.approx([g.best for g in again.trace], abs=1e-5)
    assert first.dropped == again.dropped
    other = maximize(model, start=START, seed=4, **QUICK)
    assert [one.smiles for one in first] != [one.smiles for one in other]


def test_scores_that_differ_by_rounding_go_by_smiles():
    design = maximize(Counting(OXYGENS), start=["OCC", "OCCC", "OC", "OCCCC"], steps=0, max_atoms=9)
    assert [one.smiles for one in design] == ["CCCCO", "CCCO", "CCO", "CO"]
    assert ordered([]) == []


def test_nothing_but_the_result_changes():
    model = Counting(EFFICIENT).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    maximize(model, start=START, **QUICK)
    assert (torch.rand(1), np.random.rand(), random.random()) == expected
    assert model.training and model.dropout.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_similarity_is_kept():
    aspirin = "CC(=O)Oc1ccccc1C(=O)O"
    design = maximize(Counting(OXYGENS), similarity=(aspirin, 0.5), steps=5, population=12)
    assert len(design) > 5 and design[0].prediction > 4
    for one in design:
        assert one.similarity == pytest.approx(tanimoto(one.smiles, aspirin), abs=1e-9) and one.similarity >= 0.5


def test_a_start_that_is_unlike_comes_nearer():
    """Step by step, until nothing new is left to find."""
    options = {"start": ["Cc1ccccc1"], "elements": ["C", "O"], "steps": 30, "population": 6}
    design = maximize(Counting(OXYGENS), similarity=("CCc1ccccc1O", 0.9), **options)
    assert design.start is None and {one.smiles for one in design} == {"CCc1ccccc1O"}
    assert len(design.trace) < 31


def test_a_prior_is_kept_and_is_told_of_searches_without_it():
    data = ["CCO", "CCCO", "CCCCO", "CCC", "CCCC", "CCCCC", "CC(C)O", "CC(C)CO", "CCOCC", "CCOC"] * 2
    known = learn_prior(data)
    usual = maximize(Counting(OXYGENS), start=START, prior=known, **QUICK)
    valid = maximize(Counting(OXYGENS), start=START, **QUICK)
    assert usual.prior is known and valid.prior is None and len(usual)
    assert all(one.log_density >= known.floor for one in usual)
    assert usual[0].log_density == pytest.approx(known.log_density(Chem.MolFromSmiles(usual[0].smiles)))
    assert all(one.log_density is None for one in valid)
    told = [one.log_density for one in valid.under(known)]
    assert np.mean(told) < np.mean([one.log_density for one in usual])


def test_forbidden_parts_go():
    nitro = "[N+](=O)[O-]"
    start = ["O=[N+]([O-])c1ccccc1", "Cc1ccc([N+](=O)[O-])cc1"]
    design = maximize(Counting(OXYGENS), start=start, forbidden={"nitro": nitro}, **QUICK)
    pattern = Chem.MolFromSmarts(nitro)
    assert len(design) and not any(Chem.MolFromSmiles(one.smiles).HasSubstructMatch(pattern) for one in design)
    assert design.dropped["start, not in the result: forbidden: nitro"] == 2 and design.start is None


def test_what_is_dropped_is_counted():
    def fussy(mol):
        if mol.HasSubstructMatch(Chem.MolFromSmarts("N")):
            raise ValueError("no nitrogens")
        return Counting.featurizer(mol)

    class Undefined(Counting):
        def forward(self, x, batch):
            y = super().forward(x, batch)
            return torch.where(y >= 2, torch.nan, y)

    start = [*START, "not a molecule", "CC.O"]
    design = maximize(Undefined(OXYGENS), start=start, featurizer=fussy, elements=["C", "N", "O"], **QUICK)
    assert design.dropped["start: cannot be read"] == 1 and design.dropped["start: several molecules"] == 1
    assert design.dropped["start: cannot take it"] == 4 and design.dropped["model: cannot take it"] > 1
    assert design[0].prediction == 1 and not any("N" in one.smiles for one in design)


def test_targets_choose_what_counts():
    model = find(Counting(OXYGENS, (0.0, 1.0, 0.0, 0.0)), tasks=("oxygens", "nitrogens"))
    options = {"start": ["CCCN", "CCCO"], "steps": 6, "population": 16, "max_atoms": 6}
    nitrogens, by_weight, by_call = (
        maximize(model, target, **options) for target in (1, torch.tensor([0.0, 1.0]), lambda y: y[:, 1])
    )
    assert nitrogens.task == "nitrogens" and nitrogens[0].smiles.upper().count("N") == nitrogens[0].prediction >= 2
    assert [o.smiles for o in nitrogens] == [o.smiles for o in by_weight] == [o.smiles for o in by_call]
    for target, message in (
        (None, "2 outputs: 'oxygens', 'nitrogens'"),
        (2, "out of range"),
        ("0", "expected a column"),
    ):
        with pytest.raises(TargetError, match=message):
            maximize(model, target, **options)
    with pytest.raises(TargetError, match="returned"):
        maximize(model, lambda y: y, **options)


def test_hydrogens_are_as_the_start_has_them():
    """A model that counts all atoms sees hydrogens only where the start has them."""
    model = Counting((0.0, 0.0, 0.0, 1.0))
    plain = maximize(model, start=["CCO"], steps=0)
    full = maximize(model, start=molecules.with_hydrogens(molecules.read_one("CCO")), steps=2, population=4)
    assert plain[0].prediction == 3 and full.start == 9
    for one in full:
        assert one.prediction == Chem.AddHs(Chem.MolFromSmiles(one.smiles)).GetNumAtoms() == len(one.molecule)


def test_models_of_geometries_say_what_they_need():
    def distances(z, pos, batch):
        return torch.zeros(int(batch.max()) + 1).index_add(0, batch, pos.norm(dim=1) * (z == 8))

    with pytest.raises(InputError, match=r"takes none of the 1 molecules.*molecules\.embed"):
        maximize(distances, start=["CCO"], steps=1)
    design = maximize(distances, start=["CCO"], steps=1, population=4, prepare=molecules.embed)
    assert design[0].molecule.positions is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": None}, "nothing to start from"),
        ({"start": "C1CC"}, "none of them with bonds.*unclosed ring"),
        ({"start": ["C.C"]}, "nothing to start from: 1 start: several"),
        ({"direction": "sideways"}, "direction='sideways'"),
        ({"population": 1}, "population=1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"similarity": ("CC", 2)}, "at least 2.0"),
        ({"similarity": "CC"}, "expected a molecule and a value"),
        ({"groups": ["C"]}, r"one \* on a single bond"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        maximize(Counting(OXYGENS), **{"start": ["CCO"], "steps": 1, "population": 4, **options})


def test_files_and_pictures(tmp_path):
    design = maximize(find(Counting(EFFICIENT)), start=START, max_atoms=9, **QUICK)
    lines = design.to_csv(tmp_path / "x.csv").read_text().splitlines()
    assert len(lines) == len(design) + 1 and lines[1].split(",")[0] == design[0].smiles
    back = list(Chem.SDMolSupplier(str(design.to_sdf(tmp_path / "x.sdf"))))
    assert [Chem.MolToSmiles(mol) for mol in back] == [one.smiles for one in design]
    assert [float(mol.GetProp("prediction")) for mol in back] == [one.prediction for one in design]
    shown = design.diverse(4, 0.5)
    assert shown[0] is design[0] and all(
        tanimoto(a.smiles, b.smiles) <= 0.5 for i, a in enumerate(shown) for b in shown[:i]
    )
    assert [part.molecule.name for part in design.grid(4, alike=0.5).parts] == [one.smiles for one in shown]
    assert design.grid(2).svg == design.grid(2).svg
    kept = design.as_json()
    assert kept["molecules"][0]["smiles"] == design[0].smiles and len(kept["trace"]) == 6


def test_raised_logp_is_raised_by_another_measure(shared_data, monkeypatch):
    """A trained network's molecules against RDKit's own Crippen, and closer to it with a prior than without."""
    from sciexplain import datasets
    from sciexplain.domains.molecules import reference

    path = shared_data("molecules/graph_attribution/crippen.jsonl.gz")
    monkeypatch.setenv("SCIEXPLAIN_DATA", str(path.parents[2]))
    data = datasets.load("crippen")
    model = reference.train(data, epochs=8, width=32, layers=2).model
    start = [Chem.MolToSmiles(molecule.mol) for molecule in data.molecules[:200]]
    truth = [Crippen.MolLogP(molecule.mol) for molecule in data.molecules[:200]]
    known, errors = learn_prior(start), {}
    for name, kept in (("valid", None), ("usual", known)):
        design = maximize(model, start=start, direction="down", prior=kept, steps=6, population=30)
        top = design[:20]
        logp = np.array([Crippen.MolLogP(Chem.MolFromSmiles(one.smiles)) for one in top])
        errors[name] = float(np.abs(logp - [one.prediction for one in top]).mean())
        assert logp.mean() < np.quantile(truth, 0.05)
    assert errors["usual"] < errors["valid"]
