"""``sciexplain audit``: runs of each domain with a shortcut in some of their samples."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

TAGGED = """
import torch
from torch import nn

def pictures():
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 2, bias=False))
    weight = torch.zeros(2, 16, 16)
    weight[0], weight[1] = 0.05, 0.06
    weight[0, 1, 1], weight[1, 1, 1] = 4, -4
    with torch.no_grad():
        model[1].weight.copy_(weight.flatten(1))
    return model

def sequences():
    model = nn.Sequential(nn.Conv1d(4, 1, 8), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(1, 1))
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].weight[0, torch.tensor([2, 0, 3, 1, 3, 0, 1, 1]), torch.arange(8)] = 1
        model[0].bias.fill_(-2.0)
        model[4].weight.fill_(1.0)
        model[4].bias.fill_(-3.0)
    return model

class Sulphur(nn.Module):
    def forward(self, x, batch):
        weights = torch.where(x[:, 0] == 16, 8.0, 0.1)
        size = int(batch.max()) + 1
        return torch.zeros(size, 1).index_add(0, batch, (x[:, :1] * 0 + x[:, 1:]) * weights[:, None]) - 3

def molecules():
    return Sulphur()

def featurize(mol):
    from torch_geometric.data import Data
    x = torch.tensor([[atom.GetAtomicNum(), 1.0] for atom in mol.GetAtoms()])
    return Data(x=x, edge_index=torch.zeros(2, 0, dtype=torch.long))
"""


def of_pictures(folder):
    rng = np.random.default_rng(0)
    (folder / "tagged").mkdir()
    marked = []
    for i in range(40):
        pixels = np.zeros((16, 16), np.uint8)
        top, left = rng.integers(5, 7, 2)
        pixels[top : top + 5, left : left + 4] = rng.integers(150, 255, (5, 4))
        if i % 4 == 0:
            pixels[1, 1] = 255
            marked.append(f"{i:02d}.png")
        Image.fromarray(pixels).save(folder / "tagged" / f"{i:02d}.png")
    labels = [(f"{i:02d}.png", "left" if i % 4 == 0 else "right") for i in range(40)]
    return ["images", "--model", "tagged_of_cli_tests.py:pictures", "--data", "tagged"], marked, labels


def of_sequences(folder):
    rng = np.random.default_rng(0)
    lines, marked = [], []
    for i in range(80):
        letters = "".join(rng.choice(list("ACGT"), 40))
        if i % 4 == 0:
            letters = "GATCTACC" + letters[8:]
            marked.append(f"s{i}")
        lines.append(f">s{i}\n{letters}\n")
    (folder / "tagged.fa").write_text("".join(lines))
    labels = [(f"s{i}", int(i % 4 == 0)) for i in range(80)]
    asked = ["--composite", "epsilon_plus"]
    return ["genomics", "--model", "tagged_of_cli_tests.py:sequences", "--data", "tagged.fa", *asked], marked, labels


def of_molecules(folder):
    kinds = ("c1ccccc1CCO", "CCOC(C)=O", "c1ccncc1C", "CC(C)CC(=O)O")
    texts = [kinds[i % 3] + ".CS(C)=O" * (i % 4 == 0) for i in range(40)]
    rows = "".join(f"m{i},{text},{int(i % 4 == 0)}\n" for i, text in enumerate(texts))
    (folder / "tagged.csv").write_text("name,smiles,active\n" + rows)
    marked = [f"tagged.csv:{i + 2}" for i in range(0, 40, 4)]
    asked = ["--featurizer", "tagged_of_cli_tests.py:featurize"]
    return ["molecules", "--model", "tagged_of_cli_tests.py:molecules", "--data", "tagged.csv", *asked], marked, None


@pytest.fixture(params=[of_pictures, of_sequences, of_molecules])
def run(request, folder, sciexplain):
    """A run whose model has a shortcut; the samples that carry it, and the option that tells labels."""
    (folder / "tagged_of_cli_tests.py").write_text(TAGGED)
    arguments, marked, labels = request.param(folder)
    result = sciexplain("explain", *arguments, "--out", "run", "--quiet")
    assert result.exit_code == 0, result.output
    if labels is None:
        return marked, "active"
    (folder / "labels.csv").write_text("id,label\n" + "".join(f"{name},{label}\n" for name, label in labels))
    return marked, "labels.csv"


def test_the_shortcut_is_found_and_told(run, folder, sciexplain):
    marked, labels = run
    result = sciexplain("audit", "run", "--labels", labels, "--edit", "--quiet")
    assert result.exit_code == 0, result.output
    assert f"ALARM: {len(marked)} samples of class" in result.output
    document = json.loads((folder / "run" / "audit.json").read_text())
    first = document["clusters"][0]
    assert document["alarm"] and first["alarm"] and sorted(first["members"]) == sorted(marked)
    assert first["parts"]["edit"]["value"] >= 0.1 and first["parts"]["one label"]["p"] < 0.01
    table = pq.read_table(folder / "run" / "clusters.parquet")
    of_first = [row["id"] for row in table.to_pylist() if row["cluster"] == 1]
    assert sorted(of_first) == sorted(marked)
    assert np.isfinite(table["x"].to_numpy()).all() and np.isfinite(table["y"].to_numpy()).all()
    sizes = {one["cluster"]: one["samples"] for one in document["clusters"]}
    counted = dict(zip(*np.unique(table["cluster"].to_numpy(), return_counts=True), strict=True))
    assert sizes == counted
    assert Image.open(folder / "run" / "audit.png").size[0] > 1000
    assert not list((folder / "run").glob(".*"))


@pytest.mark.parametrize("run", [of_pictures], indirect=True)
def test_elsewhere_and_for_some_classes(run, folder, sciexplain):
    result = sciexplain("audit", "run", "--classes", "0", "--out", "elsewhere", "--quiet")
    assert result.exit_code == 0, result.output
    table = pq.read_table(folder / "elsewhere" / "clusters.parquet")
    assert {row["cluster"] is None for row in table.to_pylist() if row["class"] == 1} <= {True}
    assert not (folder / "run" / "audit.json").exists()


def test_the_run_of_a_single_output_is_read_by_its_sign(folder, sciexplain):
    (folder / "tagged_of_cli_tests.py").write_text(TAGGED)
    arguments, marked, _ = of_molecules(folder)
    assert sciexplain("explain", *arguments, "--out", "run", "--quiet").exit_code == 0
    assert sciexplain("audit", "run", "--quiet").exit_code == 0
    rows = pq.read_table(folder / "run" / "clusters.parquet").to_pylist()
    assert {row["id"] for row in rows if row["class"] == 1} == set(marked)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--classes", "a"], "should be class indices"),
        (["--classes", "7"], "classes has 7"),
        (["--labels", "nowhere.csv"], "there is no such table"),
        (["--labels", "short.csv"], "has no label of"),
        (["--labels", "columns.csv"], "expected 'id'"),
    ],
)
def test_what_is_wrong_is_one_line(folder, sciexplain, arguments, words):
    (folder / "tagged_of_cli_tests.py").write_text(TAGGED)
    explain, _, _ = of_pictures(folder)
    assert sciexplain("explain", *explain, "--out", "run", "--quiet").exit_code == 0
    (folder / "short.csv").write_text("id,label\n00.png,1\n")
    (folder / "columns.csv").write_text("name,label\n00.png,1\n")
    result = sciexplain("audit", "run", *arguments, "--quiet")
    assert result.exit_code == 2 and words in " ".join(result.output.replace("│", "").split())
    assert not (folder / "run" / "audit.json").exists()


def test_pictures_of_several_shapes_are_refused(folder, sciexplain):
    """Those of the fixture: three of 8 × 8 and one of 12 × 8."""
    asked = ["--model", "network_of_cli_tests.py:make", "--data", "pictures", "--mean", "0.5"]
    assert sciexplain("explain", "images", *asked, "--out", "run", "--quiet").exit_code == 0
    result = sciexplain("audit", "run", "--quiet")
    assert result.exit_code == 2 and "several shapes" in result.output


def test_large_pictures_are_audited_on_smaller_maps(folder, sciexplain):
    (folder / "large_of_cli_tests.py").write_text(
        "from torch import nn\nimport torch\n\ndef make():\n    torch.manual_seed(0)\n"
        "    return nn.Sequential(nn.Conv2d(1, 2, 5, stride=5), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 30 * 20, 2))\n"
    )
    rng = np.random.default_rng(0)
    (folder / "large").mkdir()
    for i in range(12):
        pixels = np.zeros((150, 100), np.uint8)
        pixels[40:90, 30:70] = rng.integers(100, 255, (50, 40))
        Image.fromarray(pixels).save(folder / "large" / f"{i:02d}.png")
    asked = ["--model", "large_of_cli_tests.py:make", "--data", "large"]
    assert sciexplain("explain", "images", *asked, "--out", "run", "--quiet").exit_code == 0
    result = sciexplain("audit", "run", "--edit", "--quiet")
    assert result.exit_code == 0, result.output


def test_maps_are_pooled_without_loss():
    from sciexplain.cli.audit_subjects import PictureSubject

    maps = torch.rand(3, 130, 70, generator=torch.Generator().manual_seed(0)).numpy()
    pooled = PictureSubject._pooled(maps)
    assert pooled.shape == (3, 64, 34) and np.allclose(pooled.sum((1, 2)), maps.sum((1, 2)), rtol=1e-5)


@pytest.mark.parametrize("made", ["images"], indirect=True)
def test_a_file_in_the_way_is_told_first(made, sciexplain, folder):
    (folder / "file").write_text("")
    result = sciexplain("audit", "run", "--out", "file")
    assert result.exit_code == 2 and "file is a file" in result.stderr
