"""Explaining every sequence of a file: what a run over sequences asks, and what it gets."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from torch import Tensor, nn

from sciexplain.cli.genomics_gathered import gathered
from sciexplain.cli.genomics_question import Question, agreed
from sciexplain.cli.genomics_surfaced import Asked, Known, surfaced
from sciexplain.domains import genomics
from sciexplain.domains.genomics import Genome, Record, SequenceExplanation
from sciexplain.domains.genomics.formats.nucleotide_table import columns_of, schema_of
from sciexplain.errors import (
    DataError,
    InputError,
    ModelError,
    NonFiniteOutputError,
    RuleError,
    TargetError,
    UnknownOperationError,
)
from sciexplain.runs import Answer, Attempt, Decision, Explained, Failure, Finding, Run, Sample, Work, decisions

LONGEST_EXPLAINED = 2**24
"""Letters of a sequence that is explained; its input alone takes as many numbers as it has letters times channels."""

_TRIED, _LOOKED_AT = 16, 4096
_SURFACED = 200_000
_FAILURES_SHOWN = 1000


class SequenceWork(Work):
    """Sequences, and what to explain of each.

    Sequences of several lengths are explained, each length in batches of its own. What comes out for one does not
    depend on the others in its batch, shuffled references included: these follow from its letters and the seed.

    Parameters
    ----------
    model
        The network.
    data
        A file of sequences or of regions.
    options
        Of ``explain genomics``, as the command or ``run.json`` has them.
    """

    noun = "sequences"
    shard = 1024
    most = 256
    wrong_question = (TargetError, RuleError, ModelError, UnknownOperationError, InputError)

    def __init__(self, model: nn.Module, data: Path, options: Mapping[str, Any]) -> None:
        self._data, self._options = data, options
        self._asked = Question.asked(model, options)
        self._length = agreed("length", options["length"], getattr(model, "length", None))
        self._alphabet = genomics.alphabet_of(self._asked.alphabet)
        self._bookmarks = genomics.Bookmarks()

    @classmethod
    def asked(cls, model: nn.Module, data: Path, options: Mapping[str, Any]) -> Self:
        """The work that the options of ``explain genomics`` ask for, as the command or ``run.json`` has them.

        Raises
        ------
        ModelError
            The model was made for sequences of another length or alphabet.
        """
        return cls(model, data, options)

    def count(self) -> int:
        """See :class:`~sciexplain.runs.Work`.

        What the findings will be held against is read, too, so that a wrong file is told before anything is explained.
        """
        _ = self.known
        return genomics.count(self._data, bookmarks=self._bookmarks)

    def read(self, start: int = 0) -> Iterator[Attempt]:
        for place, found in self._attempts(start=start):
            if isinstance(found, Record):
                where = found.name if found.interval is None else str(found.interval)
                reason = self._refused(found)
                if reason:
                    yield Failure(found.name, where, reason, "read")
                else:
                    length = len(found.sequence)
                    yield Sample(found.name, where, found, length * len(self._alphabet), length)
            else:
                yield Failure(place, str(self._data), str(found), "read")

    def at(self, numbers: Sequence[int]) -> Iterator[Record | None]:
        """The sequences of these attempts, which ascend; None for one that cannot be read."""
        for _, found in self._attempts(numbers=numbers):
            yield found if isinstance(found, Record) and not self._refused(found) else None

    def explain(self, samples: Sequence[Sample]) -> Explained:
        records = [sample.content for sample in samples]
        try:
            found = self.question.answer(self.question.encoded(records))
        except NonFiniteOutputError as error:  # of some sequences, and no fault of the question
            if len(samples) == 1:
                return Explained([error])
            middle = len(samples) // 2
            halves = self.explain(samples[:middle]), self.explain(samples[middle:])
            both = Counter(halves[0].unknown) + Counter(halves[1].unknown)
            return Explained([answer for half in halves for answer in half.answers], both)
        lines = _Lines(found, [record.sequence for record in records], self.tables)
        unknown = Counter({(u.operation, u.module): u.count for e in found.explanations for u in e.unknown})
        return Explained(list(_answers(found, lines)), unknown)

    def finish(self, run: Run, say: Callable[[str], object]) -> Finding:
        say("reading the explanations")
        options = self._options
        found = gathered(run, self.question, options.get("surface_limit", _SURFACED))
        if found is None:
            return Finding()
        wanted = Asked(
            **{name: options[name] for name in ("fdr", "sign", "shuffles", "distance", "hits", "min_seqlets")},
            known=self.known,
            pictures=options["pictures"],
            seed=options["seed"],
            run={
                **{name: options[name] for name in ("model", "data", "method")},
                "composite": self._asked.composite,
                "strand": options["strand"],
            },
            failed=[(row["id"], row["reason"]) for row in run.errors.slice(0, _FAILURES_SHOWN).to_pylist()],
        )
        return surfaced(found, run.path, wanted, genome=self.genome, say=say)

    # ---- what every process finds for itself

    @cached_property
    def known(self) -> Known:
        """Genes, motifs and gene sets that the findings are held against.

        Raises
        ------
        DataError
            A file is of another kind, or nothing in it can be read.
        """
        files = (self._options[name] for name in ("genes", "motifs", "gene_sets"))
        return Known.read(*(None if file is None else Path(file) for file in files))

    @cached_property
    def genome(self) -> Genome | None:
        """Where the regions lie."""
        given = self._options["genome"]
        return Genome([Path(file) for file in given]) if given else None

    @property
    def question(self) -> Question:
        """What is asked, with the layout that the model takes.

        Raises
        ------
        InputError
            The model takes none of the first sequences in either layout.
        """
        if isinstance(self._tried.question, Exception):
            raise self._tried.question
        return self._tried.question

    @cached_property
    def tables(self) -> Mapping[str, pa.Schema]:  # type: ignore[override]  # found when it is needed
        """The table of nucleotides; whether it has hypothetical contributions is seen from the first sequences."""
        about = {"method": self._asked.method, "explained_strand": self._asked.strand}
        return {"nucleotides": schema_of(self._alphabet, hypothetical=self._tried.hypothetical, **about)}

    @cached_property
    def _tried(self) -> "_Tried":
        """What the first sequences tell, one of each length until one is explained: the same in every process."""
        question: Question | Exception = DataError(f"{self._data}: none of its sequences can be read")
        lengths = set[int]()
        for attempt in islice(self.read(), _LOOKED_AT):
            if not isinstance(attempt, Sample) or attempt.bucket in lengths:
                continue
            lengths.add(len(attempt.content))
            sequences = self._asked.encoded([attempt.content])
            try:
                laid = self._asked.with_layout(sequences)
                question = laid if isinstance(question, Exception) else question
                return _Tried(laid, laid.answer(sequences).has_hypothetical)
            except Exception as error:  # the user's model may raise anything
                if isinstance(question, DataError):
                    question = error
            if len(lengths) == _TRIED:
                break
        return _Tried(question, False)

    def _attempts(self, **which: Any) -> Iterator[tuple[str, Record | DataError]]:
        options = self._options
        return genomics.attempts(
            self._data,
            bookmarks=self._bookmarks,
            genome=self.genome,
            length=self._length,
            alphabet=self._alphabet,
            **{name: options[name] for name in ("pad", "sequence", "name")},
            **which,
        )

    def _refused(self, record: Record) -> str:
        """Why a sequence is not explained; empty if it is."""
        unknown = self._alphabet.unknown
        if not record.sequence.strip(unknown + unknown.lower()):
            return f"has no letters but {unknown}"
        if len(record) > LONGEST_EXPLAINED:
            return f"has {len(record)} letters; expected at most {LONGEST_EXPLAINED}: give --length to take its middle"
        return ""


@dataclass(frozen=True)
class _Tried:
    """The question with the model's layout, or why there is none; and whether it has hypothetical contributions."""

    question: Question | Exception
    hypothetical: bool


class _Lines:
    """A batch's lines in the table of nucleotides, made once when they are first asked for."""

    def __init__(self, found: SequenceExplanation, letters: Sequence[str], tables: Mapping[str, pa.Schema]) -> None:
        self._found, self._letters, self._schema = found, letters, tables["nucleotides"]

    @cached_property
    def _columns(self) -> list[tuple[str, Any]]:
        made = columns_of(self._found, self._letters)
        return [(name, made[name]) for name in self._schema.names]

    def of(self, row: int) -> dict[str, dict[str, Any]]:
        """Those of one sequence."""
        length = self._found.sequences.length
        start, end = row * length, (row + 1) * length
        return {"nucleotides": {name: column[start:end] for name, column in self._columns}}


def _answers(found: SequenceExplanation, lines: _Lines) -> Iterator[Answer]:
    none = [Decision(None, None, None)] * len(found)
    made = none
    if found.explanations and isinstance(output := found.explanations[0].output, Tensor) and output.ndim == 2:
        made = decisions(output, independent=found.explanations[0].stepped_over == "sigmoid")
    elif not found.explanations:
        made = decisions(found.score[:, None])
    if len(made) != len(found):
        made = none  # tokens: batches of their own
    relevance = found.nucleotides.float().cpu().numpy()
    targets = [None] * len(found) if found.target is None else found.target.tolist()
    for row, (decision, target, score) in enumerate(zip(made, targets, found.score.tolist(), strict=True)):
        yield Answer(decision, target, score, relevance[row], tables=partial(lines.of, row))
