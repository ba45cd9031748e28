"""Molecules from whatever chemists have: files, SMILES, RDKit molecules, ASE atoms, and lists of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sciexplain.domains.molecules.convert import from_atoms, from_mol, from_smiles, quoted
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read_3d import sdf_records, xyz_records
from sciexplain.domains.molecules.read_tables import (
    Columns,
    Records,
    parquet_records,
    smi_records,
    table_records,
    text_records,
)
from sciexplain.errors import DataError, InputError, SciExplainError

OnError = Callable[[str, DataError], None]

_READERS: dict[str, Callable[[Path, Columns], Records]] = {
    ".csv": table_records,
    ".tsv": table_records,
    ".txt": text_records,
    ".smi": smi_records,
    ".smiles": smi_records,
    ".parquet": parquet_records,
    ".sdf": sdf_records,
    ".sd": sdf_records,
    ".mol": sdf_records,
    ".xyz": xyz_records,
    ".extxyz": xyz_records,
}
_KNOWN = f"{', '.join(_READERS)} (text also as .gz)"


def read(
    source: Any,
    *,
    smiles: str | None = None,
    name: str | None = None,
    on_error: OnError | None = None,
    limit: int | None = None,
) -> Iterator[Molecule]:
    """Read molecules one at a time; no more than one record is kept in memory.

    Parameters
    ----------
    source
        - a path, or a str that names a file or ends like one: CSV, TSV, TXT, SMI, Parquet, SDF, MOL, XYZ, extended
          XYZ; all but Parquet also gzipped (``.csv.gz``); or a folder of them (TXT left out), read by name;
        - a SMILES: any other str;
        - an RDKit molecule, ASE atoms or a :class:`Molecule`;
        - a list or other iterable of all these.
    smiles
        The column of a table that holds the SMILES; otherwise the one called so (``smiles``, ``canonical_smiles``, …).
    name
        The column or property that holds the name; otherwise one of the usual (``name``, ``iupac``, ``id``, …), the
        title of an SDF record, the comment of an XYZ frame if it is plain text, or the SMILES or formula.
    on_error
        Called with the place of a bad record, such as ``"drugs.csv:61"``, and the error; reading then goes on.
        Without it the first bad record raises.
    limit
        Stop after so many molecules.

    Yields
    ------
    Molecule
        Its ``source`` is file and line (tables and SMI; the header is line 1) or file and record (SDF, XYZ, Parquet;
        from 1), or ``"[2]"`` for the third of a list. Other columns and properties are its ``labels``, numbers as
        float, empty cells as None.

    Raises
    ------
    DataError
        What was found in which record and what was expected.
    InputError
        ``limit`` is negative.

    Notes
    -----
    SMILES: atoms in its order, hydrogens implicit. SDF, MOL and RDKit molecules: atoms as they are, explicit hydrogens
    included, and positions if the conformer is three-dimensional. XYZ and ASE: positions without bonds, which
    :func:`~sciexplain.domains.molecules.prepare.perceive_bonds` finds. Positions that are not finite and atoms nearer
    than 0.1 Å are refused. Text is UTF-8.

    Examples
    --------
    >>> [molecule.name for molecule in read(["CCO", "c1ccccc1 benzene"])]
    ['CCO', 'benzene']
    >>> for molecule in read("drugs.csv", on_error=lambda place, error: print(error)):  # doctest: +SKIP
    ...     pass
    drugs.csv:61: found 'CN(C)(C)C', which RDKit does not read: Explicit valence for atom # 1 N, 4, is greater …
    """
    if limit is not None and limit < 0:
        raise InputError(f"limit={limit}: expected a number of molecules, 0 or more")
    molecules = _read(source, "", Columns(smiles, name), on_error)
    return islice(molecules, limit)


def read_one(source: Any, *, smiles: str | None = None, name: str | None = None) -> Molecule:
    """Read the only molecule of a source; the parameters are those of :func:`read`.

    Raises
    ------
    DataError
        The source cannot be read, or holds none or several.

    Examples
    --------
    >>> read_one("[Na+].[Cl-]").numbers
    array([11, 17])
    """
    molecules = list(read(source, smiles=smiles, name=name, limit=2))
    if len(molecules) != 1:
        found = "none" if not molecules else f"several: {molecules[0].name!r}, {molecules[1].name!r}, …"
        raise DataError(f"found {found}; expected exactly one molecule")
    return molecules[0]


def _read(source: Any, place: str, columns: Columns, on_error: OnError | None) -> Iterator[Molecule]:
    for at, load in _records(source, place, columns, on_error):
        try:
            molecule = load()
        except Exception as error:
            _report(at, error, on_error)
        else:
            yield molecule


def _records(source: Any, place: str, columns: Columns, on_error: OnError | None) -> Records:
    """Places and reading calls of all a source holds; reports what is wrong with the source as a whole."""
    if isinstance(source, str | os.PathLike):
        yield from _named_records(source, place, columns, on_error)
    elif isinstance(source, Molecule):
        yield source.source or place, lambda: source
    elif _is_instance(source, "rdkit.Chem", "Mol"):
        yield place, partial(from_mol, source, source=place)
    elif _is_instance(source, "ase", "Atoms"):
        yield place, partial(from_atoms, source, source=place)
    elif isinstance(source, Iterable) and not isinstance(source, bytes | dict) and not hasattr(source, "columns"):
        for i, entry in enumerate(source):
            yield from _records(entry, f"{place}[{i}]", columns, on_error)
    else:
        _report(
            place,
            DataError(
                f"found {type(source).__name__}; expected a file, a SMILES, an RDKit molecule, ASE atoms, a Molecule, "
                "or a list of them"
            ),
            on_error,
        )


def _named_records(source: str | os.PathLike[str], place: str, columns: Columns, on_error: OnError | None) -> Records:
    path = Path(source)
    if os.path.isdir(path):
        files = sorted(file for file in path.iterdir() if _suffix(file) in _READERS and _suffix(file) != ".txt")
        if not files:
            _report(str(path), DataError(f"found a folder without molecules; expected files: {_KNOWN}"), on_error)
        for file in files:
            yield from _file_records(file, columns, on_error)
    elif os.path.isfile(path) or isinstance(source, os.PathLike) or _suffix(path) in _READERS:
        yield from _file_records(path, columns, on_error)
    else:
        yield place, partial(_smiles, source, place)


def _file_records(path: Path, columns: Columns, on_error: OnError | None) -> Records:
    try:
        if not os.path.isfile(path):
            raise DataError("found no file of this name; expected one with molecules")
        if _suffix(path) not in _READERS:
            raise DataError(f"found a file ending in {path.suffix!r}; expected {_KNOWN}")
        yield from _READERS[_suffix(path)](path, columns)
    except Exception as error:
        _report(str(path) if not os.path.isfile(path) else path.name, error, on_error)


def _smiles(text: str, place: str) -> Molecule:
    try:
        return from_smiles(text, source=place)
    except DataError as error:
        if any(sign in text for sign in ".\\/"):
            raise DataError(f"found no file {quoted(text)}, and as a SMILES: {error}") from error
        raise


def _suffix(path: Path) -> str:
    """What tells the format: ``.csv`` for ``x.CSV.gz``."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        return suffixes[-2] if suffixes[:-1] and suffixes[-2] != ".parquet" else ".gz"
    return suffixes[-1] if suffixes else ""


def _is_instance(source: Any, module: str, name: str) -> bool:
    """Without importing the library: an object of its class is here only if somebody did."""
    return module in sys.modules and isinstance(source, getattr(sys.modules[module], name))


def _report(place: str, error: Exception, on_error: OnError | None) -> None:
    """Say where it was. Parsers of damaged files raise whatever they please."""
    if isinstance(error, SciExplainError) and not isinstance(error, DataError):
        raise error
    found = (
        str(error) if isinstance(error, DataError) else f"found what cannot be read ({error}); expected a whole file"
    )
    sentence = DataError(f"{place}: {found}" if place else found)
    if on_error is None:
        raise sentence from error
    on_error(place, sentence)
