"""Message passing networks of chemprop 2."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciexplain._evaluation import evaluation_mode
from sciexplain._optional import require
from sciexplain.domains.molecules.families import featurizers
from sciexplain.domains.molecules.families.base import (
    EdgeFeatures,
    LibraryFamily,
    atoms_of,
    called,
    dtype_and_device,
    failing_clearly,
    one_row_each,
)
from sciexplain.domains.molecules.graphs import Graphs
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError, ModelError


@dataclass(frozen=True, eq=False)
class MoleculeGraph:
    """A chemprop ``MolGraph`` and what goes beside it.

    Attributes
    ----------
    graph
        ``chemprop.data.MolGraph``.
    descriptors
        Of the molecule, ``x_d`` in chemprop; None where the model takes none.
    atom_descriptors
        Of each atom, ``V_d`` in chemprop, put beside what message passing made of it.
    molecule
        Whose atoms are the graph's, in the same order.
    """

    graph: Any
    descriptors: Any = None
    atom_descriptors: Any = None
    molecule: Molecule | None = None


class Chemprop(LibraryFamily):
    """A ``chemprop.models.MPNN``.

    Parameters
    ----------
    model
        With bond or atom messages, any aggregation and any predictor. Of predictors that give several values for a
        task (mean and variance, evidence, quantiles), the first is explained; of classifiers, the logit. For several
        classes the columns are task by task, class by class.
    featurizer
        From an RDKit molecule to a ``MolGraph``, such as a ``SimpleMoleculeMolGraphFeaturizer``; by default that one of
        chemprop's own whose widths are the model's.

    Notes
    -----
    Atom features V and directed-bond features E are explained. Graphs are molecules, ``MolGraph``, or, where the model
    takes extra features and descriptors, ``MoleculeDatapoint`` with ``V_f``, ``E_f``, ``V_d`` and ``x_d``. Hydrogens
    are as the molecule has them.
    """

    def __init__(
        self,
        model: Any,
        featurizer: Callable[[Any], Any] | None = None,
        unit: str = "",
        tasks: Sequence[str] = (),
        edge_features: EdgeFeatures = "signal",
    ) -> None:
        library = require("chemprop", extra="molecules")
        if not isinstance(model, library.models.MPNN) or isinstance(model, library.models.MulticomponentMPNN):
            raise ModelError(
                f"The model is a chemprop {type(model).__name__}; expected an MPNN, which takes one molecule and "
                "predicts of the whole of it."
            )
        super().__init__(model, unit, tasks, edge_features)
        self.classes = getattr(model.predictor, "n_classes", 0)
        if self.classes and len(self.tasks) == model.n_tasks:
            self.tasks = tuple(f"{task} class {k}" for task in self.tasks for k in range(self.classes))
        passing = model.message_passing.hparams
        self.widths = int(passing["d_v"]), int(passing["d_e"])
        self.atom_descriptors = int(passing.get("d_vd") or 0)
        self.descriptors = int(model.predictor.input_dim) - int(model.message_passing.output_dim)
        self.featurizer = featurizer

    def graph(self, molecule: Molecule) -> MoleculeGraph:
        if molecule.mol is None:
            raise InputError(f"{called(molecule)}: found no bonds, which this model needs; read SMILES, MOL or SDF.")
        featurizer = self.featurizer or self._own_featurizer()
        found = MoleculeGraph(featurizers.apply(featurizer, replace(molecule, positions=None)), molecule=molecule)
        return self._fits(found)

    def collate(self, graphs: Sequence[Any]) -> Graphs:
        library = require("chemprop.data", extra="molecules")
        items = [self.graph_of(g) for g in ([graphs] if isinstance(graphs, library.MolGraph) else graphs)]
        if not items:
            raise InputError("There are no molecules; give at least one.")
        dtype, device = dtype_and_device(self.model)
        batch = library.BatchMolGraph([item.graph for item in items])
        batch.to(device)
        sizes = torch.tensor([len(item.graph.V) for item in items], device=device)

        def stacked(values: list[Any]) -> Tensor | None:
            return None if values[0] is None else torch.tensor(np.concatenate(values), dtype=dtype, device=device)

        atom_descriptors = stacked([item.atom_descriptors for item in items])
        descriptors = stacked([None if i.descriptors is None else np.atleast_2d(i.descriptors) for i in items])
        tensors: dict[str, Any] = {"V": batch.V.to(dtype), "E": batch.E.to(dtype)}

        def call(given: Mapping[str, Any]) -> Tensor:
            own = copy.copy(batch)
            own.V, own.E = given.get("V", tensors["V"]), given.get("E", tensors["E"])
            with failing_clearly(self.model, {"V": own.V, "E": own.E}), evaluation_mode(self.model):
                output = self.model(own, atom_descriptors, descriptors)
            return one_row_each(self.model, self._columns(output), len(items))

        places = {"V": atoms_of(sizes)}
        if self.edge_features == "signal":
            places["E"] = batch.edge_index[0]
        return Graphs(tensors, places, sizes, call, batch.edge_index, frozenset({"E"} & places.keys()))

    def molecule(self, graph: Any) -> Molecule | None:
        if isinstance(graph, MoleculeGraph):
            return graph.molecule
        mol = getattr(graph, "mol", None)  # of a datapoint
        if mol is None:
            return None
        numbers = np.array([a.GetAtomicNum() for a in mol.GetAtoms()], dtype=np.int64)
        return Molecule(numbers, getattr(graph, "name", None) or "", mol)

    def _columns(self, output: Tensor) -> Tensor:
        if self.classes:
            return output.flatten(1)
        return output[..., 0] if output.ndim == 3 else output

    def graph_of(self, given: Any) -> MoleculeGraph:
        """From what a user may give."""
        library = require("chemprop.data", extra="molecules")
        if isinstance(given, MoleculeGraph):
            return given
        if isinstance(given, library.MolGraph):
            return self._fits(MoleculeGraph(given))
        if isinstance(given, library.MoleculeDatapoint):
            extra = [0 if f is None else f.shape[1] for f in (given.V_f, given.E_f)]
            featurizer: Any = self.featurizer or self._own_featurizer(*extra)
            graph = featurizer(given.mol, given.V_f, given.E_f) if any(extra) else featurizer(given.mol)
            return self._fits(MoleculeGraph(graph, given.x_d, given.V_d, self.molecule(given)))
        raise InputError(f"A graph is {type(given).__name__}; expected a chemprop MolGraph or MoleculeDatapoint.")

    def _own_featurizer(self, extra_atom: int = 0, extra_bond: int = 0) -> Any:
        """Chemprop's own featurizer whose widths are the model's."""
        library = require("chemprop.featurizers", extra="molecules")
        atoms = require("chemprop.featurizers.atom", extra="molecules")
        bonds = require("chemprop.featurizers.bond", extra="molecules")
        wanted = self.widths[0] - extra_atom, self.widths[1] - extra_bond
        known = {}
        for mode in atoms.AtomFeatureMode:
            atom = atoms.get_multi_hot_atom_featurizer(mode)
            own = isinstance(atom, getattr(atoms, "RIGRAtomFeaturizer", ()))
            bond = bonds.RIGRBondFeaturizer() if own else bonds.MultiHotBondFeaturizer()
            known[len(atom), len(bond)] = atom, bond
        if wanted not in known:
            raise InputError(
                f"The model takes {wanted[0]} features of each atom and {wanted[1]} of each bond; chemprop's own are "
                f"{', '.join(f'{a} and {b}' for a, b in known)}. Give featurizer=, or chemprop's MoleculeDatapoint "
                "with the extra features."
            )
        atom, bond = known[wanted]
        return library.SimpleMoleculeMolGraphFeaturizer(
            atom, bond, extra_atom_fdim=extra_atom, extra_bond_fdim=extra_bond
        )

    def _fits(self, found: MoleculeGraph) -> MoleculeGraph:
        """What was given, checked against the model's widths."""
        graph = found.graph
        widths = graph.V.shape[1], graph.E.shape[1] if len(graph.E) else self.widths[1]
        name = "A graph" if found.molecule is None else called(found.molecule)
        if widths != self.widths:
            raise InputError(
                f"{name}: found {widths[0]} features of each atom and {widths[1]} of each bond; the model takes "
                f"{self.widths[0]} and {self.widths[1]}."
            )
        if found.molecule is not None and len(graph.V) != len(found.molecule):
            raise InputError(f"{name}: the featurizer made {len(graph.V)} nodes of {len(found.molecule)} atoms.")
        for wanted, values, word in (
            (self.descriptors, found.descriptors, "x_d: descriptors of each molecule"),
            (self.atom_descriptors, found.atom_descriptors, "V_d: descriptors of each atom"),
        ):
            width = 0 if values is None else np.shape(values)[-1]
            if width != wanted:
                raise InputError(
                    f"{name}: found {width} and the model takes {wanted} of {word}; give chemprop's MoleculeDatapoint "
                    "with them."
                )
        return found
