"""Training of the reference models: passes over one part of the data until another part gains no more."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .errors import InputError

LossOf = Callable[[Tensor], tuple[Tensor, int]]
"""From row numbers to the loss summed over their known targets, and how many these are."""

_ROWS = 256


@dataclass(frozen=True)
class Epoch:
    """One pass: its number from 1, and the loss on the training and validation parts (standardized targets)."""

    number: int
    train_loss: float
    valid_loss: float


def check_settings(epochs: int, patience: int, batch_size: int, lr: float) -> None:
    """
    Raises
    ------
    InputError
        One of them is not above 0.
    """
    if epochs < 1 or patience < 1 or batch_size < 1 or not lr > 0:
        raise InputError(
            f"epochs={epochs}, patience={patience}, batch_size={batch_size}, lr={lr:g}: expected numbers above 0"
        )


def fit(
    network: nn.Module,
    loss: LossOf,
    train: Tensor,
    valid: Tensor,
    *,
    validation: LossOf | None = None,
    epochs: int,
    patience: int,
    lr: float,
    batch_size: int,
    report: Callable[[Epoch], object],
) -> tuple[Epoch, ...]:
    """Train in place, by Adam, to the weights of the pass with the lowest validation loss.

    Parameters
    ----------
    loss
        Of rows that are learned from; rows without a known target are passed over.
    train, valid
        Row numbers of both parts.
    validation
        Of rows that are chosen by, where that differs, as without augmentation.
    epochs, patience
        Passes at most, and passes without a better validation loss to stop after.
    report
        Told every pass.
    """
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=lr)
    slower = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=max(1, patience // 3))
    passes: list[Epoch] = []
    best, since, state = float("inf"), 0, copy.deepcopy(network.state_dict())
    for number in range(1, epochs + 1):
        network.train()
        total, known = 0.0, 0
        for rows in train[torch.randperm(len(train))].split(batch_size):
            summed, count = loss(rows)
            if count:
                optimizer.zero_grad()
                (summed / count).backward()
                nn.utils.clip_grad_norm_(network.parameters(), 10.0)
                optimizer.step()
                total, known = total + float(summed.detach()), known + count
        passes.append(Epoch(number, total / max(known, 1), _mean(network, validation or loss, valid)))
        report(passes[-1])
        slower.step(passes[-1].valid_loss)
        since += 1
        if passes[-1].valid_loss < best:
            best, since, state = passes[-1].valid_loss, 0, copy.deepcopy(network.state_dict())
        if since >= patience:
            break
    network.load_state_dict(state)
    return tuple(passes)


@torch.no_grad()
def _mean(network: nn.Module, loss: LossOf, rows: Tensor) -> float:
    """Over what is known of the rows; NaN where nothing is."""
    network.eval()
    found = [loss(part) for part in rows.split(_ROWS)]
    counted = sum(count for _, count in found)
    return sum(float(summed) for summed, _ in found) / counted if counted else float("nan")
