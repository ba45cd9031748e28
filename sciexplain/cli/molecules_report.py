"""What a run over molecules adds to its report: formulae, shapes and the numbers of atoms, bonds, walks, fragments."""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain.cli.grouped import Grouped, rows_of
from sciexplain.cli.molecules_findings import findings
from sciexplain.cli.molecules_sdf import sdf_records
from sciexplain.cli.reopened import Reopened
from sciexplain.domains.molecules.formula import connections, formula, symbols
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.rdkit_log import rdkit_log
from sciexplain.domains.molecules.sdf_text import molecule_of
from sciexplain.domains.molecules.solid import page_solid
from sciexplain.errors import DataError, InputError
from sciexplain.report import Content, Table
from sciexplain.runs import Run

_ASSETS = (
    "report_conformer.js",
    "report_formula.js",
    "report_molecule.js",
    "report_molecule.css",
    "3Dmol-min.js",
    "3Dmol-LICENSE.txt",
)
_SECONDS_EACH, _SECONDS = 20, 120
_DIGITS = 7


def content(run: Run, opened: Reopened | None) -> "MoleculeContent":
    """What a report of this run shows; the molecules are those that the run wrote, so its data are not needed."""
    return MoleculeContent(run)


class MoleculeContent(Content):
    """See :class:`sciexplain.report.Content`.

    Parameters
    ----------
    run
        Over molecules.
    seconds
        To spend, all together, on geometries of molecules that have none.
    """

    view = "molecule"

    def __init__(self, run: Run, *, seconds: float = _SECONDS) -> None:
        self._run = run
        self._left = seconds

    def assets(self) -> Mapping[str, bytes]:
        templates = files("sciexplain.domains.molecules").joinpath("templates")
        return {name: templates.joinpath(name).read_bytes() for name in _ASSETS}

    def meta(self) -> Mapping[str, Any]:
        geometry = "The geometry is that of the data."
        if self._run.info["options"].get("embed"):
            geometry = "The geometry is the one that was explained: the data's own, or made by --embed."
        return {"noun": "molecules", "title": "input", "unit": self.unit, "geometry": geometry}

    def files(self) -> tuple[str, ...]:
        return tuple(name for name in ("molecules.sdf",) if (self._run.path / name).is_file())

    @cached_property
    def unit(self) -> str:
        """Of the score and all relevance."""
        if "atoms" not in self._tables:
            return str(self._run.info["options"].get("unit") or "")
        first = self._run.table("atoms").head(1, columns=["unit"])["unit"].to_pylist()
        return first[0] if first and first[0] else ""

    @cached_property
    def _tables(self) -> frozenset[str]:
        return frozenset(path.stem for path in self._run.path.glob("*.parquet"))

    def samples(self, numbers: Sequence[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        bonds, walks, fragments = (
            Grouped(self._run.table(name) if name in self._tables else None, columns, numbers)
            for name, columns in (
                ("bonds", ["i", "j", "relevance"]),
                ("walks", ["walk", "relevance"]),
                ("fragments", ["fragment", "smiles", "atoms", "relevance"]),
            )
        )
        records = sdf_records(self._run, numbers)
        for row in rows_of(self._run.rows, ["relevance"], numbers):
            number, relevance = row["number"], np.asarray(row["relevance"], np.float32)
            passing = {(i, j): r for i, j, r in bonds.take(number)}
            made = self._shape(next(records)[1], relevance, passing)
            made["walks"] = [[walk, _short(r)] for walk, r in walks.take(number)]
            made["fragments"] = [[*fragment, _short(r)] for *fragment, r in fragments.take(number)]
            yield number, made

    def tables(self) -> Iterator[Table]:
        return findings(self._run, self._tables, self.unit)

    def _shape(
        self, record: str | None, relevance: NDArray[np.float32], passing: Mapping[tuple[int, int], float]
    ) -> dict[str, Any]:
        """Elements, formula, bonds and geometry, as far as they are known."""
        with rdkit_log():  # It warns of rings.
            molecule, why = _molecule(record, len(relevance))
        made: dict[str, Any] = {"relevance": [_short(float(r)) for r in relevance], "stays": None}
        if any(i == j for i, j in passing):
            made["stays"] = [_short(passing.get((i, i), 0.0)) for i in range(len(relevance))]
        listed = connections(molecule) if molecule is not None else []
        near = {(i, j) for i, j, *_ in listed}
        made["bonds"] = [[*bond, _short(passing[bond[:2]]) if bond[:2] in passing else None] for bond in listed]
        made["pairs"] = [[i, j, _short(r)] for (i, j), r in passing.items() if i != j and (i, j) not in near]
        if molecule is None:
            return {**made, "elements": ["?"] * len(relevance), "formula": None, "no_formula": why, "no_solid": why}
        try:
            with rdkit_log():
                made["formula"] = formula(molecule)
        except InputError as error:
            made |= {"formula": None, "no_formula": str(error)}
        return {**made, "elements": symbols(molecule), **self._solid(molecule)}

    def _solid(self, molecule: Molecule) -> dict[str, Any]:
        has = molecule.positions is not None
        if not has and self._left <= 0:
            return {"solid": None, "no_solid": "The data have no geometry, and the time to make some was used up."}
        begun = time.monotonic()
        try:
            return {"solid": page_solid(molecule, _SECONDS_EACH)}
        except InputError as error:
            return {"solid": None, "no_solid": f"The data have no geometry, and none could be made ({error})."}
        finally:
            if not has:
                self._left -= time.monotonic() - begun


def _molecule(record: str | None, atoms: int) -> tuple[Molecule | None, str]:
    """The molecule, or why there is none."""
    if record is None:
        return None, "The run wrote no structure of this molecule."
    try:
        molecule = molecule_of(record)
    except DataError as error:
        return None, str(error)
    if len(molecule) != atoms:
        return None, f"The run's structure has {len(molecule)} atoms, its relevance {atoms}."
    return molecule, ""


def _short(value: float) -> float:
    """To seven digits, which are all that 32 bits hold."""
    return float(f"{value:.{_DIGITS}g}")
