"""The installed package does its main work: run by ``.ci/smoke`` where nothing else is installed."""

import subprocess
import tempfile
from pathlib import Path

import torch

import sciexplain as sx

torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(36, 3)
).eval()
x = torch.randn(2, 1, 8, 8)

for method in sx.METHODS:
    options = {
        "deeplift": {"reference": torch.zeros_like(x)},
        "deepshap": {"references": torch.zeros(2, 3, 1, 8, 8)},
        "expected_gradients": {"references": torch.zeros(2, 3, 1, 8, 8)},
        "gradcam": {"layer": "0"},
        "gradcam_plus_plus": {"layer": "0"},
    }.get(method, {})
    e = sx.explain(model, x, method=method, **options)
    assert e.relevance.shape[0] == 2 and e.relevance.isfinite().all(), method

e = sx.explain(model.double(), x.double(), 1, composite="epsilon_plus_flat", ledger=True)
assert e.ledger.gap.abs().max() < 1e-9

attention = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0).double().eval()
e = sx.explain(lambda x: attention(x).mean(1), torch.randn(2, 5, 8).double(), 0, composite="attention", ledger=True)
assert e.ledger.gap.abs().max() < 1e-9

with tempfile.TemporaryDirectory() as folder:
    e.save(Path(folder, "why.safetensors"))
    assert torch.equal(sx.load(Path(folder, "why.safetensors")).relevance, e.relevance)
    subprocess.run(["sciexplain", "demo", "--out", Path(folder, "demo")], check=True, stdout=subprocess.DEVNULL)
    assert Path(folder, "demo", "heatmaps.png").stat().st_size > 10_000

print(f"sciexplain {sx.__version__} with torch {torch.__version__}: all methods, ledger, files, demo")
