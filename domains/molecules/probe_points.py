"""Where a probe atom is put around a molecule."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexplain.domains.molecules.isosurface import bounded, isosurface
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError

Points = NDArray[np.float64]

NEAREST = 0.5
"""In Å: closer to an atom no energy is computed, since no model has seen atoms there."""


def layout(
    molecule: Molecule, grid: float | str | ArrayLike, spacing: float, margin: float, max_points: int
) -> dict[str, Any]:
    """The points, and how they lie, as the fields of :class:`Potential` have it."""
    positions = np.asarray(molecule.positions)
    if isinstance(grid, str):
        if grid != "surface":
            raise InputError(f"grid {grid!r}; expected 'surface', a spacing in Å or points (m, 3)")
        if any(molecule.periodic):
            raise InputError("a crystal has no surface of its own; give grid=0.3 (Å) or so, or points (m, 3)")
        points, faces = isosurface(positions, spacing=_positive(spacing, "spacing"), max_points=max_points)
        return {"points": points, "faces": faces}
    given = np.asarray(grid, dtype=np.float64)
    if given.ndim:
        if given.ndim != 2 or given.shape[1] != 3 or not len(given) or not np.isfinite(given).all():
            raise InputError(f"grid of shape {given.shape}; expected 'surface', a spacing in Å or finite points (m, 3)")
        bounded(len(given), max_points, "give fewer")
        return {"points": given}
    step = _positive(float(given), "grid")
    if all(molecule.periodic):
        cell = np.asarray(molecule.cell, dtype=np.float64)
        counts = np.maximum(np.ceil(np.linalg.norm(cell, axis=1) / step), 1)
        origin, steps = np.zeros(3), cell / counts[:, None]
    else:
        low, high = positions.min(0) - margin, positions.max(0) + margin
        counts = np.ceil((high - low) / step) + 1
        origin, steps = (low + high) / 2 - (counts - 1) / 2 * step, np.eye(3) * step
    if (counts < 1).any():
        raise InputError(f"margin {margin} Å leaves no room for a grid; expected it to reach beyond the atoms")
    bounded(counts.prod(), max_points, "take a coarser grid")
    shape = tuple(int(count) for count in counts)
    points = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3) @ steps + origin
    return {"points": points, "shape": shape, "origin": origin, "steps": steps}


def _positive(value: float, name: str) -> float:
    if not np.isfinite(value) or value <= 0:
        raise InputError(f"{name} {value}; expected a distance in Å above 0")
    return value


def distances_to(points: Points, molecule: Molecule) -> NDArray[np.float64]:
    """(m,): from each point to the nearest atom, in Å, counting the next images of a crystal's."""
    atoms = np.asarray(molecule.positions)
    if molecule.cell is not None and any(molecule.periodic):
        reach = [(-1, 0, 1) if repeats else (0,) for repeats in molecule.periodic]
        images = np.stack(np.meshgrid(*reach, indexing="ij"), -1).reshape(-1, 3) @ molecule.cell
        atoms = (atoms[:, None] + images).reshape(-1, 3)
    nearest = np.full(len(points), np.inf)
    for atom in atoms:
        np.minimum(nearest, ((points - atom) ** 2).sum(-1), out=nearest)
    return np.sqrt(nearest)
