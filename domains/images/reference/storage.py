"""Reference models on disk."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from sciexplain import _trained
from sciexplain.domains.images.reference.networks import Architecture, Autoencoder, Kind, build
from sciexplain.domains.images.reference.train import Trained
from sciexplain.errors import ModelError

_WRITTEN_BY = {"classifier": "sciexplain train images", "autoencoder": "sciexplain train prior images"}


def save(trained: Trained, folder: str | Path) -> Path:
    """Write a trained model; what the folder held of one is replaced.

    Returns
    -------
    The folder, which :func:`load` or :func:`load_prior` takes.
    """
    info = {
        "architecture": asdict(trained.architecture),
        "labels": list(trained.labels),
        "data": trained.data,
        "settings": trained.settings,
        "test": trained.test,
        "baseline": trained.baseline,
        "seconds": round(trained.seconds, 1),
    }
    return _trained.save(trained.model, info, folder, domain="images")


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
    """A generative model of pictures that ``sciexplain train prior images`` wrote, with ``info`` as of :func:`load`.

    Returns
    -------
    A prior for :func:`sciexplain.domains.images.maximize` and :func:`sciexplain.domains.images.counterfactual`:
    pictures from 0 black to 1 white, standard normal codes.

    Raises
    ------
    ModelError
        There is none, or its files are damaged or do not belong together.
    """
    network = _load(folder, "autoencoder")
    assert isinstance(network, Autoencoder)
    return network


def _load(folder: str | Path, kind: Kind) -> nn.Module:
    writer = _WRITTEN_BY[kind]

    def built(info: dict[str, Any]) -> nn.Module:
        own = info["architecture"]
        architecture = Architecture(**{**own, "shape": tuple(own["shape"])})
        if architecture.kind != kind:
            raise ModelError(
                f"{folder} holds an {architecture.kind}; expected what `{writer}` writes".replace("an c", "a c")
            )
        network: Any = build(architecture)
        network.shape, network.labels = architecture.shape, tuple(map(str, info["labels"]))
        made: nn.Module = network
        return made

    return _trained.load(folder, built, domain="images", writer=writer)
