"""Pictures of a run, as an evaluation asks of them."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sciexplain.cli.evaluation_subjects import Subject, named, width
from sciexplain.domains.images import evaluate


class Pictures(Subject):
    """Pixels, or square patches of them."""

    fillers = ("mean", "zero", "blur", "inpaint", "uniform", "resample")
    together = ("resample",)

    @classmethod
    def together_with(cls, opened: Any, ids: Sequence[str]) -> dict[str, str]:
        shapes = dict(zip(opened.table["id"].to_pylist(), map(tuple, opened.table["shape"].to_pylist()), strict=True))
        most = Counter(shapes[name] for name in ids).most_common(1)[0][0]
        return {
            name: f"the network saw it as {shapes[name]}, most others as {most}; explain with --resize or --crop"
            for name in ids
            if shapes[name] != most
        }

    @property
    def method(self) -> str:
        return named(self.opened.question.method, self.opened.question.composite)

    @property
    def _patch(self) -> int:
        return width(self.parts, "pixels")

    @property
    def part(self) -> str:
        return "pixels" if self._patch == 1 else f"patches of {self._patch} × {self._patch} pixels"

    @property
    def relevance(self) -> list[Tensor]:
        return [r.double().cpu() for r in self.explained.relevance]

    def other(self, method: str) -> list[Tensor]:
        return [r.double().cpu() for r in evaluate.attributed(self.explained, method)]

    @cached_property
    def removal(self) -> Any:
        size = self._patch
        return evaluate.removal_of(
            self.explained, filler=self.filler, parts=None if size == 1 else size, seed=self.seed
        )

    def fold(self, relevance: list[Tensor]) -> list[Tensor]:
        return list(self.removal.fold(torch.stack(relevance)))

    def places(self, relevance: list[Tensor]) -> list[Tensor]:
        return [r.sum(0) for r in relevance]

    @property
    def score(self) -> Tensor:
        return self.explained.score.double().cpu()

    def gap(self) -> Tensor | None:
        ledger = self.explained.explanation.ledger
        return None if ledger is None else ledger.gap.double().cpu()

    def max_sensitivity(self) -> Tensor | None:
        return evaluate.max_sensitivity(self.explained, seed=self.seed)

    def randomised(self, seed: int) -> Tensor | None:
        return evaluate.sanity(self.explained, efficient=True, seed=seed).values
