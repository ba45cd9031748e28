"""The optimization: passes over the training part until the validation part gains no more."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sciexplain.domains.genomics.alphabet import Alphabet
from sciexplain.domains.genomics.encode import reverse_complement
from sciexplain.domains.genomics.reference.losses import Loss


@dataclass(frozen=True)
class Epoch:
    """One pass: its number from 1, and the loss on the training and validation parts (standardized targets)."""

    number: int
    train_loss: float
    valid_loss: float


@dataclass(frozen=True, eq=False)
class Examples:
    """Sequences and their targets, kept small.

    Attributes
    ----------
    one_hot
        (N, letters, L), bool.
    targets
        (N, tasks) or (N, tasks, L), float32, NaN where unknown.
    alphabet
        Whose reverse complements training shows half of the time; None: as they are.
    """

    one_hot: Tensor
    targets: Tensor
    alphabet: Alphabet | None = None

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets of some rows."""
        return self.one_hot[rows].float(), self.targets[rows]

    def drawn(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The same, each on the one strand or the other."""
        inputs, targets = self.batch(rows)
        if self.alphabet is not None:
            turn = torch.rand(len(rows)) < 0.5
            inputs[turn] = reverse_complement(inputs[turn], self.alphabet)
            if targets.ndim == 3:
                targets[turn] = targets[turn].flip(2)
        return inputs, targets


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn; see :func:`~sciexplain.domains.genomics.reference.train.train`."""

    epochs: int
    patience: int
    lr: float
    batch_size: int


def fit(
    network: nn.Module,
    examples: Examples,
    loss: Loss,
    train: Tensor,
    valid: Tensor,
    schedule: Schedule,
    report: Callable[[Epoch], object],
) -> tuple[Epoch, ...]:
    """Train in place, to the weights of the pass with the lowest loss on the rows ``valid``."""
    optimizer = torch.optim.Adam(network.parameters(), lr=schedule.lr)
    slower = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=max(1, schedule.patience // 3))
    passes: list[Epoch] = []
    best, since, state = float("inf"), 0, copy.deepcopy(network.state_dict())
    for number in range(1, schedule.epochs + 1):
        network.train()
        total, known = 0.0, 0
        for rows in train[torch.randperm(len(train))].split(schedule.batch_size):
            inputs, targets = examples.drawn(rows)
            if len(rows) == 1 < len(train):  # batch normalization has no statistics of one
                continue
            summed, count = loss(network(inputs), targets)
            if count:
                optimizer.zero_grad()
                (summed / count).backward()
                nn.utils.clip_grad_norm_(network.parameters(), 10.0)
                optimizer.step()
                total, known = total + float(summed.detach()), known + count
        passes.append(Epoch(number, total / max(known, 1), mean_loss(network, examples, loss, valid)))
        report(passes[-1])
        slower.step(passes[-1].valid_loss)
        since += 1
        if passes[-1].valid_loss < best:
            best, since, state = passes[-1].valid_loss, 0, copy.deepcopy(network.state_dict())
        if since >= schedule.patience:
            break
    network.load_state_dict(state)
    network.eval().requires_grad_(False)
    return tuple(passes)


@torch.no_grad()
def mean_loss(network: nn.Module, examples: Examples, loss: Loss, rows: Tensor) -> float:
    """Over what is known of some rows, on the strand that is given; NaN where nothing is."""
    network.eval()
    found = [loss(network(inputs), targets) for inputs, targets in map(examples.batch, rows.split(256))]
    counted = sum(count for _, count in found)
    return sum(float(summed) for summed, _ in found) / counted if counted else float("nan")
