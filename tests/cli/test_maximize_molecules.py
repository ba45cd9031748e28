"""Searching molecules on the command line: what is written, what is said, and how mistakes end."""

import csv
import json

import pytest
import typer
from rdkit import Chem
from typer.testing import CliRunner

from sciexplain.cli.main import _OneLineErrors
from sciexplain.cli.maximize_molecules import molecules

MODELS = """
import torch
from torch import nn
from torch_geometric.data import Data


def oxygens(mol):
    return Data(
        x=torch.tensor([[float(a.GetAtomicNum() == 8)] for a in mol.GetAtoms()]),
        edge_index=torch.zeros(2, 0, dtype=torch.long),
    )


class Counting(nn.Module):
    unit, tasks, featurizer = "points", ("oxygens",), staticmethod(oxygens)

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x, batch):
        return torch.zeros(int(batch.max()) + 1).index_add(0, batch, x[:, 0] * self.weight)


def make():
    return Counting()
"""

SMILES = ["C" * n + tail for n in range(1, 14) for tail in ("", "O", "OC", "N")]
QUICK = ("--steps", "3", "--population", "12", "--quiet")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models_of_cli_tests.py").write_text(MODELS)
    (tmp_path / "start.smi").write_text("\n".join([*SMILES, "C1CC broken"]))
    app = typer.Typer(cls=_OneLineErrors)
    app.command("molecules")(molecules)
    app.callback()(lambda: None)

    def call(*arguments):
        model = ("--model", "models_of_cli_tests.py:make")
        return CliRunner().invoke(app, ["molecules", *model, *map(str, arguments)])

    return call


def rows(path):
    return list(csv.DictReader(path.open()))


def test_searches_with_and_without_a_prior(run, tmp_path):
    result = run("--start", "start.smi", "--out", "out", *QUICK)
    assert result.exit_code == 0, result.output
    assert "valid molecules: from 1 points" in result.output and "as usual as the reference" in result.output
    out = tmp_path / "out"
    names = {f"{n}.{end}" for n in ("simple", "designs") for end in ("csv", "sdf")}
    assert {file.name for file in out.iterdir()} == names | {"designs.png", "trace.png", "designs.json"}
    told = json.loads((out / "designs.json").read_text())
    floor = told["designs"]["prior"]["floor"]
    found = rows(out / "designs.csv")
    assert all(float(row["log_density"]) >= floor for row in found)
    assert all(float(row["prediction"]) == row["smiles"].count("O") for row in found)
    assert told["designs"]["dropped"]["start: cannot be read"] == 1 and told["simple"]["prior"] is None
    assert told["designs"]["prior"]["molecules"] == len(SMILES)
    assert told["options"]["steps"] == 3 and told["model"]["class"].endswith("Counting")
    assert [Chem.MolToSmiles(m) for m in Chem.SDMolSupplier(str(out / "designs.sdf"))] == [r["smiles"] for r in found]
    assert run("--start", "start.smi", "--out", "out", *QUICK).exit_code == 2
    assert run("--start", "CCO", "--out", "out", "--overwrite", *QUICK).exit_code == 0


def test_near_one_molecule(run, tmp_path):
    options = ("--similar-to", "CCCCCCO", "--similarity", "0.5", "--direction", "down", "--forbid", "C#N")
    result = run(*options, "--out", "out", *QUICK)
    assert result.exit_code == 0, result.output
    found = rows(tmp_path / "out" / "designs.csv")
    assert found and all(float(row["similarity"]) >= 0.5 for row in found) and float(found[0]["prediction"]) == 0


def test_counterfactuals(run, tmp_path):
    result = run("--counterfactual", "CCCCO", "--threshold", "0.5", "--samples", "20", "--out", "out", "--quiet")
    assert result.exit_code == 0, result.output
    assert "CCCCO: 1 points" in result.output and "go to 0.5 or below" in result.output
    original, *others = rows(tmp_path / "out" / "counterfactuals.csv")
    assert original["smiles"] == "CCCCO" and others and not any("O" in row["smiles"] for row in others)
    assert (tmp_path / "out" / "counterfactuals.png").stat().st_size > 5000
    told = json.loads((tmp_path / "out" / "designs.json").read_text())
    assert told["counterfactual"]["asked"] > 50 and told["data"] is None


def test_finding_nothing_is_said(run, tmp_path):
    result = run("--counterfactual", "CCO", "--threshold", "99", "--samples", "0", "--out", "out", "--quiet")
    assert result.exit_code == 1 and "goes above 99" in result.output
    result = run("--start", "CCO", "--forbid", "[#6,#8]", "--out", "none", *QUICK)
    assert result.exit_code == 1 and "no molecule keeps all rules" in result.output


def test_nothing_near_the_data_is_said(run, tmp_path):
    """Without the prior ethanol and others are found; nothing of one oxygen is as usual as the alkanes."""
    (tmp_path / "alkanes.smi").write_text("\n".join("C" * n for n in range(2, 60)))
    result = run("--start", "CCO", "--prior", "alkanes.smi", "--forbid", "[CH3][CH3,CH2]", "--out", "out", *QUICK)
    assert result.exit_code == 1 and "0 molecules in out" in result.output, result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to start from"),
        (("--start", "CCO", "--counterfactual", "CC"), "--counterfactual starts from its own molecule"),
        (("--start", "CCO", "--threshold", "0"), "are of --counterfactual"),
        (("--start", "CCO", "--similarity", "0.5"), "Give --similar-to"),
        (("--start", "C1CC"), "unclosed ring"),
        (("--start", "CCO", "--elements", "C,Qq"), "elements has 'Qq'"),
        (("--start", ""), "--start is empty"),
        (("--counterfactual", " "), "--counterfactual is empty"),
        (("--counterfactual", "CCO", "--threshold", "nan"), "--threshold nan: expected a number"),
        (("--counterfactual", "CCO"), "say what would be another decision"),
        (("--start", "CCO", "--prior", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_mistakes_are_one_line(run, tmp_path, arguments, message):
    result = run(*arguments, "--out", "out", "--quiet")
    assert result.exit_code == 2 and message in result.output
    assert len(result.output.strip().splitlines()) == 1 and not (tmp_path / "out").exists()
