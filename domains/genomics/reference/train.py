"""Training a reference model, and what it is worth on sequences it has not seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sciexplain._fitting import Epoch, check_settings
from sciexplain.domains.genomics.alphabet import DNA, Alphabet
from sciexplain.domains.genomics.reference.composition import composition, predicted_by_composition
from sciexplain.domains.genomics.reference.fit import Examples, Schedule, fit
from sciexplain.domains.genomics.reference.losses import LOSSES
from sciexplain.domains.genomics.reference.networks import Architecture, Heads, Kind, Pooling, build
from sciexplain.domains.genomics.reference.scores import Question, profile_scores, scores
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.errors import DataError, InputError

if TYPE_CHECKING:
    from sciexplain.datasets import LabelledSequences


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model and the account of its training.

    Attributes
    ----------
    model
        In evaluation mode, in the targets' own units (logits for classes), with ``alphabet``, ``length``, ``tasks``
        and ``layout``.
    architecture
        What it was built from.
    question
        ``"binary"``, ``"classes"``, ``"regression"`` or ``"profile"``.
    epochs
        All passes; the weights are those of the one with the lowest validation loss.
    test
        Figures on the test part, by name: see :func:`~sciexplain.domains.genomics.reference.scores.scores`.
    baseline
        The same for predicting the training part's mean.
    composition
        The same for a linear model of how often each pair of letters occurs (each letter, for proteins): what a network
        must beat before it can be said to read more than GC content. Empty for profiles.
    data
        Name, division and sizes of what it was trained on.
    settings
        Learning rate, batch size, seed, ….
    seconds
        Of training.
    """

    model: nn.Module
    architecture: Architecture
    question: str
    epochs: tuple[Epoch, ...]
    test: dict[str, float]
    baseline: dict[str, float]
    composition: dict[str, float]
    data: dict[str, Any]
    settings: dict[str, Any]
    seconds: float


def train(
    data: LabelledSequences,
    kind: Kind = "small",
    *,
    epochs: int = 60,
    patience: int = 8,
    lr: float = 2e-3,
    batch_size: int = 64,
    seed: int = 0,
    augment: bool | None = None,
    question: Question | None = None,
    profiles: NDArray[np.float32] | None = None,
    alphabet: str | Alphabet = DNA,
    channels: int = 32,
    layers: int | None = None,
    kernel: int | None = None,
    pooling: Pooling = "max",
    dropout: float = 0.2,
    report: Callable[[Epoch], object] = lambda epoch: None,
) -> Trained:
    """Train a reference model with Adam; the same seed gives the same model.

    Training stops when the validation loss has not fallen for ``patience`` passes; the learning rate is halved each
    time it has not for a third of that. Numbers are standardized on the training part, which is folded into the last
    layer afterwards. Missing targets have no loss. The test part is looked at once, at the end.

    Parameters
    ----------
    data
        Sequences of one length, and targets.
    kind, channels, layers, kernel, pooling, dropout
        As :class:`~sciexplain.domains.genomics.reference.networks.Architecture`.
    epochs, patience, lr, batch_size, seed
        Of the optimization.
    augment
        Show each sequence as its reverse complement half of the time; None: for DNA. Turn it off where the strand is
        part of the question, as for promoters.
    question
        What the targets say; None: ``"classes"`` (softmax) where each row has a single 1 among several zeros,
        ``"binary"`` where all are 0 or 1, otherwise ``"regression"``.
    profiles
        (N, tasks, L): reads at each position, for BPNet's two heads; the data set's own targets are then not used.
    alphabet
        Of the sequences.
    report
        Called after each pass.

    Raises
    ------
    DataError
        A part is empty, has one class alone in training, or targets do not fit the question.
    InputError
        A setting is out of range, or sequences differ in length or have foreign letters.
    ModelError
        There is no such architecture, or the sequences are too short for it.
    """
    check_settings(epochs, patience, batch_size, lr)
    started = time.perf_counter()
    sequences = Sequences.of(data.records, alphabet)
    letters = sequences.alphabet
    strands = letters.name == "DNA" if augment is None else augment
    if strands and not letters.complement:
        raise InputError(f"augment=True: {letters.name} has no reverse complement")
    asked: Question | Literal["profile"] = "profile"
    if profiles is None:
        asked = question or question_of(data.targets)
    targets = torch.as_tensor(np.asarray(data.targets if profiles is None else profiles), dtype=torch.float32)
    _check(data, targets, asked, sequences.length)
    architecture = Architecture(
        kind, sequences.length, targets.shape[1], letters.name, channels, layers, kernel, pooling, dropout=dropout,
        profile=profiles is not None,
    )  # fmt: skip
    rows = {name: torch.as_tensor(np.asarray(getattr(data, name))) for name in _PARTS}
    scale = _scale(targets[rows["train"]]) if asked == "regression" else None
    standardized = targets if scale is None else (targets - scale[0]) / scale[1]
    examples = Examples(sequences.one_hot.bool(), standardized, letters if strands else None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Any = build(architecture)
        passes = fit(
            network, examples, LOSSES[asked], rows["train"], rows["valid"],
            Schedule(epochs, patience, lr, batch_size), report,
        )  # fmt: skip
    if scale is not None:
        _fold(network, *scale)
    network.alphabet, network.length, network.tasks, network.layout = letters.name, sequences.length, data.tasks, "NCL"
    test, baseline, by_composition = _figures(network, examples.one_hot, targets, asked, rows["train"], rows["test"])
    return Trained(
        model=network,
        architecture=architecture,
        question=asked,
        epochs=passes,
        test=test,
        baseline=baseline,
        composition=by_composition,
        data={"name": data.name, "sha256": data.sha256, "split": data.split} | {n: len(r) for n, r in rows.items()},
        settings={
            "epochs": len(passes), "patience": patience, "lr": lr, "batch_size": batch_size, "seed": seed,
            "augment": strands,
        },
        seconds=time.perf_counter() - started,
    )  # fmt: skip


@torch.no_grad()
def predict(network: Any, sequences: Any) -> NDArray[np.float64] | Heads:
    """What a reference model says of sequences: (N, tasks), logits for classes; or the :class:`Heads` of a profile.

    Parameters
    ----------
    network
        That :func:`train` or :func:`~sciexplain.domains.genomics.reference.storage.load` gave.
    sequences
        What :meth:`Sequences.of <sciexplain.domains.genomics.sequences.Sequences.of>` takes.

    Raises
    ------
    InputError
        Another length than the network's, or foreign letters.
    """
    given = Sequences.of(sequences, network.alphabet)
    if given.length != network.length:
        raise InputError(f"sequences of {given.length} letters; this model takes {network.length}")
    return _predict(network, given.one_hot, torch.arange(len(given)))


def question_of(targets: NDArray[np.float32]) -> Question:
    """What a table of targets (N, tasks) asks, as :func:`train` tells it."""
    found = set(np.unique(targets[~np.isnan(targets)]).tolist())
    if not found <= {0.0, 1.0}:
        return "regression"
    exclusive = targets.shape[1] > 1 and not np.isnan(targets).any() and (targets.sum(1) == 1).all()
    return "classes" if exclusive else "binary"


_PARTS = ("train", "valid", "test")


def _check(data: LabelledSequences, targets: Tensor, asked: str, length: int) -> None:
    """That there is something to learn, of the right shape."""
    if asked not in LOSSES:
        raise InputError(f"question={asked!r}: expected {', '.join(LOSSES)}")
    shape = (len(data.records), len(data.tasks)) + ((length,) if asked == "profile" else ())
    if tuple(targets.shape) != shape:
        raise DataError(f"{data.name}: targets have shape {tuple(targets.shape)}; expected {shape}")
    for name in _PARTS:
        if not len(getattr(data, name)):
            raise DataError(f"{data.name}: found no sequences in the {name} part; expected some")
    for task, column in zip(data.tasks, targets[torch.as_tensor(np.asarray(data.train))].unbind(1), strict=True):
        known = column[~column.isnan()]
        if not len(known):
            raise DataError(f"{data.name}: found no value of {task} in the training part; expected some")
        if asked in ("binary", "classes") and not set(known.unique().tolist()) <= {0.0, 1.0}:
            raise DataError(f"{data.name}: found values of {task} that are neither 0 nor 1; expected classes")
        if asked == "profile" and (column.isnan().any() or (column < 0).any()):
            raise DataError(f"{data.name}: found profiles of {task} that are negative or unknown; expected counts")
        if (known == known[0]).all() and asked != "profile":
            raise DataError(
                f"{data.name}: every sequence of the training part has {task} = {float(known[0]):g}; expected "
                f"{'different values' if asked == 'regression' else 'both classes'}"
            )
    for name in _PARTS[1:]:
        seen = targets[torch.as_tensor(np.asarray(getattr(data, name)))]
        if asked in ("binary", "classes") and not ((seen == 0).any(0) & (seen == 1).any(0)).any():
            raise DataError(f"{data.name}: found no task with both classes in the {name} part; divide it otherwise")


def _scale(targets: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread of each task over what is known of it."""
    mean = targets.nanmean(0)
    return mean, ((targets - mean) ** 2).nanmean(0).sqrt()


def _fold(network: nn.Module, shift: Tensor, spread: Tensor) -> None:
    """Make the network's output the target itself."""
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.mul_(spread[:, None])
        last.bias.mul_(spread).add_(shift)


def _figures(
    network: nn.Module,
    one_hot: Tensor,
    targets: Tensor,
    asked: Question | Literal["profile"],
    train: Tensor,
    test: Tensor,
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Of the network, of the training part's mean, and of composition alone, on the test part."""
    truth = targets[test].double().numpy()
    if asked == "profile":
        output = _predict(network, one_hot, test)
        seen = targets[train].double()
        mean = (seen.sum(0) + 1e-6).log().expand(len(test), -1, -1).numpy()
        total = seen.sum(2).log1p().mean(0).expand(len(test), -1).numpy()
        figures = profile_scores(truth, output.profile.double().numpy(), output.counts.double().numpy())
        return figures, profile_scores(truth, mean, total), {}
    mean = np.broadcast_to(targets[train].double().nanmean(0).numpy(), truth.shape)
    constant = mean if asked == "regression" else np.log(mean / (1 - mean))
    by_pairs = predicted_by_composition(composition(one_hot), targets, asked, train, test)
    found = _predict(network, one_hot, test)
    return scores(truth, found, asked), scores(truth, constant, asked), scores(truth, by_pairs, asked)


@torch.no_grad()
def _predict(network: nn.Module, one_hot: Tensor, rows: Tensor) -> Any:
    outputs = [network(one_hot[part].float()) for part in rows.split(256)]
    if isinstance(outputs[0], Heads):
        return Heads(*(torch.cat(parts) for parts in zip(*outputs, strict=True)))
    return torch.cat(outputs).double().numpy()
