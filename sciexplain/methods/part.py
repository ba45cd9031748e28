"""What a method returns for one part of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from ..engine.ledger import Row
from ..engine.mode import UnknownOperation


@dataclass(frozen=True)
class Part:
    """Relevance by input name, and what belongs to it; see :class:`sciexplain.Explanation`."""

    relevance: dict[str, Tensor]
    output: Tensor
    target: Tensor | None
    score: Tensor
    layers: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)
    rows: list[Row] | None = None
    unknown: tuple[UnknownOperation, ...] = ()
    stepped_over: str | None = None
