"""What all rows together show: distributions, and how often the model is right."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain.report.columns import Columns

_BINS = 30
_MATRIX = 20
"""Classes of which a whole table of confusions can still be read."""


def overview(columns: Columns) -> dict[str, Any]:
    """``data/overview.js``: what the charts of the first page draw; None where there is nothing to draw."""
    return {
        "rows": len(columns),
        "score": histogram(columns.score),
        "probability": _probabilities(columns.probability),
        "gap": gaps(columns.gap),
        "classes": _classes(columns),
        "accuracy": _accuracy(columns),
        "confusion": _confusion(columns),
    }


def histogram(values: NDArray[np.float64]) -> dict[str, Any] | None:
    """Counts between round numbers; the outer 0.1 % on either side are counted beyond the ends.

    Returns
    -------
    dict or None
        ``edges`` of the bins, ``counts`` in them (low ≤ x < high), how many are ``below`` and ``above``, and the
        ``median``; None without finite values.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [0.001, 0.999])
    step = _round_step((high - low) / _BINS) if high > low else _round_step(max(abs(low), 1.0) / 10)
    first, last = int(np.floor(low / step)), int(np.floor(high / step)) + 1
    edges = np.array([float(f"{i * step:.12g}") for i in range(first, last + 1)])
    inside = values[(values >= edges[0]) & (values < edges[-1])]
    counts = np.bincount(np.searchsorted(edges, inside, side="right") - 1, minlength=len(edges) - 1)
    below, above = int((values < edges[0]).sum()), int((values >= edges[-1]).sum())
    return {"edges": edges, "counts": counts, "below": below, "above": above, "median": float(np.median(values))}


def _round_step(step: float) -> float:
    """The next of 1, 2, 5, 10, … times a power of ten."""
    power = 10.0 ** np.floor(np.log10(step))
    return float(next(of for of in (1, 2, 5, 10) if of * power >= step * (1 - 1e-9)) * power)


def _probabilities(values: NDArray[np.float64]) -> dict[str, Any] | None:
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    edges = np.round(np.linspace(0, 1, 21), 2)
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, 19)  # the last bin has 1 in it
    return {"edges": edges, "counts": np.bincount(places, minlength=20), "median": float(np.median(values))}


def gaps(values: NDArray[np.float64]) -> dict[str, Any] | None:
    """Ledger gaps by size: bins of half a power of ten, and how many are exactly zero."""
    size = np.abs(values[np.isfinite(values)])
    if not len(size):
        return None
    some = size[size > 0]
    found = {"zero": int((size == 0).sum()), "median": float(np.median(size)), "edges": [], "counts": []}
    if not len(some):
        return found
    powers = np.log10([some.min(), some.max()])
    first, last = int(np.floor(2 * powers[0])), int(np.floor(2 * powers[1])) + 1
    edges = np.array([float(f"{10 ** (i / 2):.3g}") for i in range(first, last + 1)])
    places = np.clip(np.searchsorted(edges, some, side="right") - 1, 0, len(edges) - 2)
    return found | {"edges": edges, "counts": np.bincount(places, minlength=len(edges) - 1)}


def _classes(columns: Columns) -> list[dict[str, int]] | None:
    """Of each class how often it is predicted, how often it is true, and how often both."""
    predicted, known = columns.prediction, columns.label
    if not (predicted >= 0).any():
        return None
    many = int(max(predicted.max(), known.max())) + 1
    counts = {
        "predicted": np.bincount(predicted[predicted >= 0], minlength=many),
        "labelled": np.bincount(known[known >= 0], minlength=many),
        "right": np.bincount(predicted[columns.judged & ~columns.wrong], minlength=many),
    }
    order = [int(c) for c in range(many) if counts["predicted"][c] or counts["labelled"][c]]
    return [{"class": c, **{name: int(of[c]) for name, of in counts.items()}} for c in order]


def _accuracy(columns: Columns) -> dict[str, int] | None:
    judged = int(columns.judged.sum())
    return None if not judged else {"judged": judged, "right": judged - int(columns.wrong.sum())}


def _confusion(columns: Columns) -> dict[str, Any] | None:
    """A matrix [label][prediction] of few classes, or the most frequent confusions of many."""
    judged = columns.judged
    if not judged.any():
        return None
    labels, predictions = columns.label[judged], columns.prediction[judged]
    classes = np.union1d(labels, predictions)
    if len(classes) <= _MATRIX:
        matrix = np.zeros((len(classes), len(classes)), np.int64)
        np.add.at(matrix, (np.searchsorted(classes, labels), np.searchsorted(classes, predictions)), 1)
        return {"classes": classes, "matrix": matrix}
    wrong = labels != predictions
    pairs, counts = np.unique(np.stack([labels[wrong], predictions[wrong]], 1), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:200]
    return {"pairs": np.column_stack([pairs[order], counts[order]])}
