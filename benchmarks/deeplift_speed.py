"""Time of DeepLIFT with many references, per pair of sequence and reference, against one gradient and tangermeme.

    python benchmarks/deeplift_speed.py [--device cpu] [--rounds 5] [--sequences 8] [--references 20]

A BPNet-like network (64 filters, 6 dilated residual layers, 1 000 bp; Avsec et al. 2021), the same references for both.
One run, everything interleaved round by round in one process, medians; the unit is the plain gradient (one forward and
one backward pass to the input, parameters frozen) of a batch as large as all pairs, divided by the number of pairs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sciexplain as sx


class BPNetLike(nn.Module):
    """One-hot DNA (N, 4, L) to a count (N, 1)."""

    def __init__(self, filters: int = 64, layers: int = 6) -> None:
        super().__init__()
        self.stem, self.stem_relu = nn.Conv1d(4, filters, 21, padding=10), nn.ReLU()
        self.convs = nn.ModuleList(
            nn.Conv1d(filters, filters, 3, padding=2**i, dilation=2**i) for i in range(1, layers + 1)
        )
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(layers))  # tangermeme's hooks need one module per use
        self.head = nn.Linear(filters, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem_relu(self.stem(x))
        for conv, relu in zip(self.convs, self.relus, strict=True):
            x = x + relu(conv(x))
        return self.head(x.mean(2))


def one_hot(n: int, length: int, generator: torch.Generator) -> Tensor:
    letters = torch.randint(4, (n, length), generator=generator)
    return F.one_hot(letters, 4).transpose(1, 2).float().contiguous()


def gradient(model: nn.Module, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    (g,) = torch.autograd.grad(model(x).sum(), x)
    return g


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--references", type=int, default=20)
    parser.add_argument("--length", type=int, default=1000)
    given = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    n, k = given.sequences, given.references
    torch.manual_seed(0)
    model = BPNetLike().eval().requires_grad_(False).to(given.device)
    x = one_hot(n, given.length, generator).to(given.device)
    references = one_hot(n * k, given.length, generator).reshape(n, k, 4, -1).to(given.device)
    pairs = n * k

    def ours() -> Tensor:
        return sx.explain(model, x, 0, method="deepshap", references=references).relevance

    def theirs() -> Tensor:
        from tangermeme.deep_lift_shap import deep_lift_shap

        found: Tensor = deep_lift_shap(
            model, x, target=0, references=references, device=given.device, batch_size=32, hypothetical=False
        )
        return found

    everything = references.flatten(0, 1)

    def plain() -> Tensor:
        return torch.cat([gradient(model, part) for part in everything.split(n)])

    runs: dict[str, Callable[[], Tensor]] = {"gradient": plain, "sciexplain": ours, "tangermeme": theirs}
    values = {name: run() for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(given.rounds):
        for name, run in runs.items():
            if x.is_cuda:
                torch.cuda.synchronize()
            begin = time.perf_counter()
            run()
            if x.is_cuda:
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - begin)

    def ratio(a: str, b: str) -> float:
        return statistics.median(p / q for p, q in zip(times[a], times[b], strict=True))

    # per position: tangermeme books what a reference's letter gives at the letter of the sequence
    mine, other = values["sciexplain"].sum(1), values["tangermeme"].sum(1)
    difference = (mine - other).abs().max() / other.abs().max()
    unit = statistics.median(times["gradient"]) / pairs
    print(f"### DeepSHAP, {n} sequences × {k} references × {given.length} bp, {given.device}")
    print(f"\nOne gradient of one sequence takes {unit * 1e3:.2f} ms.\n")
    print("| | time per pair / gradient |")
    print("|---|---|")
    for name in ("sciexplain", "tangermeme"):
        print(f"| {name} | {ratio(name, 'gradient'):.2f} |")
    print(f"\ntangermeme / sciexplain: {ratio('tangermeme', 'sciexplain'):.2f}; largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
