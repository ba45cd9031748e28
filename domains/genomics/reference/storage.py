"""Reference models on disk."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from sciexplain import _trained
from sciexplain.domains.genomics.reference.networks import Architecture, build
from sciexplain.domains.genomics.reference.train import Trained
from sciexplain.errors import ModelError


def save(trained: Trained, folder: str | Path) -> Path:
    """Write a trained model; what the folder held of one is replaced.

    Returns
    -------
    The folder, which :func:`load` takes.
    """
    model: Any = trained.model
    info = {
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
    return _trained.save(model, info, folder, domain="genomics")


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

    def built(info: dict[str, Any]) -> nn.Module:
        architecture, tasks = Architecture(**info["architecture"]), tuple(map(str, info["tasks"]))
        if len(tasks) != architecture.tasks:
            raise ModelError(f"{folder}/model.json names {len(tasks)} tasks for {architecture.tasks} outputs")
        network: Any = build(architecture)
        network.alphabet, network.length = architecture.alphabet, architecture.length
        network.tasks, network.layout = tasks, "NCL"
        made: nn.Module = network
        return made

    return _trained.load(folder, built, domain="genomics", writer="sciexplain train genomics")


def _figures(found: dict[str, float]) -> dict[str, float | None]:
    """What is not defined is null: JSON has no NaN."""
    return {name: None if value != value else value for name, value in found.items()}
