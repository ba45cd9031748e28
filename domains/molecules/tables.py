"""Relevance as long tables: CSV and Parquet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from sciexplain._csv import text_cell
from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.molecules.files import Record, records
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.values import Bonds
from sciexplain.errors import InputError


def write_csv(
    path: PathName,
    molecules: Sequence[Molecule],
    atoms: Sequence[ArrayLike] | None = None,
    bonds: Sequence[Bonds] | None = None,
    *,
    unit: str = "",
) -> list[Path]:
    """Write long tables: ``x.csv`` gives ``x.atoms.csv`` and, where there are bonds, ``x.bonds.csv``.

    Columns are ``molecule`` (counted from 0), ``name``, ``atom``, ``element``, ``relevance``, ``unit``; of bonds ``i``
    and ``j`` instead of atom and element. Parameters and errors as for
    :func:`~sciexplain.domains.molecules.files.write_sdf`.
    """
    csv: Any = require("pyarrow.csv", extra="molecules")
    return _tables(path, ".csv", csv.write_csv, records(molecules, atoms, bonds, None), unit, text_cell)


def write_parquet(
    path: PathName,
    molecules: Sequence[Molecule],
    atoms: Sequence[ArrayLike] | None = None,
    bonds: Sequence[Bonds] | None = None,
    *,
    unit: str = "",
) -> list[Path]:
    """Write the tables of :func:`write_csv` as Parquet."""
    parquet: Any = require("pyarrow.parquet", extra="molecules")
    return _tables(path, ".parquet", parquet.write_table, records(molecules, atoms, bonds, None), unit)


def _tables(
    path: PathName,
    suffix: str,
    write: Callable[[Any, Any], None],
    listed: Sequence[Record],
    unit: str,
    cell: Callable[[str], str] = str,
) -> list[Path]:
    arrow: Any = require("pyarrow", extra="molecules")
    symbols: list[str] = require("ase.data", extra="molecules").chemical_symbols
    text, whole, real = arrow.string(), arrow.int64(), arrow.float64()
    atoms = [
        (k, cell(record.molecule.name), i, symbols[record.molecule.numbers[i]], value, unit)
        for k, record in enumerate(listed)
        if record.atoms is not None
        for i, value in enumerate(record.atoms.tolist())
    ]
    bonds = [
        (k, cell(record.molecule.name), i, j, value, unit)
        for k, record in enumerate(listed)
        for (i, j), value in record.bonds.items()
    ]
    common = {"molecule": whole, "name": text}
    tables = {
        "atoms": (atoms, {**common, "atom": whole, "element": text, "relevance": real, "unit": text}),
        "bonds": (bonds, {**common, "i": whole, "j": whole, "relevance": real, "unit": text}),
    }
    path = Path(path)
    stem = path.with_suffix("") if path.suffix.lower() == suffix else path
    made = []
    for kind, (rows, types) in tables.items():
        if rows:
            columns = dict(zip(types, zip(*rows, strict=True), strict=True))
            table = arrow.table({name: arrow.array(columns[name], of) for name, of in types.items()})
            made.append(written(f"{stem}.{kind}{suffix}", partial(_put, write, table)))
    if not made:
        raise InputError(f"{path.name}: neither atoms nor bonds; expected relevance to write")
    return made


def _put(write: Callable[[Any, Any], None], table: Any, file: Path) -> None:
    write(table, str(file))
