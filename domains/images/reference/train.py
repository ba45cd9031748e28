"""Training the reference models, and what they are worth on pictures they have not seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from sciexplain._fitting import Epoch, LossOf, check_settings, fit
from sciexplain.datasets.splits import Parts, hold_out, random_split
from sciexplain.domains.images.reference.networks import Architecture, Autoencoder, build, noise_like
from sciexplain.errors import DataError

if TYPE_CHECKING:
    from sciexplain.datasets import LabelledImages

Report = Callable[[Epoch], object]


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network and the account of its training.

    Attributes
    ----------
    model
        In evaluation mode; takes (n, channels, rows, columns) in 0..1.
    architecture
        What it was built from.
    epochs
        All passes; the weights are those of the one with the lowest validation loss.
    test
        On the test part: ``"accuracy"`` of a classifier; of an autoencoder the ``"negative log-likelihood bound"`` in
        nats per picture, and the ``"reconstruction RMSE"`` per pixel.
    baseline
        The same for the most frequent class of the training part, or its mean picture.
    data
        Name, division and sizes of what it was trained on.
    settings
        Learning rate, batch size, seed, ….
    labels
        Class names; empty for an autoencoder.
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
    labels: tuple[str, ...]
    seconds: float


def train(
    data: LabelledImages,
    name: str = "",
    *,
    epochs: int = 12,
    patience: int = 4,
    lr: float = 2e-3,
    batch_size: int = 64,
    width: int = 16,
    seed: int = 0,
    report: Report = lambda epoch: None,
) -> Trained:
    """Train a small convolutional classifier with Adam and cross-entropy; the same seed gives the same network.

    The test part is looked at once, at the end.

    Parameters
    ----------
    data, name
        Labelled pictures, and what they are called.
    epochs, patience, lr, batch_size, seed
        Passes at most, passes without a better validation loss to stop after, ….
    width
        As :class:`~sciexplain.domains.images.reference.networks.Architecture`.
    report
        Told every pass.

    Raises
    ------
    DataError
        A part is empty.
    InputError
        A setting is out of range.
    """
    pictures, labels = _pictures(data), torch.from_numpy(data.labels)
    architecture = Architecture("classifier", _shape(pictures), len(data.names), width)

    def losses(network: nn.Module) -> tuple[LossOf, None]:
        def loss(rows: Tensor) -> tuple[Tensor, int]:
            return nn.functional.cross_entropy(network(pictures[rows]), labels[rows], reduction="sum"), len(rows)

        return loss, None

    def figures(network: nn.Module, train: Tensor, test: Tensor) -> tuple[dict[str, float], dict[str, float]]:
        predicted = torch.cat([network(pictures[rows]).argmax(1) for rows in test.split(256)])
        usual = labels[train].bincount().argmax()
        accuracy = (predicted == labels[test]).double().mean(), (labels[test] == usual).double().mean()
        return {"accuracy": float(accuracy[0])}, {"accuracy": float(accuracy[1])}

    return _trained(
        data, name, architecture, losses, figures, epochs=epochs, patience=patience, lr=lr, batch_size=batch_size,
        seed=seed, report=report,
    )  # fmt: skip


def train_prior(
    data: LabelledImages,
    name: str = "",
    *,
    epochs: int = 60,
    patience: int = 8,
    lr: float = 1e-3,
    batch_size: int = 64,
    code: int = 16,
    width: int = 400,
    seed: int = 0,
    report: Report = lambda epoch: None,
) -> Trained:
    """Train a variational autoencoder; the same seed gives the same network. Labels are not looked at.

    Parameters
    ----------
    code
        Numbers in a code.
    data, name, epochs, patience, lr, batch_size, width, seed, report
        As in :func:`train`.

    Raises
    ------
    DataError, InputError
        As :func:`train`.
    """
    pictures = _pictures(data)
    architecture = Architecture("autoencoder", _shape(pictures), code, width)
    fixed = torch.randn((len(pictures), code), generator=torch.Generator().manual_seed(seed))

    def losses(network: nn.Module) -> tuple[LossOf, LossOf]:
        assert isinstance(network, Autoencoder)

        def loss(rows: Tensor) -> tuple[Tensor, int]:
            return network.negative_bound(pictures[rows], torch.randn(len(rows), code)).sum(), len(rows)

        def chosen_by(rows: Tensor) -> tuple[Tensor, int]:
            return network.negative_bound(pictures[rows], fixed[rows]).sum(), len(rows)

        return loss, chosen_by

    def figures(network: nn.Module, train: Tensor, test: Tensor) -> tuple[dict[str, float], dict[str, float]]:
        assert isinstance(network, Autoencoder)
        noise = noise_like(network, len(test), torch.Generator().manual_seed(seed))
        bounds = network.negative_bound(pictures[test], noise)
        mean = pictures[train].mean(0, keepdim=True).expand(len(test), -1, -1, -1)
        independent = nn.functional.binary_cross_entropy(mean, pictures[test], reduction="none").flatten(1).sum(1)
        names = ("negative log-likelihood bound", "reconstruction RMSE")
        found = bounds.mean(), (network(pictures[test]) - pictures[test]).pow(2).mean().sqrt()
        without = independent.mean(), (mean - pictures[test]).pow(2).mean().sqrt()
        return dict(zip(names, map(float, found), strict=True)), dict(zip(names, map(float, without), strict=True))

    return _trained(
        data, name, architecture, losses, figures, epochs=epochs, patience=patience, lr=lr, batch_size=batch_size,
        seed=seed, report=report,
    )  # fmt: skip


def divided(data: LabelledImages, seed: int = 0) -> tuple[Parts, str]:
    """Rows to learn from, to choose by and to test on, and how they were found.

    A tenth of the training part is for validation. A data set with a test part alone, as a local folder may hold of
    MNIST, is divided itself, at random by ``seed``: 8 to learn from, 1 to choose by, 1 to test on.
    """
    if len(data.train):
        train, valid = hold_out(data.train, 0.1, seed=seed)
        return (train, valid, data.test), f"given; a tenth of the training part, drawn with seed {seed}, for validation"
    parts = random_split(len(data.test), seed=seed)
    train, valid, test = (data.test[rows] for rows in parts)
    return (train, valid, test), f"the published test part alone, divided 8 : 1 : 1 at random, seed {seed}"


Losses = Callable[[nn.Module], tuple[LossOf, LossOf | None]]
Figures = Callable[[nn.Module, Tensor, Tensor], tuple[dict[str, float], dict[str, float]]]


def _trained(
    data: LabelledImages,
    name: str,
    architecture: Architecture,
    losses: Losses,
    figures: Figures,
    *,
    epochs: int,
    patience: int,
    lr: float,
    batch_size: int,
    seed: int,
    report: Report,
) -> Trained:
    check_settings(epochs, patience, batch_size, lr)
    parts, split = divided(data, seed)
    for part, rows in zip(("training", "validation", "test"), parts, strict=True):
        if not len(rows):
            raise DataError(f"{name or 'data'}: found no pictures in the {part} part; expected some")
    train, valid, test = (torch.as_tensor(rows) for rows in parts)
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(architecture)
        loss, chosen_by = losses(network)
        passes = fit(
            network, loss, train, valid, validation=chosen_by, epochs=epochs, patience=patience, lr=lr,
            batch_size=batch_size, report=report,
        )  # fmt: skip
    network.eval().requires_grad_(False)
    seconds = time.perf_counter() - started
    with torch.no_grad():
        found, baseline = figures(network, train, test)
    return Trained(
        model=network,
        architecture=architecture,
        epochs=passes,
        test=found,
        baseline=baseline,
        data={"name": name, "split": split, "train": len(train), "valid": len(valid), "test": len(test)},
        settings={"epochs": len(passes), "patience": patience, "lr": lr, "batch_size": batch_size, "seed": seed},
        labels=data.names if architecture.kind == "classifier" else (),
        seconds=seconds,
    )


def _pictures(data: LabelledImages) -> Tensor:
    """(N, 1, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(data.images, np.float32))[:, None]


def _shape(pictures: Tensor) -> tuple[int, int, int]:
    channels, rows, columns = pictures.shape[1:]
    return channels, rows, columns
