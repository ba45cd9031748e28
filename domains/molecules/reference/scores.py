"""How wrong predictions are: RMSE and MAE of numbers, AUROC of classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def scores(truth: NDArray[np.float64], predicted: NDArray[np.float64], *, classes: bool) -> dict[str, float]:
    """Errors by name, the mean over tasks.

    Parameters
    ----------
    truth
        (N, tasks), NaN where unknown.
    predicted
        (N, tasks); for classes any number that grows with the odds.
    classes
        Whether ``truth`` is 0 and 1.

    Returns
    -------
    ``{"RMSE": …, "MAE": …}`` in the unit of ``truth``, or ``{"AUROC": …}``: the probability that one of the class is
    ranked above one that is not. Tasks with one class alone are left out of it; NaN if that leaves none.

    Examples
    --------
    >>> import numpy as np
    >>> scores(np.array([[0.0], [2.0], [np.nan]]), np.array([[0.0], [1.0], [9.0]]), classes=False)
    {'RMSE': 0.7071067811865476, 'MAE': 0.5}
    >>> scores(np.array([[0.0], [1.0]]), np.array([[-3.0], [0.5]]), classes=True)
    {'AUROC': 1.0}
    """
    columns = [(t[~np.isnan(t)], p[~np.isnan(t)]) for t, p in zip(truth.T, predicted.T, strict=True)]
    if classes:
        from sklearn.metrics import roc_auc_score

        areas = [float(roc_auc_score(t, p)) for t, p in columns if len(np.unique(t)) == 2]
        return {"AUROC": float(np.mean(areas)) if areas else float("nan")}
    known = [(t, p) for t, p in columns if len(t)]
    rmse = [float(np.sqrt(np.mean((p - t) ** 2))) for t, p in known]
    mae = [float(np.mean(np.abs(p - t))) for t, p in known]
    return {"RMSE": float(np.mean(rmse)), "MAE": float(np.mean(mae))}
