"""Molecules of a search as files: CSV, and SDF with numbers as properties."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sciexplain._csv import text_cell
from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import with_conformer
from sciexplain.domains.molecules.skeleton import flat


def write_csv(path: PathName, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A line for each row; None is empty, and floats are written to the last digit.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))

    def write(file: Path) -> None:
        with file.open("w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, columns)
            table.writeheader()
            table.writerows(
                {key: text_cell(value) if isinstance(value, str) else value for key, value in row.items()}
                for row in rows
            )

    return written(path, write)


def write_sdf(path: PathName, molecules: Sequence[Molecule], rows: Sequence[Mapping[str, Any]]) -> Path:
    """Molecules with their values as properties; those without a geometry have the formula's coordinates.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    made = []
    for molecule, values in zip(molecules, rows, strict=True):
        mol = with_conformer(molecule)
        if molecule.positions is None:
            mol.RemoveAllConformers()
            mol.AddConformer(chem.Conformer(flat(molecule).GetConformer()))
        mol.SetProp("_Name", molecule.name)
        for key, value in values.items():
            if value not in (None, ""):
                mol.SetProp(key, repr(value) if isinstance(value, float) else str(value))
        made.append(mol)

    def write(file: Path) -> None:
        writer = chem.SDWriter(str(file))
        try:
            for mol in made:
                writer.write(mol)
        finally:
            writer.close()

    return written(path, write)
