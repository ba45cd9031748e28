"""A run over molecules, opened again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sciexplain.cli.molecules_run import Question, Sample, read_samples
from sciexplain.cli.reopened import Reopened
from sciexplain.domains import molecules
from sciexplain.domains.molecules.case import molecule_case
from sciexplain.prototypes import Prototypes
from sciexplain.records import Case


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

    def samples(self, ids: Sequence[str]) -> list[molecules.Molecule]:
        return [sample.molecule for sample in self.picked(ids, self._read())]

    def _read(self) -> Iterator[Sample]:
        options = self.options
        for attempt in read_samples(self.data, options["smiles"], options["name"], embed=options["embed"]):
            if isinstance(attempt, Sample):
                yield attempt

    def explain(self, ids: Sequence[str]) -> molecules.MoleculeExplanations:
        return self.question.answer(self.samples(ids))

    def case(self, name: str, labels: Sequence[str] | None = None) -> Case:
        return molecule_case(self.explain([name])[0])

    def prototypes(self, ids: Sequence[str], target: int | None, k: int, *, layer: str | None = None) -> Prototypes:
        return molecules.prototypes(self.family, self.samples(ids), target, k, layer=layer)
