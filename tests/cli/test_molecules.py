"""Training and explaining on the command line, as a chemist would."""

import json

import pyarrow.parquet as pq
import pytest

from sciexplain.domains import molecules
from sciexplain.runs import open_run

SMILES = [
    "CCO", "CCN", "c1ccccc1", "c1ccccc1O", "CC(=O)O", "CC(=O)N", "CCCCCC", "C1CCCCC1", "OCCO", "NCCN", "CCOC(C)=O",
    "Cc1ccccc1", "CC(C)O", "CCCl", "CCBr", "c1ccncc1", "COc1ccccc1", "CC#N", "CC=O", "CCS", "CCCCO", "CCCCN", "c1ccsc1",
    "OC(=O)c1ccccc1",
]  # fmt: skip


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A user's table: alcohols and amines are high; one row does not parse, one has an element nobody trained on."""
    monkeypatch.chdir(tmp_path)
    rows = [f"m{i},{s},{s.count('O') + s.count('N') - s.count('c') / 6:.2f}" for i, s in enumerate(SMILES)]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(["name,smiles,value", *rows, "bad,C1CC,1.0"]))
    return path


@pytest.fixture
def trained(table, sciexplain):
    result = sciexplain(
        "train", "molecules", "--data", "mine.csv", "--target", "value", "--unit", "eV", "--out", "model",
        "--epochs", "3", "--width", "8", "--layers", "2", "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "test RMSE" in result.output and "left out mine.csv:26" in result.output
    return result


def test_training_leaves_a_model_that_explains(trained, sciexplain, tmp_path):
    result = sciexplain(
        "explain", "molecules", "--model", "model", "--data", "mine.csv", "--out", "run", "--quiet",
        "--walks", "3", "--fragments", "brics", "--pictures", "2", "--batch-size", "10", "--ledger",
    )  # fmt: skip
    assert result.exit_code == 1, result.output  # one row does not parse
    run = open_run("run")
    rows = run.rows.to_table().to_pylist()
    assert [row["input"] for row in rows] == [f"m{i}" for i in range(len(SMILES))]
    (bad,) = run.errors.to_pylist()
    assert bad["id"] == "mine.csv:26" and "ring" in bad["reason"].lower()
    family = molecules.load_model("model")
    expected = molecules.explain(family, molecules.read_one(SMILES[3]))[0]
    assert rows[3]["score"] == pytest.approx(expected.score, rel=1e-5)
    assert rows[3]["relevance"] == pytest.approx(expected.atoms.tolist(), rel=1e-4, abs=1e-6)
    assert abs(rows[3]["gap"]) < 1e-4
    tables = {
        name: pq.read_table(tmp_path / "run" / f"{name}.parquet") for name in ("atoms", "bonds", "walks", "fragments")
    }
    atoms = [r for r in tables["atoms"].to_pylist() if r["name"] == "m3"]
    assert [r["element"] for r in atoms] == ["C"] * 6 + ["O"] and {r["unit"] for r in atoms} == {"eV"}
    for name in ("bonds", "fragments"):
        total = sum(r["relevance"] for r in tables[name].to_pylist() if r["name"] == "m3")
        assert total == pytest.approx(float(expected.atoms.sum()), rel=1e-4, abs=1e-5)
    best = [(tuple(r["walk"]), r["relevance"]) for r in tables["walks"].to_pylist() if r["name"] == "m3"]
    assert [r for _, r in best] == pytest.approx([r for _, r in expected.walks(3)], rel=1e-4)
    from rdkit import Chem

    assert len(list(Chem.SDMolSupplier("run/molecules.sdf"))) == len(SMILES)
    assert len(list((tmp_path / "run" / "pictures").iterdir())) == 2
    assert (tmp_path / "run" / "molecules.png").stat().st_size > 10_000
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["status"] == "finished" and info["counts"] == {"rows": len(SMILES), "failed": 1}
    assert not list((tmp_path / "run").glob(".*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "4"], "target 4 is out of range"),
        (["--composite", "best"], "No composite 'best'"),
        (["--smiles", "structure"], "structure"),
        (["--featurizer", "pyg"], "featurizer"),
    ],
)
def test_wrong_questions_leave_nothing(trained, sciexplain, tmp_path, arguments, message):
    result = sciexplain(
        "explain", "molecules", "--model", "model", "--data", "mine.csv", "--out", "run", "--quiet", *arguments
    )
    if arguments[0] == "--smiles":  # recorded: the file has no such column
        assert result.exit_code in (1, 2)
    elif arguments[0] != "--featurizer":
        assert result.exit_code == 2
        assert not (tmp_path / "run").exists()
    assert message in " ".join(result.output.split()) or arguments[0] == "--featurizer"
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "mine.csv"], "say which column to predict with --target"),
        (["--data", "mine.csv", "--target", "mass"], "expected one named 'mass'"),
        (["--data", "none.csv", "--target", "value"], "there is no file none.csv"),
        (["--data", "digits"], "digits holds images"),
        (["--data", "unheard"], "no data set is named 'unheard'"),
    ],
)
def test_wrong_training(table, sciexplain, arguments, message):
    result = sciexplain("train", "molecules", "--out", "model", "--quiet", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_model_is_not_overwritten_unasked(trained, sciexplain):
    result = sciexplain("train", "molecules", "--data", "mine.csv", "--target", "value", "--out", "model", "--quiet")
    assert result.exit_code == 2 and "--overwrite" in result.output
