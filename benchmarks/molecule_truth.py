"""Explanations of molecules against what is known to be true.

    python benchmarks/molecule_truth.py [--tasks crippen crippen_folded benzene n_minus_o amide mutagenicity qm7 xtb]
        [--epochs N] [--most 300] [--geometries 2000] [--quick] [--seed 0]

Reference models are trained for every task, then methods explain molecules that they were not shown. Figures, averaged
over molecules:

* crippen: Kendall's τ-b between relevance and Crippen's contributions to logP, hydrogens explicit, as published.
  Published best of other methods .461 (Sanchez-Lengeling et al. 2020). crippen_folded: the same on heavy atoms alone,
  whose truth includes that of their hydrogens.
* benzene: AUROC of the atoms of the rings, in molecules that have one and are recognized; the best of the valid sets.
  Published medians: CAM .986, integrated gradients .976.
* n_minus_o: AUROC of nitrogens, and of oxygens with the sign turned; amide: AUROC of the amides' atoms. The models
  predict counts. top-n: of the n marked atoms of each molecule, the share among its n largest (for oxygens smallest),
  over all atoms (Matveieva and Polishchuk 2021).
* mutagenicity: AUROC of the bonds inside NO2 and NH2, in mutagens that have both kinds of bonds.
* qm7, xtb: Spearman's ρ between relevance and GFN2-xTB's atom energies within an element, over all test molecules, and
  how the relevance of pairs decays with their distance; SchNet, trained on heats of formation and on xTB's energies.

Every row says what the model itself is worth on the test molecules, and every figure is given for the validation part
too: the line below a table names what is best there.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from _truth import COMPOSITES, best_alternative, by_lrp, kendall, marked_bonds, methods, signs
from scipy.stats import spearmanr

from sciexplain import datasets
from sciexplain.datasets.crippen import crippen_contributions
from sciexplain.datasets.quantum import XtbResult, xtb
from sciexplain.domains import molecules
from sciexplain.domains.molecules import families, reference
from sciexplain.errors import SciExplainError


@dataclasses.dataclass(frozen=True)
class Task:
    """What is trained on what, for how many passes, and how explanations are measured; the first figure chooses."""

    data: str
    measure: Callable[..., dict[str, float]]
    models: tuple[dict[str, Any], ...]
    epochs: int


FREE = {"bias": False}
GIN, GIN_FREE, DMPNN = {"model": "gin"}, {"model": "gin", **FREE}, {"model": "dmpnn"}
GCN_FREE, GAT_FREE = {"model": "gcn", **FREE}, {"model": "gat", **FREE}
TWO = {"layers": 2}
TASKS = {
    "crippen": Task("crippen", kendall, (GIN_FREE, GIN_FREE | TWO, GIN, DMPNN | FREE, GCN_FREE, GAT_FREE), 60),
    "crippen_folded": Task("crippen", kendall, (GIN_FREE, GIN, DMPNN | FREE, GCN_FREE, GAT_FREE), 60),
    "benzene": Task("benzene", best_alternative, (GIN_FREE, GIN, GAT_FREE), 10),
    "n_minus_o": Task("n_minus_o", signs, (GIN_FREE, DMPNN), 12),
    "amide": Task("amide", signs, (GIN_FREE, DMPNN), 12),
    "mutagenicity": Task("mutagenicity", marked_bonds, (GIN_FREE, GIN, GAT_FREE), 25),
}
ENERGIES = ("qm7", "xtb")
BINS = ((0.9, 1.2), (1.2, 1.7), (1.7, 2.3), (2.3, 3), (3, 4), (4, 5), (5, 7), (7, 12))


def title(options: dict[str, Any]) -> str:
    name = {"gin": "GIN", "gat": "GAT", "gcn": "GCN", "dmpnn": "D-MPNN"}[options["model"]]
    layers = f", {options['layers']} layers" if "layers" in options else ""
    return name + layers + ("" if options.get("bias", True) else ", no biases")


def text(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())


def loaded(task: str) -> Any:
    data = datasets.load(TASKS[task].data)
    if task != "crippen":
        return data
    full = [molecules.with_hydrogens(m) for m in data.molecules]
    return dataclasses.replace(data, molecules=full, atom_truth=[crippen_contributions(m) for m in full])


def flat(name: str, given: argparse.Namespace) -> None:
    task, data = TASKS[name], loaded(name)
    rng = np.random.default_rng(given.seed)
    parts = [np.sort(rng.permutation(part)[: given.most]) for part in (data.valid, data.test)]
    if given.train:
        data = dataclasses.replace(data, train=rng.permutation(data.train)[: given.train])
    print(f"\n### {name}: {len(data.train)} molecules to learn from, {len(parts[1])} explained\n")
    print("| model | its test error | method | validation | test | s |\n|---|---|---|---|---|---|", flush=True)
    ranking = []
    for options in task.models:
        epochs = given.epochs or task.epochs
        trained = reference.train(data, **options, epochs=epochs, patience=max(10, epochs // 4), seed=given.seed)
        family, error = families.find(trained.model), text(trained.test)
        found = [[data.molecules[i] for i in part] for part in parts]
        outputs = [reference.predict(trained.model, part)[:, 0] for part in found]
        for method, run in methods(options["model"], task.measure is marked_bonds).items():
            begin = time.perf_counter()
            results = [run(family, part) for part in found]
            seconds = time.perf_counter() - begin
            valid, test = (task.measure(data, *given) for given in zip(parts, results, outputs, strict=True))
            print(
                f"| {title(options)} | {error} | {method} | {text(valid)} | {text(test)} | {seconds:.1f} |", flush=True
            )
            ranking.append((*valid.values(), title(options), method, text(test)))
        print(f"<!-- {title(options)}: {len(trained.epochs)} passes in {trained.seconds:.0f} s -->", flush=True)
    best = max(ranking, key=lambda row: np.nan_to_num(row[0], nan=-1.0))
    print(f"\nBest on validation: {best[-3]}, {best[-2]}; on test {best[-1]}.", flush=True)


@cache
def computed(most: int, seed: int) -> tuple[Any, tuple[XtbResult, ...]]:
    """Molecules of QM7 for which xTB converges, divided 8 : 1 : 1, and what it says of them."""
    data = datasets.load("qm7")
    kept, results = [], []
    for i in np.random.default_rng(seed).permutation(len(data))[:most]:
        try:
            results.append(xtb(data.molecules[i]))
            kept.append(i)
        except SciExplainError as error:
            print(f"left out {data.molecules[i].name}: {error}")
    train, valid, test = np.split(np.arange(len(kept)), [int(0.8 * len(kept)), int(0.9 * len(kept))])
    chosen = [data.molecules[i] for i in kept]
    subset = dataclasses.replace(
        data, molecules=chosen, targets=data.targets[kept][:, :1], tasks=data.tasks[:1], units=data.units[:1],
        train=train, valid=valid, test=test,
    )  # fmt: skip
    return subset, tuple(results)


def energies(name: str, given: argparse.Namespace) -> None:
    data, results = computed(given.geometries, given.seed)
    if name == "xtb":
        totals = np.array([[r.energy] for r in results])
        data = dataclasses.replace(data, targets=totals, tasks=("GFN2-xTB total energy",), units=("eV",))
    trained = reference.train(data, "schnet", epochs=given.epochs or 40, patience=15, batch_size=32, seed=given.seed)
    family, unit = families.find(trained.model), data.units[0]
    test = [data.molecules[i] for i in data.test]
    print(f"\n### SchNet on {data.tasks[0]}: {len(data.train)} molecules to learn from, {len(test)} explained")
    print(f"\nTest error: {text(trained.test)} {unit}; {len(trained.epochs)} passes in {trained.seconds:.0f} s.\n")
    print("| method | ρ within H | C | N | O | S |\n|---|---|---|---|---|---|")
    numbers = np.concatenate([m.numbers for m in test])
    truth = np.concatenate([results[i].atom_energies for i in data.test])
    for method, composite in COMPOSITES.items():
        relevance = np.concatenate([r.atoms for r in by_lrp(family, test, composite)])
        cells = []
        for element in (1, 6, 7, 8, 16):
            own = numbers == element
            rho = spearmanr(relevance[own], truth[own]).statistic if own.sum() > 10 else np.nan
            cells.append(f"{rho:.2f} ({own.sum()} atoms)")
        print(f"| {method} | {' | '.join(cells)} |", flush=True)
    gaps, sizes = [], []
    for a in molecules.explain(family, test[:50], 0):
        apart = ~np.eye(len(a), dtype=bool)
        gaps.append(np.linalg.norm(a.molecule.positions[:, None] - a.molecule.positions[None], axis=-1)[apart])
        sizes.append(np.abs(a.pairs().double().numpy())[apart])
    gap, size = np.concatenate(gaps), np.concatenate(sizes)
    print(f"\n| distance of the pair, Å | mean absolute relevance (LRP-ε), {unit} | pairs |\n|---|---|---|")
    for low, high in BINS:
        inside = (gap >= low) & (gap < high)
        if inside.any():
            print(f"| {low}–{high} | {size[inside].mean():.4f} | {inside.sum()} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    everything = [*TASKS, *ENERGIES]
    parser.add_argument("--tasks", nargs="+", default=everything, choices=everything)
    parser.add_argument("--epochs", type=int, help="at most; each task has its own number")
    parser.add_argument("--train", type=int, help="molecules to learn from, at most")
    parser.add_argument("--most", type=int, default=300, help="molecules explained of validation and of test, at most")
    parser.add_argument("--geometries", type=int, default=2000, help="molecules of QM7 that are used")
    parser.add_argument("--quick", action="store_true", help="a minute's look: few passes over few molecules")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.quick:
        given.epochs, given.train, given.most, given.geometries = 3, 500, 40, 200
    warnings.filterwarnings("ignore")
    for task in given.tasks:
        (flat if task in TASKS else energies)(task, given)


if __name__ == "__main__":
    main()
