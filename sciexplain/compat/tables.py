"""Tables in, tables out: relevance of features for plain modules and for scikit-learn style estimators.

>>> import numpy as np, torch
>>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
>>> explain(model, np.ones((5, 4)), target=1).shape
(5, 4)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._evaluation import evaluation_mode
from ..composites import Composite
from ..errors import InputError, ModelError, TargetError
from ..explain import explain as explain_tensors
from ._module import like_parameters

__all__ = ["explain"]


def explain(
    estimator: Any,
    X: Any,
    target: Any = None,
    method: str = "lrp",
    *,
    composite: Composite | str | None = None,
    batch_size: int | None = None,
    **options: Any,
) -> Any:
    """The relevance of each feature of each row.

    Parameters
    ----------
    estimator : Module, or fitted estimator around one
        A torch module; an estimator with a ``module_``, such as skorch's; or a pipeline that ends in one, whose earlier
        steps are applied to ``X`` first. It is explained in evaluation mode and left as it is.
    X : array, DataFrame or Tensor, shape (rows, features)
        Values take the dtype and the device of the module.
    target : None, int, label, one of either for each row, or callable
        The class to explain: a label where the estimator has ``classes_``, otherwise an index. None: the predicted
        class, or the only output. A callable maps the module's output to one value for each row.
    method, composite, batch_size, **options
        As for :func:`sciexplain.explain`.

    Returns
    -------
    DataFrame with the index and columns of ``X`` where that is one, otherwise array, shape (rows, features)
        Behind a pipeline's earlier steps, the columns are what these put out.

    Raises
    ------
    InputError
        When ``X`` is no table of finite numbers, or its features are not those of the estimator.
    ModelError
        When there is no module, or the estimator is not fitted.
    TargetError
        When a label is none of the estimator's.
    """
    table, estimator = _through_pipeline(estimator, X)
    module = _module(estimator)
    values = _values(table)
    _check_features(estimator, table, values)
    x = like_parameters(torch.tensor(values), module)
    index = _index(target, estimator)
    with evaluation_mode(module):
        e = explain_tensors(module, x, index, method, composite=composite, batch_size=batch_size, **options)
    assert isinstance(e.relevance, Tensor)
    relevance = e.relevance.detach().cpu().numpy()
    return type(table)(relevance, index=table.index, columns=table.columns) if _is_frame(table) else relevance


def _through_pipeline(estimator: Any, X: Any) -> tuple[Any, Any]:
    """What the last step of a pipeline sees, and that step."""
    if not hasattr(estimator, "steps"):
        return X, estimator
    before, last = estimator[:-1], estimator.steps[-1][1]
    if not len(before.steps):
        return X, last
    table = before.transform(X)
    if _is_frame(X) and not _is_frame(table):
        columns = before.get_feature_names_out(X.columns)
        table = type(X)(np.asarray(table), index=X.index, columns=columns)
    return table, last


def _module(estimator: Any) -> nn.Module:
    if isinstance(estimator, nn.Module):
        return estimator
    module = getattr(estimator, "module_", None)
    if isinstance(module, nn.Module):
        return module
    name = type(estimator).__name__
    if hasattr(estimator, "fit") and hasattr(estimator, "module"):
        raise ModelError(f"This {name} is not fitted yet: it has no module_. Call fit (or initialize) first.")
    raise ModelError(f"estimator is {name}; expected a torch module, or an estimator with one as its module_.")


def _is_frame(table: Any) -> bool:
    """Whether this is a pandas DataFrame, or works like one."""
    return hasattr(table, "columns") and hasattr(table, "index") and hasattr(table, "iloc")


def _values(table: Any) -> np.ndarray:
    array = table.detach().cpu().numpy() if isinstance(table, Tensor) else np.asarray(table)
    if array.ndim != 2:
        hint = " Reshape a single row with X.reshape(1, -1)." if array.ndim == 1 else ""
        raise InputError(f"Expected a table (rows, features), got shape {array.shape}.{hint}")
    if array.dtype.kind not in "fiub":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise InputError(
                f"X has the dtype {array.dtype} and values that are no numbers; encode them first."
            ) from None
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        name = table.columns[column] if _is_frame(table) else column
        raise InputError(
            f"X has {int((~np.isfinite(array)).sum())} values that are NaN or infinite, the first in row {row}, "
            f"feature {name}; impute or remove them first."
        )
    return array


def _check_features(estimator: Any, table: Any, values: np.ndarray) -> None:
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and _is_frame(table) and list(table.columns) != list(names):
        raise InputError(
            f"X has the features {list(table.columns)[:10]}, the estimator was fitted with {list(names)[:10]}, in this "
            "order."
        )
    expected = getattr(estimator, "n_features_in_", None)
    if expected is not None and values.shape[1] != expected:
        raise InputError(f"X has {values.shape[1]} features, the estimator was fitted with {expected}.")


def _index(target: Any, estimator: Any) -> Any:
    """Class labels as indices of outputs."""
    classes = getattr(estimator, "classes_", None)
    if classes is None or target is None or callable(target):
        return target if target is None or callable(target) or isinstance(target, int) else torch.as_tensor(target)
    labels, known = np.atleast_1d(np.asarray(target)), np.asarray(classes)
    found = labels[:, None] == known
    if not found.any(1).all():
        raise TargetError(f"target {labels[~found.any(1)][0]!r} is no class of the estimator; there are {list(known)}.")
    index = found.argmax(1)
    return int(index[0]) if np.ndim(target) == 0 else torch.as_tensor(index)
