"""Explaining every molecule of a file into a run folder."""

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from sciexplain.domains import molecules
from sciexplain.domains.molecules import Molecule, MoleculeExplanation, MoleculeExplanations
from sciexplain.errors import InputError, SciExplainError
from sciexplain.runs import Failure, Row, RunWriter, Tables, decisions
from sciexplain.runs.models import load_function

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
class Question:
    """What to explain of each molecule, and how; as :func:`sciexplain.domains.molecules.explain` takes it."""

    family: Any
    target: int | None
    composite: str | None
    walks: int
    fragments: Any
    bonds: bool
    embed: bool
    ledger: bool

    @classmethod
    def asked(cls, family: Any, options: Mapping[str, Any]) -> "Question":
        """The question that the options of ``explain molecules`` ask, as the command or ``run.json`` has them."""
        names = ("target", "composite", "walks", "fragments", "bonds", "embed", "ledger")
        return cls(family, *(options[name] for name in names))

    def answer(
        self, found: Sequence[Molecule], on_error: Callable[[str, SciExplainError], object] | None = None
    ) -> MoleculeExplanations:
        """The explanation of a batch."""
        return molecules.explain(self.family, list(found), self.target, self.composite, on_error=on_error)

    @property
    def tables(self) -> dict[str, pa.Schema]:
        """The tables that are asked for."""
        wanted = {"atoms": True, "bonds": self.bonds, "walks": self.walks, "fragments": self.fragments}
        return {name: _SCHEMAS[name] for name, asked in wanted.items() if asked}


class Sample(NamedTuple):
    """A molecule, and what its row is called."""

    id: str
    molecule: Molecule


def load_family(
    model: str, weights: Path | None, featurizer: str | None, unit: str, *, unsafe_pickle: bool = False
) -> Any:
    """A model and how it takes molecules, by the options of the same names.

    Raises
    ------
    ModelError
        It cannot be found or read.
    """
    own = load_function(featurizer) if featurizer is not None and ":" in featurizer else featurizer
    return molecules.load_model(model, weights=weights, featurizer=own, unit=unit, unsafe_pickle=unsafe_pickle)


def explain_molecules(
    question: Question,
    data: Path,
    run: RunWriter,
    *,
    smiles: str | None = None,
    name: str | None = None,
    batch_size: int = 256,
    limit: int | None = None,
    pictures: int = 50,
    advance: Callable[[int], object] = lambda count: None,
) -> None:
    """Add one row, or one failure, for every molecule in ``data``.

    Parameters
    ----------
    question
        What to explain.
    data
        A file of molecules, or a folder of such files.
    run
        Where the rows go.
    smiles, name
        Columns of a table.
    batch_size
        Molecules explained at a time.
    limit
        Stop after this many molecules, failed ones included.
    pictures
        How many to draw.
    advance
        Told how many molecules are done after each batch.

    Raises
    ------
    SciExplainError
        The question cannot be answered for any molecule: no such column, no such rule.
    """
    samples = _usable(islice(read_samples(data, smiles, name, embed=question.embed), limit), run, advance)
    unknown: Counter[tuple[str, str]] = Counter()
    shown: list[MoleculeExplanation] = []
    with Tables(run.path, question.tables) as tables:
        while batch := list(islice(samples, batch_size)):
            begun = time.perf_counter()
            found = _explained(question, batch, run)
            seconds = (time.perf_counter() - begun) / len(batch)
            for sample, a in found:
                drawn = _drawn(question, sample, a, run, run.written) if run.written < pictures else None
                run.add(_row(sample, a, seconds, drawn, question.ledger))
            _list(question, found, tables)
            _append_sdf(run, [a for _, a in found], bonds=question.bonds)
            shown += [a for _, a in found][: _OVERVIEW - len(shown)]
            for _, a in found[:1]:
                unknown.update({(u.operation, u.module): u.count for u in a.unknown})
            advance(len(batch))
    if shown and all(a.molecule is not None for a in shown):
        MoleculeExplanations(shown).grid().save(run.path / "molecules.png", scale=2)
    run.record(
        "operations_without_a_rule",
        [{"operation": name, "module": module, "count": n} for (name, module), n in unknown.items()],
    )


def read_samples(data: Path, smiles: str | None, name: str | None, *, embed: bool) -> Iterator[Sample | Failure]:
    """Molecules ready for the model, and failures at their place among them.

    Parameters
    ----------
    data, smiles, name
        As for :func:`explain_molecules`.
    embed
        Make a geometry for molecules that have none.
    """
    for number, attempt in enumerate(_read(data, smiles, name)):
        if isinstance(attempt, Failure):
            yield attempt
            continue
        place = attempt.source or f"[{number}]"
        try:
            yield Sample(place, molecules.embed(attempt) if embed else attempt)
        except InputError as error:
            yield Failure(place, attempt.name, str(error), "embed")


def _read(data: Path, smiles: str | None, name: str | None) -> Iterator[Molecule | Failure]:
    failures: list[Failure] = []

    def note(place: str, error: SciExplainError) -> None:
        failures.append(Failure(place, place, str(error), "read"))

    for molecule in molecules.read(data, smiles=smiles, name=name, on_error=note):
        yield from failures
        failures.clear()
        yield molecule
    yield from failures


def _usable(attempts: Iterator[Sample | Failure], run: RunWriter, advance: Callable[[int], object]) -> Iterator[Sample]:
    """The samples; failures are recorded."""
    for attempt in attempts:
        if isinstance(attempt, Sample):
            yield attempt
        else:
            run.fail(attempt)
            advance(1)


def _explained(question: Question, batch: Sequence[Sample], run: RunWriter) -> list[tuple[Sample, MoleculeExplanation]]:
    """The molecules that can be explained; the others are recorded."""
    try:
        found = question.answer([sample.molecule for sample in batch], on_error=lambda name, error: None)
    except SciExplainError:  # what is wrong with the question, not with one molecule
        raise
    except Exception as error:  # the user's model may raise anything
        if len(batch) > 1:
            return [pair for sample in batch for pair in _explained(question, [sample], run)]
        (sample,) = batch
        run.fail(Failure(sample.id, sample.molecule.name, f"{type(error).__name__}: {error}", "explain"))
        return []
    failed = {place: reason for place, _, reason in found.failures}
    for place, reason in failed.items():
        run.fail(Failure(batch[place].id, batch[place].molecule.name, reason, "explain"))
    return list(zip((s for i, s in enumerate(batch) if i not in failed), found, strict=True))


def _row(sample: Sample, a: MoleculeExplanation, seconds: float, picture: str | None, ledger: bool) -> Row:
    made = decisions(a.output[None] if a.output.ndim == 1 else a.output.reshape(1))[0]
    return Row(
        id=sample.id,
        input=sample.molecule.name,
        prediction=made.prediction,
        probability=made.probability,
        target=a.target,
        runner_up=made.runner_up,
        score=a.score,
        relevance=a.atoms.float().cpu().numpy(),
        shape=(len(a),),
        gap=float(a.ledger.gap) if ledger else None,
        picture=picture,
        seconds=seconds,
    )


def _drawn(question: Question, sample: Sample, a: MoleculeExplanation, run: RunWriter, number: int) -> str | None:
    if a.molecule is None:
        return None
    name = f"{number:06d}_{re.sub(r'[^A-Za-z0-9._-]+', '_', sample.molecule.name or sample.id)[:60]}.svg"
    a.draw(bonds=question.bonds, walks=question.walks).save(run.pictures / name)
    return name


def _list(question: Question, found: list[tuple[Sample, MoleculeExplanation]], tables: Tables) -> None:
    """The long tables of a batch."""
    if not found:
        return
    columns = {name: _Columns(schema) for name, schema in question.tables.items()}
    for sample, a in found:
        of = (sample.id, sample.molecule.name)
        numbers = a.molecule.numbers.tolist() if a.molecule is not None else [0] * len(a)
        for i, (number, r) in enumerate(zip(numbers, a.atoms.tolist(), strict=True)):
            columns["atoms"].add(*of, i, _symbol(number), r, a.unit)
        for (i, j), r in a.bonds.items() if question.bonds else ():
            columns["bonds"].add(*of, i, j, r, a.unit)
        for walk, r in a.walks(question.walks) if question.walks else ():
            columns["walks"].add(*of, list(walk), r, a.unit)
        for fragment, r in a.fragments(question.fragments) if question.fragments else ():
            columns["fragments"].add(*of, fragment.name, fragment.smiles, sorted(fragment.atoms), r, a.unit)
    for name, gathered in columns.items():
        tables.add(name, gathered.values)


class _Columns:
    def __init__(self, schema: pa.Schema) -> None:
        self.values: dict[str, list[Any]] = {name: [] for name in schema.names}

    def add(self, *row: Any) -> None:
        for column, value in zip(self.values.values(), row, strict=True):
            column.append(value)


def _symbol(number: int) -> str:
    from ase.data import chemical_symbols

    return str(chemical_symbols[number])


def _append_sdf(run: RunWriter, found: list[MoleculeExplanation], *, bonds: bool) -> None:
    found = [a for a in found if a.molecule is not None]
    if not found:
        return
    part = run.path / ".part.sdf"
    MoleculeExplanations(found).to_sdf(part, bonds=bonds)
    with (run.path / "molecules.sdf").open("ab") as whole:
        whole.write(part.read_bytes())
    os.unlink(part)
