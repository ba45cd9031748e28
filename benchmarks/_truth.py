"""Atoms and bonds of molecules by LRP and by other methods, and how well they agree with known truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import kendalltau
from sklearn.metrics import roc_auc_score

import sciexplain as sx
from sciexplain.domains import molecules
from sciexplain.domains.molecules.adjoints import as_function

BATCH = 64
"""Molecules in one pass of the other methods."""

COMPOSITES: dict[str, Any] = {
    "LRP-ε": None,
    "LRP-ε⁺ (epsilon_plus)": "epsilon_plus",
    "LRP generalised γ = ¼": sx.Composite(default=sx.rules.GeneralizedGamma(0.25)),
    "deep Taylor": "deep_taylor",
}
OTHERS = {
    "gradient": "gradient",
    "input × gradient": "input_x_gradient",
    "integrated gradients": "integrated_gradients",
    "DeepLIFT": "deeplift",
}


class Relevance(NamedTuple):
    """Of one molecule: its atoms (n,), and its bonds by (i, j), i < j."""

    atoms: np.ndarray
    bonds: dict[tuple[int, int], float]


def by_lrp(family: Any, found: Sequence[Any], composite: Any, bonds: bool = False) -> list[Relevance]:
    explanations = molecules.explain(family, found, 0, composite)
    return [Relevance(a.atoms.double().numpy(), a.bonds if bonds else {}) for a in explanations]


def by_lrp_at_the_end(family: Any, found: Sequence[Any]) -> list[Relevance]:
    """LRP-ε stopped before it goes back along bonds: relevance of atoms together with their surroundings."""
    return [Relevance(a.layers[-1].double().numpy(), {}) for a in molecules.explain(family, found, 0)]


def by_method(family: Any, found: Sequence[Any], method: str) -> list[Relevance]:
    """Another method of the core, summed over features; molecules of a batch are independent of each other."""
    results: list[Relevance] = []
    for begin in range(0, len(found), BATCH):
        graphs = family.collate([family.graph(m) for m in found[begin : begin + BATCH]])
        model, inputs = as_function(graphs)
        e = sx.explain(model, inputs, lambda out: out.reshape(len(out), -1)[:, 0], method)
        sizes = graphs.sizes.numpy()
        atoms, first = np.zeros(sizes.sum()), np.cumsum(sizes) - sizes
        molecule = np.repeat(np.arange(len(sizes)), sizes)
        bonds: list[dict[tuple[int, int], float]] = [{} for _ in sizes]
        for name, relevance in e.relevance.items():
            rows = relevance.reshape(len(relevance), -1).sum(1).double().numpy()
            np.add.at(atoms, graphs.places[name].numpy(), rows)
            if name in graphs.edge_rows:
                for i, j, r in zip(*graphs.edges.tolist(), rows, strict=True):
                    own = bonds[molecule[i]]
                    bond = min(i, j) - first[molecule[i]], max(i, j) - first[molecule[i]]
                    own[bond] = own.get(bond, 0.0) + r
        results += map(Relevance, np.split(atoms, first[1:]), bonds)
    return results


def by_gradcam(family: Any, found: Sequence[Any]) -> list[Relevance]:
    """Grad-CAM on the last atoms' states: their product with the gradient, not cut off at zero, as it keeps a sign."""
    network, caught = family.model, {}

    def states(_: Any, __: Any, out: torch.Tensor) -> torch.Tensor:
        caught["states"] = out.detach().requires_grad_()
        return caught["states"]

    last = network.atom if hasattr(network, "atom") else network.convolutions[-1]
    results: list[Relevance] = []
    handle = last.register_forward_hook(states)
    try:
        for begin in range(0, len(found), BATCH):
            graphs = family.collate([family.graph(m) for m in found[begin : begin + BATCH]])
            (slope,) = torch.autograd.grad(graphs.call(graphs.tensors).sum(), caught["states"])
            atoms = (slope * caught["states"].relu()).sum(1).detach().double()
            results += [Relevance(a.numpy(), {}) for a in atoms.split(graphs.sizes.tolist())]
    finally:
        handle.remove()
    return results


def methods(kind: str, bonds: bool) -> dict[str, Callable[[Any, Sequence[Any]], list[Relevance]]]:
    """By name, for a reference model of this kind."""
    composites = COMPOSITES | ({"LRP, attention held (attention)": "attention"} if kind == "gat" else {})
    runs: dict[str, Callable[[Any, Sequence[Any]], list[Relevance]]] = {
        name: lambda family, found, c=composite: by_lrp(family, found, c, bonds)
        for name, composite in composites.items()
    }
    if not bonds:
        runs |= {"LRP-ε, not back along bonds": by_lrp_at_the_end}
    runs |= {name: lambda family, found, m=method: by_method(family, found, m) for name, method in OTHERS.items()}
    return runs | ({} if bonds else {"Grad-CAM": by_gradcam})


# -- agreement with the truth ----------------------------------------------------------------------------------------


def mean(values: Iterable[float]) -> float:
    return float(np.nanmean([*values, np.nan]))


def auroc(truth: np.ndarray, values: np.ndarray) -> float:
    return float(roc_auc_score(truth, values)) if 0 < truth.sum() < len(truth) else float("nan")


def kendall(data: Any, chosen: np.ndarray, found: list[Relevance], _: np.ndarray) -> dict[str, float]:
    return {
        "Kendall τ": mean(kendalltau(r.atoms, data.atom_truth[i]).statistic for i, r in zip(chosen, found, strict=True))
    }


def best_alternative(data: Any, chosen: np.ndarray, found: list[Relevance], output: np.ndarray) -> dict[str, float]:
    """Over molecules of the class that are recognized."""
    return {
        "AUROC": mean(
            np.nanmax([auroc(row, r.atoms) for row in data.alternatives[i]])
            for i, r, y in zip(chosen, found, output, strict=True)
            if data.targets[i, 0] == 1 and y > 0
        )
    }


def signs(data: Any, chosen: np.ndarray, found: list[Relevance], _: np.ndarray) -> dict[str, float]:
    """Atoms that count up have the largest relevance, those that count down the smallest."""
    areas, hits, wanted = [], 0, 0
    for i, r in zip(chosen, found, strict=True):
        truth = data.atom_truth[i]
        for sign in (1, -1):
            marked = truth * sign > 0
            areas.append(auroc(marked, sign * r.atoms))
            top = np.argsort(-sign * r.atoms, kind="stable")[: marked.sum()]
            hits, wanted = hits + int(marked[top].sum()), wanted + int(marked.sum())
    return {"AUROC": mean(areas), "top-n": hits / wanted}


def marked_bonds(data: Any, chosen: np.ndarray, found: list[Relevance], _: np.ndarray) -> dict[str, float]:
    """Over molecules of the class; beside relevance of bonds the sum of that of their two atoms."""
    by_bond, by_ends = [], []
    for i, r in zip(chosen, found, strict=True):
        if data.targets[i, 0] == 1:
            ends = [sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())) for b in data.molecules[i].mol.GetBonds()]
            truth = data.bond_truth[i] > 0
            by_bond.append(auroc(truth, np.array([r.bonds.get((a, b), 0.0) for a, b in ends])))
            by_ends.append(auroc(truth, np.array([r.atoms[a] + r.atoms[b] for a, b in ends])))
    return {"AUROC of bonds": mean(by_bond), "of bonds' atoms": mean(by_ends)}
