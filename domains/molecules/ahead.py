"""Molecules read and prepared by other processes, while this one explains."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from sciexplain._optional import require
from sciexplain.domains.molecules.apart import applied
from sciexplain.domains.molecules.chunks import Record
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import embed
from sciexplain.domains.molecules.read import loaded, records
from sciexplain.domains.molecules.sdf_record import Structure, structure
from sciexplain.errors import DataError, InputError

_AFTER, _CHUNK = 512, 64
_AFTER_EMBEDDED, _CHUNK_EMBEDDED = 8, 4
_MOST = 8


@dataclass(frozen=True)
class Ready:
    """A molecule that is ready for a model.

    Attributes
    ----------
    molecule
        With a geometry, where one was asked for.
    structure
        What an SDF says of it; None where that is not known yet.
    """

    molecule: Molecule
    structure: Structure | None = None


@dataclass(frozen=True)
class Unready:
    """A molecule that is not.

    Attributes
    ----------
    name
        Of the molecule, if it could be read.
    error
        Why.
    """

    name: str | None
    error: DataError | InputError


def helpers() -> int:
    """How many processes may help this one on this machine."""
    if os.name != "posix":
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores - 1, _MOST)


def ready(
    source: Any,
    *,
    smiles: str | None = None,
    name: str | None = None,
    start: int = 0,
    embedded: bool = False,
    processes: int = 0,
) -> Iterator[tuple[str, Ready | Unready]]:
    """The :func:`~sciexplain.domains.molecules.read.attempts` of a source, each with its place.

    Parameters
    ----------
    source, smiles, name, start
        As for attempts.
    embedded
        Make a geometry for molecules that have none.
    processes
        That help, once it is worth it.
    """
    return applied(
        partial(_prepared, embedded),
        partial(_packed, embedded),
        records(source, smiles=smiles, name=name, start=start),
        _died,
        processes=processes,
        after=_AFTER_EMBEDDED if embedded else _AFTER,
        chunk=_CHUNK_EMBEDDED if embedded else _CHUNK,
    )


def _prepared(embedded: bool, record: Record) -> tuple[str, Ready | Unready]:
    found = loaded(record)
    if isinstance(found, DataError):
        return record[0], Unready(None, found)
    try:
        return record[0], Ready(embed(found) if embedded else found)
    except InputError as error:
        return record[0], Unready(found.name, error)


def _packed(embedded: bool, record: Record) -> tuple[str, Ready | Unready]:
    """With its structure, in a process that hands on all that RDKit knows of the molecule."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    place, found = _prepared(embedded, record)
    if isinstance(found, Unready):
        return place, found
    try:
        made = structure(found.molecule)
    except Exception:  # of RDKit; met again where the structure is asked for
        made = None
    keep = chem.PropertyPickleOptions
    chem.SetDefaultPickleProperties(keep.AllProps | keep.CoordsAsDouble)  # of this process, which does nothing else
    return place, Ready(found.molecule, made)


def _died(record: Record) -> tuple[str, Unready]:
    place, _ = record
    return place, Unready(None, DataError(f"{place}: found what ends the process that reads it; expected a molecule"))
