"""Many molecules with the model that takes them, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from sciexplain.domains.molecules import families
from sciexplain.domains.molecules.adjoints import as_function
from sciexplain.domains.molecules.graphs import Family, Graphs
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import read
from sciexplain.errors import InputError
from sciexplain.inputs import passes


@dataclass(frozen=True)
class Part:
    """Molecules in one forward pass.

    Attributes
    ----------
    indices
        (B,): which they are.
    model, inputs
        The model as a function of what is explained alone, and that.
    graphs
        All of it.
    """

    indices: Tensor
    model: Callable[..., Any]
    inputs: dict[str, Tensor]
    graphs: Graphs

    @property
    def atoms(self) -> Tensor:
        """(n,): the molecule in this part that each atom belongs to."""
        sizes = self.graphs.sizes
        return torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)

    def rows(self, inputs: Any) -> Tensor:
        """:attr:`atoms`, whatever the inputs: as :func:`sciexplain.prototypes` asks for it."""
        return self.atoms

    def by_molecule(self, rows: Tensor) -> Tensor:
        """(B, …) from a layer's rows, of molecules or of atoms, summed.

        Raises
        ------
        InputError
            They are neither.
        """
        molecules, atoms = len(self.graphs.sizes), int(self.graphs.sizes.sum())
        if len(rows) == molecules:
            return rows
        if len(rows) != atoms:
            raise InputError(
                f"The layer gives {len(rows)} rows for {molecules} molecules with {atoms} atoms; expected a row for "
                "each molecule or each atom."
            )
        return rows.new_zeros(molecules, *rows.shape[1:]).index_add_(0, self.atoms.to(rows.device), rows)

    def by_atom(self, relevance: dict[str, Tensor]) -> list[Tensor]:
        """:meth:`Graphs.by_atom` for each molecule, (n,)."""
        return list(self.graphs.by_atom(relevance).split(self.graphs.sizes.tolist()))


class Collection:
    """Molecules as the family takes them.

    Parameters
    ----------
    model, molecules, featurizer
        As in :func:`sciexplain.domains.molecules.explain`.

    Raises
    ------
    InputError, DataError
    """

    def __init__(self, model: Any, molecules: Any, featurizer: Any = None) -> None:
        self.family: Family = family_of(model, featurizer)
        self._graphs: list[Any] = []
        self._molecules: list[Molecule | None] = []
        for entry in _entries(molecules):
            graph = self.family.graph(entry) if isinstance(entry, Molecule) else entry
            self._graphs.append(graph)
            self._molecules.append(entry if isinstance(entry, Molecule) else self.family.molecule(graph))
        if not self._graphs:
            raise InputError("There are no molecules; give at least one.")

    def __len__(self) -> int:
        return len(self._graphs)

    def parts(self, batch_size: int) -> Iterator[Part]:
        """All of them, in order."""
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: expected a positive number.")
        for rows in passes(len(self), batch_size):
            yield self.part(range(len(self))[rows])

    def part(self, indices: Sequence[int]) -> Part:
        """Some of them."""
        graphs = self.family.collate([self._graphs[i] for i in indices])
        model, inputs = as_function(graphs)
        return Part(torch.tensor(list(indices)), model, inputs, graphs)

    def shown(self, index: int) -> Molecule:
        """A molecule to be drawn."""
        molecule = self._molecules[index]
        if molecule is None:
            raise InputError(f"Nothing but a graph is known of molecule {index}; give molecules to draw them.")
        return molecule

    def graphs(self, indices: Sequence[int]) -> list[Any]:
        """As the family takes them."""
        return [self._graphs[i] for i in indices]


def family_of(model: Any, featurizer: Any) -> Family:
    """The model's family, or itself where it is one."""
    if not isinstance(model, families.LibraryFamily):
        return families.find(model, featurizer)
    if featurizer is not None:
        raise InputError("A loaded model has its featurizer; give featurizer= where it is loaded.")
    return model


def _entries(molecules: Any) -> Iterator[Any]:
    """Molecules, and graphs of the model's library as they are."""
    if hasattr(molecules, "to_data_list"):  # a batch of PyG
        molecules = molecules.to_data_list()
    single = isinstance(molecules, str | PathLike | Molecule) or hasattr(molecules, "num_nodes") or _is_read(molecules)
    listed: Iterable[Any] = [molecules] if single else molecules
    for entry in listed:
        if isinstance(entry, str | PathLike) or _is_read(entry):
            yield from read(entry)
        else:
            yield entry


def _is_read(entry: Any) -> bool:
    return type(entry).__module__.partition(".")[0] in ("rdkit", "ase")
