"""Time and peak memory of LRP on VGG16 and ResNet50, against the plain gradient and against zennit.

    python benchmarks/lrp_speed.py [--device cpu] [--batch 4] [--rounds 7] [--models vgg16 resnet50]

One run, everything interleaved round by round in one process, medians; every figure is a ratio to the plain gradient
(one forward, one backward to the input, parameters frozen). Peak memory is torch's allocator's, over what the
model and its input take.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from _peers import torchvision, zennit
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

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


def peak_cpu(run: Callable[[torch.nn.Module, Tensor], Tensor], model: torch.nn.Module, x: Tensor) -> float:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run(model, x)
    live = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return peak


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
    peak = peak_cuda if x.is_cuda else peak_cpu
    peaks = {key: peak(run, model, x) for key, run in runs.items()}
    unit = statistics.median(times[GRADIENT])
    lines = [
        f"### {name}, batch {batch}, {device}: the gradient takes {unit * 1e3:.0f} ms",
        "",
        "| composite | time / gradient | zennit / gradient | zennit / ours | peak memory / gradient | zennit's |",
        "|---|---|---|---|---|---|",
    ]
    for preset in PRESETS:
        mine, zennits = (
            statistics.median(a / b for a, b in zip(times[k], times[GRADIENT], strict=True))
            for k in (preset, f"zennit {preset}")
        )
        memory, zennits_memory = (peaks[k] / peaks[GRADIENT] for k in (preset, f"zennit {preset}"))
        lines.append(
            f"| {preset} | {mine:.2f} | {zennits:.2f} | {zennits / mine:.1f} | {memory:.2f} | {zennits_memory:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--models", nargs="+", default=["vgg16", "resnet50"])
    given = parser.parse_args()
    batch = given.batch or (64 if given.device.startswith("cuda") else 4)
    for name in given.models:
        print(table(name, given.device, batch, given.rounds), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
