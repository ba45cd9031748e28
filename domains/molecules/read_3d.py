"""Molecules from files with coordinates: SDF and MOL, XYZ and extended XYZ, record by record."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from sciexplain._optional import require
from sciexplain.domains.molecules.chunks import Chunk, Columns, Record
from sciexplain.domains.molecules.convert import brief, check_number, from_atoms, from_mol, listed, quoted, value
from sciexplain.domains.molecules.limits import LARGEST_RECORD, LONGEST_COLLECTION, LONGEST_LINE
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.rdkit_log import rdkit_log
from sciexplain.domains.molecules.read_lines import blocks, check_length, check_utf8, decoded, starts
from sciexplain.errors import DataError

_COUNT = re.compile(rb"\s*\d{1,12}\s*")
_LONGEST_COUNT = 40
_BEGIN_COUNTS = np.isin(np.arange(256), list(b"0123456789 \t"))
_END = "$$$$"
_NO_ELEMENTS = re.compile(r"\[[\s,]*\]")
_STEREO = re.compile(r"MDLV30/STE(?:.*-\n)*.*")


# -- SDF ---------------------------------------------------------------------------------------------------------------


def sdf_chunks(path: Path, columns: Columns) -> Iterator[Chunk]:
    """Records of an SD file, counted from 1, or the one of a MOL file. Hydrogens stay as the file has them.

    Raises
    ------
    DataError
        Nothing in the file.
    """
    first, rest = 1, b""
    for block in blocks(path):
        ends = _ends(block)
        if not ends:
            rest = _begun(rest, block)
            continue
        head, text = _begun(rest, block[: ends[0]]), block[ends[0] : ends[-1]]
        at = [0, *(end - ends[0] for end in ends[1:])]
        yield _chunk([head, *(text[a:b] for a, b in pairwise(at))], first, _sdf_molecule, columns, path)
        first, rest = first + len(ends), block[ends[-1] :]
    if rest.strip():
        yield _chunk([rest], first, _sdf_molecule, columns, path)
    elif first == 1:
        raise DataError("found an empty file; expected records of a molfile and its properties")


def _ends(block: bytes) -> list[int]:
    """Where lines end that begin with $$$$."""
    mark = _END.encode()
    ends = [block.index(b"\n") + 1] if block.startswith(mark) else []
    at = 0
    while (at := block.find(b"\n" + mark, at)) >= 0:
        ends.append(at := block.index(b"\n", at + 1) + 1)
        at -= 1
    return ends


def _begun(rest: bytes, text: bytes) -> bytes:
    """More of a record whose beginning is there; one that is too long has more than :data:`LARGEST_RECORD` bytes."""
    return rest if len(rest) > LARGEST_RECORD else (rest + text)[: LARGEST_RECORD + 1]


def _chunk(records: list[bytes], first: int, read: Callable[..., Molecule], columns: Columns, path: Path) -> Chunk:
    def each(start: int) -> Iterator[Record]:
        for number, record in enumerate(records[start:], first + start):
            place = f"{path.name}:{number}"
            yield place, partial(read, record, columns.name, place)

    return Chunk(len(records), each)


def _text(record: bytes) -> str:
    """A record as text.

    Raises
    ------
    DataError
        It is too large, or has a line that is too long.
    """
    if len(record) > LARGEST_RECORD:
        raise DataError(f"found a record of more than {LARGEST_RECORD} bytes; expected one molecule")
    if len(record) > LONGEST_LINE:
        for line in record.split(b"\n"):
            check_length(line)
    text = decoded(record)
    check_utf8(text)
    return text


def _sdf_molecule(record: bytes, name: str | None, source: str) -> Molecule:
    text = _text(record).removesuffix("\n")
    molfile, end, properties = text.partition("\nM  END")
    if not end:
        raise DataError("found no line 'M  END'; expected a whole molfile: the record is cut off or damaged")
    ended = text[text.rfind("\n") + 1 :].startswith(_END)
    if not ended and "\n>" in properties and not text.endswith("\n"):
        raise DataError(f"found the file's end inside a property; expected {_END}: the record is cut off")
    _check_molfile(molfile)
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


def _check_molfile(text: str) -> None:
    """Refuse what ends the process in which RDKit reads it (seen in 2026.03).

    Raises
    ------
    DataError
        A list of no elements in place of an atom, or a collection of so many atoms that a regular expression takes up
        the stack.
    """
    if _NO_ELEMENTS.search(text):
        raise DataError("found an empty list of elements; expected an atom")
    if any(len(line) > LONGEST_COLLECTION for line in _STEREO.findall(text)):
        raise DataError(f"found a collection of more than {LONGEST_COLLECTION} characters; expected a shorter one")


# -- XYZ ---------------------------------------------------------------------------------------------------------------


def xyz_chunks(path: Path, columns: Columns) -> Iterator[Chunk]:
    """Frames of an XYZ or extended XYZ file, counted from 1.

    A line that is one whole number starts a frame, so that damage ends with its frame; but what follows such a line is
    a comment, and may be a number.

    Raises
    ------
    DataError
        Nothing in the file.
    """
    first, rest, line, count_line = 1, b"", 0, -2
    for block in blocks(path):
        begins = []
        for number, at in _counts(block):
            if line + number != count_line + 1:
                begins.append(at)
                count_line = line + number
        line += block.count(b"\n")
        if not begins:
            rest = _begun(rest, block)
            continue
        before = _begun(rest, block[: begins[0]])
        frames = [before] if before.strip() else []
        frames += [block[a:b] for a, b in pairwise(begins)]
        if frames:
            yield _chunk(frames, first, _xyz_molecule, columns, path)
        first, rest = first + len(frames), block[begins[-1] :]
    if rest.strip():
        yield _chunk([rest], first, _xyz_molecule, columns, path)
    elif first == 1:
        raise DataError("found an empty file; expected frames of a count, a comment and atoms")


def _counts(block: bytes) -> Iterator[tuple[int, int]]:
    """The lines that are one whole number: which they are, from 0, and where they begin."""
    begins = starts(block)
    short = np.diff(begins, append=len(block)) <= _LONGEST_COUNT
    for number in np.flatnonzero(short & _BEGIN_COUNTS[np.frombuffer(block, np.uint8)[begins]]).tolist():
        begin = int(begins[number])
        if _COUNT.fullmatch(block, begin, block.index(b"\n", begin)):
            yield number, begin


def _xyz_molecule(record: bytes, name: str | None, source: str) -> Molecule:
    lines = [line.strip() for line in _text(record).strip("\n").split("\n")]
    if not _COUNT.fullmatch(lines[0].encode()):
        raise DataError(f"found {quoted(lines[0])} where a frame begins; expected its number of atoms")
    while len(lines) > 2 and not lines[-1]:
        lines.pop()
    comment, atoms = (lines[1] if len(lines) > 1 else ""), lines[2:]
    count = int(lines[0])
    if count != len(atoms):
        raise DataError(f"found {len(atoms)} lines of atoms; expected {count}, as the frame's first line says")
    check_number(count)
    io: Any = require("ase.io", extra="molecules")
    if "properties=" in comment.lower():
        _check_properties(comment, atoms[0])
    else:
        atoms = [_plain(line, number) for number, line in enumerate(atoms, 3)]
    # ASE would take the words of free text for keys.
    text = "\n".join([str(count), comment if "=" in comment else "", *atoms, ""])
    try:
        frame = io.read(StringIO(text), index=0, format="extxyz")
    except KeyError as error:
        raise DataError(f"found the element {quoted(str(error.args[0]))}; expected symbols such as C or Cl") from error
    except Exception as error:  # of many kinds, as ASE's parser meets them
        raise DataError(f"found a frame that ASE does not read: {brief(error)}") from error
    named = _named(frame.info, name) or ("" if "=" in comment else comment)
    return from_atoms(frame, name=named, source=source)


def _check_properties(comment: str, line: str) -> None:
    """Refuse a frame of more columns than its atoms have, for which ASE would make room.

    Raises
    ------
    DataError
    """
    parse: Any = require("ase.io.extxyz", extra="molecules").key_val_str_to_dict
    try:
        columns = sum(int(size) for size in str(parse(comment).get("Properties", "")).split(":")[2::3])
    except Exception:  # of many kinds, which ASE meets again and tells of
        return
    if columns > len(line.split()):
        raise DataError(f"found {len(line.split())} columns of atoms; expected {columns}, as the frame's comment says")


def _plain(line: str, number: int) -> str:
    """An atom's line as ASE takes it: symbol and position. Many programs write the atomic number instead."""
    cells = line.split()
    if len(cells) < 4:
        raise DataError(f"found {quoted(line)} on the frame's line {number}; expected a symbol and x, y, z in Å")
    if cells[0].isdecimal() and len(cells[0]) < 4:
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
        raise DataError(f"found the properties {listed(list(labels)) or '(none)'}; expected one named {name!r}")
    return str(labels.pop(name))
