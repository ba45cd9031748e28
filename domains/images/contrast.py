"""One class against another: "what speaks for 3, what for 9?"."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

import sciexplain as sx
from sciexplain.domains.images.explain import (
    ImageExplanation,
    Model,
    Pictures,
    Target,
    composite_for,
    prepare,
    single,
)
from sciexplain.domains.images.preprocess import Preprocess


@dataclass(frozen=True, eq=False)
class Contrast:
    """One class against another, for N pictures.

    Attributes
    ----------
    for_a, for_b
        What speaks for each class.
    against
        What speaks for the first and against the second: the explanation of output a − output b.
    a, b
        (N,) class indices.
    """

    for_a: ImageExplanation
    for_b: ImageExplanation
    against: ImageExplanation
    a: Tensor
    b: Tensor

    def __len__(self) -> int:
        return len(self.for_a)


def contrast(
    model: Model,
    pictures: Pictures,
    a: int | Tensor,
    b: int | Tensor,
    *,
    preprocess: Preprocess | None = None,
    composite: sx.Composite | str | None = None,
    method: str = "lrp",
    ledger: bool = False,
    batch_size: int | None = None,
    labels: Sequence[str] | None = None,
    **options: Any,
) -> Contrast:
    """Explain one class against another: "what speaks for 3, what for 9?".

    Parameters
    ----------
    a, b
        Class indices: one for all pictures, or (N,), such as the predicted class and the runner-up.
    model, pictures, preprocess, composite, method, ledger, batch_size, labels, **options
        As in :func:`explain`.

    Raises
    ------
    TargetError
        There is no such class.
    InputError, DataError
        As :func:`explain` does.

    Notes
    -----
    Where pictures have different pairs of classes, ``against`` is computed pair by pair and keeps neither
    ledger nor layers.

    Evidence that both classes share cancels in ``against``, which is why it often says more than the two
    alone. With methods that are linear in the output, LRP among them, it is ``for_a − for_b``.
    """
    shown, inputs = prepare(model, pictures, preprocess)
    processed = None if isinstance(pictures, Tensor) else preprocess
    rule = composite_for(composite, preprocess, pictures)
    names = None if labels is None else tuple(labels)

    def run(inputs: Tensor, target: Target) -> sx.Explanation:
        return sx.explain(
            model, inputs, target, method, composite=rule, ledger=ledger, batch_size=batch_size, **options
        )

    def of(explanation: sx.Explanation) -> ImageExplanation:
        return ImageExplanation(shown, single(explanation.relevance), explanation, processed, names)

    first, second = (torch.as_tensor(index).cpu().expand(len(shown)) for index in (a, b))
    for_a, for_b = of(run(inputs, first)), of(run(inputs, second))
    pairs, group = torch.stack([first, second], 1).unique(dim=0, return_inverse=True)
    parts = [run(inputs[group == i], _difference(*pair)) for i, pair in enumerate(pairs.tolist())]
    return Contrast(for_a, for_b, of(_joined(parts, group)), first, second)


def _difference(a: int, b: int) -> Callable[[Tensor], Tensor]:
    return lambda output: output[:, a] - output[:, b]


def _joined(parts: list[sx.Explanation], group: Tensor) -> sx.Explanation:
    """Explanations of groups of pictures as one, in the order of the pictures."""
    if len(parts) == 1:
        return parts[0]
    order = torch.argsort(torch.argsort(group, stable=True))
    relevance, output, score = (
        torch.cat([single(getattr(part, name)) for part in parts])[order] for name in ("relevance", "output", "score")
    )
    return replace(parts[0], relevance=relevance, output=output, score=score, layers={}, ledger=None)
