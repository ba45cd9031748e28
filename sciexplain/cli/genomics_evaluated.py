"""Sequences of a run, as an evaluation asks of them."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sciexplain.cli.evaluation_subjects import Subject, named, width
from sciexplain.domains.genomics import evaluate


class Sequences(Subject):
    """Letters, or words of several."""

    fillers = ("shuffled", "zero", "background", "random", "sampled")
    together = ("sampled",)

    @property
    def method(self) -> str:
        return named(self.opened.question.method, self.opened.question.composite)

    @property
    def _word(self) -> int:
        return width(self.parts, "letters")

    @property
    def part(self) -> str:
        return "nucleotides" if self._word == 1 else f"stretches of {self._word} nucleotides"

    @property
    def relevance(self) -> list[Tensor]:
        return list(self.explained.nucleotides.double().cpu())

    def other(self, method: str) -> list[Tensor]:
        return list(evaluate.attributed(self.explained, method).double().cpu())

    @cached_property
    def removal(self) -> Any:
        filler: Any = self.filler
        return evaluate.removal_of(self.explained, filler=filler, parts=self._word, seed=self.seed)

    def fold(self, relevance: list[Tensor]) -> list[Tensor]:
        return self.removal.relevance(torch.stack(relevance))

    @property
    def score(self) -> Tensor:
        return self.explained.score.double().cpu()

    def gap(self) -> Tensor | None:
        return evaluate.gap(self.explained)

    def max_sensitivity(self) -> Tensor | None:
        return evaluate.max_sensitivity(self.explained, seed=self.seed)

    def randomised(self, seed: int) -> Tensor | None:
        found = evaluate.sanity(self.explained, efficient=True, seed=seed)
        return None if found is None else found.values
