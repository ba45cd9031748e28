"""Molecules of a run, as an evaluation asks of them."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sciexplain.cli.evaluation_subjects import Subject, named
from sciexplain.domains.molecules import evaluate
from sciexplain.errors import InputError


class Molecules(Subject):
    """Atoms, or bonds."""

    fillers = ("remove", "zero", "mean", "sampled")

    @property
    def method(self) -> str:
        return named("lrp", self.opened.question.composite)

    @property
    def part(self) -> str:
        if self.parts not in (None, "atoms", "bonds"):
            raise InputError(f"--parts {self.parts}: expected atoms or bonds for a run over molecules.")
        return self.parts or "atoms"

    @property
    def relevance(self) -> list[Tensor]:
        return [a.atoms.detach().double().cpu() for a in self.explained]

    def other(self, method: str) -> list[Tensor]:
        return evaluate.attributed(self.explained, method)

    @cached_property
    def removal(self) -> Any:
        how: Any = "remove" if self.filler == "remove" else "mask"
        filler: Any = "zero" if self.filler == "remove" else self.filler
        return evaluate.removal_of(self.explained, self.part, how=how, filler=filler, seed=self.seed)  # type: ignore[arg-type]

    def fold(self, relevance: list[Tensor]) -> list[Tensor]:
        return relevance

    def folded(self, by_name: Mapping[str, list[Tensor]]) -> dict[str, list[Tensor]]:
        if self.part == "atoms":
            return dict(by_name)
        own = evaluate.own_relevance(self.explained, self.removal)
        made = {self.method: own, "random": self.random(own)}
        if others := [name for name in by_name if name not in made]:
            raise InputError(
                f"--baseline {others[0]}: gives no relevance of bonds; leave it out, or take --parts atoms."
            )
        return {name: made[name] for name in by_name}

    @property
    def score(self) -> Tensor:
        return self.explained.score

    @property
    def unit(self) -> str:  # type: ignore[override]  # read-only here
        return self.explained[0].unit or "score"

    def gap(self) -> Tensor | None:
        return torch.tensor([float(a.ledger.gap) for a in self.explained], dtype=torch.float64)

    def max_sensitivity(self) -> Tensor | None:
        return evaluate.max_sensitivity(self.explained, seed=self.seed)

    def randomised(self, seed: int) -> Tensor | None:
        return evaluate.sanity(self.explained, efficient=True, seed=seed).values
