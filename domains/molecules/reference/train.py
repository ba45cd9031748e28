"""Training a reference model, and what it is worth on molecules it has not seen."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sciexplain._fitting import Epoch, check_settings, fit
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import embed
from sciexplain.domains.molecules.reference.features import BondGraph, Geometry, Packed
from sciexplain.domains.molecules.reference.networks import Architecture, Kind, Readout, build, last_layer
from sciexplain.domains.molecules.reference.scores import scores
from sciexplain.errors import DataError, InputError, SciExplainError

if TYPE_CHECKING:
    from sciexplain.datasets import LabelledMolecules


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model and the account of its training.

    Attributes
    ----------
    model
        In evaluation mode, in the targets' own units (logits for classes), with ``featurizer``, ``unit`` and
        ``tasks``.
    architecture
        What it was built from.
    epochs
        All passes; the weights are those of the one with the lowest validation loss.
    test
        Errors on the test part, by name: ``"RMSE"`` and ``"MAE"`` in the target's unit, or ``"AUROC"``; the mean over
        tasks.
    baseline
        The same for predicting the training part's mean.
    data
        Name, digest, division and sizes of what it was trained on.
    settings
        Learning rate, batch size, seed, ….
    skipped
        Molecules that this model cannot take, and why.
    seconds
        Of training.
    """

    model: nn.Module
    architecture: Architecture
    epochs: tuple[Epoch, ...]
    test: dict[str, float]
    baseline: dict[str, float]
    data: dict[str, Any]
    settings: dict[str, Any]
    skipped: tuple[tuple[str, str], ...]
    seconds: float


def train(
    data: LabelledMolecules,
    model: Kind = "gin",
    *,
    epochs: int = 200,
    patience: int = 30,
    lr: float = 1e-3,
    batch_size: int = 64,
    seed: int = 0,
    width: int = 64,
    layers: int = 3,
    readout: Readout = "sum",
    bias: bool = True,
    cutoff: float = 5.0,
    report: Callable[[Epoch], object] = lambda epoch: None,
) -> Trained:
    """Train a reference model with Adam; the same seed gives the same model.

    Training stops when the validation loss has not fallen for ``patience`` passes; the learning rate is halved each
    time it has not for a third of that. Targets are standardized on the training part, which is folded into the last
    layer afterwards; for SchNet, the part that is linear in the numbers of atoms of each element goes into its
    ``atomref``. Classes have cross-entropy, the rarer class weighted up to the other, so that a logit of 0 is even
    odds in a balanced set. Missing targets have no loss. The test part is looked at once, at the end.

    Parameters
    ----------
    data
        Molecules and targets. For SchNet, those without positions are embedded.
    model, width, layers, readout, bias, cutoff
        As :class:`~sciexplain.domains.molecules.reference.networks.Architecture`.
    epochs, patience, lr, batch_size, seed
        Of the optimization.
    report
        Called after each pass.

    Raises
    ------
    DataError
        A part is empty, or no target of a task is known in training.
    InputError
        A setting is out of range.
    ModelError
        There is no such architecture.
    """
    check_settings(epochs, patience, batch_size, lr)
    architecture = Architecture(model, width, layers, readout, bias, cutoff=cutoff)
    started = time.perf_counter()
    prepared = _prepare(data, architecture)
    classes = data.kind == "classification"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(architecture, tasks=len(data.tasks), **_widths(prepared.featurizer))
        scale = _Scale.of(prepared, network, shifted=bias or model == "schnet", classes=classes)
        passes = _optimize(network, prepared, scale, classes, epochs, patience, lr, batch_size, report)
    scale.fold_into(network)
    network.eval().requires_grad_(False)
    carried = {"featurizer": prepared.featurizer, "unit": _common(data.units), "tasks": data.tasks}
    for name, value in carried.items():
        setattr(network, name, value)
    truth = prepared.targets[prepared.test]
    mean = np.broadcast_to(np.nanmean(prepared.targets[prepared.train], 0), truth.shape)
    return Trained(
        model=network,
        architecture=architecture,
        epochs=passes,
        test=scores(truth, _predict(network, prepared.graphs, prepared.test), classes=classes),
        baseline=scores(truth, mean, classes=classes),
        data={
            "name": data.name,
            "sha256": data.sha256,
            "kind": data.kind,
            "split": data.split,
            "train": len(prepared.train),
            "valid": len(prepared.valid),
            "test": len(prepared.test),
        },
        settings={"epochs": len(passes), "patience": patience, "lr": lr, "batch_size": batch_size, "seed": seed},
        skipped=prepared.skipped,
        seconds=time.perf_counter() - started,
    )


@torch.no_grad()
def predict(network: nn.Module, molecules: Sequence[Molecule]) -> NDArray[np.float64]:
    """What a reference model says of molecules, (N, tasks), in its unit.

    Raises
    ------
    InputError
        It cannot take one of them.
    """
    featurizer: Any = network.featurizer
    graphs = [featurizer(_taken(molecule, featurizer)) for molecule in molecules]
    return _predict(network, Packed(graphs), np.arange(len(graphs)))


@dataclass(frozen=True, eq=False)
class _Prepared:
    featurizer: Any
    graphs: Packed
    counts: NDArray[np.float64]
    """(N, elements): atoms of each."""
    targets: NDArray[np.float64]
    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]
    skipped: tuple[tuple[str, str], ...]


def _prepare(data: LabelledMolecules, architecture: Architecture) -> _Prepared:
    elements = tuple(sorted({int(z) for molecule in data.molecules for z in molecule.numbers}))
    geometric = architecture.kind == "schnet"
    if geometric and all(molecule.positions is None for molecule in data.molecules):
        elements = tuple(sorted({1, *elements}))
    charges = tuple(sorted({molecule.charge for molecule in data.molecules}))
    featurizer: Any = Geometry(elements, charges) if geometric else BondGraph(elements)
    graphs, numbers, kept, skipped = [], [], [], []
    for i, molecule in enumerate(data.molecules):
        try:
            given = embed(molecule) if geometric else molecule
            graphs.append(featurizer(_taken(given, featurizer)))
        except SciExplainError as error:
            skipped.append((molecule.source or molecule.name, str(error)))
        else:
            kept.append(i)
            numbers.append(given.numbers)
    place = np.full(len(data), -1)
    place[kept] = np.arange(len(kept))
    train, valid, test = (place[part][place[part] >= 0] for part in (data.train, data.valid, data.test))
    targets = data.targets[kept]
    for name, part in (("training", train), ("validation", valid), ("test", test)):
        if not len(part):
            why = f"; {len(skipped)} were left out, the first: {skipped[0][1]}" if skipped else ""
            raise DataError(f"{data.name}: found no molecules in the {name} part; expected some{why}")
    unknown = [task for task, column in zip(data.tasks, targets[train].T, strict=True) if np.isnan(column).all()]
    if unknown:
        raise DataError(f"{data.name}: found no value of {unknown[0]} in the training part; expected some")
    counts = np.array([[np.sum(z == element) for element in elements] for z in numbers], np.float64)
    return _Prepared(featurizer, Packed(graphs), counts, targets, train, valid, test, tuple(skipped))


@dataclass(frozen=True, eq=False)
class _Scale:
    """target = base + spread · output; ``base`` is a mean, or linear in the composition for SchNet."""

    base: NDArray[np.float64]
    """(N, tasks)."""
    spread: NDArray[np.float64]
    """(tasks,)."""
    mean: NDArray[np.float64] | None
    """(tasks,) added to the output, if any."""
    references: dict[int, NDArray[np.float64]]
    """(tasks,) for each element, added per atom."""

    @classmethod
    def of(cls, prepared: _Prepared, network: nn.Module, *, shifted: bool, classes: bool) -> _Scale:
        targets, train = prepared.targets, prepared.train
        base, mean, references = np.zeros_like(targets), None, {}
        if classes:
            return cls(base, np.ones(targets.shape[1]), None, {})
        if hasattr(network, "atomref"):
            parts = prepared.counts
            if network.readout.__class__.__name__.startswith("Mean"):
                parts = parts / parts.sum(1, keepdims=True)
            fitted = np.stack([_least_squares(parts[train], column) for column in targets[train].T], 1)
            base = parts @ fitted
            references = dict(zip(prepared.featurizer.elements, fitted, strict=True))
        elif shifted:
            mean = np.nanmean(targets[train], 0)
            base = base + mean
        spread = np.sqrt(np.nanmean((targets - base)[train] ** 2, 0))
        return cls(base, np.where(spread > 0, spread, 1.0), mean, references)

    def fold_into(self, network: nn.Module) -> None:
        """Make the network's output the target itself."""
        layer = last_layer(network)
        spread = torch.as_tensor(self.spread, dtype=layer.weight.dtype)
        with torch.no_grad():
            layer.weight.mul_(spread[:, None])
            if layer.bias is not None:
                layer.bias.mul_(spread)
                if self.mean is not None:
                    layer.bias.add_(torch.as_tensor(self.mean, dtype=layer.bias.dtype))
            for element, values in self.references.items():
                network.get_parameter("atomref.weight")[element] = torch.as_tensor(values)


def _least_squares(parts: NDArray[np.float64], column: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(column)
    found: NDArray[np.float64] = np.linalg.lstsq(parts[known], column[known], rcond=None)[0].astype(np.float64)
    return found


def _output(network: nn.Module, graphs: Packed, chosen: Tensor) -> Tensor:
    """Of some graphs, from what the network takes of them."""
    takes = inspect.signature(network.forward).parameters
    output: Tensor = network(**{name: value for name, value in graphs.batch(chosen).items() if name in takes})
    return output


def _optimize(
    network: nn.Module,
    prepared: _Prepared,
    scale: _Scale,
    classes: bool,
    epochs: int,
    patience: int,
    lr: float,
    batch_size: int,
    report: Callable[[Epoch], object],
) -> tuple[Epoch, ...]:
    """Train in place, to the weights of the best pass."""
    targets = torch.as_tensor((prepared.targets - scale.base) / scale.spread, dtype=torch.float32)
    train, valid = torch.as_tensor(prepared.train), torch.as_tensor(prepared.valid)
    weight = _weight(targets[train]) if classes else None

    def loss(rows: Tensor) -> tuple[Tensor, int]:
        return _loss(_output(network, prepared.graphs, rows), targets[rows], weight)

    return fit(
        network, loss, train, valid, epochs=epochs, patience=patience, lr=lr, batch_size=batch_size, report=report
    )


def _loss(output: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, int]:
    """Summed over known targets, and how many they are."""
    known = ~target.isnan()
    filled = target.nan_to_num()
    if weight is None:
        each = (output - filled) ** 2
    else:
        each = nn.functional.binary_cross_entropy_with_logits(output, filled, pos_weight=weight, reduction="none")
    return (each * known).sum(), int(known.sum())


def _weight(targets: Tensor) -> Tensor:
    """Of the positive class, per task: how many times rarer it is."""
    positive, negative = (targets == 1).sum(0), (targets == 0).sum(0)
    return torch.where((positive > 0) & (negative > 0), negative / positive.clamp(min=1), 1.0)


@torch.no_grad()
def _predict(network: nn.Module, graphs: Packed, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    outputs = [_output(network, graphs, part) for part in torch.as_tensor(chosen).split(256)]
    return torch.cat(outputs).double().numpy()


def _taken(molecule: Molecule, featurizer: Any) -> Any:
    """What the featurizer takes: the molecule, or RDKit's."""
    if isinstance(featurizer, Geometry):
        return embed(molecule)
    if molecule.mol is None:
        raise InputError(
            f"{molecule.name or molecule.source}: found no bonds, which this model needs; give them as SDF"
        )
    return molecule.mol


def _widths(featurizer: Any) -> dict[str, int]:
    if isinstance(featurizer, Geometry):
        return {}
    return {"atom_width": len(featurizer.atom_names), "bond_width": len(featurizer.bond_names)}


def _common(units: tuple[str, ...]) -> str:
    return units[0] if len(set(units)) == 1 else ""
