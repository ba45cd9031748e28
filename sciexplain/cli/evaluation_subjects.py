"""What an evaluation asks of a run's samples, in the words of each domain."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from sciexplain.cli.reopened import Reopened
from sciexplain.errors import InputError
from sciexplain.evaluate import Removal


class Subject(ABC):
    """Some samples of a run, explained anew as the run asked.

    Parameters
    ----------
    opened
        The run.
    ids
        Of its rows.
    filler, parts
        What stands where parts were, and what goes at once; None: as the domain does.
    seed
        Of what is drawn.
    """

    fillers: ClassVar[tuple[str, ...]]
    """The first where none is asked for."""
    together: ClassVar[tuple[str, ...]] = ()
    """Those that take from other samples, so that one alone has none."""
    unit: str = "score"

    def __init__(self, opened: Any, ids: Sequence[str], filler: str | None, parts: str | None, seed: int) -> None:
        self.opened, self.ids, self.parts, self.seed = opened, tuple(ids), parts, seed
        self.filler = filler or self.fillers[0]
        if self.filler not in self.fillers:
            raise InputError(f"--filler {filler}: expected {', '.join(self.fillers)} for a run over {opened.kind}.")
        _ = self.part  # a wrong one is told before anything is explained
        self.explained = opened.explain(list(ids))
        _check_same(self.relevance, [r.double() for r in opened.relevance(list(ids))], self.ids)

    @classmethod
    def together_with(cls, opened: Any, ids: Sequence[str]) -> dict[str, str]:
        """Why, of those rows that cannot be measured with most of the others."""
        return {}

    @property
    @abstractmethod
    def method(self) -> str:
        """What the run explained with, as a table names it."""

    @property
    @abstractmethod
    def part(self) -> str:
        """What is taken away, in the plural."""

    @property
    @abstractmethod
    def relevance(self) -> list[Tensor]:
        """Of each sample, as the run has it."""

    @abstractmethod
    def other(self, method: str) -> list[Tensor]:
        """The same by another method or composite."""

    @property
    @abstractmethod
    def removal(self) -> Removal:
        """The samples, whose parts can be taken away."""

    @abstractmethod
    def fold(self, relevance: list[Tensor]) -> list[Tensor]:
        """From relevance to that of the parts."""

    @property
    @abstractmethod
    def score(self) -> Tensor:
        """(N,): the explained outputs."""

    @abstractmethod
    def gap(self) -> Tensor | None:
        """(N,): what the ledger cannot account for; None where there is no ledger."""

    @abstractmethod
    def max_sensitivity(self) -> Tensor | None:
        """(N,): see :func:`sciexplain.evaluate.max_sensitivity`; None where inputs take no noise."""

    @abstractmethod
    def randomised(self, seed: int) -> Tensor | None:
        """(N,): rank correlation with the explanation of a wholly random network; None where there is none."""

    def places(self, relevance: list[Tensor]) -> list[Tensor]:
        """Relevance of each place, channels together, for what compares places."""
        return relevance

    def folded(self, by_name: Mapping[str, list[Tensor]]) -> dict[str, list[Tensor]]:
        """Relevance of the parts, by every method."""
        return {name: self.fold(relevance) for name, relevance in by_name.items()}

    def random(self, like: list[Tensor] | None = None) -> list[Tensor]:
        """Relevance that knows nothing, each sample's own."""
        drawn = []
        for i, r in enumerate(self.relevance if like is None else like):
            generator = torch.Generator().manual_seed(2**32 * self.seed + i)
            drawn.append(torch.rand(r.shape, generator=generator, dtype=torch.float64))
        return drawn

    def check(self) -> None:
        """That every sample has a score, as it is and with nothing left.

        Raises
        ------
        InputError
            One has none, or all are one part, so that there is no order to take parts away in.
        """
        if self.parts is not None and max(self.removal.sizes) < 2:
            raise InputError(f"--parts {self.parts}: every sample is one part ({self.part}); expected less at once.")
        for left in (True, False):
            kept = [torch.full((size,), left) for size in self.removal.sizes]
            scores = self.removal.scores(range(len(self.ids)), kept)
            if bad := (~scores.isfinite()).nonzero().flatten().tolist():
                what = "as it is" if left else "with nothing left of it"
                raise InputError(f"{self.ids[bad[0]]}: the score {what} is NaN or infinite.")

    @cached_property
    def ledger_kept(self) -> Tensor | None:
        """(N,): the gaps that the run wrote down; None where it kept no ledger."""
        table = self.opened.table
        found = dict(zip(table["id"].to_pylist(), table["gap"].to_pylist(), strict=True))
        gaps = [found[name] for name in self.ids]
        return None if None in gaps else torch.tensor(gaps, dtype=torch.float64)


def subject_type(kind: str) -> type[Subject]:
    """That of a domain, which is imported when it is asked for."""
    if kind == "images":
        from sciexplain.cli.images_evaluated import Pictures

        return Pictures
    if kind == "molecules":
        from sciexplain.cli.molecules_evaluated import Molecules

        return Molecules
    from sciexplain.cli.genomics_evaluated import Sequences

    return Sequences


def subject(opened: Reopened, ids: Sequence[str], filler: str | None, parts: str | None, seed: int) -> Subject:
    """Samples of a run, in its domain's words.

    Raises
    ------
    SciExplainError
        They cannot be explained as the run did, or come out otherwise.
    """
    return subject_type(opened.kind)(opened, ids, filler, parts, seed)


def named(method: str, composite: str | None) -> str:
    """A method as tables name it."""
    return f"{method} {composite or 'epsilon'}" if method == "lrp" else method


def width(parts: str | None, what: str) -> int:
    """``--parts`` as a number of pixels or letters.

    Raises
    ------
    InputError
        It is none.
    """
    if parts is None:
        return 1
    if not parts.isdecimal() or int(parts) < 1:
        raise InputError(f"--parts {parts}: expected a number of {what} from 1 up.")
    return int(parts)


def _check_same(now: list[Tensor], then: list[Tensor], ids: Sequence[str]) -> None:
    for name, a, b in zip(ids, now, then, strict=True):
        size = max(float(b.abs().max()), 1e-12) if b.numel() else 1.0
        off = float((a.reshape(b.shape) - b).abs().max()) if a.numel() == b.numel() else float("inf")
        if not off <= 1e-3 * size:
            raise InputError(
                f"{name}: the explanation comes out otherwise than the run has it, by {off:.3g} where the largest "
                f"relevance is {size:.3g}; explain the data anew."
            )
