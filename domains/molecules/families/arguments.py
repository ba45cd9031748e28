"""What a graph network's forward asks for, and what of a PyG batch answers it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from sciexplain.domains.molecules.families.base import name_of
from sciexplain.errors import InputError

NODES = ("x", "h", "node_features", "node_feats", "node_attr", "node_attrs", "atom_features", "features", "feats")
TYPES = ("z", "atomic_numbers", "atomic_number", "atomic_num", "atom_types", "atom_type", "numbers", "species")
EDGES = ("edge_attr", "edge_attrs", "edge_features", "edge_feats", "edge_feat", "bond_features", "bond_attr")
SYNONYMS = (
    NODES,
    TYPES,
    EDGES,
    ("edge_index", "edge_indices", "edges"),
    ("edge_weight", "edge_weights"),
    ("pos", "positions", "position", "coords", "coordinates", "xyz", "r", "R"),
    ("batch", "batch_index", "batch_idx", "batch_indices", "batch_vector", "batch_vec", "graph_index"),
    ("num_graphs", "batch_size", "n_graphs", "num_molecules"),
    ("num_nodes", "n_nodes", "num_atoms", "n_atoms"),
    ("charge", "total_charge"),
)
"""Names that mean the same in forwards and in data."""

_COUNTED = {"num_graphs", "batch_size", "num_nodes"}
_WHOLE = {"data", "batch_data", "data_batch", "batched_data", "graph", "graphs", "g", "molecule", "mol"}


@dataclass(frozen=True)
class Argument:
    """One parameter of a forward; ``whole`` where it is the batch itself."""

    name: str
    required: bool
    whole: bool = False
    by_position: bool = False

    def key(self, batch: Any) -> str | None:
        """The attribute of a PyG batch that this parameter means; None where the batch has none."""
        same = next((names for names in SYNONYMS if self.name in names), ())
        return next((k for k in (self.name, *same) if _value(batch, k) is not None), None)


def arguments_of(model: Callable[..., Any]) -> tuple[Argument, ...]:
    """The parameters of a model's forward.

    A parameter is the whole batch where it is annotated as ``Data`` or ``Batch``, is called ``data``, ``graph`` or
    alike, or is the only one that is required and has no name of a tensor.
    """
    found = _parameters(model)
    required = [p for p in found if p.default is p.empty]
    if not found:
        return (Argument("data", True, whole=True, by_position=True),)
    known = {name for names in SYNONYMS for name in names} - {"batch"}

    def whole(p: inspect.Parameter) -> bool:
        annotation = p.annotation if isinstance(p.annotation, str) else getattr(p.annotation, "__name__", "")
        if annotation.rpartition(".")[2] in ("Data", "Batch", "BaseData") or p.name in _WHOLE:
            return True
        is_tensor = p.name in known or annotation.rpartition(".")[2] == "Tensor"
        return len(required) == 1 and p is required[0] and not is_tensor

    return tuple(Argument(p.name, p.default is p.empty, whole(p), p.kind is p.POSITIONAL_ONLY) for p in found)


def call_with(model: Callable[..., Any], arguments: tuple[Argument, ...], batch: Any) -> Any:
    """The model's output for a batch.

    Raises
    ------
    InputError
        The batch lacks what a required parameter means.
    """
    by_position, by_name = [], {}
    for argument in arguments:
        key = None if argument.whole else argument.key(batch)
        if key is None and not argument.whole:
            if argument.required:
                raise InputError(
                    f"{name_of(model)} takes {', '.join(a.name for a in arguments if a.required)}, but the data has no "
                    f"{argument.name}: it has {', '.join(sorted(batch.keys()))}."
                )
            if not argument.by_position:
                continue
        value = batch if argument.whole else None if key is None else _value(batch, key)
        if argument.by_position:
            by_position.append(value)
        else:
            by_name[argument.name] = value
    return model(*by_position, **by_name)


def keys_read(arguments: tuple[Argument, ...], batch: Any) -> set[str]:
    """The attributes of a batch that a model is given."""
    if any(a.whole for a in arguments):
        return set(batch.keys())
    return {key for a in arguments if (key := a.key(batch)) is not None and key in batch}


def _value(batch: Any, key: str) -> Any:
    """What a batch has under a name; some of those are also names of its methods."""
    return batch[key] if key in batch else getattr(batch, key) if key in _COUNTED else None


def _schema(model: Any) -> list[Any]:
    """The arguments of a scripted module's forward, which has no signature."""
    return list(model.forward.schema.arguments[1:])


def _parameters(model: Callable[..., Any]) -> list[inspect.Parameter]:
    """Named parameters, without ``*args`` and ``**kwargs``."""
    if isinstance(model, torch.jit.ScriptModule):
        return [
            inspect.Parameter(
                a.name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=a.default_value if a.has_default_value() else _NO,
            )
            for a in _schema(model)
        ]
    written = getattr(getattr(model, "signature", None), "param_dict", None)  # of torch_geometric.nn.Sequential
    if isinstance(written, dict):
        return [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in written]
    try:
        signature = inspect.signature(getattr(model, "forward", model))
    except (TypeError, ValueError):  # such as of builtins
        return []
    return [p for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


_NO = inspect.Parameter.empty
