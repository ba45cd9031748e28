"""Pixel flipping of digits: time beside Quantus' PixelFlipping and beside the bare forward passes, and the same curves.

    python benchmarks/flipping_speed.py [--digits 500] [--rounds 3] [--networks lenet convolutional dense] [--cpu-time]

One run, interleaved round by round in one process, medians. ``bare`` runs every step of every digit through the network
and does nothing else, in passes just as large as ours. Ours is below it where steps change nothing (a black pixel set
to black is not run again), and because images run with channels last. Digits from the shared data folder, or noise on
as many pixels where it is absent.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _peers import torchvision
from torch import Tensor, nn

import sciexplain as sx
from sciexplain import evaluate

PASS = 128
SIZE = 28 * 28


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "dense":
        layers: list[nn.Module] = [nn.Flatten(), nn.Linear(SIZE, 128), nn.ReLU(), nn.Linear(128, 10)]
    elif name == "lenet":
        layers = [
            nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
        ]  # fmt: skip
    else:
        layers = [
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1568, 10),
        ]  # fmt: skip
    return nn.Sequential(*layers).eval().requires_grad_(False)


def digits(count: int) -> tuple[Tensor, Tensor, str]:
    folder = Path(os.environ.get("SCIEXPLAIN_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    path = folder / "images" / "mnist_test_10k.npz"
    if path.is_file():
        data = np.load(path)
        return (
            torch.from_numpy(data["images"][:count])[:, None].float() / 255,
            torch.from_numpy(data["labels"][:count]).long(),
            "MNIST",
        )
    x = torch.rand(count, 1, 28, 28) * (torch.rand(count, 1, 28, 28) < 0.19)
    return x, torch.randint(10, (count,)), "noise on 19 % of the pixels"


def seconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    begin = clock()
    run()
    return clock() - begin


def measure(
    name: str, x: Tensor, y: Tensor, step: int, filler: str, rounds: int, clock: Callable[[], float]
) -> tuple[dict[str, float], float]:
    import quantus

    model = build(name)
    # No ties, whose order is nobody's; they would make other curves of the same explanation.
    relevance = sx.explain(model, x, y, composite="epsilon_plus").relevance + 1e-7 * torch.rand(x.shape)
    steps = SIZE // step
    fill: Tensor | str = x.amin((1, 2, 3), keepdim=True) if filler == "black" else "mean"
    curves = {}

    def ours() -> None:
        curves["ours"] = evaluate.pixel_flipping(
            model, x, relevance, y, filler=fill, steps=steps, output="probability", batch_size=PASS
        ).scores[:, 1:]

    def theirs() -> None:
        metric = quantus.PixelFlipping(
            features_in_step=step, abs=False, normalise=False, perturb_baseline=filler, disable_warnings=True
        )
        curves["quantus"] = torch.tensor(metric(model, x.numpy(), y.numpy(), a_batch=relevance.numpy()))

    @torch.no_grad()
    def bare() -> None:
        for _ in range(steps):
            for rows in x.split(PASS):
                model(rows)

    contenders = {"ours": ours, "quantus": theirs, "bare": bare}
    times: dict[str, list[float]] = {k: [] for k in contenders}
    for _ in range(rounds):
        for key, run in contenders.items():
            times[key].append(seconds(run, clock))
    return {k: statistics.median(t) for k, t in times.items()}, float((curves["ours"] - curves["quantus"]).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--digits", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=["lenet", "convolutional", "dense"])
    parser.add_argument("--steps", nargs="+", type=int, default=[1, 28], help="pixels in a step")
    parser.add_argument("--fillers", nargs="+", default=["black"], choices=["black", "mean"])
    parser.add_argument("--cpu-time", action="store_true", help="of this process, on a machine that others use too")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    torchvision()  # Quantus imports it where it is installed
    warnings.filterwarnings("ignore")
    x, y, kind = digits(arguments.digits)
    clocked = ", CPU time" if arguments.cpu_time else ""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {len(x)} digits ({kind}){clocked}\n")
    columns = ("network", "filler", "pixels in a step", "ours (s)", "Quantus / ours", "Quantus / bare", "ours / bare")
    print("| " + " | ".join((*columns, "largest difference of curves")) + " |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.networks:
        for filler in arguments.fillers:
            for step in arguments.steps:
                time_of, difference = measure(name, x, y, step, filler, arguments.rounds, clock)
                ours, theirs, bare = (time_of[k] for k in ("ours", "quantus", "bare"))
                ratios = f"{theirs / ours:.1f} | {theirs / bare:.1f} | {ours / bare:.2f}"
                print(f"| {name} | {filler} | {step} | {ours:.2f} | {ratios} | {difference:.1g} |", flush=True)


if __name__ == "__main__":
    main()
