"""Runs opened again: explaining their samples anew gives what their rows hold."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sciexplain.cli.reopen import reopen
from sciexplain.errors import DataError, ModelError

SEQUENCES = """
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(6, 2)).eval()
"""
GRAPHS = """
import torch
from torch_geometric.nn import GIN, global_add_pool

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gin, self.out = GIN(9, 8, 2), torch.nn.Linear(8, 1)
    def forward(self, x, edge_index, batch):
        return self.out(global_add_pool(self.gin(x, edge_index), batch))

def make():
    torch.manual_seed(0)
    return Net().eval()
"""


def write_images(folder):
    return [
        "images",
        "--model",
        "network_of_cli_tests.py:make",
        "--data",
        "pictures",
        "--mean",
        "0.5",
        "--resize",
        "8,8",
    ]


def write_molecules(folder):
    (folder / "graphs_of_reopened.py").write_text(GRAPHS)
    (folder / "data.csv").write_text("name,smiles\na,CCO\nb,C1CC\nc,c1ccccc1O\nd,CC(=O)N\n")
    return ["molecules", "--model", "graphs_of_reopened.py:make", "--featurizer", "pyg", "--data", "data.csv"]


def write_genomics(folder):
    (folder / "sequences_of_reopened.py").write_text(SEQUENCES)
    rng = np.random.default_rng(0)
    letters = ["".join(rng.choice(list("ACGT"), n)) for n in (20, 20, 18, 20)]
    (folder / "data.fa").write_text("".join(f">s{i}\n{line}\n" for i, line in enumerate(letters)))
    return ["genomics", "--model", "sequences_of_reopened.py:make", "--data", "data.fa", "--strand", "both"]


DOMAINS = {"images": write_images, "molecules": write_molecules, "genomics": write_genomics}


@pytest.fixture
def made(folder, sciexplain, request):
    arguments = DOMAINS[request.param](folder)
    result = sciexplain("explain", *arguments, "--out", "run", "--quiet")
    assert result.exit_code == (0 if request.param == "images" else 1), result.output
    return request.param


def relevance(kind, explained, i):
    if kind == "molecules":
        return explained[i].atoms
    return explained.relevance[i] if kind == "images" else explained.nucleotides[i]


@pytest.mark.parametrize("made", DOMAINS, indirect=True)
def test_samples_explained_anew_are_those_of_the_rows(made):
    opened = reopen("run")
    assert opened.kind == made and len(opened.ids) == len(opened.table) >= 3
    ids = [opened.ids[2], opened.ids[0]]
    explained, stored = opened.explain(ids), opened.relevance(ids)
    for i, row in enumerate(stored):
        torch.testing.assert_close(relevance(made, explained, i).float(), row, rtol=1e-5, atol=1e-6)
    assert len(opened.samples(ids)) == 2
    with pytest.raises(DataError, match="has no row 'zebra'; its"):
        opened.relevance(["zebra"])


@pytest.mark.parametrize("made", ["images"], indirect=True)
def test_images_reach_the_network_as_they_did(made):
    opened = reopen("run")
    inputs = opened.inputs(opened.ids[:2])
    scores = opened.model(inputs).max(1).values
    assert scores.tolist() == pytest.approx(opened.table["score"].to_pylist()[:2], rel=1e-5)


@pytest.mark.parametrize("made", ["genomics"], indirect=True)
def test_sequences_have_their_model_at_hand(made):
    opened = reopen("run")
    assert opened.ids == ("s0", "s1", "s3")
    scores = opened.called(opened.samples(opened.ids).inputs)
    both = (scores + opened.called(opened.samples(opened.ids).inputs.flip(1, 2))) / 2
    assert both.max(1).values.tolist() == pytest.approx(opened.table["score"].to_pylist(), rel=1e-4)


@pytest.mark.parametrize("made", ["images"], indirect=True)
def test_what_changed_since_is_told(made, folder):
    code = folder / "network_of_cli_tests.py"
    before = code.read_text()
    code.write_text(before.replace("manual_seed(0)", "manual_seed(1)"))
    with pytest.raises(ModelError, match="not those that run was made with"):
        reopen("run")
    code.write_text(before)

    shutil.move("pictures", "elsewhere")
    with pytest.raises(DataError, match="made of pictures, which is not there"):
        reopen("run")
    assert len(reopen("run", data=Path("elsewhere")).samples(["a.png"])) == 1
    os.unlink("elsewhere/a.png")
    with pytest.raises(DataError, match=r"elsewhere/a\.png is not what it was"):
        reopen("run", data=Path("elsewhere"))


@pytest.mark.parametrize("made", ["genomics"], indirect=True)
def test_rows_of_one_name_are_refused(made, folder, sciexplain):
    (folder / "data.fa").write_text(">a\nACGTACGTACGTACGTACGT\n>a\nTTTTTTTTTTACGTACGTAC\n")
    assert sciexplain("explain", *write_twice(folder), "--out", "twice", "--quiet").exit_code == 0
    with pytest.raises(DataError, match="two rows have the id 'a'"):
        reopen("twice").explain(["a"])


def write_twice(folder):
    return ["genomics", "--model", "sequences_of_reopened.py:make", "--data", "data.fa", "--min-seqlets", "20"]
