"""An ``explain_func`` for the metrics of Quantus (Hedström et al. 2023).

``quantus.Completeness()(model, x, y, explain_func=explain_func, explain_func_kwargs={"composite": "epsilon_plus"})``
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._evaluation import evaluation_mode
from ..composites import Composite
from ..explain import explain
from ._module import like_parameters

__all__ = ["explain_func"]


def explain_func(
    model: nn.Module,
    inputs: np.ndarray | Tensor,
    targets: np.ndarray | Tensor | int | None = None,
    *,
    method: str = "lrp",
    composite: Composite | str | None = None,
    device: str | torch.device | None = None,
    batch_size: int | None = None,
    **options: Any,
) -> np.ndarray:
    """The relevance of a batch as an array.

    Parameters
    ----------
    model : Module
        In evaluation mode during the call, and as it was afterwards.
    inputs : array or Tensor, shape (N, ...)
        Floats take the dtype of the model.
    targets : array or Tensor of class indices, shape (N,), or int
        None: the predicted class.
    method, composite, batch_size, **options
        As for :func:`sciexplain.explain`.
    device
        Where to compute; the default is where the model is. The model is not moved: it must be there.

    Returns
    -------
    array, shape of the inputs

    Raises
    ------
    SciExplainError
        As :func:`sciexplain.explain`.

    Examples
    --------
    >>> import numpy as np
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3, bias=False)).eval()
    >>> explain_func(model, np.ones((2, 3, 2, 2)), np.array([0, 2])).shape
    (2, 3, 2, 2)
    """
    x = like_parameters(inputs if isinstance(inputs, Tensor) else torch.tensor(inputs), model)
    if device is not None:
        x = x.to(device)
    target = targets if targets is None or isinstance(targets, int) else torch.as_tensor(targets).long().flatten()
    with evaluation_mode(model):
        e = explain(model, x, target, method, composite=composite, batch_size=batch_size, **options)
    relevance = e.relevance
    assert isinstance(relevance, Tensor)
    return relevance.detach().cpu().numpy()
