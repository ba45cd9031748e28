"""A run over sequences, opened again."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from sciexplain.cli.genomics_question import Question, agreed, read_records
from sciexplain.cli.reopened import Reopened
from sciexplain.domains import genomics
from sciexplain.domains.genomics.case import sequence_case
from sciexplain.domains.genomics.models import as_called
from sciexplain.prototypes import Prototypes
from sciexplain.records import Case


class _Sample(NamedTuple):
    id: str
    record: genomics.Record


class SequencesReopened(Reopened):
    """See :class:`~sciexplain.cli.reopened.Reopened`."""

    kind = "genomics"

    @cached_property
    def question(self) -> Question:
        """What was asked of each sequence, with the layout that the model takes."""
        question = Question.asked(self.model, self.options)
        return question.with_layout(question.encoded([next(self._read()).record]))

    @property
    def called(self) -> Any:
        """The model as a function of (N, letters, L)."""
        return as_called(self.model, self.samples(self.ids[:1]), self.question.layout)

    def samples(self, ids: Sequence[str]) -> genomics.Sequences:
        return self.question.encoded([sample.record for sample in self.picked(ids, self._read())])

    def _read(self) -> Iterator[_Sample]:
        options = self.options
        genome = genomics.Genome([Path(file) for file in options["genome"]]) if options["genome"] else None
        own = getattr(self.model, "alphabet", None)
        for attempt in read_records(
            self.data,
            agreed("alphabet", options["alphabet"], own) or "DNA",
            genome=genome,
            length=agreed("length", options["length"], getattr(self.model, "length", None)),
            **{name: options[name] for name in ("pad", "sequence", "name")},
        ):
            if isinstance(attempt, genomics.Record):
                yield _Sample(attempt.name, attempt)

    def explain(self, ids: Sequence[str]) -> genomics.SequenceExplanation:
        return self.question.answer(self.samples(ids))

    def case(self, name: str, labels: Sequence[str] | None = None) -> Case:
        return sequence_case(self.explain([name]), 0)

    def prototypes(self, ids: Sequence[str], target: int | None, k: int, *, layer: str | None = None) -> Prototypes:
        return genomics.prototypes(self.model, self.samples(ids), target, k, layer=layer, members="all")
