"""Time and peak memory of LRP, against the plain gradient and against peers: zennit, LXT.

    python benchmarks/lrp_speed.py [--device cpu] [--batch 4] [--rounds 7] [--models vgg16 resnet50 vit_b_16 bert lstm]

One run, everything interleaved round by round in one process, medians; every figure is a ratio to the plain gradient
(one forward, one backward to the input, parameters frozen). Peak memory is torch's allocator's, over what the
model and its input take. ``--models`` takes other convolutional networks of torchvision too. LXT's dense layers are
LRP-0, whose backward pass is the plain gradient's; the ε-rule here keeps and reads their outputs.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time

import torch
from _subjects import SUBJECTS, Contender, Subject, build
from torch.profiler import ProfilerActivity, profile

GRADIENT = "gradient"


def seconds(contender: Contender, cuda: bool) -> float:
    synchronize = torch.cuda.synchronize if cuda else lambda: None
    with contender.around():
        gc.collect()
        synchronize()
        begin = time.perf_counter()
        contender.run()
        synchronize()
        return time.perf_counter() - begin


def peak_cuda(contender: Contender) -> float:
    with contender.around():
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        contender.run()
        return torch.cuda.max_memory_allocated() - before


def peak_cpu(contender: Contender) -> float:
    with contender.around(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        contender.run()
    live = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return peak


def table(subject: Subject, device: str, rounds: int) -> str:
    cuda, peer = device.startswith("cuda"), subject.peer
    runs = {GRADIENT: subject.gradient}
    for composite, contender in subject.ours.items():
        runs[composite] = contender
        if composite in subject.theirs:
            runs[f"{peer} {composite}"] = subject.theirs[composite]
    for contender in runs.values():
        seconds(contender, cuda)
    times: dict[str, list[float]] = {key: [] for key in runs}
    for _ in range(rounds):
        for key, contender in runs.items():
            times[key].append(seconds(contender, cuda))
    peaks = {key: (peak_cuda if cuda else peak_cpu)(contender) for key, contender in runs.items()}
    unit = statistics.median(times[GRADIENT])
    lines = [
        f"### {subject.title}, {device}: the gradient takes {unit * 1e3:.0f} ms",
        "",
        f"| composite | time / gradient | {peer} / gradient | {peer} / ours | peak memory / gradient | {peer}'s |",
        "|---|---|---|---|---|---|",
    ]
    for composite in subject.ours:
        other = f"{peer} {composite}"
        slower = {
            key: statistics.median(a / b for a, b in zip(times[key], times[GRADIENT], strict=True))
            for key in (composite, other)
            if key in runs
        }
        cells = [f"{slower[composite]:.2f}", "—", "—", f"{peaks[composite] / peaks[GRADIENT]:.2f}", "—"]
        if other in runs:
            cells[1:3] = f"{slower[other]:.2f}", f"{slower[other] / slower[composite]:.1f}"
            cells[4] = f"{peaks[other] / peaks[GRADIENT]:.2f}"
        lines.append(f"| {composite} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--models", nargs="+", default=[name for name in SUBJECTS if name != "llama"])
    given = parser.parse_args()
    batch = given.batch or (64 if given.device.startswith("cuda") else 4)
    for name in given.models:
        print(table(build(name, batch, given.device), given.device, given.rounds), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
