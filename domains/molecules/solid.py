"""A geometry to look at: the molecule's own, or one that is made, in bounded time, where it has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import mol_of
from sciexplain.domains.molecules.rdkit_log import rdkit_log
from sciexplain.domains.molecules.view3d import geometry
from sciexplain.errors import InputError

_STEPS = 200
_GAP = 3.0
_SEED = 0
_LARGE = 150
"""From so many atoms on, ETKDGv3 mostly fails unless it starts from random coordinates."""


@dataclass(frozen=True)
class Solid:
    """Places of atoms in space.

    Attributes
    ----------
    positions
        (m, 3), in Å: the molecule's n atoms in their order, then hydrogens that were added.
    hydrogens
        (m − n,): the atom that each of these is bonded to.
    made
        How the geometry was made; empty where it is the molecule's own.
    """

    positions: NDArray[np.float64]
    hydrogens: tuple[int, ...] = ()
    made: str = ""


def solid(molecule: Molecule, seconds: int = 5) -> Solid:
    """The molecule's own geometry, or one by ETKDGv3, relaxed by up to 200 steps of MMFF94 or UFF.

    To be looked at, not to be computed with: :func:`sciexplain.domains.molecules.embed` relaxes for longer. The
    molecules of a salt stand side by side.

    Parameters
    ----------
    molecule
        With positions or bonds.
    seconds
        After which a molecule is given up.

    Raises
    ------
    InputError
        Nothing to make a geometry from, or none was found in time.

    Examples
    --------
    >>> from sciexplain.domains.molecules.read import read_one
    >>> made = solid(read_one("C"))
    >>> made.positions.shape, made.hydrogens, made.made[:7]
    ((5, 3), (0, 0, 0, 0), 'ETKDGv3')
    """
    try:
        return Solid(geometry(molecule))
    except InputError:
        mol = mol_of(molecule)
    chem: Any = require("rdkit.Chem", extra="molecules")
    with rdkit_log():
        full = chem.AddHs(mol)
        places: list[tuple[int, ...]] = []
        parts = chem.GetMolFrags(full, asMols=True, frags=None, fragsMolAtomMapping=places)
        positions, edge, fields = np.zeros((full.GetNumAtoms(), 3)), 0.0, set()
        for part, atoms in zip(parts, places, strict=True):
            shape, field = _embedded(part, seconds)
            shape = shape - [shape[:, 0].min() - edge, *shape[:, 1:].mean(0)]
            positions[list(atoms)] = shape
            edge = float(shape[:, 0].max()) + _GAP
            fields.add(field)
    n = len(molecule)
    added = tuple(full.GetAtomWithIdx(i).GetNeighbors()[0].GetIdx() for i in range(n, full.GetNumAtoms()))
    relaxed = ", ".join(sorted(fields - {""}))
    made = f"ETKDGv3 of RDKit, seed {_SEED}" + (f", relaxed in {relaxed}" if relaxed else "")
    return Solid(positions - positions.mean(0), added, made)


def page_solid(molecule: Molecule, seconds: int = 5) -> dict[str, Any]:
    """:func:`solid` for a page, as JSON values.

    Returns
    -------
    dict
        ``positions``: x, y and z of every atom, one after the other, in thousandths of an Å, turned so that the
        molecule is widest across and shallowest in depth. ``hydrogens`` and ``made``: as :class:`Solid` has them.
        ``radii``: of balls, in Å, by element.
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    table = chem.GetPeriodicTable()
    found = solid(molecule, seconds)
    radii = {table.GetElementSymbol(z): table.GetRcovalent(z) for z in {1, *molecule.numbers.tolist()}}
    return {
        "positions": np.rint(_turned(found.positions) * 1000).astype(int).ravel().tolist(),
        "hydrogens": list(found.hydrogens),
        "made": found.made,
        "radii": {symbol: round(0.2 + 0.25 * radius, 3) for symbol, radius in radii.items()},
    }


def _turned(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """About the middle, along the principal axes; never mirrored."""
    centred = positions - positions.mean(0)
    axes = np.linalg.svd(centred, full_matrices=True)[2] if len(centred) > 1 else np.eye(3)
    axes[2] *= np.sign(np.linalg.det(axes))
    return centred @ axes.T


def _embedded(mol: Any, seconds: int) -> tuple[NDArray[np.float64], str]:
    """Positions of one connected molecule, and the force field that relaxed them."""
    distances: Any = require("rdkit.Chem.rdDistGeom", extra="molecules")
    fields: Any = require("rdkit.Chem.rdForceFieldHelpers", extra="molecules")
    parameters = distances.ETKDGv3()
    parameters.randomSeed = _SEED
    parameters.useRandomCoords = mol.GetNumAtoms() > _LARGE
    if hasattr(parameters, "timeout"):  # RDKit from 2024.09 on
        parameters.timeout = seconds
    failed = distances.EmbedMolecule(mol, parameters) == -1
    if failed and not parameters.useRandomCoords:
        parameters.useRandomCoords = True
        failed = distances.EmbedMolecule(mol, parameters) == -1
    if failed:
        raise InputError(f"ETKDGv3 finds no geometry within {seconds} s; give one, as SDF")
    field = ""
    if mol.GetNumAtoms() > 1 and fields.MMFFHasAllMoleculeParams(mol):
        fields.MMFFOptimizeMolecule(mol, maxIters=_STEPS)
        field = "MMFF94"
    elif mol.GetNumAtoms() > 1 and fields.UFFHasAllMoleculeParams(mol):
        fields.UFFOptimizeMolecule(mol, maxIters=_STEPS)
        field = "UFF"
    return np.array(mol.GetConformer().GetPositions(), np.float64), field
