"""How good predictions are: ranking of classes, correlation of numbers, likelihood of profiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Question = Literal["binary", "classes", "regression"]


def scores(truth: NDArray[np.float64], predicted: NDArray[np.float64], question: Question) -> dict[str, float]:
    """Figures by name, the mean over tasks.

    Parameters
    ----------
    truth
        (N, tasks), NaN where unknown; 0 and 1 for classes.
    predicted
        (N, tasks); logits for classes.
    question
        ``"binary"``: each task is a yes or no; ``"classes"``: one task of each row is true; ``"regression"``.

    Returns
    -------
    For classes ``AUROC``, ``AUPRC`` (average precision, each class against the rest; tasks with one class alone are
    left out) and ``accuracy``; for numbers ``Pearson``, ``Spearman`` and ``RMSE``. NaN where one is not defined, such
    as the correlation with a constant.

    Examples
    --------
    >>> import numpy as np
    >>> scores(np.array([[0.0], [1.0], [1.0]]), np.array([[-3.0], [0.5], [-4.0]]), "binary")
    {'AUROC': 0.5, 'AUPRC': 0.8333333333333333, 'accuracy': 0.6666666666666666}
    """
    columns = [(t[~np.isnan(t)], p[~np.isnan(t)]) for t, p in zip(truth.T, predicted.T, strict=True)]
    if question == "regression":
        return {
            "Pearson": _mean(columns, pearson),
            "Spearman": _mean(columns, lambda t, p: pearson(ranks(t), ranks(p))),
            "RMSE": _mean(columns, lambda t, p: float(np.sqrt(np.mean((t - p) ** 2)))),
        }
    if question == "classes":
        accuracy = float(np.mean(truth.argmax(1) == predicted.argmax(1)))
    else:
        accuracy = _mean(columns, lambda t, p: float(np.mean((p > 0) == (t > 0.5))))
    return {"AUROC": _mean(columns, auroc), "AUPRC": _mean(columns, average_precision), "accuracy": accuracy}


def profile_scores(
    truth: NDArray[np.float64], logits: NDArray[np.float64], counts: NDArray[np.float64]
) -> dict[str, float]:
    """Figures of profiles: truth and logits (N, tasks, L), counts (N, tasks) as log(1 + total).

    Returns
    -------
    ``cross-entropy``: nats that a read costs, less those it costs if its true distribution is known, 0 at best;
    ``Pearson`` of log(1 + total).
    """
    total = truth.sum(2, keepdims=True)
    share = truth / np.maximum(total, 1e-9)
    shifted = logits - logits.max(2, keepdims=True)
    log_q = shifted - np.log(np.exp(shifted).sum(2, keepdims=True))
    excess = (share * (np.log(np.maximum(share, 1e-12)) - log_q)).sum(2)
    known = total[..., 0] > 0
    columns = list(zip(np.log1p(total[..., 0]).T, counts.T, strict=True))
    return {"cross-entropy": float(excess[known].mean()), "Pearson": _mean(columns, pearson)}


def auroc(truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """The probability that one of the class is ranked above one that is not; ties count half."""
    positive = truth > 0.5
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return float("nan")
    return float((ranks(predicted)[positive].sum() - n * (n + 1) / 2) / (n * m))


def average_precision(truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Precision at each recall, without interpolation; what is tied is taken together."""
    positive = truth > 0.5
    if not positive.any() or positive.all():
        return float("nan")
    order = np.argsort(-predicted, kind="stable")
    last = np.append(np.diff(predicted[order]) != 0, True)
    hits, taken = positive[order].cumsum()[last], np.arange(1, len(truth) + 1)[last]
    return float(np.sum(np.diff(hits, prepend=0) * hits / taken) / positive.sum())


def pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Correlation; NaN where one is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 1; those tied have their mean."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    middle: NDArray[np.float64] = (count.cumsum() - (count - 1) / 2)[place]
    return middle


def _mean(
    columns: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    figure: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
) -> float:
    found = [figure(t, p) for t, p in columns if len(t)]
    known = [value for value in found if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
