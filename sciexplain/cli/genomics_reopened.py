"""A run over sequences, opened again."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from sciexplain.cli.genomics_question import Question
from sciexplain.cli.genomics_work import SequenceWork
from sciexplain.cli.reopened import Reopened
from sciexplain.domains import genomics
from sciexplain.domains.genomics.case import sequence_case
from sciexplain.domains.genomics.models import as_called
from sciexplain.errors import DataError
from sciexplain.prototypes import Prototypes
from sciexplain.records import Case
from sciexplain.runs import Sample


class _Sample(NamedTuple):
    id: str
    record: genomics.Record


class SequencesReopened(Reopened):
    """See :class:`~sciexplain.cli.reopened.Reopened`."""

    kind = "genomics"

    @cached_property
    def work(self) -> SequenceWork:
        """The work of the run; its attempts have the numbers of the rows."""
        return SequenceWork.asked(self.model, self.data, self.options)

    @property
    def question(self) -> Question:
        """What was asked of each sequence, with the layout that the model takes."""
        return self.work.question

    @property
    def called(self) -> Any:
        """The model as a function of (N, letters, L)."""
        return as_called(self.model, self.samples(self.ids[:1]), self.question.layout)

    def samples(self, ids: Sequence[str]) -> genomics.Sequences:
        records = self._records(ids)
        if len(lengths := sorted({len(record) for record in records})) > 1:
            raise DataError(
                f"{self.run.path} has sequences of {lengths[0]} to {lengths[-1]} letters; expected one length, which "
                "--length of explain brings all to"
            )
        return self.question.encoded(records)

    def _records(self, ids: Sequence[str]) -> list[genomics.Record]:
        if not self._numbers:
            return [sample.record for sample in self.picked(ids, self._attempts)]
        # in one pass, since files of text are not read from the middle
        wanted = sorted({self._numbers[name]: name for name in ids if name in self._numbers}.items())
        read = self.work.at([number for number, _ in wanted])
        found = {name: record for (_, name), record in zip(wanted, read, strict=False) if record is not None}
        if lost := [name for name in ids if name not in found]:
            raise DataError(f"{self.data} has no sample {lost[0]!r}, which {self.run.path} was made of")
        return [found[name] for name in ids]

    def _attempts(self, start: int) -> Iterator[_Sample | None]:
        for attempt in self.work.read(start):
            yield _Sample(attempt.id, attempt.content) if isinstance(attempt, Sample) else None

    def explain(self, ids: Sequence[str]) -> genomics.SequenceExplanation:
        return self.question.answer(self.samples(ids))

    def case(self, name: str, labels: Sequence[str] | None = None) -> Case:
        return sequence_case(self.explain([name]), 0)

    def prototypes(self, ids: Sequence[str], target: int | None, k: int, *, layer: str | None = None) -> Prototypes:
        return genomics.prototypes(self.model, self.samples(ids), target, k, layer=layer, members="all")
