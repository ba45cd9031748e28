"""A model that cheats, mended: accuracy before and after, on clean data and with the artefact on other classes.

    python benchmarks/clever_hans_mended.py [--domains digits molecules sequences] [--seeds 0 1 2]

Every trial trains a model on data in which an artefact gives one class away (``_artefacts.py``). The artefact is then
taken as confirmed: its place in the training samples is known. Two figures for each way to mend, in percent, means over
seeds and their standard deviation: accuracy on a clean test, and on the same test with the artefact on every sample of
the other classes, where the cheat shows. Above them the model as it was trained, and its twin that was trained on the
same samples without the artefact: what there is to win. "Trained further" has no penalty and the data as they are: what
training alone does. Settings were chosen on seeds from 100 on, and are the same for all seeds of a domain.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from _artefacts import TRIALS, Trial
from torch import Tensor, nn

from sciexplain import mend
from sciexplain.domains import molecules
from sciexplain.domains.molecules import families


@dataclass(frozen=True)
class Settings:
    """Of one domain."""

    weight: float
    gradient_weight: float
    epochs: int
    lr: float
    layer: str
    fill: str


SETTINGS = {
    "digits": Settings(weight=10.0, gradient_weight=0.1, epochs=10, lr=1e-3, layer="2", fill="inpaint"),
    "molecules": Settings(weight=10.0, gradient_weight=0.1, epochs=10, lr=1e-3, layer="embedding", fill="cut"),
    "sequences": Settings(weight=10.0, gradient_weight=0.1, epochs=10, lr=1e-3, layer="0", fill="resample"),
}


# -- what the samples of a domain are to a model ---------------------------------------------------------------------


def batches(trial: Trial) -> Any:
    """Training samples with labels and masks, as mending takes them."""
    if isinstance(trial.x_train, Tensor):
        return trial.x_train, trial.y_train, torch.stack(list(trial.artefact))[:, None]
    return Molecules(trial, trial.x_train, trial.y_train, trial.artefact)


class Molecules:
    """Batches of graphs, in another order in every pass."""

    def __init__(self, trial: Trial, samples: Any, labels: Tensor, atoms: Sequence[Tensor]) -> None:
        self.family = families.find(trial.model)
        self.graphs = [self.family.graph(one) for one in samples]
        self.labels, self.atoms = labels, atoms
        self.draw = torch.Generator().manual_seed(0)

    def inputs(self, rows: Tensor) -> dict[str, Tensor]:
        tensors = self.family.collate([self.graphs[i] for i in rows.tolist()]).tensors
        return {k: tensors[k] for k in ("x", "edge_index", "edge_attr", "batch")}

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for rows in torch.randperm(len(self.labels), generator=self.draw).split(64):
            given = self.inputs(rows)
            atoms = torch.cat([self.atoms[i] for i in rows.tolist()])
            masks = {"x": atoms[:, None], "edge_attr": atoms[given["edge_index"][0]][:, None]}
            yield given, self.labels[rows], masks


def without(trial: Trial, rows: Tensor, fill: str) -> Any:
    """These training samples with the artefact taken away."""
    if isinstance(trial.x_train, Tensor):
        masks = torch.stack([trial.artefact[i] for i in rows.tolist()])[:, None]
        return mend.data.masked(trial.x_train[rows], masks, fill)
    return [_cut(trial.x_train[i], trial.artefact[i]) for i in rows.tolist()]


def _cut(molecule: Any, atoms: Tensor) -> Any:
    if not bool(atoms.any()):
        return molecule
    from rdkit import Chem

    parts = Chem.GetMolFrags(molecule.mol, asMols=True)
    return molecules.read_one(Chem.MolToSmiles(parts[0]))


def pasted(trial: Trial, seed: int) -> tuple[Any, Tensor, Any]:
    """All training samples, and half of those of other classes with the artefact."""
    if isinstance(trial.x_train, Tensor):
        x, y, masks = batches(trial)
        made = mend.data.counterexamples(x, y, masks, share=0.5, seed=seed)
        return torch.cat([x, made.inputs]), torch.cat([y, made.labels]), None
    from rdkit import Chem

    donor = trial.x_train[int(trial.marked.nonzero()[0])]
    marker = Chem.MolToSmiles(Chem.GetMolFrags(donor.mol, asMols=True)[-1])
    others = (trial.y_train != trial.target).nonzero().flatten()
    chosen = others[torch.randperm(len(others), generator=torch.Generator().manual_seed(seed))[: len(others) // 2]]
    made = [molecules.read_one(f"{Chem.MolToSmiles(trial.x_train[i].mol)}.{marker}") for i in chosen.tolist()]
    labels = torch.cat([trial.y_train, trial.y_train[chosen]])
    samples = [*trial.x_train, *made]
    return Molecules(trial, samples, labels, [torch.zeros(len(m), dtype=torch.bool) for m in samples]), labels, None


# -- ways to mend ----------------------------------------------------------------------------------------------------


def as_trained(trial: Trial, seed: int, domain: str) -> nn.Module:
    return trial.model


def never_planted(trial: Trial, seed: int, domain: str) -> nn.Module:
    return TRIALS[domain](seed, False).model


def further(trial: Trial, seed: int, domain: str) -> nn.Module:
    return _fine_tuned(trial, batches(trial), SETTINGS[domain], seed)


def reasons(trial: Trial, seed: int, domain: str, penalty: Any = "relevance") -> nn.Module:
    s, given = SETTINGS[domain], batches(trial)
    weight = s.weight if penalty == "relevance" else s.gradient_weight
    arguments = given if isinstance(given, tuple) else (given,)
    return mend.right_reasons(
        trial.model, *arguments, weight=weight, penalty=penalty, epochs=s.epochs, lr=s.lr, seed=seed
    ).model


def clarc(trial: Trial, seed: int, domain: str, how: Any = "projective") -> nn.Module:
    s, rows = SETTINGS[domain], trial.marked.nonzero().flatten()
    if isinstance(trial.x_train, Tensor):
        return mend.clarc(trial.model, s.layer, trial.x_train[rows], without(trial, rows, s.fill), how=how)
    labels, nothing = trial.y_train[rows], [torch.zeros(1)] * len(rows)
    pair = [
        [Molecules(trial, samples, labels, nothing).inputs(torch.arange(len(rows)))]
        for samples in ([trial.x_train[i] for i in rows], without(trial, rows, s.fill))
    ]
    return mend.clarc(trial.model, s.layer, *pair, how=how)


def masked(trial: Trial, seed: int, domain: str) -> nn.Module:
    s, rows = SETTINGS[domain], torch.arange(len(trial.y_train))
    cleaned = without(trial, rows, s.fill)
    if isinstance(cleaned, Tensor):
        return _fine_tuned(trial, (cleaned, trial.y_train, None), s, seed)
    atoms = [torch.zeros(len(m), dtype=torch.bool) for m in cleaned]
    return _fine_tuned(trial, Molecules(trial, cleaned, trial.y_train, atoms), s, seed)


def counterexamples(trial: Trial, seed: int, domain: str) -> nn.Module:
    given, labels, _ = pasted(trial, seed)
    return _fine_tuned(trial, (given, labels, None) if isinstance(given, Tensor) else given, SETTINGS[domain], seed)


def _fine_tuned(trial: Trial, given: Any, s: Settings, seed: int) -> nn.Module:
    arguments = given[:2] if isinstance(given, tuple) else (given,)
    return mend.fine_tuned(trial.model, *arguments, epochs=s.epochs, lr=s.lr, seed=seed).model


WAYS: dict[str, Callable[[Trial, int, str], nn.Module]] = {
    "as trained": as_trained,
    "trained without the artefact": never_planted,
    "trained further": further,
    "(a) relevance penalty": reasons,
    "(a) gradient penalty": partial(reasons, penalty="gradient"),
    "(b) projective ClArC": clarc,
    "(b) reactive ClArC": partial(clarc, how="reactive"),
    "(c) artefact taken out": masked,
    "(c) counterexamples": counterexamples,
}


def table(domain: str, seeds: list[int]) -> str:
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    seconds: dict[str, float] = dict.fromkeys(WAYS, 0.0)
    for seed in seeds:
        trial = TRIALS[domain](seed)
        for way, mended in WAYS.items():
            begin = time.perf_counter()
            model = mended(trial, seed, domain)
            seconds[way] += (time.perf_counter() - begin) / len(seeds)
            found[way].append((trial.accuracy(model=model), trial.accuracy(trial.x_test_marked, model=model)))
    lines = [f"{domain}, {len(seeds)} seeds", f"  {'':30}{'clean':>14}{'artefact on others':>22}{'seconds':>10}"]
    for way, pairs in found.items():
        clean, marked = (np.array(column) * 100 for column in zip(*pairs, strict=True))
        figures = "".join(f"{f'{v.mean():.1f} ± {v.std():.1f}':>{w}}" for v, w in ((clean, 14), (marked, 22)))
        lines.append(f"  {way:30}{figures}{seconds[way]:>10.1f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domains", nargs="+", default=list(TRIALS), choices=list(TRIALS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    given = parser.parse_args()
    for domain in given.domains:
        print(table(domain, given.seeds), flush=True)


if __name__ == "__main__":
    main()
