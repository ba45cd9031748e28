"""``sciexplain evaluate`` on small runs of each domain, as a user would."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import sciexplain as sx
from sciexplain.domains import genomics, images, molecules
from sciexplain.runs.models import load_function

QUICK = ("--quiet", "--steps", "5")
MODELS = """
import torch
from torch import nn

class Motif(nn.Module):
    length = None
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv1d(4, 5, 4)
        self.out = nn.Linear(5, 1)
    def forward(self, x):
        return self.out(self.conv(x).relu().amax(2))

def motif():
    return Motif().eval()

class Picky(Motif):
    def forward(self, x):
        y = super().forward(x)
        count = x[:, 0].sum(1, keepdim=True)  # of A
        return torch.where((count > 2.5) & (count < 5.5), torch.nan, y)

def picky():
    return Picky().eval()
"""
TEXTS = ["ACGTACGTTTTT", "GGGCCCATTAAC", "TTATTGACCTCC", "CATCTTGGGATT", "AAAAAAAAAAGC"]


@pytest.fixture
def pictures(folder, sciexplain):
    """A run over the three pictures of one size."""
    result = sciexplain(
        "explain", "images", "--model", "network_of_cli_tests.py:make", "--data", "pictures", "--out", "run", "--quiet",
        "--resize", "8,8",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder


def sequences(folder, sciexplain, model="motif"):
    (folder / "sequence_models.py").write_text(MODELS)
    (folder / "s.fa").write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(TEXTS)))
    return sciexplain(
        "explain", "genomics", "--model", f"sequence_models.py:{model}", "--data", "s.fa", "--out", "run", "--quiet",
        "--pictures", "0",
    )  # fmt: skip


def figures(path):
    return {(row["metric"], row["method"]): row for row in json.loads(path.read_text())["table"]}


def test_pictures_are_measured_as_by_the_core(pictures, sciexplain):
    result = sciexplain("evaluate", "run", *QUICK, "--baseline", "random,gradient")
    assert result.exit_code == 0, result.output
    assert "deletion gain" in result.output and "pixels taken away, filler mean" in result.output
    assert "4 samples in" in result.output
    made = json.loads((pictures / "run" / "evaluation.json").read_text())
    assert made["filler"] == "mean" and made["options"]["baseline"] == "random,gradient"
    assert len(made["samples"]) == 4 and made["failed"] == {} and made["unmeasured"] == {}
    found = figures(pictures / "run" / "evaluation.json")
    names = ["lrp epsilon", "random", "gradient"]
    assert [m for metric, m in found if metric == "deletion gain"] == names

    make = load_function("network_of_cli_tests.py:make")
    e = images.explain(make(), list(images.read("pictures")), preprocess=images.Preprocess(resize=(8, 8)))
    expected = images.evaluate.compare(e, ["gradient"], steps=5)
    for name, own in (("lrp epsilon", "explanation"), ("gradient", "gradient")):
        row = found["deletion gain", name]
        interval = sx.evaluate.interval(expected.gains[own])
        assert [row["mean"], row["low"], row["high"]] == pytest.approx(interval[:3], rel=1e-5)
        assert found["deletion lead", name]["mean"] == pytest.approx(float(expected.leads[own].mean()), rel=1e-5)
    back = images.evaluate.flipping(e, mode="insertion", steps=5)
    random = images.evaluate.flipping(e, mode="insertion", steps=5, order="random")
    assert found["insertion lead", "lrp epsilon"]["mean"] == pytest.approx(
        float((back.areas - random.areas).mean()), rel=1e-5
    )
    alike = sx.evaluate.agreement(e.heatmap, images.evaluate.attributed(e, "gradient").sum(1)).spearman
    assert found["agreement", "gradient"]["mean"] == pytest.approx(float(alike.mean()), rel=1e-5)
    assert found["ledger gap", "lrp epsilon"]["mean"] < 1e-5
    assert found["agreement", "random"]["better"] is None
    rows = pq.read_table(pictures / "run" / "evaluation.parquet").to_pylist()
    gains = [row["value"] for row in rows if (row["metric"], row["method"]) == ("deletion gain", "lrp epsilon")]
    assert gains == pytest.approx(expected.gains["explanation"].tolist(), rel=1e-5)
    assert Image.open(pictures / "run" / "evaluation.png").size[0] > 1000


def test_the_rows_are_drawn_and_come_out_the_same(pictures, sciexplain):
    results = [
        sciexplain("evaluate", "run", *QUICK, "--samples", "2", "--metric", "deletion,stability", "--out", out)
        for out in ("a", "b")
    ]
    assert [r.exit_code for r in results] == [0, 0], results[0].output
    first, second = (json.loads((pictures / out / "evaluation.json").read_text()) for out in ("a", "b"))
    assert first["table"] == second["table"] and len(first["samples"]) == 2
    assert {row["metric"] for row in first["table"]} == {"deletion gain", "deletion lead", "max-sensitivity"}
    assert set(first["curves"]) == {"deletion"}


def test_masks_of_pictures(pictures, sciexplain):
    (pictures / "masks" / "deep").mkdir(parents=True)
    for name in ("a.png", "b.png", "deep/d.png"):
        mask = np.zeros((8, 8), np.uint8)
        mask[2:6, 2:5] = 255
        Image.fromarray(mask).save(pictures / "masks" / name)
    result = sciexplain("evaluate", "run", *QUICK, "--metric", "localization", "--masks", "masks")
    assert result.exit_code == 1, result.output  # c.png has none
    assert "masks has no mask of it" in result.output
    found = figures(pictures / "run" / "evaluation.json")
    assert found["localization AUC", "lrp epsilon"]["samples"] == 3
    assert found["mask", "lrp epsilon"]["mean"] == pytest.approx(3 * 12 / 64 / 4)  # of all four
    assert not (pictures / "run" / "evaluation.png").exists()


def test_what_was_explained_otherwise_is_not_evaluated(pictures, sciexplain):
    table = pq.read_table(pictures / "run" / "rows" / "part-000000.parquet")
    rows = table.to_pylist()
    rows[1]["relevance"] = [2 * r for r in rows[1]["relevance"]]
    pq.write_table(table.from_pylist(rows, schema=table.schema), pictures / "run" / "rows" / "part-000000.parquet")
    result = sciexplain("evaluate", "run", *QUICK, "--metric", "deletion")
    assert result.exit_code == 1, result.output
    made = json.loads((pictures / "run" / "evaluation.json").read_text())
    assert list(made["failed"]) == [rows[1]["id"]] and "comes out otherwise" in made["failed"][rows[1]["id"]]
    assert len(made["samples"]) == 3


def test_molecules_with_atoms_bonds_and_masks(tmp_path, monkeypatch, sciexplain):
    pytest.importorskip("rdkit")
    monkeypatch.chdir(tmp_path)
    smiles = ["CCO", "CCN", "c1ccccc1", "c1ccccc1O", "CC(=O)O", "CC(=O)N", "C", "OCCO", "NCCN", "CCOC(C)=O"]
    rows = [f"m{i},{s},{s.count('O') - s.count('N'):.1f}" for i, s in enumerate(smiles)]
    (tmp_path / "mine.csv").write_text("\n".join(["name,smiles,value", *rows]))
    for command in (
        ("train", "molecules", "--data", "mine.csv", "--target", "value", "--unit", "eV", "--out", "model",
         "--epochs", "2", "--width", "8", "--layers", "2", "--quiet"),
        ("explain", "molecules", "--model", "model", "--data", "mine.csv", "--out", "run", "--quiet",
         "--pictures", "0"),
    ):  # fmt: skip
        made = sciexplain(*command)
        assert made.exit_code == 0, made.output
    (tmp_path / "truth.csv").write_text("name,atoms\nm0,2\nm3,6\nm4,2 3\n")
    result = sciexplain("evaluate", "run", *QUICK, "--baseline", "random,occlusion", "--masks", "truth.csv")
    assert result.exit_code == 1, result.output  # most molecules have no mask
    found = figures(tmp_path / "run" / "evaluation.json")
    assert found["deletion gain", "lrp epsilon"]["unit"] == "eV"
    assert found["localization AUC", "occlusion"]["samples"] == 3
    ids = json.loads((tmp_path / "run" / "evaluation.json").read_text())["samples"]
    assert len(ids) == 10
    m = molecules.explain(molecules.load_model("model"), list(molecules.read("mine.csv")))
    gains = molecules.evaluate.compare(m, ["occlusion"], steps=5).gains
    for name, own in (("lrp epsilon", "explanation"), ("occlusion", "occlusion")):
        mean = float(gains[own].mean())
        assert found["deletion gain", name]["mean"] == pytest.approx(mean, rel=1e-4, abs=1e-6)
    result = sciexplain("evaluate", "run", *QUICK, "--parts", "bonds", "--metric", "deletion")
    assert result.exit_code == 1, result.output  # methane
    (failed,) = json.loads((tmp_path / "run" / "evaluation.json").read_text())["failed"].items()
    assert failed[0] == ids[6] and "no bonds" in failed[1]
    result = sciexplain("evaluate", "run", *QUICK, "--parts", "bonds", "--baseline", "gradient")
    assert result.exit_code == 2 and "no relevance of bonds" in result.output


def test_sequences_with_words_and_sites(folder, sciexplain):
    made = sequences(folder, sciexplain)
    assert made.exit_code == 0, made.output
    (folder / "sites.bed").write_text("\n".join(f"s{i}\t2\t6" for i in range(len(TEXTS))) + "\n")
    result = sciexplain(
        "evaluate",
        "run",
        *QUICK,
        "--parts",
        "3",
        "--filler",
        "zero",
        "--masks",
        "sites.bed",
        "--baseline",
        "mutagenesis",
    )
    assert result.exit_code == 0, result.output
    assert "stretches of 3 nucleotides" in result.output
    found = figures(folder / "run" / "evaluation.json")

    motif = load_function("sequence_models.py:motif")
    g = genomics.explain(motif(), TEXTS, composite="epsilon_alpha2_beta1")
    expected = genomics.evaluate.compare(g, ["mutagenesis"], parts=3, filler="zero", steps=4)
    own = "lrp epsilon_alpha2_beta1"
    result = sciexplain("evaluate", "run", "--quiet", "--steps", "4", "--parts", "3", "--filler", "zero", "--out", "b",
                        "--baseline", "mutagenesis", "--metric", "deletion")  # fmt: skip
    again = figures(folder / "b" / "evaluation.json")
    assert again["deletion gain", own]["mean"] == pytest.approx(float(expected.gains["explanation"].mean()), rel=1e-4)
    where = genomics.evaluate.localization(g, [[(2, 6)]] * 5)
    assert found["localization AUC", own]["mean"] == pytest.approx(float(where.auc.mean()), rel=1e-5)
    assert found["mask", own]["mean"] == pytest.approx(4 / 12)
    assert found["randomised weights", own]["samples"] > 0


def test_samples_whose_score_is_lost_on_the_way_are_listed(folder, sciexplain):
    """The model says NaN between 3 and 5 A's: of two sequences as they are, of one with some of its letters gone."""
    made = sequences(folder, sciexplain, "picky")
    assert made.exit_code == 1
    result = sciexplain("evaluate", "run", *QUICK, "--metric", "deletion,sensitivity", "--filler", "zero")
    assert result.exit_code == 1, result.output
    made = json.loads((folder / "run" / "evaluation.json").read_text())
    explained = [f"s{i}" for i, text in enumerate(TEXTS) if not 3 <= text.count("A") <= 5]
    assert list(made["failed"]) == ["s4"] and "NaN or infinite" in made["failed"]["s4"]
    assert made["samples"] == [name for name in explained if name != "s4"]
    assert "1 failed" in result.output


WRONG = [
    (("--filler", "shuffled"), "expected mean, zero, blur"),
    (("--parts", "bonds"), "number of pixels"),
    (("--metric", "aopc"), "'aopc' is none of"),
    (("--metric", "localization"), "needs --masks"),
    (("--baseline", "saliency"), "'saliency'"),
    (("--baseline", "lrp epsilon"), "leave it out"),
    (("--masks", "network_of_cli_tests.py"), "network_of_cli_tests.py"),
    (("--data", "network_of_cli_tests.py"), "is not there"),
    (("--parts", "8"), "every sample is one part"),
    (("--steps", "1"), "greater than or equal to 2"),
    (("--samples", "1", "--filler", "resample"), "there is one only"),
    (("--out", "network_of_cli_tests.py"), "is a file"),
]


def test_wrong_usage_is_told(pictures, sciexplain):
    for options, message in WRONG:
        result = sciexplain("evaluate", "run", "--quiet", *options)
        assert result.exit_code == 2 and message in " ".join(result.output.split()), result.output
        assert "Traceback" not in result.output
    assert not (pictures / "run" / "evaluation.json").exists()


def test_pictures_of_another_size_are_left_out(folder, sciexplain):
    sciexplain("explain", "images", "--model", "network_of_cli_tests.py:make", "--data", "pictures", "--out", "run")
    result = sciexplain("evaluate", "run", *QUICK, "--metric", "conservation")
    assert result.exit_code == 1, result.output
    made = json.loads((folder / "run" / "evaluation.json").read_text())
    assert list(made["failed"]) == ["b.png"] and "(3, 12, 8)" in made["failed"]["b.png"]
    assert len(made["samples"]) == 3


def test_what_is_no_run(folder, sciexplain):
    result = sciexplain("evaluate", "pictures")
    assert result.exit_code == 2 and "is not a run" in result.output
    assert torch.is_grad_enabled()
