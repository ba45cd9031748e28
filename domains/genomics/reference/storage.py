"""Reference models on disk: ``model.json`` says what it is, ``model.safetensors`` holds the weights; no code."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from sciexplain._optional import require
from sciexplain.domains.genomics.reference.networks import Architecture, build
from sciexplain.domains.genomics.reference.train import Trained
from sciexplain.errors import ModelError, SciExplainError

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
    info = {
        "format": _FORMAT,
        "domain": "genomics",
        "architecture": asdict(trained.architecture),
        "tasks": list(model.tasks),
        "question": trained.question,
        "data": trained.data,
        "settings": trained.settings,
        "test": _figures(trained.test),
        "baseline": _figures(trained.baseline),
        "composition": _figures(trained.composition),
        "seconds": round(trained.seconds, 1),
    }
    require("safetensors.torch", extra="genomics").save_model(model, str(path / "model.safetensors"))
    (path / "model.json").write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def load(folder: str | Path) -> nn.Module:
    """A model that :func:`save` wrote, in evaluation mode.

    Returns
    -------
    The network from (N, letters, L) to (N, tasks), with ``alphabet``, ``length``, ``tasks``, ``layout`` and ``info``,
    the content of ``model.json``.

    Raises
    ------
    ModelError
        There is none, or its files are damaged or do not belong together.
    """
    path = Path(folder)
    for name in ("model.json", "model.safetensors"):
        if not (path / name).is_file():
            raise ModelError(f"{path}: found no {name}; expected a folder that `sciexplain train genomics` wrote")
    try:
        info = json.loads((path / "model.json").read_text(encoding="utf-8"))
        found = info.get("format"), info.get("domain")
        if found != (_FORMAT, "genomics"):
            raise ModelError(
                f"{path}/model.json has format {found[0]!r} of {found[1]!r}; this reads {_FORMAT} of 'genomics', which "
                "`sciexplain train genomics` writes"
            )
        architecture = Architecture(**info["architecture"])
        tasks = tuple(map(str, info["tasks"]))
        if len(tasks) != architecture.tasks:
            raise ModelError(f"{path}/model.json names {len(tasks)} tasks for {architecture.tasks} outputs")
        network: Any = build(architecture)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, SciExplainError):
            raise
        raise ModelError(f"{path}/model.json cannot be read: {type(error).__name__}: {error}") from error
    safetensors = require("safetensors.torch", extra="genomics")
    try:
        safetensors.load_model(network, str(path / "model.safetensors"))
    except Exception as error:  # safetensors has an error class of its own, torch raises RuntimeError
        reason = " ".join(str(error).split())
        raise ModelError(f"{path}/model.safetensors does not hold this model's weights: {reason}") from error
    network.alphabet, network.length = architecture.alphabet, architecture.length
    network.tasks, network.layout, network.info = tasks, "NCL", info
    loaded: nn.Module = network.eval().requires_grad_(False)
    return loaded


def _figures(found: dict[str, float]) -> dict[str, float | None]:
    """What is not defined is null: JSON has no NaN."""
    return {name: None if value != value else value for name, value in found.items()}
