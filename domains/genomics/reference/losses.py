"""What training makes small, for each question that a network can be asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional

Loss = Callable[[Any, Tensor], tuple[Tensor, int]]
"""From output and target to the loss summed over what is known, and how many that are."""


def binary(output: Tensor, target: Tensor) -> tuple[Tensor, int]:
    """Cross-entropy of each task of its own; (N, tasks) logits, and 0, 1 or NaN."""
    known = ~target.isnan()
    return functional.binary_cross_entropy_with_logits(output[known], target[known], reduction="sum"), int(known.sum())


def classes(output: Tensor, target: Tensor) -> tuple[Tensor, int]:
    """Cross-entropy of the one class of each row; (N, classes) logits, and one-hot rows."""
    return functional.cross_entropy(output, target.argmax(1), reduction="sum"), len(target)


def regression(output: Tensor, target: Tensor) -> tuple[Tensor, int]:
    """Squared error; (N, tasks), NaN where unknown."""
    known = ~target.isnan()
    return ((output[known] - target[known]) ** 2).sum(), int(known.sum())


def profile(output: Any, target: Tensor) -> tuple[Tensor, int]:
    """Cross-entropy of where reads lie, weighted by how many, and half the squared error of log(1 + total).

    ``target`` (N, tasks, L). The two parts weigh the same once totals are divided by their mean (BPNet's λ with α = 1;
    Avsec et al. 2021, Methods); the mean is that of the batch.
    """
    total = target.sum(2)
    places = -(target * output.profile.log_softmax(2)).sum(2) / total.mean().clamp(min=1)
    return (places + (output.counts - total.log1p()) ** 2 / 2).sum(), total.numel()


LOSSES: dict[str, Loss] = {"binary": binary, "classes": classes, "regression": regression, "profile": profile}
