"""Relevance that belongs to a molecule: of the right shape, finite, about atoms that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError

Bonds = Mapping[tuple[int, int], float]
"""Relevance of pairs (i, j) of atoms; (i, i) is what stays on an atom."""
Walk = tuple[tuple[int, ...], float]
Walks = Sequence[tuple[Sequence[int], float]]
"""Atoms in the order of the walk, and the walk's relevance."""


@dataclass(frozen=True)
class Part:
    """A molecule and its relevance, checked.

    Attributes
    ----------
    atoms
        (n,), or None for atoms without colour.
    bonds
        Of pairs (i, j) with i < j.
    walks
        By falling \\|relevance\\|.
    """

    molecule: Molecule
    atoms: NDArray[np.float64] | None
    bonds: dict[tuple[int, int], float]
    walks: list[Walk]
    title: str = ""
    numbers: bool = False

    @property
    def largest(self) -> float:
        """Of all |relevance| that has a colour of the bar."""
        return full_colour(None, [] if self.atoms is None else self.atoms, [*self.bonds.values()])

    @property
    def coloured(self) -> bool:
        """Whether a colour bar says anything about it."""
        return self.atoms is not None or bool(self.bonds)


def checked(
    molecule: Molecule,
    atoms: ArrayLike | None,
    bonds: Bonds | None,
    walks: Walks | None = None,
    *,
    title: str = "",
    numbers: bool = False,
) -> Part:
    """What :func:`draw` was given, as it is drawn."""
    pairs = {} if bonds is None else bond_values(molecule, bonds)
    values = None if atoms is None else atom_values(molecule, atoms)
    own = {i: value for (i, j), value in pairs.items() if i == j}
    if values is None and own:
        values = np.array([own.get(i, 0.0) for i in range(len(molecule))])
    between = {pair: value for pair, value in pairs.items() if pair[0] != pair[1]}
    return Part(molecule, values, between, walk_values(molecule, walks or []), title, numbers)


def atom_values(molecule: Molecule, atoms: ArrayLike) -> NDArray[np.float64]:
    """(n,) float64.

    Raises
    ------
    InputError
        Another shape, or a number that is not finite.
    """
    values = np.asarray(atoms.detach().cpu() if hasattr(atoms, "detach") else atoms, dtype=np.float64)
    if values.shape != (len(molecule),):
        raise InputError(
            f"atoms of shape {values.shape} for {_name(molecule)} with {len(molecule)} atoms; "
            f"expected ({len(molecule)},): one number per atom, in the molecule's order"
        )
    return _finite(values, "atoms", molecule)


def bond_values(molecule: Molecule, bonds: Bonds) -> dict[tuple[int, int], float]:
    """Relevance by (i, j) with i ≤ j, in ascending order; (i, j) and (j, i) add up.

    Raises
    ------
    InputError
        An atom that is not there, or a number that is not finite.
    """
    made: dict[tuple[int, int], float] = {}
    for pair, value in bonds.items():
        i, j = sorted(_atoms(pair, "bonds", molecule))
        made[i, j] = made.get((i, j), 0.0) + float(value)
    _finite(np.array([*made.values()]), "bonds", molecule)
    return dict(sorted(made.items()))


def walk_values(molecule: Molecule, walks: Walks) -> list[Walk]:
    """Walks by falling \\|relevance\\|.

    Raises
    ------
    InputError
        An empty walk, an atom that is not there, or a number that is not finite.
    """
    made = [(_atoms(atoms, "walks", molecule), float(value)) for atoms, value in walks]
    _finite(np.array([value for _, value in made]), "walks", molecule)
    return sorted(made, key=lambda walk: -abs(walk[1]))


def full_colour(limit: float | None, *values: ArrayLike) -> float:
    """The number that gets the full colour: ``limit``, or the largest \\|value\\|; 1 where all are zero.

    Raises
    ------
    InputError
        A limit that is not above zero.
    """
    if limit is None:
        largest = max((float(np.abs(part).max()) for part in map(np.asarray, values) if part.size), default=0.0)
        return largest or 1.0
    if not 0 < limit < np.inf:
        raise InputError(f"limit={limit}; expected a finite number above 0, or None for the largest |relevance|")
    return float(limit)


def _atoms(atoms: Sequence[int], what: str, molecule: Molecule) -> tuple[int, ...]:
    made = tuple(int(i) for i in atoms)
    if not made or not all(0 <= i < len(molecule) for i in made):
        raise InputError(
            f"{what} with {made} in {_name(molecule)} of {len(molecule)} atoms; "
            f"expected atoms from 0 to {len(molecule) - 1}"
        )
    return made


def _finite(values: NDArray[np.float64], what: str, molecule: Molecule) -> NDArray[np.float64]:
    if not np.isfinite(values).all():
        place = int(np.argmin(np.isfinite(values)))
        raise InputError(f"{what} of {_name(molecule)}: number {place} is {values[place]}; expected finite relevance")
    return values


def _name(molecule: Molecule) -> str:
    return repr(molecule.name) if molecule.name else "a molecule"
