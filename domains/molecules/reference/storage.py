"""Reference models on disk."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from sciexplain import _trained
from sciexplain.domains.molecules.reference.features import BondGraph, Geometry
from sciexplain.domains.molecules.reference.networks import Architecture, build
from sciexplain.domains.molecules.reference.train import Trained
from sciexplain.errors import ModelError


def save(trained: Trained, folder: str | Path) -> Path:
    """Write a trained model; what the folder held of one is replaced.

    Returns
    -------
    The folder, which :func:`load` takes.
    """
    model: Any = trained.model
    featurizer = model.featurizer
    info = {
        "architecture": asdict(trained.architecture),
        "featurizer": {"kind": type(featurizer).__name__, **asdict(featurizer)},
        "unit": model.unit,
        "tasks": list(model.tasks),
        "data": trained.data,
        "settings": trained.settings,
        "test": trained.test,
        "baseline": trained.baseline,
        "skipped": len(trained.skipped),
        "seconds": round(trained.seconds, 1),
    }
    return _trained.save(model, info, folder, domain="molecules")


def load(folder: str | Path) -> nn.Module:
    """A model that :func:`save` wrote, in evaluation mode.

    Returns
    -------
    The network, with ``featurizer`` (from an RDKit molecule, or a :class:`Molecule` for SchNet, to PyG's ``Data``),
    ``unit``, ``tasks`` and ``info``, the content of ``model.json``.

    Raises
    ------
    ModelError
        There is none, or its files are damaged or do not belong together.
    """
    return _trained.load(folder, _built, domain="molecules", writer="sciexplain train molecules")


def _built(info: dict[str, Any]) -> nn.Module:
    featurizer, tasks = _featurizer(**info["featurizer"]), tuple(map(str, info["tasks"]))
    widths = (
        {"atom_width": len(featurizer.atom_names), "bond_width": len(featurizer.bond_names)}
        if isinstance(featurizer, BondGraph)
        else {}
    )
    network: Any = build(Architecture(**info["architecture"]), tasks=len(tasks), **widths)
    network.featurizer, network.unit, network.tasks = featurizer, str(info["unit"]), tasks
    made: nn.Module = network
    return made


def _featurizer(kind: str, **options: Any) -> BondGraph | Geometry:
    known: dict[str, type[BondGraph] | type[Geometry]] = {"BondGraph": BondGraph, "Geometry": Geometry}
    if kind not in known:
        raise ModelError(f"featurizer {kind!r}: expected {', '.join(known)}")
    return known[kind](**{name: tuple(int(entry) for entry in value) for name, value in options.items()})
