"""A run over pictures, opened again."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

from torch import Tensor

from sciexplain.cli.images_work import PictureWork, Question
from sciexplain.cli.reopened import Reopened
from sciexplain.domains import images
from sciexplain.domains.images.case import picture_case
from sciexplain.domains.images.explain import placed
from sciexplain.prototypes import Prototypes
from sciexplain.records import Case


class _Sample(NamedTuple):
    id: str
    picture: images.Picture


class ImagesReopened(Reopened):
    """See :class:`~sciexplain.cli.reopened.Reopened`."""

    kind = "images"

    @cached_property
    def question(self) -> Question:
        """What was asked of each picture."""
        return Question.asked(self.model, self.options)

    @cached_property
    def work(self) -> PictureWork:
        """The work of the run; its attempts have the numbers of the rows."""
        return PictureWork.asked(self.model, self.data, self.options)

    def samples(self, ids: Sequence[str]) -> list[images.Picture]:
        return [sample.picture for sample in self.picked(ids, self._attempts)]

    def _attempts(self, start: int) -> Iterator[_Sample | None]:
        for name, found in self.work.attempts.read(start):
            yield _Sample(name, found) if isinstance(found, images.Picture) else None

    def inputs(self, ids: Sequence[str]) -> Tensor:
        """(N, C, H, W): the pictures as the network gets them, on its device."""
        return placed(self.model, self.question.preprocess(self.samples(ids)))

    def explain(self, ids: Sequence[str]) -> images.ImageExplanation:
        return self.question.answer(self.samples(ids))

    def case(self, name: str, labels: Sequence[str] | None = None) -> Case:
        explained = replace(self.explain([name]), labels=None if labels is None else tuple(labels))
        return picture_case(explained, 0)

    def prototypes(self, ids: Sequence[str], target: int | None, k: int, *, layer: str | None = None) -> Prototypes:
        return images.prototypes(self.model, self.inputs(ids), target, k, layer=layer, members="all")
