import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from sciexplain.cli import app

NETWORK = """
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3),
    ).eval()

def fixed_size():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))

class Undefined(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = make()
    def forward(self, x):
        return self.net(x) * (1.0 if x.shape[-2:] == (8, 8) else float("nan"))

def single_output():
    return nn.Sequential(make(), nn.Linear(3, 1))

def sigmoid():
    return nn.Sequential(make(), nn.Sigmoid())

class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = make()
    def forward(self, x):
        return self.net(torch.lgamma(x.abs() + 1))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's folder, as the current one: a module with models, and pictures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "network_of_cli_tests.py").write_text(NETWORK)
    (tmp_path / "pictures" / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index, name in enumerate(["a.png", "b.png", "c.png", "deep/d.png"]):
        rows = 12 if name == "b.png" else 8
        pixels = rng.integers(0, 256, (rows, 8, 3), dtype=np.uint8)
        pixels[index] = 0
        Image.fromarray(pixels).save(tmp_path / "pictures" / name)
    return tmp_path


@pytest.fixture
def sciexplain():
    """Run the command in this process; what it printed has its colours and line breaks taken out."""

    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def command():
    """Run the installed command in a process of its own."""

    def run(*arguments):
        script = Path(sysconfig.get_path("scripts"), "sciexplain")
        return subprocess.run([script, *arguments], capture_output=True, text=True, check=False)

    return run


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
    (folder / "graphs_of_cli_tests.py").write_text(GRAPHS)
    (folder / "data.csv").write_text("name,smiles\na,CCO\nb,C1CC\nc,c1ccccc1O\nd,CC(=O)N\n")
    return ["molecules", "--model", "graphs_of_cli_tests.py:make", "--featurizer", "pyg", "--data", "data.csv"]


def write_genomics(folder):
    (folder / "sequences_of_cli_tests.py").write_text(SEQUENCES)
    rng = np.random.default_rng(0)
    letters = ["".join(rng.choice(list("ACGT"), n)) for n in (20, 20, 20, 20)]
    letters[2] = "N" * 20
    (folder / "data.fa").write_text("".join(f">s{i}\n{line}\n" for i, line in enumerate(letters)))
    return ["genomics", "--model", "sequences_of_cli_tests.py:make", "--data", "data.fa", "--strand", "both"]


DOMAINS = {"images": write_images, "molecules": write_molecules, "genomics": write_genomics}


@pytest.fixture(params=DOMAINS)
def made(folder, sciexplain, request):
    """A run of each domain, in the folder ``run``; its name."""
    arguments = DOMAINS[request.param](folder)
    result = sciexplain("explain", *arguments, "--out", "run", "--quiet")
    assert result.exit_code == (0 if request.param == "images" else 1), result.output
    return request.param
