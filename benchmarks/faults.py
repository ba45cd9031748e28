"""Runs killed at random moments: are rows lost or doubled?

A run of ``sciexplain explain`` is killed (SIGKILL) again and again, each time after a random while, and given the same
command again, until it ends by itself. Then every row is held against those of a run that nobody disturbed.

    python benchmarks/faults.py [--kills 50] [--rows 3000] [--engine local]
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

NETWORK = """
import torch, time
from torch import nn

class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 10))
    def forward(self, x):
        return self.net(x)

def make():
    return Slow().eval()
"""


def arguments(folder: Path, out: str, engine: str) -> list[str]:
    command = [sys.executable, "-P", "-c", "from sciexplain.cli import main; main()", "explain", "images"]
    options = ["--model", "network.py:make", "--data", "digits.npz", "--out", out, "--quiet", "--pictures", "200"]
    return [*command, *options, "--shard", "50", "--batch-size", "10", "--engine", engine]


def start(folder: Path, out: str, engine: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        arguments(folder, out, engine),
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that Ray's workers die with it
    )


def shards(folder: Path) -> int:
    return len(list((folder / "run" / "rows").glob("part-*")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "network.py").write_text(NETWORK)
        digits = np.random.default_rng(0).integers(0, 256, (asked.rows, 28, 28), dtype=np.uint8)
        np.savez(folder / "digits.npz", images=digits)
        begun = time.monotonic()
        if start(folder, "whole", asked.engine).wait():
            raise SystemExit("the undisturbed run failed")
        whole = time.monotonic() - begun
        moments: Counter[str] = Counter()
        kills = attempts = 0
        while kills < asked.kills:
            attempts += 1
            before, process = shards(folder), start(folder, "run", asked.engine)
            # At times while it loads, at times within the rows, at times while it finishes.
            deadline = time.monotonic() + chance.uniform(0.2, 1.3) * whole / chance.choice((1, 1, 3))
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.002)
            if process.poll() is not None:
                if process.returncode:
                    raise SystemExit(f"ended with {process.returncode}: {process.stderr.read().decode()}")
                moments["after the end"] += 1
                _begin_again(folder)
                continue
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            moments["while loading" if shards(folder) == before else "within the rows"] += 1
        process = start(folder, "run", asked.engine)
        if process.wait():
            raise SystemExit(f"the last run failed: {process.stderr.read().decode()}")
        report(folder, kills, attempts, moments, asked)


def _begin_again(folder: Path) -> None:
    """A run that came to its end before the kill is held against the other, then begun anew."""
    lost, doubled, changed, junk = compared(folder)
    if lost or doubled or changed or junk:
        raise SystemExit(f"lost {lost}, doubled {doubled}, changed {changed}, left over {junk}")
    import shutil

    shutil.rmtree(folder / "run")


def compared(folder: Path) -> tuple[int, int, int, int]:
    """Rows lost, rows doubled, rows with another content, files left over."""
    from sciexplain import open_run

    def rows(name: str) -> list[dict]:
        return open_run(folder / name).rows.to_table().drop_columns(["seconds"]).sort_by("number").to_pylist()

    expected, found = rows("whole"), rows("run")
    counts = Counter(row["number"] for row in found)
    lost = sum(row["number"] not in counts for row in expected)
    doubled = sum(count - 1 for count in counts.values())
    by_number = {row["number"]: row for row in found}
    changed = sum(by_number.get(row["number"], row) != row for row in expected)

    def files(name: str) -> set[str]:
        return {str(file.relative_to(folder / name)) for file in (folder / name).rglob("*")}

    return lost, doubled, changed, len(files("run") ^ files("whole"))


def report(folder: Path, kills: int, attempts: int, moments: Counter, asked: argparse.Namespace) -> None:
    lost, doubled, changed, junk = compared(folder)
    table = Table(title=f"{asked.rows} rows on the {asked.engine} engine, killed {kills} times in {attempts} starts")
    for title in ("rows lost", "rows doubled", "rows changed", "files left over", "killed"):
        table.add_column(title, justify="right")
    told = ", ".join(f"{name} {count}" for name, count in moments.items())
    table.add_row(*map(str, (lost, doubled, changed, junk)), told)
    Console().print(table)
    raise SystemExit(bool(lost or doubled or changed or junk))


if __name__ == "__main__":
    main()
