"""What ``torch.compile`` costs and gains around explanations.

    python benchmarks/compile_speed.py [--batch 8] [--rounds 15] [--composite epsilon_plus]

Explaining runs a model as its source says, so a compiled model is explained as fast as the original one. In a compiled
function, a call of ``explain`` is left out of the compiled code and everything around it is compiled. Medians of
interleaved rounds in one process; every figure is a ratio to the eager explanation of the eager model.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import sciexplain as sx


def network(width: int) -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.SiLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)).eval()


def contenders(model: nn.Module, composite: str) -> dict[str, Callable[[Tensor], Any]]:
    compiled = torch.compile(model)

    def pooled(x: Tensor, explained: nn.Module = model) -> Tensor:
        """An explanation with elementwise work before and after it."""
        x = torch.tanh(x) * 2 + torch.sin(x)
        relevance = sx.explain(explained, x, 1, composite=composite).relevance
        return torch.log1p(torch.relu(relevance).sum(1) ** 2).sqrt() * torch.sigmoid(x.mean(1))

    return {
        "explain": lambda x: sx.explain(model, x, 1, composite=composite),
        "explain the compiled model": lambda x: sx.explain(compiled, x, 1, composite=composite),
        "function that explains": pooled,
        "compiled function that explains": torch.compile(pooled),
        "forward": lambda x: model(x),
        "forward of the compiled model": lambda x: compiled(x),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--composite", default="epsilon_plus")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    model = network(given.width).to(given.device)
    x = torch.randn(given.batch, 3, 32, 32, device=given.device)
    synchronize = torch.cuda.synchronize if x.is_cuda else lambda: None
    runs = contenders(model, given.composite)
    times: dict[str, list[float]] = {name: [] for name in runs}
    first: dict[str, float] = {}
    for round_ in range(given.rounds + 2):
        for name, run in runs.items():
            synchronize()
            begin = time.perf_counter()
            run(x)
            synchronize()
            seconds = time.perf_counter() - begin
            if round_ == 0:
                first[name] = seconds
            elif round_ > 1:
                times[name].append(seconds)
    unit = statistics.median(times["explain"])
    print(f"explain takes {unit * 1e3:.1f} ms (batch {given.batch}, {given.composite}, {given.device})\n")
    print("| | time / explain | first call (s) |\n|---|---|---|")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values) / unit:.3f} | {first[name]:.2f} |")


if __name__ == "__main__":
    main()
