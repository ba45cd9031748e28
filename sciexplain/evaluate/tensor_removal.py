"""Samples in a tensor, whose pixels, positions, patches or regions can be taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..explanation import Explanation
from ..targets import Target
from .fillers import Filler, filler_of
from .parts import Parts, part_map, relevance_like
from .scoring import Output, Scorer

Fill = str | float | Tensor | Filler | Callable[[Tensor, Tensor], Tensor]


class TensorRemoval:
    """A :class:`~sciexplain.evaluate.removal.Removal` for inputs that are one tensor.

    Parameters
    ----------
    model
        Left as it is; in evaluation mode while it runs.
    inputs
        (N, features), (N, length) or (N, C, \\*spatial) with one to three spatial dimensions; tokens too, with a number
        as filler.
    target, output, batch_size
        As for :class:`~sciexplain.evaluate.scoring.Scorer`.
    filler
        ``"mean"``, ``"zero"``, ``"blur"``, ``"inpaint"``, ``"uniform"``, ``"resample"``, a number, a tensor, one of the
        filler classes, or ``filler(rows, removed) -> rows``.
    parts
        None: positions with all channels together, or features of a table. ``"features"``: single values. int or tuple:
        patches. Integer tensor: numbered regions.
    seed
        Of random fillers. A sample's draw depends on the seed and its number only.

    Attributes
    ----------
    sizes : tuple of int
    inert : BoolTensor (N, parts), or None
        Parts that are what would fill them: taking them away changes nothing. None where that depends on what is left.

    Raises
    ------
    InputError, TargetError, ModelError

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1, bias=False))
    >>> removal = TensorRemoval(model, torch.ones(1, 1, 2, 2), filler="zero")
    >>> removal.sizes
    (4,)
    >>> removal.scores([0], [torch.zeros(4, dtype=torch.bool)])
    tensor([0.], dtype=torch.float64)
    """

    def __init__(
        self,
        model: Callable[..., Any],
        inputs: Tensor,
        target: Target = None,
        *,
        filler: Fill = "mean",
        parts: Parts = None,
        output: Output = "score",
        batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        self.inputs = checked(inputs)
        self.parts = part_map(self.inputs, parts)
        self.scorer = Scorer(model, self.inputs, target, output=output, batch_size=batch_size)
        self.sizes = (self.parts.count,) * len(self.inputs)
        self._fill = filler_of(filler).fit(self.inputs, seed)
        self.inert: Tensor | None = None
        if isinstance(self._fill, Tensor):
            self._fill = self._fill.detach()
            self.inert = ~self.parts.any(self._fill != self.inputs).cpu()

    def scores(self, samples: Sequence[int], kept: Sequence[Tensor] | Tensor) -> Tensor:
        """The score of samples of which only some parts are left; see the protocol."""
        of = torch.as_tensor(samples, dtype=torch.long)
        masks = kept if isinstance(kept, Tensor) else torch.stack(list(kept))
        scores = self.scorer.given[of]
        changed = (masks.view(torch.uint8).amin(1) == 0).nonzero()[:, 0]  # much faster than all(1)
        # A target callable sees whole copies of the batch, which the scorer puts together from all rows.
        step = max(1, len(changed)) if self.scorer.together else self.scorer.batch_size
        for rows in changed.split(step):
            scores[rows] = self.scorer(self.changed(of[rows], masks[rows]), of[rows])
        return scores

    def changed(self, samples: Tensor, kept: Tensor) -> Tensor:
        """The samples (M, \\*shape) with what is not kept (M, parts) filled."""
        samples = samples.to(self.inputs.device)
        left = self.parts.values(kept.to(self.inputs.device), samples)
        rows = self.inputs[samples]
        if isinstance(self._fill, Tensor):
            return torch.where(left, rows, self._fill[samples])
        return torch.where(left, rows, self._fill(rows, ~left, samples))

    def fold(self, relevance: Any) -> Tensor:
        """The relevance of each part (N, parts): the sum of its values'."""
        return self.parts.sums(relevance_like(relevance, self.inputs)).cpu()


def checked(inputs: Any) -> Tensor:
    """Inputs that are one tensor of samples.

    Raises
    ------
    InputError
    """
    if not isinstance(inputs, Tensor):
        raise InputError(
            f"inputs is {type(inputs).__name__}; expected one tensor (N, features) or (N, C, *spatial). Bind what else "
            "the model takes in a function: lambda x: model(x, other). Graphs go through a Removal of their own."
        )
    if inputs.ndim < 2 or inputs.ndim > 5 or not inputs.numel():
        raise InputError(
            f"inputs has shape {tuple(inputs.shape)}; expected (N, features), (N, length) or (N, C, *spatial) with one "
            "to three spatial dimensions, and at least one sample."
        )
    if inputs.is_complex() or inputs.dtype == torch.bool:
        raise InputError(f"inputs is a tensor of {inputs.dtype}; expected real numbers or tokens.")
    if inputs.is_floating_point() and not bool(torch.isfinite(inputs).all()):
        raise InputError("inputs has values that are NaN or infinite; remove or replace them first.")
    return inputs.detach()


def target_of(relevance: Any, target: Target) -> Target:
    """The target asked for, or that of the explanation.

    Raises
    ------
    InputError
        For an explanation of a start relevance or a callable, which it does not keep.
    """
    if target is not None or not isinstance(relevance, Explanation):
        return target
    if relevance.target is None:
        raise InputError(
            "The explanation keeps no class as its target (it was a callable or a start relevance); give target=."
        )
    return relevance.target
