"""Molecules with measured or computed values, as every data set of molecules here is given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from sciexplain.datasets.kind import Kind
from sciexplain.datasets.left_out import Failure, Failures
from sciexplain.datasets.splits import Parts, canonical, random_split, scaffold_split
from sciexplain.errors import DataError

if TYPE_CHECKING:
    from sciexplain.domains.molecules.molecule import Molecule


@dataclass(frozen=True, eq=False)
class LabelledMolecules:
    """N molecules, what is known of them, and a fixed division into three parts.

    Attributes
    ----------
    name
        Of the data set.
    molecules
        N molecules.
    targets
        (N, tasks) float64, NaN where nobody measured. Classes are 0 and 1.
    tasks, units
        Name and unit of each column; the unit is empty for classes and pure numbers.
    kind
        ``"regression"`` or ``"classification"``.
    train, valid, test
        int64 indices into the N molecules; disjoint.
    split
        Where the division comes from: ``"given"``, ``"random, seed 0"``, ``"scaffold"``, ….
    atom_truth
        For each molecule the true contribution of each atom to the first task, (n,) float64, in its unit; for classes
        1 (−1) for atoms that speak for (against) it. None where nobody knows.
    bond_truth
        For each molecule the same of each bond, (bonds,), in the order of ``molecule.mol.GetBonds()``.
    alternatives
        For each molecule (k, n): where any of several sets of atoms explains a class, each as a row of 0 and 1.
    failures
        Records that were left out.
    """

    name: str
    molecules: Sequence[Molecule]
    targets: NDArray[np.float64]
    tasks: tuple[str, ...]
    units: tuple[str, ...]
    kind: Kind
    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]
    split: str
    atom_truth: Sequence[NDArray[np.float64]] | None = None
    bond_truth: Sequence[NDArray[np.float64]] | None = None
    alternatives: Sequence[NDArray[np.float64]] | None = None
    failures: tuple[Failure, ...] = ()

    def __len__(self) -> int:
        return len(self.molecules)

    @cached_property
    def sha256(self) -> str:
        """Digest of names, atoms and targets, in their order."""
        digest = hashlib.sha256(self.targets.astype("<f8").tobytes())
        for molecule in self.molecules:
            digest.update(f"{molecule.name}\n".encode())
            digest.update(molecule.numbers.astype("<i8").tobytes())
        return digest.hexdigest()


def divide(molecules: Sequence[Molecule], how: Literal["random", "scaffold"], seed: int = 0) -> tuple[Parts, str]:
    """A division where the source has none, and its name. The same molecule twice stays in one part."""
    if how == "scaffold":
        return scaffold_split(molecules), "Bemis–Murcko scaffold"
    has_bonds = all(molecule.mol is not None for molecule in molecules)
    return random_split(len(molecules), seed=seed, groups=canonical(molecules) if has_bonds else None), (
        f"random, seed {seed}"
    )


def columns_of(
    molecules: Iterable[Molecule], columns: Sequence[str], failures: list[Failure]
) -> tuple[list[Molecule], NDArray[np.float64]]:
    """Molecules that have a number in one of their labels at least, and those numbers, (N, columns)."""
    kept, rows = [], []
    for molecule in molecules:
        labels: Mapping[str, object] = molecule.labels or {}
        cells = [labels.get(column) for column in columns]
        wrong = [(c, cell) for c, cell in zip(columns, cells, strict=True) if not isinstance(cell, float | None)]
        row = np.array([cell if isinstance(cell, float) else np.nan for cell in cells])
        if wrong:
            failures.append(
                Failure(molecule.source, f"found {wrong[0][1]!r} in column {wrong[0][0]!r}; expected a number")
            )
        elif np.isinf(row).any():
            failures.append(Failure(molecule.source, f"found an infinite value in {', '.join(columns)}"))
        elif np.isnan(row).all():
            failures.append(Failure(molecule.source, f"found no value in {', '.join(columns)}"))
        else:
            kept.append(molecule)
            rows.append(row)
    return kept, np.array(rows, np.float64).reshape(len(rows), len(columns))


def read_table(
    path: str | PathLike[str], target: str, *, smiles: str | None = None, unit: str = "", seed: int = 0
) -> LabelledMolecules:
    """A user's own table (CSV, TSV, Parquet, …) or SDF with one column of numbers.

    Values that are all 0 or 1 are classes. The division is random; the same molecule twice stays in one part. Rows
    that cannot be used are in ``failures``.

    Parameters
    ----------
    path
        What :func:`~sciexplain.domains.molecules.read.read` reads.
    target
        Column or property with the numbers.
    smiles
        Column with the SMILES, where it is not called so.
    unit
        Of the numbers.
    seed
        Of the random division.

    Raises
    ------
    DataError
        The file cannot be read, has no such column, or fewer than ten usable rows.
    """
    from sciexplain.domains.molecules.read import read

    failures = Failures()
    found = list(read(Path(path), smiles=smiles, on_error=failures.add))
    columns = dict.fromkeys(column for molecule in found for column in molecule.labels or {})
    if found and target not in columns:
        raise DataError(f"{path}: found the columns {', '.join(columns) or '(none)'}; expected one named {target!r}")
    molecules, targets = columns_of(found, [target], failures)
    if len(molecules) < 10:
        why = f"; the first that failed: {failures[0].reason}" if failures else ""
        raise DataError(f"{path}: found {len(molecules)} usable rows; expected ten or more{why}")
    (train, valid, test), split = divide(molecules, "random", seed)
    kind: Kind = "classification" if set(np.unique(targets)) <= {0.0, 1.0} else "regression"
    return LabelledMolecules(
        Path(path).name, molecules, targets, (target,), (unit,), kind, train, valid, test, split,
        failures=tuple(failures),
    )  # fmt: skip
