"""Training on expression."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sciexplain.domains.genomics.expression.explain import Standardizer
from sciexplain.domains.genomics.expression.table import Expression
from sciexplain.errors import InputError, ModelError

Build = Callable[[Expression], nn.Module]


def train(
    build: Build,
    table: Expression,
    *,
    standardize: bool = True,
    epochs: int = 60,
    learning_rate: float = 0.01,
    weight_decay: float = 0.1,
    seed: int = 0,
) -> nn.Module:
    """Train a model on a table with labels; the same seed gives the same model.

    Parameters as in :func:`~sciexplain.domains.genomics.expression.cross_validation.cross_validate`.

    Returns
    -------
    The model in evaluation mode, which carries ``genes``, ``classes`` and ``standardizer`` (None where it was not), so
    that :func:`~sciexplain.domains.genomics.expression.explain.explain` takes raw tables.

    Raises
    ------
    InputError
        The table has no labels, or one class only.
    ModelError
        The model does not give logits of the classes.
    """
    columns = torch.from_numpy(columns_of(table))
    scaling = Standardizer.fit(table) if standardize else None
    seen = table if scaling is None else scaling.apply(table)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(seen).train()
        parameters = [p for p in model.parameters() if p.requires_grad]
        inputs = torch.from_numpy(seen.values).to(parameters[0])
        weights = len(columns) / (len(table.classes) * torch.bincount(columns)).to(parameters[0])
        # Plain descent weighs a gene by how well it tells the classes apart; Adam's first steps even that out, and
        # relevance with it.
        optimizer = torch.optim.SGD(parameters, learning_rate, momentum=0.9, weight_decay=weight_decay)
        for _ in range(epochs):
            optimizer.zero_grad()
            _loss(model(inputs), columns.to(inputs.device), weights).backward()
            optimizer.step()
    model.eval().requires_grad_(False)
    for name, value in (("genes", table.genes), ("classes", table.classes), ("standardizer", scaling)):
        setattr(model, name, value)
    return model


def _loss(logits: Tensor, columns: Tensor, weights: Tensor) -> Tensor:
    if logits.ndim == 2 and logits.shape[1] == len(weights):
        return F.cross_entropy(logits, columns, weights)
    if len(weights) == 2 and logits.numel() == len(columns):
        each = F.binary_cross_entropy_with_logits(logits.reshape(-1), columns.to(logits), reduction="none")
        return (each * weights[columns]).mean()
    raise ModelError(
        f"The model gave an output of shape {tuple(logits.shape)} for {len(columns)} patients of {len(weights)} "
        f"classes; expected logits ({len(columns)}, {len(weights)})."
    )


def columns_of(table: Expression, each: int = 1) -> NDArray[np.int64]:
    """(N,): the place of each patient's label among the classes.

    Raises
    ------
    InputError
        There are no labels, one class only, or a class with fewer patients than ``each``.
    """
    classes = table.classes
    if table.labels is None or len(classes) < 2:
        raise InputError(f"The labels are of {len(classes)} classes; expected at least two. Give labels=.")
    columns = np.array([classes.index(label) for label in table.labels], np.int64)
    counts = np.bincount(columns)
    if each < 1 or (counts < each).any():
        raise InputError(
            f"{each} folds, but class {classes[int(counts.argmin())]!r} has {counts.min()} patients; expected at least "
            "one for each fold."
        )
    return columns
