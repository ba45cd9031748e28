"""One decision at hand to be asked again, and the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from ..evaluate.removal import Removal


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model said about one sample, and why.

    Attributes
    ----------
    relevance
        By name: ``"input"``, or ``"atoms"`` and ``"bonds"``, or ``"nucleotides"``; without a batch dimension.
    logits
        (classes,): the explained output; of one value where there are no classes.
    score
        What was explained.
    target
        The explained class or column; None for a start relevance or a callable.
    stepped_over
        ``"softmax"``, ``"log_softmax"`` or ``"sigmoid"``, where the model ends in one.
    absorbed, gap
        Of the ledger; None where none is kept.
    unknown
        Operations without a rule, each as (operation, module, count).
    unit
        Of score and relevance; empty where nobody knows.
    conserves
        Whether the method promises that relevance, with what the ledger names, sums to the score.
    """

    relevance: Mapping[str, Tensor]
    logits: Tensor
    score: float
    target: int | None
    stepped_over: str | None = None
    absorbed: Mapping[str, float] | None = None
    gap: float | None = None
    unknown: tuple[tuple[str, str, int], ...] = ()
    unit: str = ""
    conserves: bool = False

    @property
    def parts(self) -> Tensor:
        """The first of :attr:`relevance`, which sums to the score where the method conserves it."""
        return next(iter(self.relevance.values()))


@dataclass(frozen=True, eq=False)
class Case:
    """One sample, a model, and a question.

    Attributes
    ----------
    kind
        ``"tensor"``, ``"image"``, ``"molecule"`` or ``"sequence"``.
    model
        The network.
    name
        Of the sample; empty where it has none.
    inputs
        By name, what the model gets.
    question
        ``method``, ``composite``, ``target`` and ``options`` in words.
    ask
        Asks the model again.
    removal
        From the answer, how parts of the sample are taken away, and the relevance of each part; None where that is not
        known.
    removed
        What is taken away, and what it becomes, in words.
    picture
        From the answer, a PNG of the sample and its relevance; None where there is none.
    described
        What a reader knows the sample by: SMILES, letters, place, size.
    """

    kind: str
    model: Any
    name: str
    inputs: Mapping[str, Any]
    question: Mapping[str, Any]
    ask: Callable[[], Answer]
    removal: Callable[[Answer], tuple[Removal, Tensor]] | None = None
    removed: str = ""
    picture: Callable[[Answer], bytes] | None = None
    described: Mapping[str, str] = field(default_factory=dict)
