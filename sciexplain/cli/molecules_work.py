"""Explaining every molecule of a file: what a run over molecules asks, and what it gets."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from sciexplain._files import written
from sciexplain.domains import molecules
from sciexplain.domains.molecules import Molecule, MoleculeExplanation, MoleculeExplanations
from sciexplain.domains.molecules.sdf_record import sdf_record
from sciexplain.errors import DataError, InputError, SciExplainError
from sciexplain.runs import Answer, Attempt, Decision, Explained, Failure, Finding, Run, Sample, Work, decisions
from sciexplain.runs.models import load_function

_OVERVIEW = 12
_SDF, _GRID = "molecules.sdf", "molecules.png"
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


class MoleculeWork(Work):
    """Molecules, and what to explain of each.

    Parameters
    ----------
    question
        What to explain.
    data
        A file of molecules, or a folder of such files.
    smiles, name
        Columns of a table.
    sdf
        Whether the structures are written too.
    """

    noun = "molecules"
    shard = 4096
    most = 1024
    wrong_question = (SciExplainError,)

    def __init__(
        self, question: Question, data: Path, *, smiles: str | None = None, name: str | None = None, sdf: bool = True
    ) -> None:
        self._question, self._data = question, data
        self.texts = (_SDF,) if sdf else ()
        self._columns = {"smiles": smiles, "name": name}
        self.tables = question.tables

    @classmethod
    def asked(cls, family: Any, data: Path, options: Mapping[str, Any]) -> "MoleculeWork":
        """The work that the options of ``explain molecules`` ask for, as the command or ``run.json`` has them."""
        columns = {key: options[key] for key in ("smiles", "name")}
        return cls(Question.asked(family, options), data, **columns, sdf=options.get("sdf", True))

    def count(self) -> int | None:
        return molecules.count(self._data, **self._columns)

    def read(self, start: int = 0) -> Iterator[Attempt]:
        for place, found in molecules.attempts(self._data, **self._columns, start=start):
            if isinstance(found, DataError):
                yield Failure(place, place, str(found), "read")
                continue
            try:
                molecule = molecules.embed(found) if self._question.embed else found
            except InputError as error:
                yield Failure(place, found.name or place, str(error), "embed")
            else:
                yield Sample(place, molecule.name, molecule, len(molecule))

    def explain(self, samples: Sequence[Sample]) -> Explained:
        errors: list[Exception] = []
        found = self._question.answer(
            [sample.content for sample in samples], on_error=lambda name, error: errors.append(error)
        )
        failed = {place: error for (place, *_), error in zip(found.failures, errors, strict=True)}
        explained = zip(found, _decisions(found), strict=True)
        answers = [
            failed[place] if place in failed else self._answer(sample, *next(explained))
            for place, sample in enumerate(samples)
        ]
        return Explained(answers, {(u.operation, u.module): u.count for a in found[:1] for u in a.unknown})

    def _answer(self, sample: Sample, a: MoleculeExplanation, decision: Decision) -> Answer | Exception:
        question = self._question
        try:
            details = _Details.of(sample, a, question)
            gap = float(a.ledger.gap) if question.ledger else None
        except Exception as error:  # of the user's model, which is asked again for details
            return error
        relevance = details.atoms.astype(np.float32)
        if not np.isfinite(relevance).all():
            return InputError(f"found relevance that is not finite of {sample.id}; expected a model of finite slopes")
        return Answer(
            decision,
            a.target,
            a.score,
            relevance,
            gap,
            details.tables,
            details.texts if self.texts and a.molecule is not None else dict,
            details.draw if a.molecule is not None else None,
        )

    def finish(self, run: Run, say: Callable[[str], object]) -> Finding:
        """Draw the first rows, explained again."""
        say("drawing")
        numbers = run.rows.head(_OVERVIEW, columns=["number"])["number"].to_pylist()
        again = [attempt.content for attempt in self._at(numbers) if isinstance(attempt, Sample)]
        if again:
            found = self._question.answer(again, on_error=lambda name, error: None)
            if found and all(a.molecule is not None for a in found):
                written(run.path / _GRID, lambda path: found.grid().save(path, scale=2))
        return Finding()

    def _at(self, numbers: Sequence[int]) -> Iterator[Attempt]:
        """The attempts of these numbers."""
        for number in numbers:
            yield from islice(self.read(number), 1)


@dataclass(frozen=True)
class _Details:
    """What is listed, written and drawn of one molecule."""

    id: str
    explanation: MoleculeExplanation
    atoms: NDArray[np.float64]
    bonds: Mapping[tuple[int, int], float] | None
    walks: Sequence[tuple[tuple[int, ...], float]] | None
    fragments: Sequence[tuple[Any, float]] | None

    @classmethod
    def of(cls, sample: Sample, a: MoleculeExplanation, question: Question) -> "_Details":
        """Details that are asked for."""
        return cls(
            sample.id,
            a,
            a.atoms.detach().double().cpu().numpy(),
            a.bonds if question.bonds else None,
            a.walks(question.walks) if question.walks else None,
            list(a.fragments(question.fragments)) if question.fragments else None,
        )

    def tables(self) -> dict[str, dict[str, Any]]:
        """Columns of the tables of atoms, bonds, walks and fragments."""
        a, symbols = self.explanation, _symbols()
        elements = [symbols[z] for z in ([0] * len(a) if a.molecule is None else a.molecule.numbers.tolist())]
        tables = {"atoms": self._columns(self.atoms, atom=np.arange(len(a)), element=elements)}
        if self.bonds is not None:
            ends = {"i": [i for i, _ in self.bonds], "j": [j for _, j in self.bonds]}
            tables["bonds"] = self._columns(list(self.bonds.values()), **ends)
        if self.walks is not None:
            walks = {"walk": [list(walk) for walk, _ in self.walks]}
            tables["walks"] = self._columns([r for _, r in self.walks], **walks)
        if self.fragments is not None:
            parts = [part for part, _ in self.fragments]
            tables["fragments"] = self._columns(
                [r for _, r in self.fragments],
                fragment=[part.name for part in parts],
                smiles=[part.smiles for part in parts],
                atoms=[sorted(part.atoms) for part in parts],
            )
        return tables

    def _columns(self, relevance: Sequence[float] | NDArray[np.float64], **columns: Any) -> dict[str, Any]:
        a, n = self.explanation, len(relevance)
        of = {"molecule": [self.id] * n, "name": [a.name] * n}
        return {**of, **columns, "relevance": relevance, "unit": [a.unit] * n}

    def texts(self) -> dict[str, str]:
        """The record of the SDF."""
        a = self.explanation
        assert a.molecule is not None
        return {_SDF: sdf_record(a.molecule, self.atoms, self.bonds or {}, a.score, unit=a.unit)}

    def draw(self, path: Path) -> Path:
        """The structural formula."""
        a = self.explanation
        assert a.molecule is not None
        drawing = molecules.draw(a.molecule, self.atoms, self.bonds, self.walks, unit=a.unit, title=a.name)
        called = re.sub(r"[^A-Za-z0-9._-]+", "_", a.name or self.id)[:60]
        return drawing.save(path.with_name(f"{path.name}_{called}.svg"))


def _decisions(found: MoleculeExplanations) -> list[Decision]:
    """What the model says of each, at once where all outputs are alike."""
    outputs = [a.output if a.output.ndim == 1 else a.output.reshape(-1)[:1] for a in found]
    if len({output.shape for output in outputs}) == 1:
        return decisions(torch.stack(outputs))
    return [decisions(output[None])[0] for output in outputs]


@cache
def _symbols() -> list[str]:
    from ase.data import chemical_symbols

    return chemical_symbols
