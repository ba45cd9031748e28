"""How the score goes as parts are taken away or put in: the curves, their areas and what is sure about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..errors import InputError
from .scores import Better, Scores
from .statistics import RESAMPLES, Interval, bootstrap, interval

Order = Literal["most", "least", "random"]
Mode = Literal["deletion", "insertion"]


@dataclass(frozen=True)
class Flipping:
    """Curves of several samples.

    Attributes
    ----------
    fractions
        (S,) float64, ascending from 0: share of the parts that were taken away, or put in.
    scores
        (N, S) float64, in the unit of the output.
    order
        ``"most"`` relevant first, ``"least"`` or ``"random"``.
    mode
        ``"deletion"`` or ``"insertion"``.

    Examples
    --------
    >>> curves = Flipping(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([[4.0, 1.0, 0.0]]), "most", "deletion")
    >>> curves.areas, curves.aopc
    (tensor([1.5000], dtype=torch.float64), tensor([2.3333], dtype=torch.float64))
    """

    fractions: Tensor
    scores: Tensor
    order: Order
    mode: Mode

    def __repr__(self) -> str:
        n, steps = self.scores.shape
        of = "random order" if self.order == "random" else f"{self.order} relevant first"
        return f"Flipping({self.mode}, {of}: {n} samples, {steps} points, mean area {float(self.areas.mean()):.4g})"

    @property
    def mean(self) -> Tensor:
        """The mean curve (S,)."""
        return self.scores.mean(0)

    @property
    def areas(self) -> Tensor:
        """Area under each curve (N,) by trapezoids, over the range of fractions: the mean height, in units of score."""
        return torch.trapezoid(self.scores.double(), self.fractions.double(), dim=1) / (
            self.fractions[-1] - self.fractions[0]
        )

    @property
    def aopc(self) -> Tensor:
        r"""Area over the perturbation curve (N,): :math:`\frac{1}{L+1} \sum_{k=0}^L f(x^{(0)}) - f(x^{(k)})`.

        Samek et al. 2017, eq. 12, of each sample; their mean is the paper's. For insertion it is negative.
        """
        return (self.scores[:, :1] - self.scores).double().mean(1)

    def interval(self, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
        """The mean area with its bootstrap interval over samples."""
        return interval(self.areas, level=level, resamples=resamples, seed=seed)

    def band(self, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Bootstrap interval of the mean curve: low (S,) and high (S,), each point for itself."""
        return bootstrap(self.scores, level=level, resamples=resamples, seed=seed)

    def difference(
        self, other: Flipping, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
    ) -> Interval:
        """Mean of this area − the other's on the same samples, with its paired bootstrap interval.

        ``least.difference(most)`` for deletion is the area between both curves: what the order is worth.

        Raises
        ------
        InputError
            When the samples, the fractions or the mode differ.
        """
        self._check_same(other)
        return interval(self.areas - other.areas, level=level, resamples=resamples, seed=seed)

    def _check_same(self, other: Flipping) -> None:
        if (
            self.mode != other.mode
            or self.scores.shape != other.scores.shape
            or not torch.allclose(self.fractions, other.fractions)
        ):
            raise InputError(
                f"These curves are not of the same samples and steps: {self.mode} {tuple(self.scores.shape)} and "
                f"{other.mode} {tuple(other.scores.shape)}."
            )


@dataclass(frozen=True)
class Comparison:
    """Several explanations of the same samples, and a random order.

    Attributes
    ----------
    most, least
        Curves by name of the explanation.
    random
        Curves of a random order, each sample's own.
    """

    most: Mapping[str, Flipping]
    least: Mapping[str, Flipping]
    random: Flipping

    @property
    def gains(self) -> dict[str, Tensor]:
        """What each order is worth, (N,): the area between its two curves, larger is more faithful.

        Least first − most first for deletion, the other way round for insertion; 0 for a random order on average.
        Blücher et al. 2024, *Decoupling pixel flipping and occlusion strategy for consistent XAI benchmarks*, TMLR
        (symmetric relevance gain).
        """
        sign = 1 if self.random.mode == "deletion" else -1
        return {name: sign * (self.least[name].areas - curves.areas) for name, curves in self.most.items()}

    @property
    def leads(self) -> dict[str, Tensor]:
        """How much better than a random order most relevant first is, (N,): the area between these two curves."""
        sign = 1 if self.random.mode == "deletion" else -1
        return {name: sign * (self.random.areas - curves.areas) for name, curves in self.most.items()}

    def scores(self, *, unit: str = "") -> tuple[Scores, ...]:
        """For the table: areas most and least relevant first, the gain, and the area of the random order.

        Parameters
        ----------
        unit
            Of the output, such as ``"logit"``.
        """
        deletion = self.random.mode == "deletion"
        good: Better = "lower" if deletion else "higher"
        bad: Better = "higher" if deletion else "lower"
        found = []
        for name, gain in self.gains.items():
            found.append(Scores(name, "area, most relevant first", self.most[name].areas, good, unit))
            found.append(Scores(name, "area, least relevant first", self.least[name].areas, bad, unit))
            found.append(Scores(name, "gain over the reverse order", gain, "higher", unit))
        random = Scores("random", "area, most relevant first", self.random.areas, good, unit)
        return (*found, random)

    def difference(
        self, first: str, second: str, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
    ) -> Interval:
        """Gain of the first − gain of the second on the same samples, with its paired bootstrap interval.

        Raises
        ------
        InputError
            When there is no explanation of such a name.
        """
        gains = self.gains
        if missing := {first, second} - set(gains):
            raise InputError(f"No explanation {', '.join(sorted(missing))}; there are {', '.join(gains)}.")
        return interval(gains[first] - gains[second], level=level, resamples=resamples, seed=seed)
