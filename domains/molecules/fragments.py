"""Parts of a molecule that chemists have names for: BRICS, scaffolds, rings, functional groups, SMARTS."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sciexplain._optional import require
from sciexplain.domains.molecules.indices import owners, without_hydrogens
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import mol_of
from sciexplain.domains.molecules.rdkit_log import rdkit_log
from sciexplain.errors import InputError

Kind = Literal["brics", "murcko", "rings", "functional_groups"]


@dataclass(frozen=True)
class Fragment:
    """A part of a molecule.

    Attributes
    ----------
    name
        What kind of part it is, such as ``"scaffold"`` or ``"fr_ester"``; for BRICS its SMILES.
    smiles
        Of the part alone, hydrogens implicit; ``*`` stands where a partition cuts a bond.
    atoms
        Indices in the molecule.
    """

    name: str
    smiles: str
    atoms: frozenset[int]


def fragments(molecule: Molecule, kind: Kind | Sequence[str] | Mapping[str, str]) -> list[Fragment]:
    """Divide a molecule into parts, or find parts in it.

    Parameters
    ----------
    molecule
        With bonds.
    kind
        Partitions, in which every atom is in just one part, an explicit hydrogen in that of its heavy neighbour:

        - ``"brics"``: what is left when the bonds are cut that BRICS cuts;
        - ``"murcko"``: the ``"scaffold"`` (rings, what links them, and what is doubly bonded to these, as RDKit has
          it) and each ``"side chain"``; a molecule of a salt without rings is ``"acyclic"``;
        - ``"rings"``: each ``"ring system"`` (rings that share an atom are one) and each ``"chain"`` between them.

        Searches, whose parts may overlap and leave atoms out:

        - ``"functional_groups"``: those of RDKit's ``Chem.Fragments``, under its names (``"fr_ester"``), atoms without
          hydrogens;
        - SMARTS strings, or a mapping from names to SMARTS: explicit hydrogens only where the SMARTS has them.

    Returns
    -------
    list of Fragment
        Partitions by first atom; searches by pattern, then match.

    Raises
    ------
    InputError
        No bonds, an unknown kind, or a SMARTS that cannot be read.

    References
    ----------
    BRICS: J. Degen, C. Wegscheid-Gerlach, A. Zaliani, M. Rarey, ChemMedChem 3, 1503 (2008).
    Scaffolds: G. W. Bemis, M. A. Murcko, J. Med. Chem. 39, 2887 (1996).

    Examples
    --------
    >>> from sciexplain.domains.molecules.read import read_one
    >>> toluene = read_one("Cc1ccccc1")
    >>> [(part.name, part.smiles, sorted(part.atoms)) for part in fragments(toluene, "murcko")]
    [('side chain', '*C', [0]), ('scaffold', '*c1ccccc1', [1, 2, 3, 4, 5, 6])]
    >>> [sorted(part.atoms) for part in fragments(toluene, {"methyl": "[CH3]"})]
    [[0]]
    """
    if kind == "functional_groups":
        mol, indices = without_hydrogens(molecule)
        return _matches(mol, _groups(), indices.tolist())
    if isinstance(kind, str):
        if kind not in _PARTITIONS:
            raise InputError(
                f"kind={kind!r}: expected {', '.join(map(repr, (*_PARTITIONS, 'functional_groups')))}, or SMARTS in a "
                f"list: [{kind!r}]"
            )
        return _partition(molecule, _PARTITIONS[kind])
    named = kind if isinstance(kind, Mapping) else {smarts: smarts for smarts in kind}
    mol = mol_of(molecule)
    return _matches(mol, {name: _pattern(name, smarts) for name, smarts in named.items()}, list(range(len(molecule))))


def _partition(molecule: Molecule, divide: Callable[[Any], tuple[list[int], Callable[[Any], str]]]) -> list[Fragment]:
    chem: Any = require("rdkit.Chem", extra="molecules")
    mol, indices = without_hydrogens(molecule)
    cuts, name = divide(mol)
    cut = chem.FragmentOnBonds(mol, cuts, dummyLabels=[(0, 0)] * len(cuts)) if cuts else mol
    places: list[tuple[int, ...]] = []
    parts = chem.GetMolFrags(cut, asMols=True, sanitizeFrags=False, fragsMolAtomMapping=places)
    part_of = np.full(len(molecule), -1)
    for number, atoms in enumerate(places):
        part_of[indices[[i for i in atoms if i < len(indices)]]] = number
    part_of = part_of[owners(molecule)]
    found = []
    for number, (part, atoms) in enumerate(zip(parts, places, strict=True)):
        whole = frozenset(np.flatnonzero(part_of == number).tolist())
        # A hydrogen that RDKit keeps, such as deuterium, may have been alone; it is with its neighbour now.
        if whole:
            smiles = chem.MolToSmiles(part)
            found.append(Fragment(name([i for i in atoms if i < len(indices)]) or smiles, smiles, whole))
    return sorted(found, key=lambda fragment: min(fragment.atoms))


def _brics(mol: Any) -> tuple[list[int], Callable[[Any], str]]:
    brics: Any = require("rdkit.Chem.BRICS", extra="molecules")
    cuts = {mol.GetBondBetweenAtoms(*atoms).GetIdx() for atoms, _ in brics.FindBRICSBonds(mol)}
    return sorted(cuts), lambda atoms: ""


def _murcko(mol: Any) -> tuple[list[int], Callable[[Any], str]]:
    chem: Any = require("rdkit.Chem", extra="molecules")
    murcko: Any = require("rdkit.Chem.Scaffolds.MurckoScaffold", extra="molecules")
    tagged = chem.Mol(mol)
    for atom in tagged.GetAtoms():
        atom.SetIntProp("_place", atom.GetIdx())
    core = {atom.GetIntProp("_place") for atom in murcko.GetScaffoldForMol(tagged).GetAtoms()}
    with_core = {i for atoms in chem.GetMolFrags(mol) if core.intersection(atoms) for i in atoms}

    def name(atoms: list[int]) -> str:
        return "scaffold" if atoms[0] in core else "side chain" if atoms[0] in with_core else "acyclic"

    return _between(mol, core), name


def _rings(mol: Any) -> tuple[list[int], Callable[[Any], str]]:
    in_ring = {i for ring in mol.GetRingInfo().AtomRings() for i in ring}
    # A bond between two rings that share no atom is in no ring itself.
    links = [
        bond.GetIdx()
        for bond in mol.GetBonds()
        if not bond.IsInRing() and {bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()} <= in_ring
    ]
    return sorted({*links, *_between(mol, in_ring)}), lambda atoms: "ring system" if atoms[0] in in_ring else "chain"


_PARTITIONS: dict[str, Callable[[Any], tuple[list[int], Callable[[Any], str]]]] = {
    "brics": _brics,
    "murcko": _murcko,
    "rings": _rings,
}
"""From a molecule without hydrogens to the bonds to cut and the name of a part; empty for its SMILES."""


def _between(mol: Any, core: set[int]) -> list[int]:
    """Bonds with one end in the core."""
    return [
        bond.GetIdx() for bond in mol.GetBonds() if (bond.GetBeginAtomIdx() in core) != (bond.GetEndAtomIdx() in core)
    ]


def _matches(mol: Any, patterns: Mapping[str, Any], indices: list[int]) -> list[Fragment]:
    chem: Any = require("rdkit.Chem", extra="molecules")
    found = []
    for name, pattern in patterns.items():
        # RDKit stops at 1000 unless told otherwise.
        for atoms in mol.GetSubstructMatches(pattern, maxMatches=2**31 - 1):
            smiles = chem.MolFragmentToSmiles(mol, atomsToUse=sorted(atoms))
            found.append(Fragment(name, smiles, frozenset(indices[i] for i in atoms)))
    return found


def _pattern(name: str, smarts: str) -> Any:
    chem: Any = require("rdkit.Chem", extra="molecules")
    with rdkit_log() as reason:
        pattern = chem.MolFromSmarts(smarts) if isinstance(smarts, str) and smarts.strip() else None
        why = reason()
    if pattern is None:
        title = f"{smarts!r}" if name == smarts else f"{smarts!r} ({name})"
        raise InputError(f"The SMARTS {title} cannot be read: {why or 'expected a string that is not empty'}")
    return pattern


@lru_cache(maxsize=1)
def _groups() -> dict[str, Any]:
    """The patterns of RDKit's ``Chem.Fragments`` from the table that it is made of."""
    config: Any = require("rdkit.RDConfig", extra="molecules")
    with Path(config.RDDataDir, "FragmentDescriptors.csv").open(encoding="utf-8") as table:
        rows = [row for row in csv.reader(table, delimiter="\t") if len(row) > 2 and not row[0].startswith("#")]
    names = [row[0].replace("=", "_").replace("-", "_") for row in rows]
    return {name: _pattern(name, row[2]) for name, row in zip(names, rows, strict=True)}
