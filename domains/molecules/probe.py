"""Local chemical potential: what a model thinks of one more atom, anywhere around a molecule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from sciexplain._evaluation import evaluation_mode
from sciexplain._optional import require
from sciexplain.domains.molecules.files import write_cube
from sciexplain.domains.molecules.forces import as_family, energies, placed
from sciexplain.domains.molecules.graphs import Family, Graphs
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.probe_points import NEAREST, Points, distances_to, layout
from sciexplain.errors import InputError, ModelError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Mode = Literal["probe", "difference"]

_PAIRS = 100_000


@dataclass(frozen=True, eq=False)
class Potential:
    """Energies of a probe atom at m points around a molecule.

    Attributes
    ----------
    points, values
        (m, 3) float64 in Å, and (m,) float64 in ``unit``; NaN within 0.5 Å of an atom.
    unit
        The model's; empty where nobody knows.
    probe, mode, molecule
        Symbol of the probe atom, how its energy was read, and around what.
    shape, origin, steps
        For a regular grid, whose last index runs fastest: its size, (3,) first point and (3, 3) steps as rows, in Å.
    faces
        (t, 3) int64: triangles of the surface that the points make, counter-clockwise from outside.
    """

    points: Points
    values: NDArray[np.float64]
    unit: str
    probe: str
    mode: Mode
    molecule: Molecule
    shape: tuple[int, int, int] | None = None
    origin: Points | None = None
    steps: Points | None = None
    faces: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def to_cube(self, path: str | PathLike[str]) -> Path:
        """Write a Gaussian cube file (lengths in Bohr; values in the model's unit, which the comment names).

        Cube files hold no NaN: points too close to an atom get the highest value of the others.

        Raises
        ------
        InputError
            The points are no regular grid.
        """
        if self.shape is None or self.origin is None or self.steps is None:
            raise InputError("only a regular grid makes a cube file; compute the potential with grid=0.3 (Å) or so")
        values = np.where(np.isnan(self.values), np.nanmax(self.values), self.values).reshape(self.shape)
        name = f"{self.molecule.name} chemical potential of {self.probe} ({self.mode})".strip()
        return write_cube(path, replace(self.molecule, name=name), values, self.origin, self.steps, unit=self.unit)

    def figure(self, *, cmap: str = "viridis", percentile: float = 98.0) -> Figure:
        """Draw the surface from its principal directions, or slices of a grid through the molecule's middle.

        Parameters
        ----------
        cmap
            A sequential colour map that is perceptually uniform.
        percentile
            The colours span the values between this percentile and its counterpart; the rest have the end colours.

        Notes
        -----
        Directions are the molecule's principal axes, longest first. Surfaces hide their far side but not the atoms.
        """
        from sciexplain.domains.molecules.probe_figure import figure

        return figure(self, cmap=cmap, percentile=percentile)


def chemical_potential(
    model_or_family: nn.Module | Family,
    molecule: Molecule,
    probe: str = "H",
    *,
    grid: float | Literal["surface"] | ArrayLike = "surface",
    mode: Mode = "probe",
    spacing: float = 0.2,
    margin: float = 3.0,
    task: int | str | None = None,
    batch_size: int | None = None,
    max_points: int = 200_000,
    progress: Callable[[int, int], None] | None = None,
) -> Potential:
    """Local chemical potential Ω_A(r): the energy of a probe atom A at r that feels the molecule.

    Parameters
    ----------
    model_or_family
        A 3-D model whose output is an energy, or its family. The model is left as it is.
    molecule
        n atoms with positions.
    probe
        Chemical symbol of the probe atom.
    grid
        ``"surface"``: the isosurface ∑ᵢ |r − rᵢ|⁻² = 3.8 Å⁻². A number: a regular grid of this spacing in Å over the
        molecule and ``margin``, or over the cell of a crystal. Otherwise (m, 3) points in Å.
    mode
        ``"probe"``, as published: messages reach the probe but none leave it, so the molecule does not feel it, and the
        probe's own contribution to the energy is read. For models with a list of pairs or an ``interaction_graph``
        (schnetpack; SchNet of PyG) whose energy is a sum over atoms. ``"difference"``: E(molecule + probe) −
        E(molecule) for any model; here the molecule's own contributions answer to the probe.
    spacing
        Of the surface's points, roughly, in Å.
    margin
        Of a regular grid beyond the outermost atoms, in Å.
    task
        Which output is the energy, by place or name, if the model has several.
    batch_size
        Points per forward pass; by default as many as keep the pairs of atoms below 100 000.
    max_points
        More are refused before anything is computed.
    progress
        Called with the points done and the points in all after each batch.

    Returns
    -------
    Potential
        Values include what the model adds for the element A itself; only differences between points tell of the
        molecule. Points within 0.5 Å of an atom are NaN.

    Raises
    ------
    InputError
        No such element, or one the model does not know; no positions; no points, or too many.
    ModelError
        The molecule feels the probe in this model, or its energy is no sum over atoms, so ``"probe"`` has no meaning.

    Notes
    -----
    In ``"probe"`` mode Ω = E(molecule + probe) − E(molecule), where no pair has the probe as its neighbour. That the
    probe is passive is checked on two probes in one molecule, whose energies must add up. Elements that were rare or
    absent in training are read from an embedding that nothing has taught. Values are differences of total energies: a
    float32 model whose totals are large (10⁴ eV) leaves 10⁻³ eV of noise, which ``model.double()`` takes away.

    References
    ----------
    Schütt et al., Quantum-chemical insights from deep tensor neural networks, Nature Communications 8, 13890 (2017).
    Schütt et al., SchNet, J. Chem. Phys. 148, 241722 (2018).
    """
    family, placed_molecule = as_family(model_or_family), placed(molecule)
    if mode not in ("probe", "difference"):
        raise InputError(f"mode {mode!r}; expected 'probe' or 'difference'")
    numbers = require("ase.data", extra="molecules").atomic_numbers
    if not numbers.get(probe):
        raise InputError(f"probe {probe!r} is no element; expected a symbol such as 'H' or 'C'")
    lay = layout(placed_molecule, grid, spacing, margin, max_points)
    points = lay["points"]
    values = np.full(len(points), np.nan)
    distances = distances_to(points, placed_molecule)
    free = np.flatnonzero(distances >= NEAREST)
    if not len(free):
        raise InputError(f"all {len(points)} points lie within {NEAREST} Å of an atom; expected some outside")
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size {batch_size}; expected 1 or more points for each forward pass")
    size = batch_size or max(1, min(1024, _PAIRS // (len(molecule) + 1) ** 2))
    reader = _OneWay(family) if mode == "probe" else _TwoWay(family)
    nearest = free[distances[free].argmin()]
    with evaluation_mode(family.model), torch.no_grad():
        alone = reader.energies([placed_molecule], 0, task)[0].double()
        try:
            reader.energies([_with_atoms(placed_molecule, numbers[probe], points[[nearest]])], 1, task)
        except (InputError, IndexError) as error:
            raise InputError(
                f"the model takes {molecule.name or 'the molecule'}, but no {probe} beside it: {error}"
            ) from error
        if isinstance(reader, _OneWay):
            reader.check(placed_molecule, numbers[probe], points[nearest], task)
        for begin in range(0, len(free), size):
            part = free[begin : begin + size]
            together = [_with_atoms(placed_molecule, numbers[probe], points[[i]]) for i in part]
            values[part] = (reader.energies(together, 1, task).double() - alone).cpu().numpy()
            if progress is not None:
                progress(begin + len(part), len(free))
    return Potential(values=values, unit=family.unit, probe=probe, mode=mode, molecule=molecule, **lay)


def _with_atoms(molecule: Molecule, number: int, points: Points) -> Molecule:
    """Further atoms, of one element, come last."""
    return replace(
        molecule,
        numbers=np.append(molecule.numbers, [number] * len(points)),
        positions=np.concatenate([np.asarray(molecule.positions), points]),
        mol=None,
        labels=None,
    )


class _TwoWay:
    """Energies in which molecule and probe feel each other."""

    def __init__(self, family: Family) -> None:
        self.family = family

    def energies(self, molecules: Sequence[Molecule], probes: int, task: int | str | None) -> Tensor:
        """(B,): of molecules whose last atoms are probes."""
        batch = self.family.collate([self.family.graph(molecule) for molecule in molecules])
        return energies(self.family, batch, batch.tensors, task).detach()


class _OneWay(_TwoWay):
    """Energies in which probes receive messages but send none."""

    def __init__(self, family: Family) -> None:
        super().__init__(family)
        self.probes = 0
        graph = getattr(family.model, "interaction_graph", None)
        self.by_graph = graph is not None
        if graph is not None:
            # A twin on the same parameters, so that the model itself stays as it is.
            twin = copy.copy(family.model)
            twin._modules = {name: module for name, module in twin._modules.items() if name != "interaction_graph"}
            twin.__dict__.update(training=False, interaction_graph=self._passive(graph))
            self.family = copy.copy(family)
            self.family.model = twin

    def energies(self, molecules: Sequence[Molecule], probes: int, task: int | str | None) -> Tensor:
        self.probes = probes
        batch = self.family.collate([self.family.graph(molecule) for molecule in molecules])
        tensors = batch.tensors if self.by_graph or not probes else self._unlisted(batch)
        return energies(self.family, batch, tensors, task).detach()

    def _are_probes(self, sizes: Tensor) -> Tensor:
        """(n,) bool: the last atoms of each molecule."""
        ends = sizes.cumsum(0)
        marks = torch.zeros(int(ends[-1]), dtype=torch.bool, device=sizes.device)
        for place in range(self.probes):
            marks[ends - 1 - place] = True
        return marks

    def _passive(self, graph: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Callable[..., Any]:
        """PyG's ``interaction_graph``: (source, target) pairs and their distances, none from a probe."""

        def interaction_graph(pos: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
            sizes = torch.bincount(batch)
            passive = self._are_probes(sizes)
            # Each probe by itself, since among a limited number of neighbours it may displace an atom, or another.
            parts = [_within(~passive, graph, pos, batch)]
            for place in range(self.probes):
                probe = torch.zeros_like(passive)
                probe[sizes.cumsum(0) - 1 - place] = True
                edges, weights = _within(~passive | probe, graph, pos, batch)
                received = probe[edges[1]]
                parts.append((edges[:, received], weights[received]))
            return torch.cat([edges for edges, _ in parts], 1), torch.cat([weights for _, weights in parts])

        return interaction_graph

    def _unlisted(self, batch: Graphs) -> dict[str, Any]:
        """schnetpack's list of pairs (idx_i receives from idx_j), without those whose neighbour is a probe."""
        neighbours = batch.tensors.get("_idx_j")
        if neighbours is None or any("triples" in name for name in batch.tensors):
            raise ModelError(
                f"{type(self.family.model).__name__} takes no list of pairs from which a probe could be left out; "
                "compute mode='difference' instead"
            )
        kept = ~self._are_probes(batch.sizes.to(neighbours.device))[neighbours]
        names = [name for name in ("_idx_i", "_idx_j", "_offsets", "_Rij") if name in batch.tensors]
        return {**batch.tensors, **{name: batch.tensors[name][kept] for name in names}}

    def check(self, molecule: Molecule, number: int, point: Points, task: int | str | None) -> None:
        """Two probes that neither the molecule nor the other feels have energies that add up."""
        away = point - np.asarray(molecule.positions).mean(0)
        other = point + away / max(np.linalg.norm(away), 1e-9)
        both = _with_atoms(molecule, number, np.stack([point, other]))
        total = self.energies([both], 2, task)[0]
        first, second = self.energies([_with_atoms(molecule, number, p[None]) for p in (point, other)], 1, task)
        alone = self.energies([molecule], 0, task)[0]
        miss = abs(total + alone - first - second)
        # The terms of each energy may be much larger than their sum.
        if miss > 1000 * torch.finfo(total.dtype).eps * torch.stack([total, alone, first, second]).abs().max():
            raise ModelError(
                f"{type(self.family.model).__name__}: the energies of two probes miss their sum by {float(miss):.2g}; "
                "the molecule feels them, or the output is no sum over atoms; compute mode='difference' instead"
            )


def _within(
    atoms: Tensor, graph: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], pos: Tensor, batch: Tensor
) -> tuple[Tensor, Tensor]:
    """The interaction graph of some of the atoms, by their places among all."""
    places = atoms.nonzero()[:, 0]
    edges, weights = graph(pos[places], batch[places])
    return places[edges], weights
