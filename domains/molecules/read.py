"""Molecules from whatever chemists have: files, SMILES, RDKit molecules, ASE atoms, and lists of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sciexplain.domains.molecules.chunks import Chunk, Columns, Record, failing, only
from sciexplain.domains.molecules.convert import brief, from_atoms, from_mol, from_smiles, quoted
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read_3d import sdf_chunks, xyz_chunks
from sciexplain.domains.molecules.read_parquet import parquet_chunks
from sciexplain.domains.molecules.read_tables import smi_chunks, table_chunks, text_chunks
from sciexplain.errors import DataError, InputError, SciExplainError

OnError = Callable[[str, DataError], None]

_READERS: dict[str, Callable[[Path, Columns], Iterator[Chunk]]] = {
    ".csv": table_chunks,
    ".tsv": table_chunks,
    ".txt": text_chunks,
    ".smi": smi_chunks,
    ".smiles": smi_chunks,
    ".parquet": parquet_chunks,
    ".sdf": sdf_chunks,
    ".sd": sdf_chunks,
    ".mol": sdf_chunks,
    ".xyz": xyz_chunks,
    ".extxyz": xyz_chunks,
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
    """Read molecules one at a time; of a file only a block is in memory.

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

    Files may come from anywhere. A line of more than 1 MiB, a cell of more than 128 KiB, an SDF or XYZ record of more
    than 16 MiB, a SMILES of more than 20 000 characters and a molecule of more than 100 000 atoms are bad records, and
    reading goes on behind them. Gzipped text that grows more than 200 times is read no further; a Parquet row group
    has at most 2²⁴ rows. See :mod:`sciexplain.domains.molecules.limits`.

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
    return islice(_readable(attempts(source, smiles=smiles, name=name), on_error), limit)


def attempts(
    source: Any, *, smiles: str | None = None, name: str | None = None, start: int = 0
) -> Iterator[tuple[str, Molecule | DataError]]:
    """Read all records, good and bad, in their order; the source and the columns are those of :func:`read`.

    Each raw record is one attempt. So is a file that cannot be read as a whole, or on from some place; a damaged
    Parquet row group is as many as it has rows.

    Parameters
    ----------
    start
        The first attempt, from 0. Those before it are passed over as text.

    Yields
    ------
    place : str
        Such as ``"drugs.csv:61"``.
    found : Molecule or DataError
        The molecule, or why there is none.

    Examples
    --------
    >>> [(place, type(found).__name__) for place, found in attempts(["CCO", "C1CC", "CN"], start=1)]
    [('[1]', 'DataError'), ('[2]', 'Molecule')]
    """
    if start < 0:
        raise InputError(f"start={start}: expected the number of an attempt, 0 or more")
    return ((record[0], _loaded(record)) for record in _records(source, Columns(smiles, name), start))


def _records(source: Any, columns: Columns, start: int) -> Iterator[Record]:
    for chunk in _chunks(source, "", columns):
        if start >= chunk.count:
            start -= chunk.count
        else:
            yield from chunk.from_record(start)
            start = 0


def _loaded(record: Record) -> Molecule | DataError:
    """The molecule of a record, or why there is none.

    Raises
    ------
    SciExplainError
        What is wrong is not the data, such as a library that is missing.
    """
    place, load = record
    try:
        return load()
    except Exception as error:  # parsers of damaged files raise whatever they please
        if isinstance(error, SciExplainError) and not isinstance(error, DataError):
            raise
        return _located(place, error)


def count(source: Any, *, smiles: str | None = None, name: str | None = None) -> int | None:
    """How many :func:`attempts` there are, without reading molecules; None for an iterator, which that would use up.

    Examples
    --------
    >>> count(["CCO", "C1CC", "CN"])
    3
    """
    if isinstance(source, Iterator):
        return None
    return sum(chunk.count for chunk in _chunks(source, "", Columns(smiles, name)))


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


def _readable(found: Iterator[tuple[str, Molecule | DataError]], on_error: OnError | None) -> Iterator[Molecule]:
    for place, one in found:
        if isinstance(one, Molecule):
            yield one
        elif on_error is None:
            raise one
        else:
            on_error(place, one)


def _chunks(source: Any, place: str, columns: Columns) -> Iterator[Chunk]:
    """All that a source holds; what is wrong with it as a whole is a chunk of one record that cannot be read."""
    if isinstance(source, str | os.PathLike):
        yield from _named_chunks(source, place, columns)
    elif isinstance(source, Molecule):
        yield only(source.source or place, lambda: source)
    elif _is_instance(source, "rdkit.Chem", "Mol"):
        yield only(place, partial(from_mol, source, source=place))
    elif _is_instance(source, "ase", "Atoms"):
        yield only(place, partial(from_atoms, source, source=place))
    elif isinstance(source, Iterable) and not isinstance(source, bytes | dict) and not hasattr(source, "columns"):
        for i, entry in enumerate(source):
            yield from _chunks(entry, f"{place}[{i}]", columns)
    else:
        yield _unreadable(
            place,
            DataError(
                f"found {type(source).__name__}; expected a file, a SMILES, an RDKit molecule, ASE atoms, a Molecule, "
                "or a list of them"
            ),
        )


def _named_chunks(source: str | os.PathLike[str], place: str, columns: Columns) -> Iterator[Chunk]:
    path = Path(source)
    if os.path.isdir(path):
        files = sorted(file for file in path.iterdir() if _suffix(file) in _READERS and _suffix(file) != ".txt")
        if not files:
            yield _unreadable(str(path), DataError(f"found a folder without molecules; expected files: {_KNOWN}"))
        for file in files:
            yield from _file_chunks(file, columns)
    elif os.path.isfile(path) or isinstance(source, os.PathLike) or _suffix(path) in _READERS:
        yield from _file_chunks(path, columns)
    else:
        yield only(place, partial(_smiles, source, place))


def _file_chunks(path: Path, columns: Columns) -> Iterator[Chunk]:
    try:
        if not os.path.isfile(path):
            raise DataError("found no file of this name; expected one with molecules")
        if _suffix(path) not in _READERS:
            raise DataError(f"found a file ending in {path.suffix!r}; expected {_KNOWN}")
        yield from _READERS[_suffix(path)](path, columns)
    except Exception as error:  # of a damaged file, which is read no further
        yield _unreadable(str(path) if not os.path.isfile(path) else path.name, error)


def _unreadable(place: str, error: Exception) -> Chunk:
    return only(place, partial(failing, error))


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


def _located(place: str, error: Exception) -> DataError:
    """What was wrong, and where."""
    wrong = (
        str(error)
        if isinstance(error, DataError)
        else f"found what cannot be read ({brief(error) or type(error).__name__}); expected a whole file"
    )
    located = DataError(f"{place}: {wrong}" if place else wrong)
    located.__cause__ = error
    return located
