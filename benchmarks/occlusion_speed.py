"""Throughput of occlusion against plain forward passes of the same number of images, batched just as large.

    python benchmarks/occlusion_speed.py [--device cpu] [--rounds 5] [--models small resnet18 vgg16]

One run, interleaved round by round in one process, medians. A ratio of 1 means that hiding windows, keeping account of
them and averaging costs nothing beside the model itself.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from _peers import torchvision
from torch import Tensor, nn

import sciexplain as sx

#: model: images, their size, window, rows in one pass
CASES = {"small": (4, 32, 4, 256), "resnet18": (1, 224, 32, 16), "vgg16": (1, 224, 56, 8)}


def build(name: str) -> nn.Module:
    """A small convolutional network of digits' size, or the architecture of that name, with random weights."""
    torch.manual_seed(0)
    if name != "small":
        return getattr(torchvision().models, name)(weights=None).eval()
    layers: list[nn.Module] = []
    for channels in ((3, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(*channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 10)).eval()


def seconds(run: Callable[[], object], device: str) -> float:
    begin = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def measure(name: str, device: str, rounds: int) -> tuple[int, float, float]:
    """Forward passes of single images, and images per second: plain, and by occlusion."""
    images, size, window, rows = CASES[name]
    model = build(name).to(device).requires_grad_(False)
    x = torch.randn(images, 3, size, size, device=device)
    count = images * (size // window) ** 2
    batches: list[Tensor] = list(torch.randn(count, 3, size, size, device=device).split(rows))

    @torch.no_grad()
    def plain() -> None:
        for batch in batches:
            model(batch)

    def occlusion() -> None:
        sx.explain(model, x, 1, method="occlusion", window=window, chunk=rows)

    times: dict[str, list[float]] = {"plain": [], "occlusion": []}
    for turn in range(rounds + 1):
        found = {"plain": seconds(plain, device), "occlusion": seconds(occlusion, device)}
        if turn:  # the first one warms up
            for key, value in found.items():
                times[key].append(value)
    return count, *(count / statistics.median(times[key]) for key in ("plain", "occlusion"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=list(CASES), choices=CASES)
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {arguments.device}, {torch.get_num_threads()} threads\n")
    print("| model | images occluded | plain (images/s) | occlusion (images/s) | ratio |")
    print("|---|---|---|---|---|")
    for name in arguments.models:
        count, plain, occluded = measure(name, arguments.device, arguments.rounds)
        print(f"| {name} | {count} | {plain:.1f} | {occluded:.1f} | {occluded / plain:.2f} |", flush=True)


if __name__ == "__main__":
    main()
