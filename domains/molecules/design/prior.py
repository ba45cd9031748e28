r"""How usual a molecule's atoms are, learned by counting: a density that keeps a search near the data.

An atom's environment of radius r is all atoms within r bonds and the bonds between them (Morgan, ECFP). Growing it from
the atom itself outwards is a path :math:`e_0, e_1, …, e_R` in a tree of environments, whose branches are counted in
reference molecules. The probability of an atom's path is that of its steps,

.. math:: P(e_r | e_{r-1}) = \frac{c(e_r)}{c(e_{r-1}) + T(e_{r-1})} \text{ if seen, else }
          \frac{T(e_{r-1})}{c(e_{r-1}) + T(e_{r-1})} \cdot \frac{1}{V_r},

with :math:`c` the count of an environment and :math:`T` the number of different ones it grows into: new ones come as
often as they came before (Witten-Bell smoothing). Which new one it is, is open: as many are taken to be unseen as the
:math:`V_r` that were seen, each as likely. A path ends at its first new environment.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.domains.molecules.design.question import plain, starting
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError

Path = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Prior:
    """Counts of atom environments in reference molecules.

    Attributes
    ----------
    counts
        How many atoms have a path of environments, radius 0 outwards; the empty path is all atoms.
    grown
        Of each path, how many different ones continue it.
    kinds
        (radius + 1,): how many different environments of each radius there are.
    radius
        Of the largest environments, in bonds.
    floor
        The log-density that all but a share of the reference molecules reach, each with its own atoms left out of
        the counts.
    typical
        That share.
    molecules
        How many were counted.

    References
    ----------
    Environments: D. Rogers, M. Hahn, J. Chem. Inf. Model. 50, 742 (2010). Smoothing: I. H. Witten, T. C. Bell,
    IEEE Trans. Inf. Theory 37, 1085 (1991), method C.
    """

    counts: Mapping[Path, int]
    grown: Mapping[Path, int]
    kinds: tuple[int, ...]
    radius: int
    floor: float
    typical: float
    molecules: int

    def atoms(self, mol: Any) -> NDArray[np.float64]:
        """(n,): log-probability of each atom's environments, in nats; at most 0.

        Parameters
        ----------
        mol
            An RDKit molecule, or a :class:`~sciexplain.domains.molecules.Molecule` with bonds; hydrogens implicit.
        """
        own = mol.mol if isinstance(mol, Molecule) else mol
        return np.array([self._log(path) for path in _paths(own, self.radius)], np.float64)

    def log_density(self, mol: Any) -> float:
        """Mean of :meth:`atoms`, in nats per atom; to be compared with :attr:`floor`."""
        return float(self.atoms(mol).mean())

    def _log(self, path: Path) -> float:
        total = 0.0
        for end in range(1, len(path) + 1):
            seen = self.counts.get(path[:end], 0)
            before = path[: end - 1]
            grown = self.grown[before]
            total += math.log((seen or grown) / (self.counts[before] + grown))
            if not seen:
                return total - math.log(self.kinds[end - 1])
        return total


def learn(reference: Sequence[Any], *, radius: int = 1, typical: float = 0.05) -> Prior:
    """Count the atom environments of reference molecules.

    Parameters
    ----------
    reference
        RDKit molecules, or :class:`~sciexplain.domains.molecules.Molecule` with bonds, hydrogens implicit; two or
        more.
    radius
        In bonds, 0 or more.
    typical
        What share of real molecules the floor may shut out, 0 to 1.

    Raises
    ------
    InputError
        Too few molecules, or a number out of range.

    Examples
    --------
    >>> from rdkit import Chem
    >>> prior = learn([Chem.MolFromSmiles(s) for s in ("CCO", "CCCO", "CCCCO", "CCN")])
    >>> usual, strange = (prior.log_density(Chem.MolFromSmiles(s)) for s in ("CCCCCO", "FC#CBr"))
    >>> usual > prior.floor > strange
    True
    """
    if radius < 0 or not 0 <= typical <= 1:
        raise InputError(f"radius={radius}, typical={typical}; expected 0 or more bonds and a share from 0 to 1")
    mols = [entry.mol if isinstance(entry, Molecule) else entry for entry in reference]
    if len(mols) < 2:
        raise InputError(f"a prior of {len(mols)} molecules; expected two or more, better hundreds")
    paths = [_paths(mol, radius) for mol in mols]
    owned = [_counted(own) for own in paths]
    counts: Counter[Path] = Counter()
    for own in owned:
        counts.update(own)
    grown, kinds = _grown(counts), _kinds(counts, radius)
    densities = []
    for own, listed in zip(owned, paths, strict=True):
        rest = _Without(counts, own)
        if rest[()]:
            lost = [path for path, count in own.items() if count == counts[path]]
            left = tuple(n - m for n, m in zip(kinds, _kinds(lost, radius), strict=True))
            others = Prior(rest, _Without(grown, _grown(lost)), left, radius, -math.inf, typical, len(mols) - 1)
            densities.append(float(np.mean([others._log(path) for path in listed])))
    floor = float(np.quantile(densities, typical)) if densities else -math.inf
    return Prior(counts, grown, kinds, radius, floor, typical, len(mols))


def learn_prior(reference: Any) -> Prior:
    """A prior of molecules as :func:`sciexplain.domains.molecules.read` takes them.

    Raises
    ------
    InputError
        Fewer than two.
    """
    return learn([pair[0] for pair in plain(starting(reference)[0]) if pair is not None])


class _Without(Mapping[Path, int]):
    """Counts less some of them, without a copy of all."""

    def __init__(self, counts: Mapping[Path, int], less: Mapping[Path, int]) -> None:
        self.counts, self.less = counts, less

    def __getitem__(self, path: Path) -> int:
        return self.counts[path] - self.less.get(path, 0)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.counts)

    def __len__(self) -> int:
        return len(self.counts)


def _paths(mol: Any, radius: int) -> list[Path]:
    """Of each atom its environments from radius 0 on; 0 where the molecule has ended."""
    library: Any = require("rdkit.Chem.rdFingerprintGenerator", extra="molecules")
    kept = library.AdditionalOutput()
    kept.AllocateAtomToBits()
    _generator(radius).GetSparseCountFingerprint(mol, additionalOutput=kept)
    return [(*path, *[0] * (radius + 1 - len(path))) for path in kept.GetAtomToBits()]


def _counted(paths: Iterable[Path]) -> Counter[Path]:
    return Counter(path[:end] for path in paths for end in range(len(path) + 1))


def _grown(paths: Iterable[Path]) -> Counter[Path]:
    return Counter(path[:-1] for path in paths if path)


def _kinds(paths: Iterable[Path], radius: int) -> tuple[int, ...]:
    sizes = Counter(len(path) for path in paths)
    return tuple(sizes[r + 1] for r in range(radius + 1))


@lru_cache(maxsize=8)
def _generator(radius: int) -> Any:
    library: Any = require("rdkit.Chem.rdFingerprintGenerator", extra="molecules")
    return library.GetMorganGenerator(radius=radius, includeRedundantEnvironments=True)
