"""Do the tests see mistakes in the rules and the engine? Mutants of both, drawn at random, and how many are killed.

In a copy of the tree, cosmic-ray changes one operator, constant or condition at a time, at each place at most once; the
tests of rules and engine run on each change. A mutant that no test fails on survives and is shown: some of them change
nothing that could be seen (a tolerance, a cache), others want a test.

    python benchmarks/mutants.py [--count 100] [--seed 0] [--only REGEX]
"""

import argparse
import ast
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

ROOT = Path(__file__).resolve().parents[1]
TESTS = (
    "tests/engine/test_operations.py",
    "tests/test_rules.py",
    "tests/engine/test_properties.py",
    "tests/test_explain_ledger.py",
    "tests/engine",
    *(f"tests/test_{name}.py" for name in ("explain", "explain_layers", "explain_integers", "linearize", "zoo")),
    "tests/concepts",
    "tests/methods/test_weights.py",
)
"""Those first that see most."""
SECONDS = 400.0
CRUDE = re.compile(r"Operator_\w+_(BitAnd|BitOr|BitXor|FloorDiv|LShift|RShift|Mod|Pow|Invert)$")
"""Changes that end in a TypeError wherever they are met, and so say little for the tests."""


def copied(folder: Path) -> None:
    """The tree, and beside it the package as it is imported: ``domains`` and ``datasets`` inside ``sciexplain``."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listed.split("\n"):
        if name and (ROOT / name).is_file():
            (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "tree" / name)
    package = folder / "imported" / "sciexplain"
    package.mkdir(parents=True)
    for entry in [
        *(folder / "tree" / "sciexplain").iterdir(),
        folder / "tree" / "domains",
        folder / "tree" / "datasets",
    ]:
        (package / entry.name).symlink_to(entry)


def drawn(folder: Path, count: int, seed: int, only: str) -> list[tuple[str, str, int]]:
    """Mutants at random: file, operator, its number in the file."""
    modules = sorted((folder / "tree" / "sciexplain" / "engine").rglob("*.py"))
    modules = [str(path.relative_to(folder / "tree")) for path in [folder / "tree/sciexplain/rules.py", *modules]]
    modules = [name for name in modules if re.search(only, name)]
    if not modules:
        return []
    settings = folder / "settings.toml"
    listed = ", ".join(f'"{name}"' for name in modules)
    settings.write_text(
        f'[cosmic-ray]\nmodule-path = [{listed}]\ntimeout = {SECONDS}\nexcluded-modules = []\ntest-command = "true"\n'
        '[cosmic-ray.distributor]\nname = "local"\n'
    )
    run = [Path(sys.executable).with_name("cosmic-ray"), "init", settings, folder / "session.sqlite"]
    subprocess.run(run, cwd=folder / "tree", check=True, capture_output=True)
    with sqlite3.connect(folder / "session.sqlite") as session:
        found = session.execute(
            "select module_path, operator_name, occurrence, start_pos_row, start_pos_col from mutation_specs "
            "order by module_path, operator_name, occurrence"
        ).fetchall()
    types = {name: annotations((folder / "tree" / name).read_text(encoding="utf-8")) for name in modules}
    places: dict[tuple[Any, ...], list[tuple[str, str, int]]] = {}
    for module, operator, occurrence, *place in found:
        if not CRUDE.search(operator) and not any(a <= tuple(place) < b for a, b in types[module]):
            places.setdefault((module, *place), []).append((module, operator, occurrence))
    chance = random.Random(seed)
    return [chance.choice(places[place]) for place in chance.sample(sorted(places), min(count, len(places)))]


def annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where types stand, from line and column to line and column: what is changed there nobody sees at run time."""
    nodes = list(ast.walk(ast.parse(source)))
    types = [getattr(node, name, None) for node in nodes for name in ("annotation", "returns")]
    return [((t.lineno, t.col_offset), (t.end_lineno, t.end_col_offset)) for t in types if t is not None]


def killed(folder: Path, mutant: tuple[str, str, int]) -> tuple[bool, str]:
    """Whether a test fails on a mutant; and the change."""
    module, operator, occurrence = mutant
    path = folder / "tree" / module
    before = path.read_text(encoding="utf-8")
    change = [Path(sys.executable).with_name("cosmic-ray"), "apply", module, operator, str(occurrence)]
    subprocess.run(change, cwd=folder / "tree", check=True, capture_output=True)
    try:
        diff = subprocess.run(
            ["diff", "-U0", "--label", module, "--label", operator, "-", path],
            input=before,
            capture_output=True,
            text=True,
        ).stdout
        tests = [
            sys.executable,
            "-P",
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            *TESTS,
        ]
        environment = {"PYTHONPATH": str(folder / "imported"), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                tests,
                cwd=folder / "tree",
                env=environment,
                timeout=SECONDS,
                capture_output=True,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:  # it goes round in circles, which a user would see
            return True, diff
        return done.returncode != 0, diff
    finally:
        path.write_text(before, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="Modules whose path this is found in.")
    asked = parser.parse_args()
    if not Path(sys.executable).with_name("cosmic-ray").exists():
        parser.error("cosmic-ray is not installed beside this Python; run: pip install -c constraints.txt cosmic-ray")
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copied(folder)
        mutants = drawn(folder, asked.count, asked.seed, asked.only)
        if not mutants:
            parser.error(f"--only {asked.only}: nothing to change in the rules or the engine has that in its path")
        survivors = []
        for mutant in track(mutants, "mutants", console=console):
            dead, diff = killed(folder, mutant)
            if not dead:
                survivors.append(diff)
                console.print(diff, markup=False, highlight=False)
    dead = len(mutants) - len(survivors)
    console.print(f"{dead} of {len(mutants)} mutants killed ({dead / max(1, len(mutants)):.0%})")


if __name__ == "__main__":
    main()
