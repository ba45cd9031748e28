"""Graph networks of PyTorch Geometric, and every other model that takes its ``Data``."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sciexplain._evaluation import evaluation_mode
from sciexplain._optional import require
from sciexplain.domains.molecules.families import featurizers
from sciexplain.domains.molecules.families.arguments import EDGES, NODES, TYPES, arguments_of, call_with, keys_read
from sciexplain.domains.molecules.families.base import (
    EdgeFeatures,
    LibraryFamily,
    atoms_of,
    called,
    dtype_and_device,
    failing_clearly,
    listed,
    name_of,
    one_row_each,
)
from sciexplain.domains.molecules.families.integers import as_numbers
from sciexplain.domains.molecules.graphs import Graphs
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError


@dataclass(frozen=True, eq=False)
class MoleculeData:
    """A PyG ``Data`` beside the molecule whose atoms are its nodes, in the same order."""

    data: Any
    molecule: Molecule


class PyG(LibraryFamily):
    """A model of PyG ``Data``.

    Parameters
    ----------
    model
        Its forward takes the batch as a whole (``data``, or what is annotated as ``Data`` or ``Batch``), or its
        tensors by name: ``x`` or ``z``, ``edge_index``, ``edge_attr``, ``pos``, ``batch``, … and what they are also
        called.
    featurizer
        From an RDKit molecule, or a :class:`Molecule`, to a ``Data``; or the name of one in
        :data:`~sciexplain.domains.molecules.families.featurizers.NAMED`. Otherwise the model's own, under
        ``model.featurizer``; models of nothing but atom types and positions need none.

    Notes
    -----
    Node features, atom types and edge features are explained; positions, edge weights and indices are constants.
    Integers go in as they are: where they meet an embedding, an atom has the relevance of its rows there. A model
    that cannot take them as integers gets them as numbers of its floating-point type, as booleans always are.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        featurizer: featurizers.Featurizer | str | None = None,
        unit: str = "",
        tasks: Sequence[str] = (),
        edge_features: EdgeFeatures = "signal",
    ) -> None:
        super().__init__(model, unit, tasks, edge_features)
        self.arguments = arguments_of(model)
        self.featurizer = featurizers.find(
            featurizer if featurizer is not None else _own_featurizer(model) or self._geometry()
        )
        self._as_numbers: dict[frozenset[str], frozenset[str]] = {}

    def graph(self, molecule: Molecule) -> MoleculeData:
        if self.featurizer is None:
            raise InputError(
                f"{called(molecule)}: {name_of(self.model)} takes PyG data, and nothing says how to make it of a "
                'molecule; give featurizer=, a function from an RDKit molecule to a Data, or featurizer="pyg" '
                "(torch_geometric.utils.from_rdmol), or give the Data themselves."
            )
        if self.featurizer is featurizers.positions and molecule.charge and not self._asks_for("charge"):
            raise InputError(
                f"{called(molecule)}: found a charge of {molecule.charge:+d}, but {name_of(self.model)} takes "
                "only atoms and positions and would answer as for the neutral molecule; leave it out."
            )
        data = featurizers.apply(self.featurizer, molecule)
        if not isinstance(data, require("torch_geometric.data", extra="molecules").Data):
            raise InputError(f"The featurizer returned {type(data).__name__}; expected a torch_geometric.data.Data.")
        return MoleculeData(data, _as_featurized(molecule, int(data.num_nodes)))

    def collate(self, graphs: Sequence[Any]) -> Graphs:
        batch = self._batch([data for graph in listed(graphs) for data in _data(graph)])
        sizes = batch.ptr.diff()
        places = self._places(batch, sizes)
        tensors = {key: value for key, value in batch.to_dict().items() if isinstance(value, Tensor)}

        def call(given: Mapping[str, Any]) -> Tensor:
            own = copy.copy(batch)
            for key, value in given.items():
                own[key] = value
            with failing_clearly(self.model, {k: own[k] for k in places}), evaluation_mode(self.model):
                output = call_with(self.model, self.arguments, own)
            return one_row_each(self.model, output, len(sizes))

        read = [*places, *(key for key in EDGES if key in tensors and key not in places)]
        tensors |= self._settled({key: tensors[key] for key in read}, call)
        rows = frozenset(key for key in places if key in EDGES)
        return Graphs(tensors, places, sizes, lambda given: call({**tensors, **given}), tensors.get("edge_index"), rows)

    def molecule(self, graph: Any) -> Molecule | None:
        """For a ``Data`` of the user: what its ``mol``, ``smiles`` or atomic numbers and ``pos`` say of it."""
        return graph.molecule if isinstance(graph, MoleculeData) else _from_data(graph)

    def _asks_for(self, name: str) -> bool:
        return any(a.whole or a.name == name or a.name == f"total_{name}" for a in self.arguments)

    def _geometry(self) -> str | None:
        """The featurizer of a model of atom types and positions."""
        named = {a.name for a in self.arguments if a.required}
        return "positions" if "pos" in named and named & set(TYPES) and "edge_index" not in named else None

    def _batch(self, data: list[Any]) -> Any:
        if not data:
            raise InputError("There are no molecules; give at least one.")
        dtype, device = dtype_and_device(self.model)

        def as_model(tensor: Any) -> Any:
            return tensor.to(device, dtype if tensor.is_floating_point() else None)

        try:
            batch = require("torch_geometric.data", extra="molecules").Batch.from_data_list(data)
        except (KeyError, RuntimeError, TypeError, AttributeError) as error:
            raise InputError(
                f"The data cannot be put into one batch: {type(error).__name__}: {error}. Every Data needs the same "
                "attributes, of the same widths."
            ) from error
        return batch.apply(as_model)

    def _places(self, batch: Any, sizes: Tensor) -> dict[str, Tensor]:
        given = keys_read(self.arguments, batch)
        atoms = atoms_of(sizes)
        places = {}
        for key in (k for k in (*NODES, *TYPES, *EDGES) if k in given):
            value = batch[key]
            if not isinstance(value, Tensor) or value.ndim == 0:
                continue
            if key not in EDGES:
                places[key] = atoms
            elif self.edge_features == "signal":
                places[key] = batch.edge_index[0]
            if key in places and len(value) != len(places[key]):
                raise InputError(
                    f"The data's {key} has {len(value)} rows, but there are {len(places[key])} "
                    f"{'directed edges' if key in EDGES else 'atoms'}."
                )
        if not places:
            raise InputError(
                f"{name_of(self.model)} is given {', '.join(sorted(given)) or 'nothing'}; expected atom features (x), "
                "atom types (z) or edge features (edge_attr) to explain."
            )
        return places

    def _settled(self, explained: Mapping[str, Tensor], call: Callable[[Mapping[str, Tensor]], Tensor]) -> Any:
        """What is explained, with those booleans and integers that are no categories as numbers."""
        dtype, _ = dtype_and_device(self.model)
        found = {key: value.to(dtype) if value.dtype == torch.bool else value for key, value in explained.items()}
        integers = frozenset(key for key, value in found.items() if not value.is_floating_point())
        if integers and integers not in self._as_numbers:
            numbers = as_numbers(lambda given: call({**found, **given}), {key: found[key] for key in integers}, dtype)
            if numbers is not None:
                self._as_numbers[integers] = numbers
        return {key: v.to(dtype) if key in self._as_numbers.get(integers, ()) else v for key, v in found.items()}


def _own_featurizer(model: Any) -> Any:
    """The one a model carries; not a network that it calls its featurizer."""
    own = getattr(model, "featurizer", None)
    return None if isinstance(own, nn.Module) else own


def _data(graph: Any) -> list[Any]:
    data = graph.data if isinstance(graph, MoleculeData) else graph
    library = require("torch_geometric.data", extra="molecules")
    if isinstance(data, library.Batch):
        return data.to_data_list()
    if not isinstance(data, library.Data):
        raise InputError(f"A graph is {type(data).__name__}; expected a torch_geometric.data.Data or Batch.")
    return [data]


def _as_featurized(molecule: Molecule, nodes: int) -> Molecule:
    """The molecule that a featurizer saw, which may have given it hydrogens or taken them away."""
    if nodes == len(molecule):
        return molecule
    if molecule.mol is not None:
        chem = require("rdkit.Chem", extra="molecules")
        for other in (chem.AddHs(molecule.mol, addCoords=molecule.positions is not None), chem.RemoveHs(molecule.mol)):
            if other.GetNumAtoms() == nodes:
                numbers = np.array([a.GetAtomicNum() for a in other.GetAtoms()], dtype=np.int64)
                kept = molecule.positions is not None and other.GetNumConformers() > 0
                where = np.asarray(other.GetConformer().GetPositions()) if kept else None
                return replace(molecule, numbers=numbers, mol=other, positions=where)
    raise InputError(
        f"{called(molecule)}: the featurizer made {nodes} nodes of {len(molecule)} atoms; expected one for each atom, "
        "in their order, with or without the hydrogens."
    )


def _from_data(data: Any) -> Molecule | None:
    nodes = int(data.num_nodes)
    mol = getattr(data, "mol", None)
    smiles = getattr(data, "smiles", None)
    if mol is None and isinstance(smiles, str):
        mol = _parsed(smiles, nodes)
    where = getattr(data, "pos", None)
    where = where.detach().cpu().double().numpy() if isinstance(where, Tensor) and where.shape == (nodes, 3) else None
    if mol is not None and mol.GetNumAtoms() == nodes:
        numbers = np.array([a.GetAtomicNum() for a in mol.GetAtoms()], dtype=np.int64)
        return Molecule(numbers, smiles if isinstance(smiles, str) else "", mol, where)
    types = next((v for k in TYPES[:4] if isinstance(v := getattr(data, k, None), Tensor)), None)
    if types is None or types.shape.numel() != nodes or types.is_floating_point():
        return None
    return Molecule(types.detach().cpu().reshape(nodes).numpy().astype(np.int64), positions=where)


def _parsed(smiles: str, nodes: int) -> Any:
    """The molecule of a SMILES with this many atoms, its hydrogens given where that makes it so."""
    chem = require("rdkit.Chem", extra="molecules")
    mol = chem.MolFromSmiles(smiles)
    return mol if mol is None or mol.GetNumAtoms() == nodes else chem.AddHs(mol)
