"""What a method returns for one part of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..engine.base import UnknownOperation
from ..engine.ledger import Row
from ..errors import InputError, ModelError
from ..inputs import Inputs


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
    convergence_error: Tensor | None = None
    multipliers: dict[str, Tensor] = field(default_factory=dict)


def convergence_error(difference: Tensor, relevance: Mapping[str, Tensor], inputs: Inputs) -> Tensor | None:
    """What completeness lacks, of each score: the difference from the baseline's score, less the sum of relevance.

    None where samples share an input, so that it is nobody's own.
    """
    if len(difference) == 1:
        return difference - torch.stack([r.sum() for r in relevance.values()]).sum()
    if not all(inputs.is_batched(name) for name in relevance) or len(difference) != inputs.batch_size:
        return None
    return difference - torch.stack([r.flatten(1).sum(1) if r.ndim > 1 else r for r in relevance.values()]).sum(0)


def gradients_to(
    objective: Tensor,
    inputs: Sequence[Tensor],
    integers: Mapping[str, Tensor],
    *,
    keep_graph: bool = False,
    start: Tensor | None = None,
) -> list[Tensor | None]:
    """The gradient of ``objective`` to each of ``inputs``, None where it does not depend on one.

    ``integers`` are the model's inputs where all are integer. With a ``start``, the gradient of the objective's sum
    weighted by it, with a graph of its own.

    Raises
    ------
    ModelError, InputError
        When it depends on none.
    """
    found: list[Tensor | None] = [None]
    if objective.requires_grad:
        recorded = start is not None
        found = list(
            torch.autograd.grad(
                objective, list(inputs), start, keep_graph or recorded, create_graph=recorded, allow_unused=True
            )
        )
    if any(g is not None for g in found):
        return found
    if integers:
        raise integers_without_embedding(integers)
    raise ModelError(
        "The explained output does not depend on the input through differentiable operations (was it computed under "
        "torch.no_grad(), detached, or by NumPy?)."
    )


def integers_without_embedding(integers: Mapping[str, Tensor]) -> InputError:
    kinds = ", ".join(f"{name} ({tuple(v.shape)}, {v.dtype})" for name, v in integers.items())
    return InputError(
        f"The input is integer and meets no embedding: {kinds}. Integers stand for tokens or categories that an "
        "embedding turns into numbers; if these are numbers, pass them as floats: inputs.float()."
    )
