"""Relevance as files of chemistry: SDF, extended XYZ and cube."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.sdf_record import one_line, sdf_record
from sciexplain.domains.molecules.values import Bonds, atom_values, bond_values
from sciexplain.domains.molecules.view3d import Volume, geometry
from sciexplain.errors import InputError


@dataclass(frozen=True)
class Record:
    """One molecule with what is said of it, checked."""

    molecule: Molecule
    atoms: NDArray[np.float64] | None
    bonds: dict[tuple[int, int], float]
    score: float | None


def write_sdf(
    path: PathName,
    molecules: Sequence[Molecule],
    atoms: Sequence[ArrayLike] | None = None,
    bonds: Sequence[Bonds] | None = None,
    scores: Sequence[float] | None = None,
    *,
    unit: str = "",
    target: str = "",
    v3000: bool = False,
) -> Path:
    """Write molecules with their relevance as SDF.

    Atoms have the property ``Relevance`` (RDKit's list ``atom.dprop.Relevance``). Bonds and other pairs stand in
    ``PairRelevance``, a line ``i j relevance`` for each, counted from 0; the relevance of bonds also in RDKit's list
    ``bond.dprop.Relevance``. ``RelevanceUnit``, ``Score`` and ``Target`` belong to the molecule.
    ``rdkit.Chem.SDMolSupplier(path, removeHs=False)`` reads all of it back.

    Parameters
    ----------
    path
        An existing file is replaced only when the new one is complete.
    molecules
        With bonds, or with positions. Those without a geometry get the structural formula's coordinates.
    atoms, bonds, scores
        For each molecule: (n,) relevance, relevance of pairs, and the explained output.
    unit, target
        Of the relevance, and what is explained.
    v3000
        Whether to write V3000 also where V2000 would do (up to 999 atoms).

    Raises
    ------
    DataError
        The file cannot be written.
    InputError
        Values that do not fit the molecules.
    """
    text = "".join(
        sdf_record(record.molecule, record.atoms, record.bonds, record.score, unit=unit, target=target, v3000=v3000)
        for record in records(molecules, atoms, bonds, scores)
    )
    return written(path, lambda file: _text(file, text))


def write_extxyz(
    path: PathName,
    molecules: Sequence[Molecule],
    atoms: Sequence[ArrayLike],
    scores: Sequence[float] | None = None,
    *,
    unit: str = "",
    target: str = "",
) -> Path:
    """Write geometries with a column ``relevance`` as extended XYZ; ``ase.io.read(path, ":")`` reads it back exactly.

    ``name``, ``charge``, ``score``, ``unit`` and ``target`` stand in ``info``. Parameters and errors as for
    :func:`write_sdf`; the molecules need a geometry.
    """
    # ASE's own writer keeps eight decimals and reads a molecule called 12 as a number.
    text = "".join(_frame(record, unit, target) for record in records(molecules, atoms, None, scores))
    return written(path, lambda file: _text(file, text))


def write_cube(
    path: PathName,
    molecule: Molecule,
    values: ArrayLike,
    origin: ArrayLike,
    steps: ArrayLike,
    *,
    unit: str = "",
) -> Path:
    """Write numbers on a grid as a Gaussian cube file.

    Parameters
    ----------
    values
        (nx, ny, nz).
    origin
        (3,) place of the first value, in Å.
    steps
        (3, 3) from one value to the next along each axis, as rows, or (3,) along x, y and z; in Å. The file has bohr.
    unit
        Of the values; a remark in the first line.

    Raises
    ------
    DataError
        The file cannot be written.
    InputError
        No geometry, or a grid of another shape.
    """
    ase: Any = require("ase", extra="molecules")
    cube: Any = require("ase.io.cube", extra="molecules")
    volume = Volume(np.asarray(values), np.asarray(origin), np.asarray(steps))
    cell = volume.steps * np.array(volume.values.shape)[:, None]
    known = ase.Atoms(molecule.numbers, positions=geometry(molecule), cell=cell)
    comment = one_line(f"{molecule.name} {f'({unit})' if unit else ''}") or "sciexplain"

    def write(file: Path) -> None:
        with file.open("w", encoding="utf-8") as stream:
            cube.write_cube(stream, known, volume.values, origin=volume.origin, comment=comment)

    return written(path, write)


def records(
    molecules: Sequence[Molecule],
    atoms: Sequence[ArrayLike] | None,
    bonds: Sequence[Bonds] | None,
    scores: Sequence[float] | None,
) -> list[Record]:
    """Molecules with what is said of each.

    Raises
    ------
    InputError
        Another number of entries than of molecules, or values that do not fit them.
    """
    for what, given in (("atoms", atoms), ("bonds", bonds), ("scores", scores)):
        if given is not None and len(given) != len(molecules):
            raise InputError(f"{what} of {len(given)} molecules for {len(molecules)}; expected one entry for each")
    return [
        Record(
            molecule,
            None if atoms is None else atom_values(molecule, atoms[i]),
            {} if bonds is None else bond_values(molecule, bonds[i]),
            None if scores is None else float(scores[i]),
        )
        for i, molecule in enumerate(molecules)
    ]


def _frame(record: Record, unit: str, target: str) -> str:
    symbols: list[str] = require("ase.data", extra="molecules").chemical_symbols
    molecule = record.molecule
    head = ["Properties=species:S:1:pos:R:3:relevance:R:1"]
    if molecule.cell is not None:
        head.append('Lattice="' + " ".join(repr(x) for x in np.asarray(molecule.cell, float).ravel().tolist()) + '"')
    head.append('pbc="' + " ".join("FT"[repeats] for repeats in molecule.periodic) + '"')
    head += [f"charge={molecule.charge}"] if molecule.charge else []
    head += [] if record.score is None else [f"score={record.score!r}"]
    texts = {"name": molecule.name, "unit": unit, "target": target}
    head += [f"{key}={_quoted(text)}" for key, text in texts.items() if text]
    assert record.atoms is not None
    rows = zip(molecule.numbers.tolist(), geometry(molecule).tolist(), record.atoms.tolist(), strict=True)
    lines = [f"{symbols[z]} {x!r} {y!r} {height!r} {value!r}" for z, (x, y, height), value in rows]
    return "\n".join([str(len(molecule)), " ".join(head), *lines]) + "\n"


def _quoted(text: str) -> str:
    """A text that ASE reads back as this text, not as a number, a truth value or without its backslashes."""
    parse: Callable[[str], dict[str, Any]] = require("ase.io.extxyz", extra="molecules").key_val_str_to_dict
    for form in (text, "_JSON " + json.dumps(text)):
        made = '"' + form.replace("\\", "\\\\").replace('"', '\\"') + '"'
        read = parse(f"key={made}")["key"] if form.isprintable() else None
        if isinstance(read, str) and read == text:
            return made
    raise InputError(f"{text!r} cannot be written as extended XYZ; expected a plain name")


def _text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", newline="\n")
