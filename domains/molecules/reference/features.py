"""From molecules to the graphs that the reference models take: plain one-hot features, one column each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciexplain._optional import require
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError

_DEGREES = tuple(range(7))
_CHARGES = (-2, -1, 0, 1, 2)
_HYDROGENS = tuple(range(5))
_HYBRIDIZATIONS = ("SP", "SP2", "SP3")
_BONDS = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")


@dataclass(frozen=True)
class BondGraph:
    """Atoms as nodes, bonds as pairs of directed edges; every feature is 0 or 1.

    Called with an RDKit molecule of n atoms and b bonds it returns a PyG ``Data`` with ``x`` (n, :attr:`atom_names`),
    ``edge_index`` (2, 2b) and ``edge_attr`` (2b, :attr:`bond_names`), float32; nodes are the molecule's atoms in their
    order, edges 2k and 2k + 1 are bond k in both directions. Hydrogens are nodes only if they are atoms of the
    molecule; all are counted in the atom they are bound to.

    Attributes
    ----------
    elements
        Atomic numbers, ascending. A molecule with another element is refused: a column that was never trained would
        say nothing of it. Beyond the range of other features (degree 6, charge ±2, 4 hydrogens) the last column counts.
    """

    elements: tuple[int, ...]

    @property
    def atom_names(self) -> tuple[str, ...]:
        """What each column of ``x`` says."""
        symbol = require("rdkit.Chem", extra="molecules").GetPeriodicTable().GetElementSymbol
        return (
            *(f"is {symbol(number)}" for number in self.elements),
            *(f"degree {degree}" for degree in _DEGREES),
            *(f"charge {charge:+d}" for charge in _CHARGES),
            *(f"{count} hydrogens" for count in _HYDROGENS),
            *(hybridization.lower() for hybridization in _HYBRIDIZATIONS),
            *("aromatic", "in ring"),
        )

    @property
    def bond_names(self) -> tuple[str, ...]:
        """What each column of ``edge_attr`` says."""
        return (*(order.lower() for order in _BONDS), "conjugated", "in ring")

    def __call__(self, mol: Any) -> Any:
        """The graph of an RDKit molecule.

        Raises
        ------
        InputError
            It has an element that the model was not trained on.
        """
        data = require("torch_geometric.data", extra="molecules").Data
        _check_elements((atom.GetAtomicNum() for atom in mol.GetAtoms()), self.elements)
        x = [self._atom(atom) for atom in mol.GetAtoms()]
        ends, features = [], []
        for bond in mol.GetBonds():
            a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            ends += [(a, b), (b, a)]
            features += [self._bond(bond)] * 2
        return data(
            x=torch.tensor(x, dtype=torch.float32).reshape(len(x), len(self.atom_names)),
            edge_index=torch.tensor(ends, dtype=torch.long).reshape(-1, 2).T.contiguous(),
            edge_attr=torch.tensor(features, dtype=torch.float32).reshape(-1, len(self.bond_names)),
        )

    def _atom(self, atom: Any) -> list[float]:
        return [
            *_one_hot(atom.GetAtomicNum(), self.elements),
            *_one_hot(min(atom.GetDegree(), _DEGREES[-1]), _DEGREES),
            *_one_hot(int(np.clip(atom.GetFormalCharge(), _CHARGES[0], _CHARGES[-1])), _CHARGES),
            *_one_hot(min(atom.GetTotalNumHs(includeNeighbors=True), _HYDROGENS[-1]), _HYDROGENS),
            *_one_hot(str(atom.GetHybridization()), _HYBRIDIZATIONS),
            float(atom.GetIsAromatic()),
            float(atom.IsInRing()),
        ]

    def _bond(self, bond: Any) -> list[float]:
        return [*_one_hot(str(bond.GetBondType()), _BONDS), float(bond.GetIsConjugated()), float(bond.IsInRing())]


@dataclass(frozen=True)
class Geometry:
    """Atomic numbers ``z`` (n,) and positions ``pos`` (n, 3) in Å, float32, as a PyG ``Data``.

    Attributes
    ----------
    elements
        Atomic numbers, ascending; others are refused.
    charges
        Total charges, in e, that the model has seen. It does not see the charge itself, so that others are refused.
    """

    elements: tuple[int, ...]
    charges: tuple[int, ...] = (0,)

    def __call__(self, molecule: Molecule) -> Any:
        """The data of a molecule.

        Raises
        ------
        InputError
            It has no positions, or an element or charge that the model was not trained on.
        """
        data = require("torch_geometric.data", extra="molecules").Data
        if molecule.positions is None:
            raise InputError(
                f"{_title(molecule)} has no positions, which this model needs; read a file with a geometry, or "
                "make one with molecules.embed"
            )
        if molecule.charge not in self.charges:
            seen = ", ".join(f"{charge:+d}" for charge in self.charges)
            raise InputError(f"{_title(molecule)} has the charge {molecule.charge:+d}; the model was trained on {seen}")
        _check_elements(molecule.numbers.tolist(), self.elements)
        return data(
            z=torch.as_tensor(molecule.numbers, dtype=torch.long),
            pos=torch.tensor(molecule.positions, dtype=torch.float32),
        )


class Packed:
    """Many graphs end to end, from which batches are cut without building PyG's objects anew.

    Parameters
    ----------
    graphs
        PyG ``Data`` with the same attributes. Batches are tensors by name, ``batch`` among them, for the forward of a
        reference model.
    """

    def __init__(self, graphs: list[Any]) -> None:
        self._nodes = {
            key: torch.cat([graph[key] for graph in graphs]) for key in ("x", "z", "pos") if key in graphs[0]
        }
        self._counts = torch.tensor([graph.num_nodes for graph in graphs])
        self._edges = None
        if "edge_attr" in graphs[0]:
            self._edges = torch.cat([graph.edge_index for graph in graphs], 1), torch.cat([g.edge_attr for g in graphs])
            self._edge_counts = torch.tensor([graph.edge_attr.shape[0] for graph in graphs])

    def batch(self, chosen: Tensor) -> dict[str, Tensor]:
        """Some of the graphs, (B,) int64, as one."""
        counts = self._counts[chosen]
        rows = _rows(chosen, self._counts)
        tensors = {key: value[rows] for key, value in self._nodes.items()}
        tensors["batch"] = torch.repeat_interleave(counts)
        if self._edges is not None:
            rows = _rows(chosen, self._edge_counts)
            shift = torch.repeat_interleave(counts.cumsum(0) - counts, self._edge_counts[chosen])
            tensors["edge_index"], tensors["edge_attr"] = self._edges[0][:, rows] + shift, self._edges[1][rows]
        return tensors


def _rows(chosen: Tensor, counts: Tensor) -> Tensor:
    """The rows of the chosen graphs, whose rows stand end to end."""
    taken = counts[chosen]
    shift = (counts.cumsum(0) - counts)[chosen] - (taken.cumsum(0) - taken)
    return torch.arange(int(taken.sum())) + torch.repeat_interleave(shift, taken)


def _one_hot(value: Any, known: tuple[Any, ...]) -> list[float]:
    return [float(value == entry) for entry in known]


def _check_elements(numbers: Iterable[int], elements: tuple[int, ...]) -> None:
    symbol = require("rdkit.Chem", extra="molecules").GetPeriodicTable().GetElementSymbol
    for i, number in enumerate(numbers):
        if number not in elements:
            known = ", ".join(symbol(element) for element in elements)
            raise InputError(f"atom {i} is {symbol(number)}, unknown to this model, which was trained on {known}")


def _title(molecule: Molecule) -> str:
    return molecule.name or molecule.source or "The molecule"
