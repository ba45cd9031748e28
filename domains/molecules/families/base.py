"""What the families of all libraries share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sciexplain._optional import require
from sciexplain.domains.molecules.graphs import Graphs
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError, ModelError, SciExplainError

EdgeFeatures = Literal["signal", "constant"]


class LibraryFamily(ABC):
    """A model and how it takes molecules; see :class:`~sciexplain.domains.molecules.graphs.Family`.

    Parameters
    ----------
    model
        Stays as it is; it predicts in evaluation mode, whatever mode it is in.
    unit
        Of the output; empty where nobody knows.
    tasks
        Names of the output's columns; empty where nobody knows.
    edge_features
        ``"constant"``: what the model reads of bonds is given, and no relevance goes there.
    """

    def __init__(
        self, model: Any, unit: str = "", tasks: Sequence[str] = (), edge_features: EdgeFeatures = "signal"
    ) -> None:
        if edge_features not in ("signal", "constant"):
            raise ModelError(f'edge_features={edge_features!r}: expected "signal" or "constant".')
        self.model, self.unit, self.edge_features = model, unit, edge_features
        self.tasks = (tasks,) if isinstance(tasks, str) else tuple(tasks)

    @abstractmethod
    def graph(self, molecule: Molecule) -> Any:
        """One molecule in the library's own form."""

    @abstractmethod
    def collate(self, graphs: Sequence[Any]) -> Graphs:
        """Several as one batch, on the model's device and in its floating-point type."""

    @abstractmethod
    def molecule(self, graph: Any) -> Molecule | None:
        """What is known of the molecule that a graph stands for."""

    def predict(self, molecules: Sequence[Any], *, batch_size: int = 64) -> Tensor:
        """The model's own predictions for molecules, or for graphs of its library.

        Returns
        -------
        Tensor
            (N,) or (N, tasks), in the model's unit.

        Raises
        ------
        InputError
            No molecules, or one that the model cannot take.
        """
        items = listed(molecules)
        if not items:
            raise InputError("There are no molecules to predict; give at least one.")
        parts = []
        with torch.no_grad():
            for begin in range(0, len(items), batch_size):
                part = items[begin : begin + batch_size]
                graphs = self.collate([self.graph(item) if isinstance(item, Molecule) else item for item in part])
                parts.append(graphs.call(graphs.tensors))
        return torch.cat(parts)


def listed(graphs: Any) -> list[Any]:
    """Molecules or graphs as a list; a single one is a list of itself."""
    single = isinstance(graphs, Molecule) or hasattr(graphs, "num_nodes")  # the latter of PyG
    return [graphs] if single else list(graphs)


def dtype_and_device(model: Any) -> tuple[torch.dtype, torch.device]:
    """In which floating-point type and where a model works: those of its first parameter, or buffer."""
    if isinstance(model, nn.Module):
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                return tensor.dtype, tensor.device
    return torch.get_default_dtype(), torch.get_default_device()


@contextmanager
def failing_clearly(model: Any, tensors: Mapping[str, Any]) -> Iterator[None]:
    """What a model raises at its inputs, as one line with their shapes."""
    try:
        yield
    except (SciExplainError, torch.OutOfMemoryError, NotImplementedError):
        raise
    except (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError) as error:
        given = ", ".join(f"{k} {tuple(v.shape)} {v.dtype}" for k, v in tensors.items() if isinstance(v, Tensor))
        first = str(error).strip().partition("\n")[0] or "no reason given"
        raise InputError(
            f"{name_of(model)} cannot take {given.replace('torch.', '')}: {type(error).__name__}: {first}. Give the "
            "features and atom types that it was trained on."
        ) from error


def one_row_each(model: Any, output: Any, molecules: int) -> Tensor:
    """A model's output as (B,) or (B, tasks).

    Raises
    ------
    ModelError
        It has no tensor, or not one row for each molecule.
    """
    if isinstance(output, tuple | list) and output:
        output = output[0]
    if not isinstance(output, Tensor):
        raise ModelError(f"{name_of(model)} returned {type(output).__name__}; expected a tensor (B,) or (B, tasks).")
    if output.ndim == 0 and molecules == 1:
        return output.reshape(1)
    if output.ndim not in (1, 2) or len(output) != molecules:
        raise ModelError(
            f"{name_of(model)} returned {tuple(output.shape)} for {molecules} molecules; expected one row for each: "
            "(B,) or (B, tasks). A model of atoms needs a pooling over each molecule's atoms, such as "
            "torch_geometric.nn.global_add_pool."
        )
    return output[:, 0] if output.ndim == 2 and output.shape[1] == 1 else output


def atoms_of(sizes: Tensor) -> Tensor:
    """Of every atom of a batch, its place in it: (n,) int64."""
    return torch.arange(int(sizes.sum()), device=sizes.device)


def name_of(model: Any) -> str:
    """A model's name in sentences."""
    return f"The model ({getattr(model, '__name__', type(model).__name__)})"


def called(molecule: Molecule) -> str:
    """A molecule's name in sentences."""
    return " ".join(part for part in (molecule.source, molecule.name) if part) or f"a molecule of {len(molecule)} atoms"


def symbol(number: int) -> str:
    """An element's symbol from its atomic number."""
    symbols = require("ase.data", extra="molecules").chemical_symbols
    return symbols[number] if 0 <= number < len(symbols) else f"element {number}"


def with_positions(molecule: Molecule) -> Any:
    """The positions of a molecule, (n, 3) in Å.

    Raises
    ------
    InputError
        It has none.
    """
    if molecule.positions is None:
        raise InputError(
            f"{called(molecule)}: found no positions, which this model needs; read a file with a geometry, or make one "
            "with molecules.embed."
        )
    return molecule.positions
