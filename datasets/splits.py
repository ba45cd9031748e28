"""Divisions of molecules into training, validation and test parts, the same on every machine."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require

if TYPE_CHECKING:
    from sciexplain.domains.molecules.molecule import Molecule

Parts = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Indices for training, validation and test; disjoint."""


def random_split(
    count: int, *, seed: int = 0, shares: tuple[float, float] = (0.8, 0.1), groups: Sequence[Hashable] | None = None
) -> Parts:
    """Divide at random.

    Parameters
    ----------
    count
        How many there are.
    seed
        Of the random order.
    shares
        For training and for validation; the rest is for the test.
    groups
        What belongs together, such as the same molecule measured twice, goes into one part.

    Examples
    --------
    >>> [len(part) for part in random_split(20)]
    [16, 2, 2]
    """
    members: dict[Hashable, list[int]] = {}
    for i in range(count):
        members.setdefault(i if groups is None else groups[i], []).append(i)
    together = list(members.values())
    order = np.random.default_rng(seed).permutation(len(together))
    return _fill([together[i] for i in order], count, shares)


def scaffold_split(molecules: Sequence[Molecule], *, shares: tuple[float, float] = (0.8, 0.1)) -> Parts:
    """Divide so that no ring system of the test part was trained on.

    Molecules of one Bemis–Murcko scaffold stay together; the largest groups are for training, of equally large ones the
    last, as MoleculeNet does.

    References
    ----------
    G. W. Bemis and M. A. Murcko, J. Med. Chem. 39, 2887 (1996); Z. Wu et al., Chem. Sci. 9, 513 (2018).
    """
    scaffolds: Any = require("rdkit.Chem.Scaffolds.MurckoScaffold", extra="molecules")
    members: dict[str, list[int]] = {}
    for i, molecule in enumerate(molecules):
        members.setdefault(scaffolds.MurckoScaffoldSmiles(mol=molecule.mol), []).append(i)
    order = sorted(members.values(), key=lambda group: (-len(group), -group[0]))
    return _fill(order, len(molecules), shares)


def hold_out(indices: NDArray[np.int64], share: float, *, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What is left of some indices, and a share of them drawn at random, both sorted."""
    order = np.random.default_rng(seed).permutation(indices)
    count = round(share * len(indices))
    return np.sort(order[count:]), np.sort(order[:count])


def canonical(molecules: Sequence[Molecule]) -> list[str]:
    """Canonical SMILES, for ``groups``: the same for the same molecule."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    return [chem.MolToSmiles(molecule.mol) for molecule in molecules]


def _fill(groups: list[list[int]], count: int, shares: tuple[float, float]) -> Parts:
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    limits = (shares[0] * count, shares[1] * count)
    for group in groups:
        fits = [len(part) + len(group) <= limit + 1e-9 for part, limit in zip(parts, limits, strict=False)]
        parts[fits.index(True) if True in fits else 2].extend(group)
    train, valid, test = (np.array(sorted(part), np.int64) for part in parts)
    return train, valid, test
