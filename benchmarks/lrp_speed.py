"""Time and peak memory of LRP on VGG16 and ResNet50, against the plain gradient and against zennit.

    python benchmarks/lrp_speed.py [--device cpu] [--batch 4] [--rounds 7] [--models vgg16 resnet50]

One run, everything interleaved round by round in one process, medians; every figure is a ratio to the plain gradient
(one forward, one backward to the input, parameters frozen). Peak memory is what a run adds to the model and its input:
the allocator's peak on CUDA, the peak of a fresh process's resident memory on Linux.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
from _peers import torchvision, zennit
from torch import Tensor

import sciexplain as sx

PRESETS = ("epsilon", "epsilon_plus_flat", "epsilon_gamma_box", "epsilon_alpha2_beta1_flat")
LOW, HIGH = -2.2, 2.7
GRADIENT = "gradient"


def build(name: str, device: str) -> torch.nn.Module:
    """The architecture with random weights, its BatchNorm statistics away from the identity."""
    torch.manual_seed(0)
    model = getattr(torchvision().models, name)(weights=None).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return model.requires_grad_(False).to(device)


def gradient(model: torch.nn.Module, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    y = model(x)
    (g,) = torch.autograd.grad(y.gather(1, y.argmax(1, keepdim=True)).sum(), x)
    return g


def ours(preset: str) -> Callable[[torch.nn.Module, Tensor], Tensor]:
    bounds = {"low": LOW, "high": HIGH} if preset.endswith("box") else {}
    composite = sx.composites.get(preset, **bounds)
    return lambda model, x: sx.explain(model, x, composite=composite).relevance


def theirs(preset: str) -> Callable[[torch.nn.Module, Tensor], Tensor]:
    z = zennit()
    composites: dict[str, Callable[..., Any]] = {
        "epsilon": lambda **k: z.composites.LayerMapComposite(
            layer_map=[*z.composites.layer_map_base(1e-9), (z.types.Linear, z.rules.Epsilon(1e-6))], **k
        ),
        "epsilon_plus_flat": lambda **k: z.composites.EpsilonPlusFlat(stabilizer=1e-9, **k),
        "epsilon_gamma_box": lambda **k: z.composites.EpsilonGammaBox(low=LOW, high=HIGH, stabilizer=1e-9, **k),
        "epsilon_alpha2_beta1_flat": lambda **k: z.composites.EpsilonAlpha2Beta1Flat(stabilizer=1e-9, **k),
    }

    def run(model: torch.nn.Module, x: Tensor) -> Tensor:
        canonizer = z.torchvision.ResNetCanonizer() if hasattr(model, "layer1") else z.torchvision.VGGCanonizer()
        with z.attribution.Gradient(model=model, composite=composites[preset](canonizers=[canonizer])) as attributor:
            return attributor(x, lambda y: torch.zeros_like(y).scatter(1, y.argmax(1, keepdim=True), 1))[1]

    return run


def contenders() -> dict[str, Callable[[torch.nn.Module, Tensor], Tensor]]:
    found = {GRADIENT: gradient}
    for preset in PRESETS:
        found[preset] = ours(preset)
        found[f"zennit {preset}"] = theirs(preset)
    return found


def seconds(run: Callable[[torch.nn.Module, Tensor], Tensor], model: torch.nn.Module, x: Tensor) -> float:
    gc.collect()
    synchronize = torch.cuda.synchronize if x.is_cuda else lambda: None
    synchronize()
    begin = time.perf_counter()
    run(model, x)
    synchronize()
    return time.perf_counter() - begin


def peak_cuda(run: Callable[[torch.nn.Module, Tensor], Tensor], model: torch.nn.Module, x: Tensor) -> float:
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run(model, x)
    return torch.cuda.max_memory_allocated() - before


def peak_cpu(name: str, contender: str, batch: int) -> float:
    """In a process of its own, since resident memory only grows."""
    command = [sys.executable, __file__, "--peak", contender, "--models", name, "--batch", str(batch)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def print_peak(name: str, contender: str, batch: int) -> None:
    model, x = build(name, "cpu"), image_batch(batch, "cpu")
    run = contenders()[contender]
    run(model, x[:1, :, :64, :64])  # libraries and kernels loaded, weights touched
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # freed memory that the allocator still holds would hide what is taken next
    before, peak, done = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.001):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    run(model, x)
    done.set()
    watcher.join()
    print(peak - before)


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def image_batch(batch: int, device: str) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(batch, 3, 224, 224, device=device).clamp(LOW, HIGH)


def table(name: str, device: str, batch: int, rounds: int) -> str:
    model, x = build(name, device), image_batch(batch, device)
    runs = contenders()
    for run in runs.values():
        run(model, x)
    times: dict[str, list[float]] = {key: [] for key in runs}
    for _ in range(rounds):
        for key, run in runs.items():
            times[key].append(seconds(run, model, x))
    if x.is_cuda:
        peaks = {key: peak_cuda(run, model, x) for key, run in runs.items()}
    else:
        peaks = {key: peak_cpu(name, key, batch) for key in (GRADIENT, *PRESETS)}
    unit = statistics.median(times[GRADIENT])
    lines = [
        f"### {name}, batch {batch}, {device}: the gradient takes {unit * 1e3:.0f} ms",
        "",
        "| composite | time / gradient | zennit / gradient | zennit / ours | peak memory / gradient |",
        "|---|---|---|---|---|",
    ]
    for preset in PRESETS:
        mine, zennits = (
            statistics.median(a / b for a, b in zip(times[k], times[GRADIENT], strict=True))
            for k in (preset, f"zennit {preset}")
        )
        lines.append(
            f"| {preset} | {mine:.2f} | {zennits:.2f} | {zennits / mine:.1f} | {peaks[preset] / peaks[GRADIENT]:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--models", nargs="+", default=["vgg16", "resnet50"])
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    given = parser.parse_args()
    batch = given.batch or (64 if given.device.startswith("cuda") else 4)
    if given.peak:
        print_peak(given.models[0], given.peak, batch)
        return
    for name in given.models:
        print(table(name, given.device, batch, given.rounds), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
