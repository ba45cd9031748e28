"""What can be said of sequences from how often their letters and pairs of letters occur, and nothing else."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciexplain.domains.genomics.reference.losses import LOSSES
from sciexplain.domains.genomics.reference.scores import Question

_PENALTY = 1e-3
"""On squared weights of standardized features, beside the mean loss."""


def composition(one_hot: Tensor) -> Tensor:
    """(N, letters, L) → (N, letters²): the share of each pair of neighbours; (N, letters) for 20 letters.

    Examples
    --------
    >>> from sciexplain.domains.genomics.encode import encode
    >>> composition(encode(["AACAA"]))[0, :4]
    tensor([0.5000, 0.2500, 0.0000, 0.0000])
    """
    x = one_hot.float()
    if x.shape[1] > 4 or x.shape[2] < 2:
        return x.mean(2)
    return torch.einsum("nal,nbl->nab", x[..., :-1], x[..., 1:]).flatten(1) / (x.shape[2] - 1)


def predicted_by_composition(
    features: Tensor, targets: Tensor, question: Question, train: Tensor, test: Tensor
) -> NDArray[np.float64]:
    """(test, tasks): a linear model's predictions, logistic for classes.

    Parameters
    ----------
    features
        (N, F), as :func:`composition` gives.
    targets
        (N, tasks), NaN where unknown.
    train, test
        Rows to learn from, and to predict.
    """
    x = features.double()
    mean, spread = x[train].mean(0), x[train].std(0, correction=0)
    x = (x - mean) / torch.where(spread > 0, spread, 1.0)
    y = targets[train].double()
    weight = torch.zeros(x.shape[1], y.shape[1], dtype=torch.double, requires_grad=True)
    bias = y.nanmean(0) if question == "regression" else torch.zeros(y.shape[1], dtype=torch.double)
    bias.requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimizer.zero_grad()
        total, count = LOSSES[question](x[train] @ weight + bias, y)
        loss = total / count + _PENALTY * (weight**2).sum()
        loss.backward()
        return loss

    optimizer.step(step)
    with torch.no_grad():
        return np.asarray((x[test] @ weight + bias).numpy(), np.float64)
