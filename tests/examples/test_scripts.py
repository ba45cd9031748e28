"""The scripts for batches, on small inputs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "scripts"
MODELS = """
import torch
from torch import nn

def pictures():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3)).eval()

class Graphs(nn.Module):
    def __init__(self):
        super().__init__()
        from torch_geometric.nn import GIN
        self.gin, self.out = GIN(9, 8, 2), nn.Linear(8, 1)
    def forward(self, x, edge_index, batch):
        from torch_geometric.nn import global_add_pool
        return self.out(global_add_pool(self.gin(x, edge_index), batch))

def graphs():
    torch.manual_seed(0)
    return Graphs().eval()

def sequences():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(8, 2)).eval()
"""


def pictures(folder):
    import numpy as np
    from PIL import Image

    (folder / "pictures").mkdir()
    for n in range(6):
        grey = np.random.default_rng(n).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(grey).save(folder / "pictures" / f"{n}.png")
    (folder / "pictures" / "6.png").write_bytes(b"not a picture")
    return ["folder_of_pictures.py", "models.py:pictures", "pictures", "run"]


def molecules(folder):
    rows = ["CCOC(=O)C", "CCO", "C1CC", "CC(=O)Nc1ccccc1"] * 3
    (folder / "table.csv").write_text("smiles,name\n" + "".join(f"{text},m{n}\n" for n, text in enumerate(rows)))
    return ["csv_of_smiles.py", "models.py:graphs", "table.csv", "run", "--least", "2", "--featurizer", "pyg"]


def regions(folder):
    import random

    letters = "".join(random.Random(0).choices("ACGT", k=2000))
    (folder / "genome.fa").write_text(f">chr1\n{letters}\n")
    (folder / "peaks.bed").write_text(
        "".join(f"chr1\t{100 * n}\t{100 * n + 60}\n" for n in range(12)) + "chr2\t0\t60\n"
    )
    return ["bed_file.py", "models.py:sequences", "peaks.bed", "genome.fa", "run"]


@pytest.mark.parametrize("prepared", [pictures, molecules, regions])
def test_a_script_explains_and_lists(prepared, tmp_path):
    (tmp_path / "models.py").write_text(MODELS)
    script, *arguments = prepared(tmp_path)
    done = subprocess.run(
        [sys.executable, "-P", FOLDER / script, *arguments],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr[-2000:]  # one row is bad
    assert "Traceback" not in done.stderr and "failed" in done.stdout + done.stderr
    assert len(done.stdout.splitlines()) > 4
