"""Molecules as a model's forward takes them, and which of the model's inputs belong to which atom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from sciexplain.domains.molecules.molecule import Molecule


@dataclass(frozen=True)
class Graphs:
    """A batch of B molecules with n atoms in all, ready for one forward pass.

    Attributes
    ----------
    tensors
        What :attr:`call` takes, by name.
    places
        For every tensor that is explained, the atom of each of its rows, counted through the batch: (rows,) int64.
        Atom features (n, …) and atom types (n,) have ``arange(n)``. Features of directed edges have the atom at which
        the edge starts. What is not here is a constant: edge indices, positions, distances.
    sizes
        (B,) int64: atoms per molecule; atoms of one molecule stand together, in the molecule's order.
    call
        From ``tensors`` (some replaced by others of their shape) to the model's output, (B,) or (B, tasks).
    edges
        (2, E) int64: the directed edges whose features are explained, or that the batch lists, as (from, to);
        None where the model makes its own.
    edge_rows
        Names in ``places`` whose rows are those of ``edges``.
    """

    tensors: dict[str, Any]
    places: Mapping[str, Tensor]
    sizes: Tensor
    call: Callable[[dict[str, Any]], Any]
    edges: Tensor | None = None
    edge_rows: frozenset[str] = field(default_factory=frozenset)

    def by_atom(self, relevance: Mapping[str, Tensor]) -> Tensor:
        """(n,) float64, on the CPU: relevance of what is explained, that of bonds at the atom where they start."""
        total = torch.zeros(int(self.sizes.sum()), dtype=torch.float64)
        for name, place in self.places.items():
            rows = relevance[name].detach().double().cpu()
            total.index_add_(0, place.cpu(), rows.flatten(1).sum(1) if rows.ndim > 1 else rows)
        return total


class Family(Protocol):
    """How models of one library take molecules. A family object holds the model, which it leaves as it is."""

    model: Any
    unit: str
    """Of the output, such as ``"eV"``; empty where nobody knows."""
    tasks: tuple[str, ...]
    """Names of the output's columns; empty where nobody knows."""

    def graph(self, molecule: Molecule) -> Any:
        """One molecule in the library's own form.

        Raises
        ------
        InputError
            The model cannot take this molecule: an element or charge it does not know, no geometry, no bonds, ….
        """
        ...

    def collate(self, graphs: Sequence[Any]) -> Graphs:
        """Several as one batch, on the model's device and in its floating-point type."""
        ...

    def molecule(self, graph: Any) -> Molecule | None:
        """What is known of the molecule that a graph stands for (given by the user, not by :meth:`graph`)."""
        ...
