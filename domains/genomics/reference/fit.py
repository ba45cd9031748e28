"""The optimization: passes over the training part until the validation part gains no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from sciexplain import _fitting
from sciexplain._fitting import Epoch
from sciexplain.domains.genomics.alphabet import Alphabet
from sciexplain.domains.genomics.encode import reverse_complement
from sciexplain.domains.genomics.reference.losses import Loss


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

    def learned_from(rows: Tensor) -> tuple[Tensor, int]:
        inputs, targets = examples.drawn(rows)
        if len(rows) == 1 < len(train):  # batch normalization has no statistics of one
            return targets.new_zeros(()), 0
        return loss(network(inputs), targets)

    def chosen_by(rows: Tensor) -> tuple[Tensor, int]:
        inputs, targets = examples.batch(rows)
        return loss(network(inputs), targets)

    passes = _fitting.fit(network, learned_from, train, valid, validation=chosen_by, report=report, **asdict(schedule))
    network.eval().requires_grad_(False)
    return passes
