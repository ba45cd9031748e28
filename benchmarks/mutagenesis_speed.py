"""Time of saturation mutagenesis against the model on every substituted sequence, as tangermeme runs it in batches.

    python benchmarks/mutagenesis_speed.py [--device cpu] [--rounds 3] [--networks basset bpnet …] [--positions 0]

One sequence. One run, interleaved round by round in one process; the ratio is the median over rounds. ``--positions``
takes so many from the middle of the sequence instead of all, for both. tangermeme 1.6 has windows of its own
(``fast=True``), which it takes where the whole job is over half a minute: both are timed. The limit is the ratio of
multiplications in convolutions and dense layers: of whole sequences, and of what a substitution reaches at least; the
ratio may be above it where whole tensors wait for memory, or the explained value leaves a head out.
The difference is to the network on whole sequences in double precision, relative to the largest effect, for the
substitutions of eight positions.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from _sequence_networks import Attention, Basset, BPNet, DanQ, DeepSEA, one_hot
from torch import Tensor, nn

from sciexplain.domains.genomics.mutagenesis import mutagenesis


class Head(nn.Module):
    """One value of a network's output, (N, 1), as tangermeme takes it."""

    def __init__(self, network: nn.Module, value: Callable[..., Tensor]) -> None:
        super().__init__()
        self.network, self.value = network, value

    def forward(self, x: Tensor) -> Tensor:
        return self.value(self.network(x))[:, None]


def column(output: Tensor) -> Tensor:
    return output[:, 3]


def counts(output: tuple[Tensor, Tensor]) -> Tensor:
    return output[1][:, 0]


def profile(output: tuple[Tensor, Tensor]) -> Tensor:
    """The profile weighted by its own softmax, which BPNet explains."""
    logits = output[0].flatten(1)
    return (logits * logits.softmax(1)).sum(1)


#: name: network, length, explained value
CASES: dict[str, tuple[Callable[[], nn.Module], int, Callable[..., Tensor]]] = {
    "basset": (Basset, 1000, column),
    "deepsea": (DeepSEA, 1000, column),
    "danq": (DanQ, 1000, column),
    "bpnet counts": (BPNet, 2114, counts),
    "bpnet profile": (BPNet, 2114, profile),
    "attention": (Attention, 1024, column),
}


def limit(network: nn.Module, x: Tensor) -> float:
    """How many times fewer multiplications are needed: by positions that change when the middle one does."""
    rows = []

    def count(module: nn.Module, given: tuple[Tensor], output: Tensor) -> None:
        before = given[0]
        changed = ((before[:1] - before[1:]).abs() > 1e-12).flatten(2 if before.ndim > 2 else 1)
        if isinstance(module, nn.Conv1d):
            per_position = module.weight.numel()
            inputs = int(changed.any(1).sum())
            # every changed position meets every tap; of the original all are computed
            rows.append((output.shape[2] * per_position, inputs * per_position / module.stride[0]))
        elif isinstance(module, nn.Linear):
            rows.append((module.weight.numel() * before[0, ..., 0].numel(), int(changed.sum()) * module.out_features))

    network, x = copy.deepcopy(network).cpu().double(), x.cpu().double()
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            module.register_forward_hook(count)
    other = x.clone()
    other[..., x.shape[2] // 2] = x[..., x.shape[2] // 2].roll(1, 1)
    with torch.no_grad():
        network(torch.cat([x, other]))
    return sum(r[0] for r in rows) / sum(r[1] for r in rows)


def difference(network: nn.Module, x: Tensor, value: Callable[..., Tensor]) -> float:
    """Of the effects of some substitutions to those found one whole sequence at a time, in double precision."""
    network, x, middle = copy.deepcopy(network).double(), x.double(), x.shape[2] // 2
    found = mutagenesis(network, x, value, positions=(middle, middle + 8), check=False)
    largest = worst = 0.0
    with torch.no_grad():
        original = value(network(x))
        for position in range(middle, middle + 8):
            for letter in range(4):
                other = x.clone()
                other[0, :, position] = 0
                other[0, letter, position] = 1
                expected = value(network(other)) - original
                largest = max(largest, float(expected.abs()))
                worst = max(worst, float((found[0, letter, position] - expected).abs()))
    return worst / largest


def seconds(run: Callable[[], object], device: str) -> float:
    begin = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def measure(name: str, device: str, rounds: int, positions: int) -> str:
    """A row of the table."""
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    build, length, value = CASES[name]
    torch.manual_seed(0)
    network = build().eval().requires_grad_(False).to(device)
    x = one_hot(1, length).to(device)
    span = (0, length) if not positions else (length // 2 - positions // 2, length // 2 - positions // 2 + positions)
    head = Head(network, value).eval()

    def ours() -> Tensor:
        return mutagenesis(network, x, value, positions=span)

    def theirs(fast: bool) -> Tensor:
        with warnings.catch_warnings(record=True) as reasons:
            warnings.simplefilter("always")
            found = saturation_mutagenesis(
                head, x, start=span[0], end=span[1], raw_outputs=True, device=device, fast=fast
            )
        for reason in reasons:
            print(f"<!-- {name}, tangermeme: {reason.message} -->")
        return found.y_hat

    runs = {"sciexplain": ours, "whole": lambda: theirs(False), "windows": lambda: theirs(True)}
    times: dict[str, list[float]] = {key: [] for key in runs}
    for _ in range(rounds):
        for key, run in runs.items():
            times[key].append(seconds(run, device))

    def ratio(key: str) -> float:
        return statistics.median(a / b for a, b in zip(times[key], times["sciexplain"], strict=True))

    spent = " | ".join(f"{statistics.median(times[key]):.2f}" for key in runs)
    most = limit(network, x) if name not in ("danq", "attention") else None
    return (
        f"| {name} | {length} | {spent} | {ratio('whole'):.2f} | {ratio('windows'):.2f} | "
        f"{'–' if most is None else f'{most:.1f}'} | {difference(network, x, value):.1e} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--positions", type=int, default=0)
    given = parser.parse_args()
    print(f"torch {torch.__version__}, {given.device}, {torch.get_num_threads()} threads\n")
    print("| network | bp | sciexplain (s) | tangermeme (s) | … fast=True (s) | ratio | to fast | limit | difference |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in given.networks:
        print(measure(name, given.device, given.rounds, given.positions), flush=True)


if __name__ == "__main__":
    main()
