"""What a molecule lacks for a model: explicit hydrogens, a geometry, bonds."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.domains.molecules.convert import check_positions
from sciexplain.domains.molecules.limits import EMBEDDING_SECONDS, MOST_ATOMS_EMBEDDED
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.rdkit_log import one_line, quiet, rdkit_log
from sciexplain.errors import DataError, InputError

_STEPS = 2_000
"""At most, of the force field's minimizer."""
_GAP = 3.0
"""Å, between the molecules of a salt before it is relaxed."""


def with_hydrogens(molecule: Molecule) -> Molecule:
    """The molecule with all hydrogens as atoms, after those it has; where it has a geometry, at standard places.

    Raises
    ------
    InputError
        Without bonds nobody knows what is missing.

    Examples
    --------
    >>> from sciexplain.domains.molecules.read import read_one
    >>> with_hydrogens(read_one("CO")).numbers
    array([6, 8, 1, 1, 1, 1])
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    mol = with_conformer(molecule)
    full = chem.AddHs(mol, addCoords=molecule.positions is not None)
    return _of_mol(molecule, full, _positions(full) if molecule.positions is not None else None)


def embed(molecule: Molecule, seed: int = 0) -> Molecule:
    """A geometry for a molecule without one: ETKDGv3, relaxed in MMFF94, or in UFF where MMFF94 lacks parameters.

    The relaxation ends at a local minimum, or after 2000 steps. Molecules of a salt are put side by side and relaxed
    together. Hydrogens become atoms, after those that the molecule has. A molecule with a geometry is given back as
    it is. The search for a geometry ends after a minute, and so does a second one from other distances.

    Parameters
    ----------
    molecule
        With bonds.
    seed
        Of the random distances; 0 or more.

    Raises
    ------
    InputError
        No bonds, more than 500 atoms, no geometry that fits the bonds, or no force field for these atoms.

    References
    ----------
    ETKDGv3: S. Wang, J. Witek, G. A. Landrum, S. Riniker, J. Chem. Inf. Model. 60, 2044 (2020).
    MMFF94: T. A. Halgren, J. Comput. Chem. 17, 490 (1996).
    UFF: A. K. Rappé et al., J. Am. Chem. Soc. 114, 10024 (1992).

    Examples
    --------
    >>> from sciexplain.domains.molecules.read import read_one
    >>> embed(read_one("O")).positions.shape
    (3, 3)
    """
    if molecule.positions is not None:
        return molecule
    if seed < 0:
        raise InputError(f"seed={seed}: expected 0 or more, so that the geometry can be had again")
    chem: Any = require("rdkit.Chem", extra="molecules")
    mol = chem.AddHs(mol_of(molecule))
    if mol.GetNumAtoms() > MOST_ATOMS_EMBEDDED:
        raise InputError(
            f"{_title(molecule)} has {mol.GetNumAtoms()} atoms with its hydrogens; a geometry is made for at most "
            f"{MOST_ATOMS_EMBEDDED}: give one, as SDF or XYZ"
        )
    _find_geometry(molecule, mol, seed)
    _relax(molecule, mol)
    positions = _positions(mol)
    try:
        check_positions(positions)
    except DataError as error:
        raise InputError(f"{_title(molecule)}: the geometry that RDKit makes is none ({error}); give one") from error
    return _of_mol(molecule, mol, positions)


def _find_geometry(molecule: Molecule, mol: Any, seed: int) -> None:
    geometry: Any = require("rdkit.Chem.rdDistGeom", extra="molecules")
    parameters = geometry.ETKDGv3()
    parameters.randomSeed = seed
    if hasattr(parameters, "timeout"):  # from RDKit 2024.09 on
        parameters.timeout = EMBEDDING_SECONDS
    begun = time.monotonic()
    with quiet:
        failed = geometry.EmbedMolecule(mol, parameters) == -1
        if failed:
            parameters.useRandomCoords = True
            failed = geometry.EmbedMolecule(mol, parameters) == -1
    if failed:
        slow = time.monotonic() - begun > EMBEDDING_SECONDS
        why = f"within {EMBEDDING_SECONDS} s" if slow else "(distances that do not fit together)"
        raise InputError(f"{_title(molecule)}: ETKDGv3 finds no geometry {why}; give one, as SDF or XYZ")
    _spread(mol)


def _relax(molecule: Molecule, mol: Any) -> None:
    fields: Any = require("rdkit.Chem.rdForceFieldHelpers", extra="molecules")
    with rdkit_log() as reason:
        known_to_mmff = fields.MMFFHasAllMoleculeParams(mol)
        known = known_to_mmff or fields.UFFHasAllMoleculeParams(mol)
        why = reason()
    with quiet:
        if known_to_mmff:
            fields.MMFFOptimizeMolecule(mol, maxIters=_STEPS, ignoreInterfragInteractions=False)
        elif known:
            fields.UFFOptimizeMolecule(mol, maxIters=_STEPS, ignoreInterfragInteractions=False)
        elif mol.GetNumAtoms() > 1:
            raise InputError(
                f"{_title(molecule)}: neither MMFF94 nor UFF knows all its atoms ({why}); give a geometry, as SDF or "
                "XYZ"
            )


def perceive_bonds(molecule: Molecule) -> Molecule:
    """Bonds, bond orders and formal charges from positions, all hydrogens and the total charge.

    A molecule with bonds is given back as it is.

    Raises
    ------
    InputError
        No positions, a periodic system, or no bond orders that fit the charge (a hydrogen is missing; a radical).

    References
    ----------
    Y. Kim, W. Y. Kim, Bull. Korean Chem. Soc. 36, 1769 (2015), as RDKit's rdDetermineBonds has it.
    """
    if molecule.mol is not None:
        return molecule
    bonds: Any = require("rdkit.Chem.rdDetermineBonds", extra="molecules")
    mol = bare_mol(molecule)
    with rdkit_log() as reason:
        try:
            bonds.DetermineBonds(mol, charge=molecule.charge)
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"{_title(molecule)}: no bonds fit these positions and the charge {molecule.charge} "
                f"({one_line(str(error)) or reason()}); give the charge, or the bonds as SDF"
            ) from error
    return replace(molecule, mol=mol)


def mol_of(molecule: Molecule) -> Any:
    """The RDKit molecule.

    Raises
    ------
    InputError
        There is none.
    """
    if molecule.mol is None:
        raise InputError(f"{_title(molecule)} has positions but no bonds; perceive_bonds(molecule) finds them")
    return molecule.mol


def bare_mol(molecule: Molecule) -> Any:
    """The atoms and positions as RDKit's molecule, without bonds.

    Raises
    ------
    InputError
        No positions, or a periodic system, whose bonds may cross the cell's faces.
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    if molecule.positions is None:
        raise InputError(f"{_title(molecule)} has neither bonds nor positions; read it from SMILES, SDF or XYZ")
    if any(molecule.periodic):
        raise InputError(f"{_title(molecule)} is periodic; bonds are only found for molecules in vacuum")
    mol = chem.RWMol()
    for number in molecule.numbers:
        atom = chem.Atom(int(number))
        atom.SetNoImplicit(True)
        mol.AddAtom(atom)
    _place(mol, molecule.positions)
    return mol


def with_conformer(molecule: Molecule) -> Any:
    """The RDKit molecule, as a copy with ``positions``, where there are any, for its only conformer."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    mol = chem.Mol(mol_of(molecule))
    if molecule.positions is not None:
        _place(mol, molecule.positions)
    return mol


def _place(mol: Any, positions: NDArray[np.float64]) -> None:
    chem: Any = require("rdkit.Chem", extra="molecules")
    conformer = chem.Conformer(len(positions))
    conformer.Set3D(True)
    conformer.SetPositions(np.ascontiguousarray(positions, np.float64))
    mol.RemoveAllConformers()
    mol.AddConformer(conformer, assignId=True)


def _spread(mol: Any) -> None:
    """Put the molecules of a salt side by side along x; RDKit embeds each at the origin."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    parts = [list(atoms) for atoms in chem.GetMolFrags(mol)]
    if len(parts) == 1:
        return
    positions, edge = _positions(mol), 0.0
    for atoms in parts:
        x = positions[atoms, 0]
        positions[atoms, 0] += edge - x.min()
        edge += np.ptp(x) + _GAP
    _place(mol, positions)


def _positions(mol: Any) -> NDArray[np.float64]:
    return np.array(mol.GetConformer().GetPositions(), np.float64)


def _of_mol(molecule: Molecule, mol: Any, positions: NDArray[np.float64] | None) -> Molecule:
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], np.int64)
    return replace(molecule, numbers=numbers, mol=mol, positions=positions)


def _title(molecule: Molecule) -> str:
    return " ".join(filter(None, (molecule.source, repr(molecule.name) if molecule.name else ""))) or "The molecule"
