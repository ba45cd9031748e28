"""A run over molecules, opened again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from sciexplain.cli.molecules_work import MoleculeWork, Question
from sciexplain.cli.reopened import Reopened
from sciexplain.domains import molecules
from sciexplain.domains.molecules.case import molecule_case
from sciexplain.prototypes import Prototypes
from sciexplain.records import Case
from sciexplain.runs import Sample


class _Sample(NamedTuple):
    id: str
    molecule: molecules.Molecule


@dataclass(frozen=True)
class MoleculesReopened(Reopened):
    """See :class:`~sciexplain.cli.reopened.Reopened`.

    Attributes
    ----------
    family
        The model, and how it takes molecules.
    """

    family: Any
    kind = "molecules"

    @cached_property
    def question(self) -> Question:
        """What was asked of each molecule."""
        return Question.asked(self.family, self.options)

    @cached_property
    def work(self) -> MoleculeWork:
        """The work of the run; its attempts have the numbers of the rows."""
        options = self.options
        return MoleculeWork(self.question, self.data, smiles=options["smiles"], name=options["name"])

    def samples(self, ids: Sequence[str]) -> list[molecules.Molecule]:
        return [sample.molecule for sample in self.picked(ids, self._attempts)]

    def _attempts(self, start: int) -> Iterator[_Sample | None]:
        for attempt in self.work.read(start):
            yield _Sample(attempt.id, attempt.content) if isinstance(attempt, Sample) else None

    def explain(self, ids: Sequence[str]) -> molecules.MoleculeExplanations:
        return self.question.answer(self.samples(ids))

    def case(self, name: str, labels: Sequence[str] | None = None) -> Case:
        return molecule_case(self.explain([name])[0])

    def prototypes(self, ids: Sequence[str], target: int | None, k: int, *, layer: str | None = None) -> Prototypes:
        return molecules.prototypes(self.family, self.samples(ids), target, k, layer=layer)
