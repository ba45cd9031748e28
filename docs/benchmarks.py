"""Run benchmarks and keep what they print, with the machine and the day, as pages of the documentation.

    python docs/benchmarks.py [NAME ...] [--timeout 120]
    python docs/benchmarks.py --all

Without names: those that take less than two minutes each with the arguments below. ``--all``: every one as it is meant,
which takes hours; ``make bench`` does that. A page is only replaced by a run
that ended well. Figures of a machine that does other things at the same time are worth little: the pages say what it
was.
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from inspect import cleandoc
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = Path(__file__).with_name("benchmarks")

ARGUMENTS: dict[str, list[str]] = {
    "compile_speed": ["--rounds", "7"],
    "deeplift_speed": ["--rounds", "3", "--sequences", "2"],
    "flipping_speed": ["--digits", "50", "--rounds", "1", "--networks", "lenet", "--cpu-time"],
    "logo_speed": [],
    "lrp_speed": ["--batch", "1", "--rounds", "3", "--models", "resnet18", "lstm"],
    "molecule_truth": ["--tasks", "crippen", "--quick"],
    "mutagenesis_speed": ["--networks", "basset", "--positions", "100"],
    "occlusion_speed": ["--models", "small"],
    "shuffle_speed": ["--rounds", "3"],
    "walk_speed": ["--parts", "a", "b", "--rounds", "3"],
}
"""Small settings, which the pages here were made with."""


def machine() -> str:
    """Processor, cores and load, in words."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = found[0] if found and found[0] != "unknown" else name
    load = f", load {os.getloadavg()[0]:.1f} when it began" if hasattr(os, "getloadavg") else ""
    return f"{name}, {os.cpu_count()} cores, {platform.system()}{load}"


def described(script: Path) -> tuple[str, str]:
    """Title and text of a benchmark's docstring."""
    title, _, text = (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or script.stem).partition("\n")
    usage, _, prose = text.strip().partition("\n\n")
    prose = prose.replace("``", "`")
    return title.rstrip(".").replace("``", "`"), f"```text\n{cleandoc(usage)}\n```\n\n{prose}"


def page(script: Path, arguments: list[str], printed: str, seconds: float, on: str) -> str:
    title, text = described(script)
    command = " ".join(["python", f"benchmarks/{script.name}", *arguments])
    versions = f"sciexplain {version('sciexplain')}, torch {version('torch')}, Python {platform.python_version()}"
    return (
        f"# {title}\n\n`{command}`, {time.strftime('%-d %B %Y')}, in {seconds:.0f} s on: {on}; {versions}.\n\n"
        f"{shown(printed)}\n\n## How it is measured\n\n{text}\n"
    )


def shown(printed: str) -> str:
    """Tables as tables, headings as headings, other lines as they were printed."""
    parts = []
    kept = [line for line in printed.strip().splitlines() if not line.startswith("<!--")]  # would part a table
    for is_markdown, lines in groupby(kept, key=lambda line: line.startswith(("|", "#"))):
        text = "\n".join(lines).strip("\n")
        if text:
            parts.append(text.replace("### ", "## ") if is_markdown else f"```text\n{text}\n```")
    return "\n\n".join(parts)


def run(name: str, arguments: list[str], timeout: float | None) -> bool:
    script = ROOT / "benchmarks" / f"{name}.py"
    on, began = machine(), time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-W", "ignore", script, *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(script.parent)])),
            },
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        print(f"{name}: not done in {timeout:.0f} s")
        return False
    if done.returncode:
        print(f"{name}: exit code {done.returncode}\n{done.stderr[-2000:]}")
        return False
    PAGES.mkdir(exist_ok=True)
    seconds = time.perf_counter() - began
    (PAGES / f"{name}.md").write_text(page(script, arguments, done.stdout, seconds, on), encoding="utf-8")
    print(f"{name}: {seconds:.0f} s")
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a file in benchmarks/, without .py")
    parser.add_argument("--all", action="store_true", help="every benchmark, with its own defaults")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for each")
    asked = parser.parse_args()
    known = {p.stem for p in (ROOT / "benchmarks").glob("[!_]*.py")}
    if unknown := sorted(set(asked.names) - known):
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    if asked.all:
        done = [run(name, [], None) for name in sorted(known)]
    else:
        done = [run(name, ARGUMENTS.get(name, []), asked.timeout) for name in asked.names or ARGUMENTS]
    sys.exit(0 if all(done) else 1)


if __name__ == "__main__":
    main()
