"""Graphs of each library with only some of their atoms, or only some of their edges."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciexplain.domains.molecules.families import Chemprop, PyG, SchNetPack
from sciexplain.domains.molecules.families.chemprop import MoleculeGraph
from sciexplain.domains.molecules.families.pyg import MoleculeData
from sciexplain.domains.molecules.families.schnetpack import MoleculeSystem
from sciexplain.domains.molecules.graphs import Family
from sciexplain.errors import InputError

Cut = Callable[[int, Tensor | None, Tensor | None], Any]
"""From a sample, its atoms (n,) bool or None for all, and its directed edges (E,) bool or None for all between them."""


def cutter(family: Family, graphs: Sequence[Any]) -> Cut:
    """A function that gives a sample's graph with only some atoms and the edges between them, or only some edges.

    Features stay as they were, those of an atom's degree or hydrogens too: it is the graph that is cut, not the
    molecule.

    Parameters
    ----------
    family
        The model that takes the graphs.
    graphs
        As the family's ``collate`` takes them. What belongs to atoms and what to edges is told by the lengths of all.

    Raises
    ------
    InputError
        Of a model of another kind, or where the graph lists triples of atoms.
    """
    if isinstance(family, PyG):
        return _pyg([g.data if isinstance(g, MoleculeData) else g for g in graphs])
    if isinstance(family, Chemprop):
        return _chemprop([family.graph_of(g) for g in graphs])
    if isinstance(family, SchNetPack):
        return _schnetpack([g.inputs if isinstance(g, MoleculeSystem) else g for g in graphs])
    raise InputError(
        f'Parts of graphs of {type(family).__name__} cannot be taken away; mask their features: how="mask".'
    )


def _pyg(graphs: list[Any]) -> Cut:
    counts = [(int(data.num_nodes), int(data.num_edges)) for data in graphs]
    lengths = [
        {k: v.shape[data.__cat_dim__(k, v)] for k, v in data if isinstance(v, Tensor) and v.ndim} for data in graphs
    ]
    of_atoms, of_edges = _levels(lengths, counts)

    def cut(sample: int, atoms: Tensor | None, edges: Tensor | None) -> Any:
        data = graphs[sample]
        made = copy.copy(data)
        atoms, edges, number = _joined(atoms, edges, data.edge_index if "edge_index" in data else None, counts[sample])
        for key in of_atoms:
            made[key] = _rows(data[key], atoms, data.__cat_dim__(key, data[key]))
        for key in of_edges - {"edge_index"}:
            made[key] = _rows(data[key], edges, data.__cat_dim__(key, data[key]))
        if "edge_index" in data:
            made.edge_index = number[data.edge_index.cpu()[:, edges]].to(data.edge_index.device)
        if "num_nodes" in data:
            made.num_nodes = int(atoms.sum())
        return made

    return cut


def _chemprop(graphs: list[MoleculeGraph]) -> Cut:
    def cut(sample: int, atoms: Tensor | None, edges: Tensor | None) -> Any:
        given = graphs[sample]
        graph = given.graph
        index = torch.as_tensor(graph.edge_index, dtype=torch.long)
        atoms, edges, number = _joined(atoms, edges, index, (len(graph.V), index.shape[1]))
        a, e = atoms.numpy(), edges.numpy()
        reverse = np.asarray(graph.rev_edge_index)
        if not e[reverse[e]].all():
            raise InputError("Only one of the two directions of a bond is left; chemprop's messages need both.")
        made = graph._replace(
            V=graph.V[a],
            E=graph.E[e],
            edge_index=number[index[:, edges]].numpy(),
            rev_edge_index=(np.cumsum(e) - 1)[reverse[e]],
        )
        extra = given.atom_descriptors
        return replace(given, graph=made, atom_descriptors=None if extra is None else extra[a], molecule=None)

    return cut


def _schnetpack(graphs: list[Mapping[str, Tensor]]) -> Cut:
    from schnetpack import properties as keys

    whole = {keys.n_atoms, keys.idx, keys.cell, keys.pbc}
    if strange := sorted(k for k in graphs[0] if k in (keys.idx_i_triples, keys.idx_j_triples, keys.idx_k_triples)):
        raise InputError(f'The graphs list triples of atoms ({strange[0]}); mask features instead: how="mask".')
    counts = [(len(g[keys.Z]), len(g[keys.idx_i])) for g in graphs]
    lengths = [{k: len(v) for k, v in g.items() if k not in whole and v.ndim} for g in graphs]
    of_atoms, of_edges = _levels(lengths, counts)
    of_atoms, of_edges = of_atoms | {keys.Z, keys.R}, (of_edges | {keys.idx_i, keys.idx_j}) - {keys.Z, keys.R}

    def cut(sample: int, atoms: Tensor | None, edges: Tensor | None) -> Any:
        given = graphs[sample]
        index = torch.stack([given[keys.idx_j], given[keys.idx_i]])
        atoms, edges, number = _joined(atoms, edges, index, counts[sample])
        made = dict(given)
        for key in of_atoms - of_edges:
            made[key] = _rows(given[key], atoms, 0)
        for key in of_edges:
            made[key] = _rows(given[key], edges, 0)
        for key in (keys.idx_i, keys.idx_j):
            made[key] = number[made[key].cpu()].to(made[key].device)
        made[keys.n_atoms] = atoms.sum().reshape(1).to(given[keys.n_atoms])
        return MoleculeSystem(made)

    return cut


def _levels(lengths: Sequence[Mapping[str, int]], counts: Sequence[tuple[int, int]]) -> tuple[set[str], set[str]]:
    """Names of what has a row for each atom, and of what has one for each edge; one graph alone may not tell."""
    names = set.intersection(*(set(of) for of in lengths))
    atoms = {k for k in names if all(of[k] == n for of, (n, _) in zip(lengths, counts, strict=True))}
    edges = {k for k in names if all(of[k] == e for of, (_, e) in zip(lengths, counts, strict=True))}
    both = {k for k in atoms & edges if "edge" in k}
    return atoms - both, edges - (atoms - both)


def _joined(
    atoms: Tensor | None, edges: Tensor | None, index: Tensor | None, counts: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Atoms and edges that are left, none without both of its atoms, and the atoms' new numbers."""
    atoms = torch.ones(counts[0], dtype=torch.bool) if atoms is None else atoms.cpu()
    edges = torch.ones(counts[1], dtype=torch.bool) if edges is None else edges.cpu()
    if index is not None and index.shape[1]:
        edges = edges & atoms[index[0].cpu()] & atoms[index[1].cpu()]
    return atoms, edges, atoms.cumsum(0) - 1


def _rows(values: Any, kept: Tensor, dim: int) -> Any:
    return values.index_select(dim, kept.nonzero().flatten().to(values.device))
