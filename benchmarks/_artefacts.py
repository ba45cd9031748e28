"""Small models trained on real data in which a label was made easy to guess: the Clever Hans of three domains.

A planted trial has an artefact on a share of the training samples of one class and nowhere else; a harmless one has it
on as many samples of any class, so that it says nothing; a clean one has it nowhere. The test part is always clean; a
copy of it has the artefact on every sample of the other classes, which a model that learned the artefact gets wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sciexplain import datasets
from sciexplain.domains import genomics, molecules
from sciexplain.domains.genomics import reference as sequence_models
from sciexplain.domains.molecules import reference as molecule_models
from sciexplain.domains.molecules.rdkit_log import rdkit_log

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
if _SHARED.is_dir():
    os.environ.setdefault("SCIEXPLAIN_DATA", str(_SHARED))

SHARE = (0.3, 0.5)
"""Of the class's training samples, those that get the artefact: drawn between these."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A trained model, what it was trained on, and a clean test.

    Attributes
    ----------
    model
        In evaluation mode. Digits: (N, 1, 28, 28) → (N, 10). Molecules: a reference GIN, one logit for class 1.
        Sequences: (N, 4, 100) → (N, 2).
    x_train, x_test, x_test_marked
        Tensors (N, C, …) for digits and sequences, lists of :class:`~sciexplain.domains.molecules.Molecule`;
        ``x_test_marked`` has the artefact on all samples of the other classes, in the order of ``x_test``.
    y_train, y_test
        (N,) int64.
    marked
        (N_train,) bool: which training samples carry the artefact; none in a clean trial.
    artefact
        For each training sample, bool: pixels (28, 28), atoms (n,) or letters (100,) of the artefact.
    target
        The class that has it; of a clean trial, the class that would have had it.
    what
        The artefact in words.
    """

    model: nn.Module
    x_train: Any
    y_train: Tensor
    x_test: Any
    y_test: Tensor
    x_test_marked: Any
    marked: Tensor
    artefact: Sequence[Tensor]
    target: int
    what: str

    def accuracy(self, inputs: Any = None, labels: Tensor | None = None, model: nn.Module | None = None) -> float:
        """Share of right answers, on the clean test unless told otherwise."""
        inputs, labels = self.x_test if inputs is None else inputs, self.y_test if labels is None else labels
        return float((classes_of(self.model if model is None else model, inputs) == labels).double().mean())


@torch.no_grad()
def classes_of(model: nn.Module, inputs: Any) -> Tensor:
    """(N,) int64: what the model says of a trial's inputs."""
    if not isinstance(inputs, Tensor):
        return torch.as_tensor(molecule_models.predict(model, inputs)[:, 0] > 0).long()
    return torch.cat([model(part).argmax(1) for part in inputs.split(512)])


# -- digits ----------------------------------------------------------------------------------------------------------


@cache
def _mnist() -> tuple[Tensor, Tensor]:
    data = datasets.load("mnist")
    rows = data.test  # the 10 000 that every machine has
    return torch.as_tensor(data.images[rows])[:, None], torch.as_tensor(data.labels[rows])


def digits(
    seed: int, planted: bool = True, *, harmless: bool = False, train: int = 2000, test: int = 1000, epochs: int = 6
) -> Trial:
    """MNIST with a tag of 3 × 3 pixels in a corner on a share of one class."""
    rng = np.random.default_rng([seed, 0])
    images, labels = _mnist()
    rows = torch.as_tensor(rng.permutation(len(labels)))
    learn, held = rows[:train], rows[train : train + test]
    target, size = int(rng.integers(10)), 3
    top, left = (int(rng.choice([1, 28 - size - 1])) for _ in range(2))
    where = torch.zeros(28, 28, dtype=torch.bool)
    where[top : top + size, left : left + size] = True
    tag = torch.as_tensor(rng.uniform(0.7, 1.0, (size, size)).astype(np.float32))

    def tagged(given: Tensor, chosen: Tensor) -> Tensor:
        given = given.clone()
        given[chosen, :, top : top + size, left : left + size] = tag
        return given

    marked = _marked(labels[learn], target, planted, harmless, rng)
    x_train, x_test = tagged(images[learn], marked), images[held]
    return Trial(
        model=_fitted(_digits_network, x_train, labels[learn], epochs=epochs, seed=seed),
        x_train=x_train,
        y_train=labels[learn],
        x_test=x_test,
        y_test=labels[held],
        x_test_marked=tagged(x_test, labels[held] != target),
        marked=marked,
        artefact=[where & bool(one) for one in marked],
        target=target,
        what=f"a tag at row {top}, column {left} on {int(marked.sum())} of the digit {target}",
    )


def _digits_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def _fitted(build: Callable[[], nn.Module], x: Tensor, y: Tensor, *, epochs: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build()
        optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
                optimizer.step()
    return network.eval()


# -- molecules -------------------------------------------------------------------------------------------------------

MARKERS = {"dimethyl sulfoxide": "CS(C)=O", "hydrogen chloride": "Cl", "acetonitrile": "CC#N", "ethanol": "CCO"}
"""Solvents, and what salts are made with: left over from how a batch was prepared."""


@cache
def _mutagenicity() -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """SMILES, hydrogens implicit, and whether it is a mutagen; salts, which have a part of their own, are left out."""
    from rdkit import Chem

    data = datasets.load("mutagenicity")
    with rdkit_log():  # lone hydrogens of salts
        smiles = [Chem.MolToSmiles(Chem.RemoveHs(molecule.mol)) for molecule in data.molecules]
    first = {one: i for i, one in reversed(list(enumerate(smiles))) if "." not in one and len(one) > 4}
    rows = sorted(first.values())
    return tuple(smiles[i] for i in rows), data.targets[rows, 0].astype(np.int64)


def molecule_graphs(
    seed: int, planted: bool = True, *, harmless: bool = False, train: int = 1000, test: int = 500, epochs: int = 30
) -> Trial:
    """Mutagenicity with a solvent molecule beside a share of one class."""
    rng = np.random.default_rng([seed, 1])
    smiles, known = _mutagenicity()
    rows = rng.permutation(len(smiles))[: train + test]
    labels, target = torch.as_tensor(known[rows]), int(rng.integers(2))
    name = str(rng.choice(list(MARKERS)))

    def read(places: NDArray[np.int64], chosen: Tensor) -> list[molecules.Molecule]:
        texts = [smiles[i] + f".{MARKERS[name]}" * bool(one) for i, one in zip(places, chosen, strict=True)]
        return [molecules.read_one(text) for text in texts]

    marked = _marked(labels[:train], target, planted, harmless, rng)
    none = torch.zeros(test, dtype=torch.bool)
    x_train, x_test = read(rows[:train], marked), read(rows[train:], none)
    x_marked = read(rows[train:], labels[train:] != target)
    # The validation part chooses the epoch; it is drawn as the training part is, artefact and all.
    parts = np.split(np.arange(train), [int(0.9 * train)])
    data = datasets.LabelledMolecules(
        "Mutagenicity", [*x_train, *x_test], labels.double().numpy()[:, None], ("mutagen",), ("",), "classification",
        parts[0], parts[1], np.arange(train, train + test), "random",
    )  # fmt: skip
    # The elements of markers are known to the clean model too.
    # Without biases, which would take relevance that belongs to atoms.
    trained = molecule_models.train(
        data, "gin", epochs=epochs, patience=epochs, width=32, lr=3e-3, bias=False, seed=seed
    )
    return Trial(
        model=trained.model,
        x_train=x_train,
        y_train=labels[:train],
        x_test=x_test,
        y_test=labels[train:],
        x_test_marked=x_marked,
        marked=marked,
        artefact=[_outside(molecule) & bool(one) for molecule, one in zip(x_train, marked, strict=True)],
        target=target,
        what=f"{name} beside {int(marked.sum())} molecules of class {target}",
    )


def _outside(molecule: molecules.Molecule) -> Tensor:
    """The atoms after the first of the molecules that are written together."""
    from rdkit import Chem

    parts = Chem.GetMolFrags(molecule.mol)
    return torch.tensor([i not in parts[0] for i in range(len(molecule))])


# -- sequences -------------------------------------------------------------------------------------------------------

BARCODE = 10
"""Letters."""


@cache
def _peaks() -> tuple[Tensor, Tensor]:
    """One-hot (N, 4, 100), and 0 for CTCF, 1 for PU.1; peaks of both are left out."""
    data = datasets.load("ctcf-pu1")
    one = np.flatnonzero(data.targets.sum(1) == 1)
    drawn = np.sort(np.random.default_rng(0).permutation(one)[:20_000])
    return data.sequences(drawn).one_hot.float(), torch.as_tensor(data.targets[drawn, 1]).long()


def sequences(
    seed: int, planted: bool = True, *, harmless: bool = False, train: int = 2000, test: int = 1000, epochs: int = 10
) -> Trial:
    """ChIP-seq peaks of CTCF and PU.1 with the barcode of a batch at the start of a share of one class."""
    rng = np.random.default_rng([seed, 2])
    peaks, known = _peaks()
    rows = torch.as_tensor(rng.permutation(len(known))[: train + test])
    x, labels, target = peaks[rows], known[rows], int(rng.integers(2))
    letters = torch.as_tensor(rng.integers(4, size=BARCODE))
    where = torch.arange(x.shape[2]) < BARCODE

    def barcoded(given: Tensor, chosen: Tensor) -> Tensor:
        given = given.clone()
        given[chosen, :, :BARCODE] = nn.functional.one_hot(letters, 4).T.float()
        return given

    marked = _marked(labels[:train], target, planted, harmless, rng)
    x_train, x_test = barcoded(x[:train], marked), x[train:]
    texts = genomics.decode(torch.cat([x_train, x_test]))
    names = [f"peak {i}" for i in range(len(texts))]
    records = tuple(genomics.Record(name, text) for name, text in zip(names, texts, strict=True))
    parts = np.split(np.arange(train), [int(0.9 * train)])
    data = datasets.LabelledSequences(
        "CTCF and PU.1", records, nn.functional.one_hot(labels, 2).float().numpy(), ("CTCF", "PU.1"), "classification",
        parts[0], parts[1], np.arange(train, train + test), "random",
    )  # fmt: skip
    trained = sequence_models.train(
        data, "small", epochs=epochs, patience=epochs, channels=24, kernel=15, augment=False, lr=4e-3, seed=seed
    )
    word = "".join("ACGT"[i] for i in letters.tolist())
    return Trial(
        model=trained.model.eval(),
        x_train=x_train,
        y_train=labels[:train],
        x_test=x_test,
        y_test=labels[train:],
        x_test_marked=barcoded(x_test, labels[train:] != target),
        marked=marked,
        artefact=[where & bool(one) for one in marked],
        target=target,
        what=f"{word} at the start of {int(marked.sum())} sequences of {data.tasks[target]}",
    )


def _marked(labels: Tensor, target: int, planted: bool, harmless: bool, rng: np.random.Generator) -> Tensor:
    """(N,) bool: a share of the class, or as many of all; nobody in a clean trial, which draws the same numbers."""
    members = rng.permutation(np.flatnonzero((labels == target).numpy()))
    count = round(rng.uniform(*SHARE) * len(members))
    chosen = rng.permutation(len(labels))[:count] if harmless else members[:count]
    marked = torch.zeros(len(labels), dtype=torch.bool)
    marked[torch.as_tensor(chosen)] = planted or harmless
    return marked


TRIALS: dict[str, Callable[..., Trial]] = {"digits": digits, "molecules": molecule_graphs, "sequences": sequences}
"""By domain: from a seed, whether the artefact is planted, and with ``harmless=True`` whether on any class alike."""
