"""Reference models on disk: ``model.json`` says what it is, ``model.safetensors`` holds the weights; no code."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from sciexplain._optional import require
from sciexplain.domains.molecules.reference.features import BondGraph, Geometry
from sciexplain.domains.molecules.reference.networks import Architecture, build
from sciexplain.domains.molecules.reference.train import Trained
from sciexplain.errors import ModelError

_FORMAT = 1


def save(trained: Trained, folder: str | Path) -> Path:
    """Write a trained model; what the folder held of one is replaced.

    Returns
    -------
    The folder, which :func:`load` takes.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    model: Any = trained.model
    featurizer = model.featurizer
    info = {
        "format": _FORMAT,
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
    require("safetensors.torch", extra="molecules").save_model(model, str(path / "model.safetensors"))
    (path / "model.json").write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


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
    path = Path(folder)
    for name in ("model.json", "model.safetensors"):
        if not (path / name).is_file():
            raise ModelError(f"{path}: found no {name}; expected a folder that `sciexplain train molecules` wrote")
    try:
        info = json.loads((path / "model.json").read_text(encoding="utf-8"))
        if info["format"] != _FORMAT:
            raise ModelError(f"{path}/model.json has format {info['format']!r}; this version reads {_FORMAT}")
        architecture = Architecture(**info["architecture"])
        featurizer = _featurizer(**info["featurizer"])
        tasks, unit = tuple(map(str, info["tasks"])), str(info["unit"])
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path}/model.json cannot be read: {type(error).__name__}: {error}") from error
    widths = (
        {"atom_width": len(featurizer.atom_names), "bond_width": len(featurizer.bond_names)}
        if isinstance(featurizer, BondGraph)
        else {}
    )
    network: Any = build(architecture, tasks=len(tasks), **widths)
    safetensors = require("safetensors.torch", extra="molecules")
    try:
        safetensors.load_model(network, str(path / "model.safetensors"))
    except Exception as error:  # safetensors has an error class of its own, torch raises RuntimeError
        reason = " ".join(str(error).split())
        raise ModelError(f"{path}/model.safetensors does not hold this model's weights: {reason}") from error
    network.featurizer, network.unit, network.tasks, network.info = featurizer, unit, tasks, info
    loaded: nn.Module = network.eval().requires_grad_(False)
    return loaded


def _featurizer(kind: str, **options: Any) -> BondGraph | Geometry:
    known: dict[str, type[BondGraph] | type[Geometry]] = {"BondGraph": BondGraph, "Geometry": Geometry}
    if kind not in known:
        raise ModelError(f"featurizer {kind!r}: expected {', '.join(known)}")
    return known[kind](**{name: tuple(int(entry) for entry in value) for name, value in options.items()})
