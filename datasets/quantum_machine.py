"""Small organic molecules with energies of density functional theory: QM7 and QM9."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from sciexplain.datasets.archives import read_members, unpack
from sciexplain.datasets.fetch import Source, fetch
from sciexplain.datasets.left_out import Failures
from sciexplain.datasets.molecules import LabelledMolecules
from sciexplain.datasets.splits import random_split
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import read
from sciexplain.errors import DataError

_QM7 = Source(
    "https://github.com/qmlcode/qml/archive/refs/heads/master.tar.gz",
    None,
    "molecules/qm7/qm7_xyz_7101.tar.gz",
    "a39add8092b42f389c8b87ad7521be34d90dd7e775d1ef2ab251e52be98a3887",
)
_QM9 = Source(
    "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/gdb9.tar.gz",
    None,
    "molecules/qm9/gdb9.tar.gz",
    md5="560f62d8e6c992ca0cf8ed8d013f9131",
)
_QM9_UNITS = {
    **{"A": "GHz", "B": "GHz", "C": "GHz", "mu": "D", "alpha": "bohr³", "r2": "bohr²", "cv": "cal/(mol K)"},
    **dict.fromkeys(("homo", "lumo", "gap", "zpve", "u0", "u298", "h298", "g298"), "hartree"),
    **dict.fromkeys(("u0_atom", "u298_atom", "h298_atom", "g298_atom"), "kcal/mol"),
}


def load_qm7() -> LabelledMolecules:
    """7 101 molecules of up to 7 heavy atoms (C, N, O, S) with geometries: heat of formation, PBE0/def2-TZVP.

    Raises
    ------
    DataError
        The file is not there and cannot be fetched, or is another one.

    References
    ----------
    M. Rupp et al., Phys. Rev. Lett. 108, 058301 (2012). Energies as in the qml package's test data.
    """
    path = fetch(_QM7, name="QM7")
    frames: dict[str, str] = {}
    listed: list[list[str]] = []
    for name, content in read_members(path, lambda inside: "/qm7/" in inside or inside.endswith("/hof_qm7.txt")):
        if name == "hof_qm7.txt":
            listed = [line.split() for line in content.decode("ascii").splitlines() if line.strip()]
        elif name.endswith(".xyz"):
            frames[name] = content.decode("ascii")
    if not listed or not frames:
        raise DataError(f"{path}: found no hof_qm7.txt with geometries; expected the test data of qml")
    energies = {name: float(energy) for name, energy, *_ in listed}
    failures = Failures()
    for name in energies.keys() - frames.keys():
        failures.add(name, DataError("found no geometry of this name"))
    molecules = _geometries({name: frames[name] for name in energies if name in frames}, failures)
    targets = np.array([[energies[molecule.name]] for molecule in molecules])
    train, valid, test = random_split(len(molecules))
    return LabelledMolecules(
        "QM7", molecules, targets, ("heat of formation",), ("kcal/mol",), "regression",
        train, valid, test, "random, seed 0", failures=tuple(failures),
    )  # fmt: skip


def load_qm9(limit: int | None = None) -> LabelledMolecules:
    """133 885 molecules of up to 9 heavy atoms (C, N, O, F) with geometries and 19 properties, B3LYP/6-31G(2df,p).

    All are kept in memory, about 2 GB. The 3 054 that the authors call uncharacterized are not left out.

    Parameters
    ----------
    limit
        Only the first so many.

    Raises
    ------
    DataError
        The file is not there and cannot be fetched, or is another one.

    References
    ----------
    R. Ramakrishnan et al., "Quantum chemistry structures and properties of 134 kilo molecules", Sci. Data 1, 140022
    (2014).
    """
    with _unpacked(fetch(_QM9, name="QM9")) as (sdf, table):
        return read_qm9(sdf, table, limit)


def read_qm9(sdf: Path, table: Path, limit: int | None = None) -> LabelledMolecules:
    """QM9 from its two files, such as ``gdb9.sdf`` and ``gdb9.sdf.csv``.

    Raises
    ------
    DataError
        The files cannot be read, or do not belong together.
    """
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))[:limit]
    failures, molecules, values = Failures(), [], []
    tasks = [column for column in rows[0] if column in _QM9_UNITS] if rows else []
    if not tasks:
        raise DataError(f"{table}: found none of QM9's columns; expected mol_id, A, B, C, mu, alpha, …")
    for molecule in read(sdf, limit=limit, on_error=failures.add):
        # By record, since those that fail leave gaps.
        row = rows[int(molecule.source.rpartition(":")[2]) - 1]
        if molecule.name not in (row["mol_id"], ""):
            raise DataError(f"{sdf} and {table}: found {molecule.name!r} beside {row['mol_id']!r}; expected one order")
        molecules.append(molecule)
        values.append([float(row[task]) for task in tasks])
    train, valid, test = random_split(len(molecules))
    return LabelledMolecules(
        "QM9", molecules, np.array(values), tuple(tasks), tuple(_QM9_UNITS[task] for task in tasks), "regression",
        train, valid, test, "random, seed 0", failures=tuple(failures),
    )  # fmt: skip


def _geometries(frames: dict[str, str], failures: Failures) -> list[Molecule]:
    """Molecules of XYZ texts by name; the texts' own comments, the charge 0, give way to the name."""
    texts = []
    for name, text in frames.items():
        count, _, *atoms = text.splitlines()
        texts.append("\n".join([count, name, *atoms, ""]))
    with TemporaryDirectory() as folder:
        path = Path(folder, "qm7.xyz")
        path.write_text("".join(texts), encoding="ascii")
        return list(read(path, on_error=failures.add))


@contextmanager
def _unpacked(path: Path) -> Iterator[tuple[Path, Path]]:
    """The two files of QM9's archive, for as long as they are read."""
    with TemporaryDirectory() as folder:
        sdf, table = unpack(path, ("gdb9.sdf", "gdb9.sdf.csv"), Path(folder))
        yield sdf, table
