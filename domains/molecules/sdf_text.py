"""Records of an SDF, as text first: most are only passed over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sciexplain._optional import require
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.rdkit_log import rdkit_log
from sciexplain.errors import DataError

_END = "$$$$"
_SCORE = re.compile(r"^>  <Score>.*\n(.*)$", re.MULTILINE)


def records(paths: Iterable[Path]) -> Iterator[str]:
    """The records of SDF files, as text, one at a time."""
    for path in paths:
        lines: list[str] = []
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                if line.rstrip("\r\n") == _END:
                    yield "".join(lines)
                    lines = []
                else:
                    lines.append(line)


def score(record: str) -> float | None:
    """The explained output, exactly as it was written; None where the record has none.

    Examples
    --------
    >>> score("name\\n…\\nM  END\\n>  <Score>  (1) \\n0.1\\n\\n")
    0.1
    """
    found = _SCORE.search(record)
    return None if found is None else float(found[1])


def molecule_of(record: str) -> Molecule:
    """The molecule of a record, its atoms in the order of the record; positions only where the record has three axes.

    Bonds are left out where they only say which atoms touch.

    Raises
    ------
    DataError
        RDKit cannot read it.
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    with rdkit_log() as reason:
        mol = chem.MolFromMolBlock(record, sanitize=False, removeHs=False)
        if mol is None:
            raise DataError(f"a record of molecules.sdf cannot be read: {reason()}; explain the molecules anew")
        _perceived(mol)
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], np.int64)
    solid = mol.GetNumConformers() and mol.GetConformer().Is3D()
    positions = np.array(mol.GetConformer().GetPositions(), np.float64) if solid else None
    name = mol.GetProp("_Name") if mol.HasProp("_Name") else ""
    # What had positions alone was written with a single bond wherever atoms touch.
    known = positions is None or not _touching(mol)
    return Molecule(numbers, name, mol if known else None, positions)


def _touching(mol: Any) -> bool:
    """Whether bonds are all single and leave electrons over: they tell who is beside whom, not who is bound how."""
    plain = all(str(bond.GetBondType()) == "SINGLE" for bond in mol.GetBonds())
    return plain and any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())


def _perceived(mol: Any) -> None:
    """Rings, aromaticity and hydrogens, as far as the valences of the record allow."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    mol.UpdatePropertyCache(strict=False)
    failed = chem.SanitizeMol(mol, catchErrors=True)
    if failed != chem.SanitizeFlags.SANITIZE_NONE:
        chem.FastFindRings(mol)
