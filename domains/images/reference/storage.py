"""Reference models on disk: ``model.json`` says what it is, ``model.safetensors`` holds the weights; no code."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from sciexplain._optional import require
from sciexplain.domains.images.reference.networks import Architecture, Autoencoder, Kind, build
from sciexplain.domains.images.reference.train import Trained
from sciexplain.errors import ModelError, SciExplainError

_FORMAT = 1
_WRITTEN_BY = {"classifier": "sciexplain train images", "autoencoder": "sciexplain train prior images"}


def save(trained: Trained, folder: str | Path) -> Path:
    """Write a trained model; what the folder held of one is replaced.

    Returns
    -------
    The folder, which :func:`load` or :func:`load_prior` takes.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    info = {
        "format": _FORMAT,
        "domain": "images",
        "architecture": asdict(trained.architecture),
        "labels": list(trained.labels),
        "data": trained.data,
        "settings": trained.settings,
        "test": trained.test,
        "baseline": trained.baseline,
        "seconds": round(trained.seconds, 1),
    }
    require("safetensors.torch", extra="images").save_model(trained.model, str(path / "model.safetensors"))
    (path / "model.json").write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def load(folder: str | Path) -> nn.Module:
    """A classifier that :func:`save` wrote, in evaluation mode.

    Returns
    -------
    The network from (n, channels, rows, columns) in 0..1 to (n, classes) logits, with ``shape``, ``labels`` and
    ``info``, the content of ``model.json``.

    Raises
    ------
    ModelError
        There is none, or its files are damaged or do not belong together.
    """
    return _load(folder, "classifier")


def load_prior(folder: str | Path) -> Autoencoder:
    """An autoencoder that :func:`save` wrote, in evaluation mode: a prior, with ``info``.

    Raises
    ------
    ModelError
        As :func:`load`.
    """
    network = _load(folder, "autoencoder")
    assert isinstance(network, Autoencoder)
    return network


def is_model(folder: str | Path) -> bool:
    """Whether there is a folder of this name that holds a model."""
    return (Path(folder) / "model.json").is_file()


def _load(folder: str | Path, kind: Kind) -> nn.Module:
    path, writer = Path(folder), _WRITTEN_BY[kind]
    for name in ("model.json", "model.safetensors"):
        if not (path / name).is_file():
            raise ModelError(f"{path}: found no {name}; expected a folder that `{writer}` wrote")
    try:
        info = json.loads((path / "model.json").read_text(encoding="utf-8"))
        found = info.get("format"), info.get("domain")
        if found != (_FORMAT, "images"):
            raise ModelError(
                f"{path}/model.json has format {found[0]!r} of {found[1]!r}; this reads {_FORMAT} of 'images', which "
                f"`{writer}` writes"
            )
        own = info["architecture"]
        architecture = Architecture(**{**own, "shape": tuple(own["shape"])})
        if architecture.kind != kind:
            raise ModelError(
                f"{path} holds an {architecture.kind}; expected what `{writer}` writes".replace("an c", "a c")
            )
        labels = tuple(map(str, info["labels"]))
        network: Any = build(architecture)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, SciExplainError):
            raise
        raise ModelError(f"{path}/model.json cannot be read: {type(error).__name__}: {error}") from error
    safetensors = require("safetensors.torch", extra="images")
    try:
        safetensors.load_model(network, str(path / "model.safetensors"))
    except Exception as error:  # safetensors has an error class of its own, torch raises RuntimeError
        reason = " ".join(str(error).split())
        raise ModelError(f"{path}/model.safetensors does not hold this model's weights: {reason}") from error
    network.shape, network.labels, network.info = architecture.shape, labels, info
    loaded: nn.Module = network.eval().requires_grad_(False)
    return loaded
