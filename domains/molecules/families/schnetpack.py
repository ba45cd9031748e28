"""Neural network potentials of SchNetPack 2: SchNet, PaiNN and their kin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sciexplain._evaluation import evaluation_mode
from sciexplain._optional import require
from sciexplain.domains.molecules.families.base import (
    LibraryFamily,
    atoms_of,
    called,
    dtype_and_device,
    failing_clearly,
    one_row_each,
    symbol,
    with_positions,
)
from sciexplain.domains.molecules.graphs import Graphs
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError, ModelError


def library() -> ModuleType:
    """Import SchNetPack."""
    from torch.utils.data import dataloader

    # For an annotation, SchNetPack imports a name that torch has since made private.
    if not hasattr(dataloader, "T_co"):
        dataloader.T_co = TypeVar("T_co", covariant=True)  # type: ignore[attr-defined]
    for part in ("model", "representation", "atomistic", "transform", "interfaces", "properties"):
        require(f"schnetpack.{part}", extra="molecules")
    return require("schnetpack", extra="molecules")


@dataclass(frozen=True, eq=False)
class MoleculeSystem:
    """One system in SchNetPack's form, and the molecule it was made of."""

    inputs: dict[str, Tensor]
    molecule: Molecule | None = None


class SchNetPack(LibraryFamily):
    """A ``schnetpack.model.NeuralNetworkPotential``.

    Parameters
    ----------
    model
        Or the ``AtomisticTask`` around it.
    featurizer
        A ``schnetpack.interfaces.AtomsConverter``, or another function from ``ase.Atoms`` to SchNetPack's inputs; by
        default one with ASE's neighbour list within the representation's cutoff.
    tasks
        Keys of the outputs to explain; by default those that are one number for each molecule, without the parts that
        an ``Aggregation`` sums up.

    Notes
    -----
    Atom types are explained through their embedding; positions are constants. The model's own modules run one after
    the other as in its forward, postprocessors included; only those that differentiate the energy (``Forces``,
    ``Response``) are left out, as they change no energy.
    """

    def __init__(
        self,
        model: Any,
        featurizer: Callable[[Any], Any] | None = None,
        unit: str = "",
        tasks: Sequence[str] = (),
    ) -> None:
        schnetpack = library()
        if isinstance(model, schnetpack.task.AtomisticTask):
            model = model.model
        potential = schnetpack.model.NeuralNetworkPotential
        if not isinstance(model, potential) or type(model).forward is not potential.forward:
            raise ModelError(
                f"The model is a SchNetPack {type(model).__name__}; expected a NeuralNetworkPotential with the forward "
                "that SchNetPack gives it."
            )
        super().__init__(model, unit, tasks)
        scalars = _scalar_outputs(model)
        if missing := [task for task in self.tasks if task not in scalars]:
            raise ModelError(f"The model has no output {missing[0]!r}; it has {', '.join(scalars) or 'none'}.")
        if not scalars:
            raise ModelError("The model has no output of one number for each molecule, such as an Atomwise energy.")
        self.tasks = self.tasks or tuple(scalars)
        self.featurizer = featurizer
        self._keys = schnetpack.properties
        self._forward = _WithoutDerivatives(model)

    def graph(self, molecule: Molecule) -> MoleculeSystem:
        positions = with_positions(molecule)
        if molecule.charge:
            raise InputError(
                f"{called(molecule)}: found a charge of {molecule.charge:+d}, which this model takes no account of; it "
                "would answer as for the neutral molecule. Leave it out."
            )
        known = getattr(getattr(self.model.representation, "embedding", None), "num_embeddings", None)
        if known is not None and (strange := [i for i, z in enumerate(molecule.numbers) if not 0 < z < known]):
            raise InputError(
                f"{called(molecule)}: atom {strange[0]} is {symbol(int(molecule.numbers[strange[0]]))}, but the model "
                f"knows the elements up to {symbol(known - 1)}."
            )
        atoms = require("ase", extra="molecules").Atoms(
            molecule.numbers, positions, cell=molecule.cell, pbc=molecule.periodic
        )
        return MoleculeSystem((self.featurizer or self._converter())(atoms), molecule)

    def collate(self, graphs: Sequence[Any]) -> Graphs:
        systems = [g if isinstance(g, MoleculeSystem) else self._system(g) for g in graphs]
        if not systems:
            raise InputError("There are no molecules; give at least one.")
        dtype, device = dtype_and_device(self.model)
        collated = require("schnetpack.data.loader", extra="molecules")._atoms_collate_fn
        inputs = {
            key: value.detach().to(device, dtype if value.is_floating_point() else None)
            for key, value in collated([system.inputs for system in systems]).items()
        }
        keys = self._keys
        sizes = inputs[keys.n_atoms]

        def call(given: Mapping[str, Any]) -> Tensor:
            own = {**inputs, **given}
            with failing_clearly(self.model, {keys.Z: own[keys.Z], keys.R: own[keys.R]}), evaluation_mode(self.model):
                outputs = self._forward(own, self.model.do_postprocessing)
            columns = [outputs[task] for task in self.tasks]
            output = columns[0] if len(columns) == 1 else torch.stack(columns, 1)
            return one_row_each(self.model, output, len(systems))

        edges = torch.stack([inputs[keys.idx_j], inputs[keys.idx_i]])  # a neighbour j acts on the atom i
        return Graphs(inputs, {keys.Z: atoms_of(sizes)}, sizes, call, edges)

    def molecule(self, graph: Any) -> Molecule | None:
        if isinstance(graph, MoleculeSystem):
            return graph.molecule
        numbers, positions = graph[self._keys.Z].cpu().numpy(), graph[self._keys.R].detach().cpu().double().numpy()
        return Molecule(numbers, positions=positions)

    def _converter(self) -> Any:
        schnetpack = library()
        dtype, _ = dtype_and_device(self.model)
        neighbours = schnetpack.transform.ASENeighborList(cutoff=float(self.model.representation.cutoff))
        return schnetpack.interfaces.AtomsConverter(
            neighbours, dtype=torch.float64 if dtype == torch.float64 else torch.float32
        )

    def _system(self, given: Any) -> MoleculeSystem:
        keys = self._keys
        if not isinstance(given, Mapping) or not {keys.Z, keys.R, keys.idx_i, keys.idx_j} <= given.keys():
            raise InputError(
                f"A graph is {type(given).__name__}; expected SchNetPack's inputs of one system, with its neighbours "
                f"({keys.idx_i}, {keys.idx_j})."
            )
        return MoleculeSystem(dict(given))


class _WithoutDerivatives(nn.Module):
    """The forward of ``NeuralNetworkPotential`` up to its energies, over the same modules under the same names."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.input_modules, self.representation = model.input_modules, model.representation
        self.output_modules, self.postprocessors = model.output_modules, model.postprocessors

    def forward(self, inputs: dict[str, Any], postprocess: bool) -> dict[str, Any]:
        heads = [m for m in self.output_modules if not getattr(m, "required_derivatives", None)]
        for module in (*self.input_modules, self.representation, *heads):
            inputs = module(inputs)
        for transform in self.postprocessors if postprocess else ():
            of = getattr(transform, "_property", getattr(transform, "input_key", None))
            if of is None or of in inputs:  # not of a derivative
                inputs = transform(inputs)
        return inputs


def _scalar_outputs(model: Any) -> list[str]:
    """Keys of the outputs that are one number for each molecule, in the model's order, without the terms of a sum."""
    outputs: list[str] = []
    terms: set[str] = set()
    for module in model.output_modules:
        if getattr(module, "required_derivatives", None):
            continue
        if getattr(module, "predict_magnitude", False):
            outputs.append(module.dipole_key)
        elif hasattr(module, "output_key") and getattr(module, "aggregation_mode", "sum") is not None:
            if getattr(module, "n_out", 1) == 1:
                outputs.append(module.output_key)
            terms.update(getattr(module, "keys", ()))
    return [key for key in outputs if key not in terms]
