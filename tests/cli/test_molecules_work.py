"""What a run over molecules asks and gets, against the domain's own explanation."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from rdkit import Chem
from torch_geometric.nn import GIN, global_add_pool
from torch_geometric.utils import from_rdmol

from sciexplain.cli.molecules_work import MoleculeWork, Question
from sciexplain.domains import molecules
from sciexplain.domains.molecules import families
from sciexplain.errors import InputError, TargetError
from sciexplain.runs import Answer, Failure, Sample, open_run

OPTIONS = {
    "target": None, "composite": "epsilon_plus", "walks": 0, "fragments": None, "bonds": True, "embed": False,
    "ledger": False, "smiles": None, "name": None,
}  # fmt: skip
ROWS = ["CCO", "C1CC", "c1ccccc1O", "CC(=O)N", "", "[Na+].[Cl-]", "CI", "C[C@H](N)C(=O)O", "C/C=C\\C"]


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gin, self.out = GIN(9, 8, 2), torch.nn.Linear(8, 2)

    def forward(self, x, edge_index, batch):
        return self.out(global_add_pool(self.gin(x, edge_index), batch))


def no_iodine(mol):
    if any(atom.GetAtomicNum() == 53 for atom in mol.GetAtoms()):
        raise ValueError("no iodine")
    return from_rdmol(mol)


@pytest.fixture
def family():
    torch.manual_seed(0)
    return families.find(Net().eval(), no_iodine, unit="eV", edge_features="signal")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("name,smiles\n" + "".join(f"m{i},{text}\n" for i, text in enumerate(ROWS)))
    return path


def told(attempts):
    """Of each attempt all that a run is made of."""
    return [
        (a.id, a.input, a.size, Chem.MolToCXSmiles(a.content.mol), a.content.labels)
        if isinstance(a, Sample)
        else (a.id, a.input, a.reason, a.stage)
        for a in attempts
    ]


def test_attempts_are_samples_and_failures_in_their_places(family, table):
    work = MoleculeWork.asked(family, table, OPTIONS)
    attempts = list(work.read())
    assert work.count() == len(attempts) == len(ROWS)
    assert [isinstance(a, Failure) for a in attempts] == [text in ("C1CC", "") for text in ROWS]
    assert attempts[0].id == "mine.csv:2" and attempts[0].input == "m0" and attempts[0].size == 3
    assert attempts[1].stage == "read" and "unclosed ring" in attempts[1].reason
    for start in range(len(ROWS) + 2):
        assert told(work.read(start)) == told(attempts[start:])


def test_answers_are_the_domain_s_and_failures_stand_in_their_place(family, table):
    work = MoleculeWork.asked(family, table, {**OPTIONS, "walks": 2, "fragments": "brics", "ledger": True})
    samples = [a for a in work.read() if isinstance(a, Sample)]
    explained = work.explain(samples)
    assert [isinstance(a, InputError) for a in explained.answers] == [s.content.name == "m6" for s in samples]
    assert "no iodine" in str(next(a for a in explained.answers if isinstance(a, InputError)))
    assert set(work.tables) == {"atoms", "bonds", "walks", "fragments"}
    for sample, answer in zip(samples, explained.answers, strict=True):
        if not isinstance(answer, Answer):
            continue
        a = molecules.explain(family, sample.content, composite="epsilon_plus")[0]
        np.testing.assert_allclose(answer.relevance, a.atoms, rtol=1e-5, atol=1e-7)
        assert answer.score == pytest.approx(a.score) and answer.target == a.target == answer.decision.prediction
        assert answer.gap == pytest.approx(0, abs=1e-5) and answer.relevance.dtype == np.float32
        tables = answer.tables()
        assert {name: set(columns) for name, columns in tables.items()} == {
            name: set(schema.names) for name, schema in work.tables.items()
        }
        assert tables["atoms"]["element"] == [atom.GetSymbol() for atom in a.molecule.mol.GetAtoms()]
        assert set(zip(tables["bonds"]["i"], tables["bonds"]["j"], strict=True)) == set(a.bonds)
        assert sum(tables["bonds"]["relevance"]) == pytest.approx(float(a.atoms.sum()), abs=1e-5)
        assert [tuple(walk) for walk in tables["walks"]["walk"]] == [walk for walk, _ in a.walks(2)]
        assert tables["fragments"]["smiles"] == [part.smiles for part, _ in a.fragments("brics")]
        assert {*tables["atoms"]["unit"]} == {"eV"} and {*tables["atoms"]["molecule"]} == {sample.id}


def test_the_record_is_that_of_a_file_of_explanations(family, table, tmp_path):
    work = MoleculeWork.asked(family, table, OPTIONS)
    samples = [a for a in work.read() if isinstance(a, Sample) and a.input != "m6"]
    text = "".join(answer.texts()["molecules.sdf"] for answer in work.explain(samples).answers)
    found = molecules.explain(family, [s.content for s in samples], composite="epsilon_plus")
    assert found.to_sdf(tmp_path / "a.sdf").read_text() == text
    read = Chem.SDMolSupplier()
    read.SetData(text, removeHs=False)
    assert [Chem.MolToSmiles(mol) for mol in read] == [Chem.MolToSmiles(s.content.mol) for s in samples]


def test_without_an_sdf_nothing_is_laid_out(family, table):
    work = MoleculeWork.asked(family, table, {**OPTIONS, "sdf": False})
    (answer,) = work.explain(list(work.read())[:1]).answers
    assert work.texts == () and answer.texts() == {} and set(answer.tables()) == {"atoms", "bonds"}


def test_drawings(family, table, tmp_path):
    work = MoleculeWork.asked(family, table, {**OPTIONS, "walks": 1})
    (answer,) = work.explain(list(work.read())[:1]).answers
    path = answer.draw(tmp_path / "000000")
    assert path.name == "000000_m0.svg" and path.read_text().startswith("<svg")


@pytest.mark.parametrize("wrong", [{"target": 7}, {"composite": "best"}])
def test_wrong_questions_are_raised(family, table, wrong):
    work = MoleculeWork.asked(family, table, {**OPTIONS, **wrong})
    with pytest.raises(work.wrong_question):
        work.explain(list(work.read())[:1])
    assert issubclass(TargetError, work.wrong_question)


def test_relevance_that_is_not_finite_fails_alone(family, table, monkeypatch):
    work = MoleculeWork.asked(family, table, OPTIONS)
    samples = [a for a in work.read() if isinstance(a, Sample)][:3]
    found = molecules.explain(family, [s.content for s in samples])
    found[1].layers[0, 1] = torch.inf
    monkeypatch.setattr(Question, "answer", lambda self, given, on_error=None: found)
    first, second, third = work.explain(samples).answers
    assert isinstance(first, Answer) and isinstance(third, Answer)
    assert isinstance(second, InputError) and "not finite" in str(second)


def test_geometries_are_made_or_said_to_be_missing(family, tmp_path):
    (tmp_path / "a.smi").write_text("CO\n" + "C" * 400 + " long\n*C\nC1CC\n")
    work = MoleculeWork.asked(family, tmp_path / "a.smi", {**OPTIONS, "embed": True})
    made, *failed = work.read()
    assert made.size == 6 and made.content.positions.shape == (6, 3)
    assert [f.stage for f in failed] == ["embed", "embed", "read"]
    assert failed[0].input == "long" and "at most 500" in failed[0].reason and "MMFF94" in failed[1].reason


def test_a_run_draws_the_first_molecules(family, table, sciexplain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net_of_work.py").write_text(
        "import torch\nfrom torch_geometric.nn import GIN, global_add_pool\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.gin, self.out = GIN(9, 8, 2), torch.nn.Linear(8, 2)\n"
        "    def forward(self, x, edge_index, batch):\n"
        "        return self.out(global_add_pool(self.gin(x, edge_index), batch))\n"
        "def make():\n    torch.manual_seed(0)\n    return Net().eval()\n"
    )
    result = sciexplain(
        "explain", "molecules", "--model", "net_of_work.py:make", "--featurizer", "pyg", "--data", table,
        "--out", "run", "--quiet", "--pictures", "1", "--shard", "4",
    )  # fmt: skip
    assert result.exit_code == 1, result.output
    run = open_run("run")
    good = [i for i, text in enumerate(ROWS) if text not in ("C1CC", "")]
    assert run.rows.to_table()["number"].to_pylist() == good and run.errors["number"].to_pylist() == [1, 4]
    atoms = pq.read_table("run/atoms.parquet")
    assert sorted(set(atoms["number"].to_pylist())) == good
    assert (tmp_path / "run" / "molecules.png").stat().st_size > 10_000
    assert len(list(Chem.SDMolSupplier("run/molecules.sdf"))) == len(good)
