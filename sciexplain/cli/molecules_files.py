"""What a run over molecules leaves behind: rows, long tables, an SDF and pictures, written batch by batch."""

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import pyarrow as pa
from ase.data import chemical_symbols

from sciexplain.domains import molecules
from sciexplain.domains.molecules import MoleculeExplanation, MoleculeExplanations
from sciexplain.errors import SciExplainError
from sciexplain.runs import Failure, Row, RunWriter, Tables, appending, decisions

T = TypeVar("T")

ROW_COLUMNS = pa.schema({"name": pa.string(), "smiles": pa.string(), "task": pa.string(), "unit": pa.string()})
"""Of a molecule's row, beside those of every run; ``smiles`` is canonical, and null where bonds are not known."""

_OVERVIEW = 12
_OF = {"molecule": pa.string(), "name": pa.string()}
_RELEVANCE = {"relevance": pa.float64(), "unit": pa.string()}
_SCHEMAS = {
    "atoms": pa.schema({**_OF, "atom": pa.int64(), "element": pa.string(), **_RELEVANCE}),
    "bonds": pa.schema({**_OF, "i": pa.int64(), "j": pa.int64(), **_RELEVANCE}),
    "walks": pa.schema({**_OF, "walk": pa.list_(pa.int64()), **_RELEVANCE}),
    "fragments": pa.schema(
        {**_OF, "fragment": pa.string(), "smiles": pa.string(), "atoms": pa.list_(pa.int64()), **_RELEVANCE}
    ),
}


@dataclass(frozen=True)
class Wanted:
    """What to leave of each explanation besides its row and its atoms.

    Attributes
    ----------
    walks
        How many to list and to draw.
    fragments
        Their kind; None for none.
    bonds, ledger
        Whether.
    pictures
        Of how many molecules.
    """

    walks: int = 0
    fragments: Any = None
    bonds: bool = True
    ledger: bool = False
    pictures: int = 100


class Sample(NamedTuple):
    """A molecule and what it is called in the run; ``input`` is its file and place."""

    id: str
    input: str
    molecule: molecules.Molecule

    def failed(self, error: Exception, stage: str) -> Failure:
        """This molecule among those that failed."""
        return Failure(self.id, self.input, reason(error), stage)


def reason(error: Exception) -> str:
    """One line; an error that nobody meant to raise with its kind."""
    said = " ".join(str(error).split())
    return said if isinstance(error, SciExplainError) else f"{type(error).__name__}: {said}".rstrip(": ")


class MoleculeFiles:
    """Writes explanations into a run; a context manager, at whose end the files appear.

    Where a part of an explanation cannot be made, the others are kept, and the run's failures name it.
    """

    def __init__(self, run: RunWriter, wanted: Wanted) -> None:
        self._run, self._wanted = run, wanted
        asked = {"atoms": True, "bonds": wanted.bonds, "walks": wanted.walks, "fragments": wanted.fragments}
        self._schemas = {name: _SCHEMAS[name] for name, is_asked in asked.items() if is_asked}
        self._first: list[tuple[Sample, MoleculeExplanation]] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._tables = self._open.enter_context(Tables(self._run.path, self._schemas))
        self._sdf = self._open.enter_context(appending(self._run.path / "molecules.sdf"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        if error is None:
            self._draw_first()

    def add(self, found: Sequence[tuple[Sample, MoleculeExplanation]], seconds: float) -> None:
        """Write a batch, each of whose molecules took so many seconds."""
        columns = {name: _Columns(schema) for name, schema in self._schemas.items()}
        for sample, a in found:
            self._add_row(sample, a, seconds)
            for name, gathered in columns.items():
                rows = self._part(sample, name, lambda name=name, a=a: list(self._rows_of(name, a)))  # type: ignore[misc]
                for row in rows or ():
                    gathered.add(sample.id, sample.molecule.name, *row, a.unit)
        for name, gathered in columns.items():
            self._tables.add(name, gathered.values)
        self._add_sdf(found)
        self._first += found[: _OVERVIEW - len(self._first)]

    def _part(self, sample: Sample, stage: str, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except Exception as error:
            self._run.fail(sample.failed(error, stage))
            return None

    def _add_row(self, sample: Sample, a: MoleculeExplanation, seconds: float) -> None:
        made = decisions(a.output[None] if a.output.ndim == 1 else a.output.reshape(1))[0]
        wanted, number = self._wanted, self._run.written
        smiles = None
        if a.molecule is not None and a.molecule.mol is not None:
            smiles = self._part(sample, "smiles", lambda: molecules.canonical_smiles(_of(sample, a)))
        row = Row(
            id=sample.id,
            input=sample.input,
            prediction=made.prediction,
            probability=made.probability,
            target=a.target,
            runner_up=made.runner_up,
            score=a.score,
            relevance=a.atoms.float().cpu().numpy(),
            shape=(len(a),),
            gap=self._part(sample, "ledger", lambda: float(a.ledger.gap)) if wanted.ledger else None,
            picture=self._part(sample, "draw", lambda: self._drawn(sample, a)) if number < wanted.pictures else None,
            seconds=seconds,
        )
        self._run.add(row, name=sample.molecule.name, smiles=smiles, task=a.task or None, unit=a.unit)

    def _drawn(self, sample: Sample, a: MoleculeExplanation) -> str:
        words = re.sub(r"[^A-Za-z0-9._-]+", "_", sample.molecule.name or sample.id)[:60]
        name = f"{self._run.written:06d}_{words}.svg"
        a.draw(bonds=self._wanted.bonds, walks=self._wanted.walks).save(self._run.pictures / name)
        return name

    def _rows_of(self, table: str, a: MoleculeExplanation) -> Any:
        """What stands in a table of a molecule, between its name and the unit."""
        if table == "atoms":
            numbers = [0] * len(a) if a.molecule is None else a.molecule.numbers.tolist()
            return (
                (i, chemical_symbols[number], r)
                for i, (number, r) in enumerate(zip(numbers, a.atoms.tolist(), strict=True))
            )
        if table == "bonds":
            return ((i, j, r) for (i, j), r in a.bonds.items())
        if table == "walks":
            return ((list(walk), r) for walk, r in a.walks(self._wanted.walks))
        return ((f.name, f.smiles, sorted(f.atoms), r) for f, r in a.fragments(self._wanted.fragments))

    def _add_sdf(self, found: Sequence[tuple[Sample, MoleculeExplanation]]) -> None:
        part = self._run.path / ".part.sdf"
        try:
            self._sdf.write(self._as_sdf([a for _, a in found], part))
        except Exception:  # which of them is it?
            for sample, a in found:
                self._sdf.write(self._part(sample, "sdf", lambda a=a: self._as_sdf([a], part)) or b"")  # type: ignore[misc]

    def _as_sdf(self, found: list[MoleculeExplanation], part: Path) -> bytes:
        """The records; RDKit writes them to files only."""
        if not found:
            return b""
        try:
            MoleculeExplanations(found).to_sdf(part, bonds=self._wanted.bonds)
            return part.read_bytes()
        finally:
            part.unlink(missing_ok=True)

    def _draw_first(self) -> None:
        """A sheet of the first molecules, those left out that cannot be drawn."""
        drawable = [
            a for sample, a in self._first if self._part(sample, "overview", MoleculeExplanations([a]).grid) is not None
        ]
        if drawable:
            MoleculeExplanations(drawable).grid().save(self._run.path / "molecules.png", scale=2)


class _Columns:
    def __init__(self, schema: pa.Schema) -> None:
        self.values: dict[str, list[Any]] = {name: [] for name in schema.names}

    def add(self, *row: Any) -> None:
        for column, value in zip(self.values.values(), row, strict=True):
            column.append(value)
