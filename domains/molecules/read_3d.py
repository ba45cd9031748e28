"""Molecules from files with coordinates: SDF and MOL, XYZ and extended XYZ, record by record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from sciexplain._optional import require
from sciexplain.domains.molecules.convert import from_atoms, from_mol, quoted, value
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.rdkit_log import rdkit_log
from sciexplain.domains.molecules.read_tables import Columns, Records, check_utf8, open_text
from sciexplain.errors import DataError

_COUNT = re.compile(r"\s*\d+\s*")
_END = "$$$$"


def sdf_records(path: Path, columns: Columns) -> Records:
    """Records of an SD file, counted from 1, or the one of a MOL file. Hydrogens stay as the file has them.

    Raises
    ------
    DataError
        Nothing in the file.
    """
    number = 0
    for number, text in enumerate(_sdf_texts(path), 1):
        place = f"{path.name}:{number}"
        yield place, partial(_sdf_molecule, text, columns.name, place)
    if not number:
        raise DataError("found an empty file; expected records of a molfile and its properties")


def xyz_records(path: Path, columns: Columns) -> Records:
    """Frames of an XYZ or extended XYZ file, counted from 1.

    Raises
    ------
    DataError
        Nothing in the file.
    """
    number = 0
    for number, lines in enumerate(_xyz_frames(path), 1):
        place = f"{path.name}:{number}"
        yield place, partial(_xyz_molecule, lines, columns.name, place)
    if not number:
        raise DataError("found an empty file; expected frames of a count, a comment and atoms")


def _sdf_texts(path: Path) -> Iterator[str]:
    lines: list[str] = []
    with open_text(path) as file:
        for line in file:
            # Classic Windows and Mac ends of line would become part of a property.
            lines.append(line.rstrip("\r\n"))
            if line.startswith(_END):
                yield "\n".join(lines)
                lines = []
    if any(line.strip() for line in lines):
        yield "\n".join(lines)


def _sdf_molecule(text: str, name: str | None, source: str) -> Molecule:
    check_utf8(text)
    _, end, properties = text.partition("\nM  END")
    if not end:
        raise DataError("found no line 'M  END'; expected a whole molfile: the record is cut off or damaged")
    if not text.endswith(_END) and "\n>" in properties and not text.endswith("\n"):
        raise DataError(f"found the file's end inside a property; expected {_END}: the record is cut off")
    chem: Any = require("rdkit.Chem", extra="molecules")
    with rdkit_log() as reason:
        supplier = chem.SDMolSupplier()
        supplier.SetData(text, sanitize=True, removeHs=False)
        mol = supplier[0] if len(supplier) else None
        why = reason()
    if mol is None:
        raise DataError(f"found a record that RDKit does not read: {why or 'damaged, or no such valences'}")
    labels = {key: value(mol.GetProp(key)) for key in mol.GetPropNames()}
    return from_mol(mol, name=_named(labels, name), source=source, labels=labels)


def _xyz_frames(path: Path) -> Iterator[list[str]]:
    """Frames as lines. A line that is one whole number starts a frame, so that damage ends with its frame."""
    frame: list[str] = []
    with open_text(path) as file:
        for line in file:
            # What follows the count is a comment, and may be a number.
            is_comment = len(frame) == 1 and _COUNT.fullmatch(frame[0])
            if _COUNT.fullmatch(line) and not is_comment:
                if frame:
                    yield frame
                frame = [line]
            elif frame or line.strip():
                frame.append(line)
    if frame:
        yield frame


def _xyz_molecule(lines: list[str], name: str | None, source: str) -> Molecule:
    check_utf8("".join(lines))
    lines = [line.strip() for line in lines]
    while len(lines) > 2 and not lines[-1]:
        lines = lines[:-1]
    if not _COUNT.fullmatch(lines[0]):
        raise DataError(f"found {quoted(lines[0])} where a frame begins; expected its number of atoms")
    comment, atoms = (lines[1] if len(lines) > 1 else ""), lines[2:]
    if int(lines[0]) != len(atoms):
        raise DataError(f"found {len(atoms)} lines of atoms; expected {int(lines[0])}, as the frame's first line says")
    if not atoms:
        raise DataError("found a molecule without atoms; expected at least one")
    io: Any = require("ase.io", extra="molecules")
    properties = "properties=" in comment.lower()
    if not properties:
        atoms = [_plain(line, number) for number, line in enumerate(atoms, 3)]
    # ASE would take the words of free text for keys.
    text = "\n".join([lines[0], comment if "=" in comment else "", *atoms, ""])
    try:
        frame = io.read(StringIO(text), index=0, format="extxyz")
    except KeyError as error:
        raise DataError(f"found the element {error.args[0]!r}; expected symbols such as C or Cl") from error
    except Exception as error:  # of many kinds, as ASE's parser meets them
        raise DataError(f"found a frame that ASE does not read: {error}") from error
    named = _named(frame.info, name) or ("" if "=" in comment else comment)
    return from_atoms(frame, name=named, source=source)


def _plain(line: str, number: int) -> str:
    """An atom's line as ASE takes it: symbol and position. Many programs write the atomic number instead."""
    cells = line.split()
    if len(cells) < 4:
        raise DataError(f"found {quoted(line)} on the frame's line {number}; expected a symbol and x, y, z in Å")
    if cells[0].isdigit():
        symbols: Any = require("ase.data", extra="molecules").chemical_symbols
        if not 0 < int(cells[0]) < len(symbols):
            raise DataError(f"found the atomic number {cells[0]}; expected 1 to {len(symbols) - 1}")
        cells[0] = symbols[int(cells[0])]
    return " ".join(cells[:4])


def _named(labels: dict[str, Any], name: str | None) -> str:
    """The record's name from the property that was asked for, which is then no label."""
    if name is None:
        return ""
    if name not in labels:
        raise DataError(f"found the properties {', '.join(labels) or '(none)'}; expected one named {name!r}")
    return str(labels.pop(name))
