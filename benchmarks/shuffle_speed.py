"""Dinucleotide shuffles against tangermeme's, and against writing the result alone.

    python benchmarks/shuffle_speed.py [--sequences 1000] [--length 1000] [--shuffles 20] [--rounds 5]

One run, interleaved round by round in one process, medians. In each round everything runs four times in a row, of
which the fastest counts: on a virtual machine the host takes back memory that is free for seconds, and giving it out
anew would be most of what is measured. The first round, in which both compile, does not count. The result is float32,
one-hot, for every row of the table. "Orders reached" counts the distinct shuffles of ``ACCCACGATGATA`` among 20 000, of
72 that there are.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from tangermeme.ersatz import dinucleotide_shuffle
from torch import Tensor

from sciexplain.domains.genomics.encode import decode, encode
from sciexplain.domains.genomics.shuffle import shuffle_dinucleotides

Shuffle = Callable[[Tensor, int], Tensor]


def threads(number: int) -> Shuffle:
    """Ours on so many threads."""

    def run(x: Tensor, n: int) -> Tensor:
        before = torch.get_num_threads()
        torch.set_num_threads(number)
        try:
            return shuffle_dinucleotides(x, n)
        finally:
            torch.set_num_threads(before)

    return run


def write(x: Tensor, n: int) -> Tensor:
    """Write as many numbers as the result has, into fresh memory, as fast as numpy does."""
    found = np.empty((len(x), n, *x.shape[1:]), np.float32)
    found.fill(0)
    return torch.from_numpy(found)


def timed_once(run: Shuffle, x: Tensor, n: int) -> float:
    begin = time.perf_counter()
    run(x, n)
    return time.perf_counter() - begin


def reached(shuffle: Shuffle) -> str:
    found = decode(shuffle(encode("ACCCACGATGATA"), 20_000)[0])
    return f"{len(set(found))} of 72"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--length", type=int, default=1000)
    parser.add_argument("--shuffles", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    count, length, n = arguments.sequences, arguments.length, arguments.shuffles
    letters = torch.randint(4, (count, length), generator=torch.Generator().manual_seed(0))
    x = torch.nn.functional.one_hot(letters, 4).transpose(1, 2).float().contiguous()

    every = torch.get_num_threads()
    runs: dict[str, Shuffle] = {
        "tangermeme, as it comes (1 thread)": lambda x, n: dinucleotide_shuffle(x, n=n, random_state=0),
        f"tangermeme, {every} threads": lambda x, n: dinucleotide_shuffle(x, n=n, random_state=0, n_jobs=every),
        "ours, 1 thread": threads(1),
        f"ours, as it comes ({every} threads)": threads(every),
    }
    timed = {**runs, "writing the result (1 thread)": write}
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(arguments.rounds + 1):
        for name, run in timed.items():
            fastest = min(timed_once(run, x, n) for _ in range(4))
            if turn:
                seconds[name].append(fastest)

    print(f"{count} sequences × {length} bp × {n} shuffles; torch {torch.__version__}, {every} threads\n")
    print("| what | seconds | ns per letter | times as fast as tangermeme | orders reached |")
    print("|---|---|---|---|---|")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    base = medians[next(iter(medians))]
    for name, value in medians.items():
        orders = reached(runs[name]) if name in runs else "–"
        print(f"| {name} | {value:.3f} | {value / (count * length * n) * 1e9:.1f} | {base / value:.1f} | {orders} |")


if __name__ == "__main__":
    main()
