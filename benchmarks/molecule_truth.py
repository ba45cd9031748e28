"""Explanations of molecules against what is known to be true.

    python benchmarks/molecule_truth.py [--tasks crippen benzene n_minus_o amide mutagenicity qm7 xtb] [--epochs 40]

A reference model is trained for every task, then methods explain the molecules it was not shown. Figures, averaged over
molecules:

* crippen: Kendall's τ-b between relevance and Crippen's contributions to logP, hydrogens explicit, as published.
  Published best of other methods .461 (Sanchez-Lengeling et al. 2020).
* benzene: AUROC of the atoms of the rings, in molecules with one; the best of the valid sets. Published medians: CAM
  .986, integrated gradients .976.
* n_minus_o: AUROC of nitrogens, and of oxygens with the sign turned, averaged; amide: AUROC of the amides' atoms.
* mutagenicity: AUROC of the bonds inside NO2 and NH2, in mutagens that have both kinds of bonds.
* qm7, xtb: Spearman's ρ between relevance and GFN2-xTB's atom energies within an element, over all test molecules, and
  how the relevance of pairs decays with their distance; SchNet, trained on heats of formation and on xTB's energies.

Every row says what the model itself is worth on the same molecules.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import roc_auc_score

import sciexplain as sx
from sciexplain import datasets
from sciexplain.datasets.crippen import crippen_contributions
from sciexplain.datasets.quantum import xtb
from sciexplain.domains import molecules
from sciexplain.domains.molecules import families, reference
from sciexplain.domains.molecules.adjoints import explained
from sciexplain.errors import SciExplainError

COMPOSITES = {
    "LRP-ε": None,
    "LRP generalised γ = ¼": sx.Composite(default=sx.rules.GeneralizedGamma(0.25)),
    "deep Taylor": "deep_taylor",
}
OTHERS = ("input_x_gradient", "integrated_gradients", "deeplift")
Explained = list[tuple[np.ndarray, dict[tuple[int, int], float]]]


def by_lrp(family: Any, found: list[Any], composite: Any, bonds: bool = False) -> Explained:
    explanations = molecules.explain(family, found, 0, composite)
    return [(a.atoms.double().numpy(), a.bonds if bonds else {}) for a in explanations]


def by_method(family: Any, found: list[Any], method: str) -> Explained:
    """Another method of the core, its relevance summed as that of LRP is; features of bonds are shared as bonds."""
    results: Explained = []
    for molecule in found:
        graphs = family.collate([family.graph(molecule)])
        model, inputs = explained(graphs)
        e = sx.explain(model, inputs, lambda out: out.reshape(1, -1)[:, 0], method)
        atoms, bonds = np.zeros(len(molecule)), {}
        for name, relevance in e.relevance.items():
            rows = relevance.reshape(len(relevance), -1).sum(1).double().numpy()
            np.add.at(atoms, graphs.places[name].numpy(), rows)
            if name in graphs.edge_rows:
                for i, j, r in zip(*graphs.edges.tolist(), rows, strict=True):
                    bonds[min(i, j), max(i, j)] = bonds.get((min(i, j), max(i, j)), 0.0) + r
        results.append((atoms, bonds))
    return results


def mean(values: Iterable[float]) -> float:
    return float(np.nanmean(list(values)))


def auroc(truth: np.ndarray, values: np.ndarray) -> float:
    return float(roc_auc_score(truth, values)) if 0 < truth.sum() < len(truth) else float("nan")


def crippen(data: Any, chosen: np.ndarray, results: Explained) -> dict[str, float]:
    return {
        "Kendall τ": mean(
            kendalltau(a, data.atom_truth[i]).statistic for i, (a, _) in zip(chosen, results, strict=True)
        )
    }


def benzene(data: Any, chosen: np.ndarray, results: Explained) -> dict[str, float]:
    return {
        "AUROC": mean(
            max(auroc(row, a) for row in data.alternatives[i])
            for i, (a, _) in zip(chosen, results, strict=True)
            if data.targets[i, 0] == 1 and len(data.alternatives[i])
        )
    }


def n_minus_o(data: Any, chosen: np.ndarray, results: Explained) -> dict[str, float]:
    return {
        "AUROC": mean(
            np.nanmean([auroc(data.atom_truth[i] > 0, a), auroc(data.atom_truth[i] < 0, -a)])
            for i, (a, _) in zip(chosen, results, strict=True)
            if np.any(data.atom_truth[i])
        )
    }


def amide(data: Any, chosen: np.ndarray, results: Explained) -> dict[str, float]:
    return {"AUROC": mean(auroc(data.atom_truth[i] > 0, a) for i, (a, _) in zip(chosen, results, strict=True))}


def mutagenicity(data: Any, chosen: np.ndarray, results: Explained) -> dict[str, float]:
    scores = []
    for i, (_, bonds) in zip(chosen, results, strict=True):
        if data.targets[i, 0] != 1:
            continue
        ends = [sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())) for b in data.molecules[i].mol.GetBonds()]
        scores.append(auroc(data.bond_truth[i] > 0, np.array([bonds.get(tuple(e), 0.0) for e in ends])))
    return {"AUROC of bonds": mean(scores)}


Model = tuple[str, str, dict[str, Any]]
GIN: Model = ("GIN", "gin", {})
GIN_FREE: Model = ("GIN without biases", "gin", {"bias": False})
DMPNN: Model = ("D-MPNN", "dmpnn", {})
TASKS: dict[str, tuple[Callable[..., dict[str, float]], tuple[Model, ...]]] = {
    "crippen": (crippen, (GIN_FREE, GIN, DMPNN, ("GCN without biases", "gcn", {"bias": False}))),
    "benzene": (benzene, (GIN_FREE, GIN)),
    "n_minus_o": (n_minus_o, (GIN_FREE, DMPNN)),
    "amide": (amide, (GIN_FREE, DMPNN)),
    "mutagenicity": (mutagenicity, (GIN_FREE, GIN)),
}


def loaded(task: str) -> Any:
    data = datasets.load(task)
    if task != "crippen":
        return data
    full = [molecules.with_hydrogens(m) for m in data.molecules]
    return dataclasses.replace(data, molecules=full, atom_truth=[crippen_contributions(m) for m in full])


def flat(task: str, epochs: int, most: int, seed: int) -> None:
    measure, models = TASKS[task]
    data = loaded(task)
    chosen = data.test[:most]
    found = [data.molecules[i] for i in chosen]
    print(f"\n### {task}: {len(chosen)} molecules\n\n| model | its test error | method | figure | seconds |")
    print("|---|---|---|---|---|")
    for label, kind, options in models:
        trained = reference.train(data, kind, epochs=epochs, patience=10, batch_size=64, seed=seed, **options)
        family = families.find(trained.model)
        error = ", ".join(f"{k} {v:.3g}" for k, v in trained.test.items())
        runs: dict[str, Callable[[], Explained]] = {
            name: lambda f=family, c=composite: by_lrp(f, found, c, task == "mutagenicity")
            for name, composite in COMPOSITES.items()
        }
        runs |= {name: lambda f=family, n=name: by_method(f, found, n) for name in OTHERS}
        for name, run in runs.items():
            begin = time.perf_counter()
            results = run()
            seconds = time.perf_counter() - begin
            text = ", ".join(f"{k} {v:.3f}" for k, v in measure(data, chosen, results).items())
            print(f"| {label} | {error} | {name} | {text} | {seconds:.1f} |", flush=True)


def energies(task: str, epochs: int, most: int, seed: int) -> None:
    data = datasets.load("qm7")
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(data))[:most]
    results = []
    for i in chosen:
        try:
            results.append((i, xtb(data.molecules[i])))
        except SciExplainError as error:
            print(f"left out {data.molecules[i].name}: {error}")
    kept = np.array([i for i, _ in results])
    targets = np.array([[r.energy] for _, r in results]) if task == "xtb" else data.targets[kept][:, :1]
    parts = np.split(np.arange(len(kept)), [int(0.8 * len(kept)), int(0.9 * len(kept))])
    subset = dataclasses.replace(
        data,
        molecules=[data.molecules[i] for i in kept],
        targets=targets,
        tasks=data.tasks[:1] if task == "qm7" else ("total energy",),
        units=data.units[:1] if task == "qm7" else ("eV",),
        train=parts[0],
        valid=parts[1],
        test=parts[2],
    )
    trained = reference.train(subset, "schnet", epochs=epochs, patience=15, seed=seed, batch_size=32)
    error = ", ".join(f"{k} {v:.3g} {subset.units[0]}" for k, v in trained.test.items())
    family = families.find(trained.model)
    test = [subset.molecules[i] for i in parts[2]]
    print(f"\n### SchNet on {task}: {len(test)} molecules; its test error {error}\n")
    print("| method | ρ within H | C | N | O | S |\n|---|---|---|---|---|---|")
    numbers = np.concatenate([m.numbers for m in test])
    truth = np.concatenate([results[i][1].atom_energies for i in parts[2]])
    for name, composite in COMPOSITES.items():
        relevance = np.concatenate([a for a, _ in by_lrp(family, test, composite)])
        cells = [
            f"{spearmanr(relevance[numbers == z], truth[numbers == z]).statistic:.2f}"
            if (numbers == z).sum() > 10
            else f"only {(numbers == z).sum()} atoms"
            for z in (1, 6, 7, 8, 16)
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    distances, sizes = [], []
    for a in molecules.explain(family, test[:50], 0):
        apart = ~np.eye(len(a), dtype=bool)
        gaps = np.linalg.norm(a.molecule.positions[:, None] - a.molecule.positions[None], axis=-1)
        distances.append(gaps[apart])
        sizes.append(np.abs(a.pairs().double().numpy())[apart])
    gaps, size = np.concatenate(distances), np.concatenate(sizes)
    print("\n| distance of the pair, Å | mean \\|relevance\\| (LRP-ε) | pairs |\n|---|---|---|")
    for low, high in ((0.9, 1.2), (1.2, 1.7), (1.7, 2.3), (2.3, 3), (3, 4), (4, 5), (5, 7), (7, 12)):
        inside = (gaps >= low) & (gaps < high)
        if inside.any():
            print(f"| {low}–{high} | {size[inside].mean():.4f} {subset.units[0]} | {inside.sum()} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=[*TASKS, "qm7", "xtb"], choices=[*TASKS, "qm7", "xtb"])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--most", type=int, default=300, help="test molecules explained in a task")
    parser.add_argument("--geometries", type=int, default=3000, help="molecules of QM7 that are used")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.manual_seed(given.seed)
    for task in given.tasks:
        if task in TASKS:
            flat(task, given.epochs, given.most, given.seed)
        else:
            energies(task, given.epochs, given.geometries, given.seed)


if __name__ == "__main__":
    main()
