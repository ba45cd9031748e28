"""How models of each library take molecules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sciexplain.domains.molecules.families.base import EdgeFeatures, LibraryFamily
from sciexplain.domains.molecules.families.chemprop import Chemprop
from sciexplain.domains.molecules.families.pyg import PyG
from sciexplain.domains.molecules.families.schnetpack import SchNetPack
from sciexplain.errors import ModelError

__all__ = ["Chemprop", "LibraryFamily", "PyG", "SchNetPack", "find"]


def find(
    model: Any,
    featurizer: Callable[[Any], Any] | str | None = None,
    *,
    unit: str = "",
    tasks: Sequence[str] = (),
    edge_features: EdgeFeatures = "signal",
) -> LibraryFamily:
    """The family that a model is of: chemprop, SchNetPack, or PyTorch Geometric for all others.

    Parameters
    ----------
    model
        A module, or for PyG any callable that takes its ``Data``.
    featurizer
        From a molecule to the library's graph, where the library does not say it; see :class:`PyG`,
        :class:`Chemprop` and :class:`SchNetPack`.
    unit
        Of the output, such as ``"kcal/mol"``.
    tasks
        Names of the output's columns.
    edge_features
        Whether the features of bonds are explained (``"signal"``) or given (``"constant"``).

    Raises
    ------
    ModelError
        The model is of a kind that no family takes.

    Examples
    --------
    >>> import torch
    >>> def predict(x, batch):
    ...     return torch.zeros(int(batch.max()) + 1).index_add(0, batch, x.sum(1))
    >>> family = find(predict, "pyg", unit="eV")
    >>> [argument.name for argument in family.arguments]
    ['x', 'batch']
    """
    library = next((p for c in type(model).__mro__ if (p := c.__module__.partition(".")[0]) in _NOT_PYG), None)
    if library is None:
        if not callable(model):
            raise ModelError(f"model is {type(model).__name__}; expected a torch module or another callable.")
        return PyG(model, featurizer, unit, tasks, edge_features)
    if isinstance(featurizer, str):
        raise ModelError(f"featurizer={featurizer!r} is for models of PyG; this one is of {library}, and needs none.")
    if library == "chemprop":
        return Chemprop(model, featurizer, unit, tasks, edge_features)
    return SchNetPack(model, featurizer, unit, tasks)


_NOT_PYG = ("chemprop", "schnetpack")
