"""Drawing a sequence logo against logomaker, and against drawing empty axes.

    python benchmarks/logo_speed.py [--length 250] [--rounds 15]

One run, interleaved, medians of wall-clock and of processor time, for a figure of 14 × 2 inches that is made and drawn
by Agg. The first of each does not count.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import logomaker
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sciexplain.domains.genomics.drawing.logo import draw_logo

Draw = Callable[[NDArray[np.float64], Axes], object]


def empty(matrix: NDArray[np.float64], ax: Axes) -> None:
    ax.set(xlim=(-0.5, len(matrix) - 0.5), ylim=(matrix.min(), matrix.max()))


DRAWN: dict[str, Draw] = {
    "logomaker": lambda matrix, ax: logomaker.Logo(pd.DataFrame(matrix, columns=list("ACGT")), ax=ax),
    "ours": lambda matrix, ax: draw_logo(matrix, ax=ax),
    "empty axes": empty,
}


def timed(draw: Draw, matrix: NDArray[np.float64]) -> tuple[float, float]:
    """Wall-clock and processor seconds."""
    wall, used = time.perf_counter(), time.process_time()
    figure = Figure(figsize=(14, 2))
    canvas = FigureCanvasAgg(figure)
    draw(matrix, figure.add_subplot())
    canvas.draw()
    return time.perf_counter() - wall, time.process_time() - used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    matrix = np.random.default_rng(0).normal(size=(arguments.length, 4))
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in DRAWN}
    for turn in range(arguments.rounds + 1):
        for name, draw in DRAWN.items():
            if turn <= 1 or name != "logomaker" or turn % 5 == 0:  # logomaker takes seconds
                found = timed(draw, matrix)
                if turn:
                    seconds[name].append(found)
    print(f"{arguments.length} letters × 4\n")
    print("| what | wall s | processor s | times as fast as logomaker |\n|---|---|---|---|")
    medians = {
        name: [statistics.median(column) for column in zip(*found, strict=True)] for name, found in seconds.items()
    }
    for name, (wall, used) in medians.items():
        print(f"| {name} | {wall:.3f} | {used:.3f} | {medians['logomaker'][0] / wall:.1f} |")


if __name__ == "__main__":
    main()
