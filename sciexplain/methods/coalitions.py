"""Scores with some features kept and the others at a baseline: the games that Shapley values and LIME look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, ModelError
from ..inputs import Inputs
from ..targets import Target
from .gradient import zeros
from .options import PerInput, for_each_input, removable, values_like
from .part import Part, convergence_error
from .variants import Variants
from .windows import windows_over


class Game:
    """A feature is a group of input values that come and go together.

    Parameters
    ----------
    baseline : float or Tensor, or one for each input
        What absent features are set to; for tokens, the padding token.
    features : LongTensor, or one for each input, or None
        The number of the feature that each value belongs to, from 0; broadcast to the input. Equal numbers in several
        inputs are one feature. None: single features of a table (N, features), otherwise about 200 windows for each
        input, all channels together.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        inputs: Inputs,
        target: Target,
        baseline: PerInput,
        features: Any,
        chunk: int | None,
    ) -> None:
        names = removable(inputs)
        self.inputs = inputs
        self.values = {k: v.detach() for k, v in inputs.tensors() if k in names}
        self.absent = values_like(baseline, inputs, names, "baseline")
        self.members = _members(self.values, features, inputs)
        self.size = 1 + max(int(m.max()) for m in self.members.values())
        self.variants = Variants(model, inputs, target, chunk)
        scores, n = len(self.variants.begin.score), inputs.batch_size
        if scores not in (1, n):
            raise ModelError(f"{n} rows of input give {scores} scores; expected one for each row, or one for all.")

    @property
    def full(self) -> Tensor:
        """The score of each sample as given, in float64."""
        return self.variants.begin.score.double()

    def scores(self, kept: Tensor) -> Tensor:
        """The scores (coalitions, N) of coalitions (coalitions, features) of kept features; none runs twice."""
        different, where = torch.unique(kept, dim=0, return_inverse=True)

        def kept_only(block: range) -> dict[str, Tensor]:
            rows = different[block.start : block.stop]
            return {
                k: torch.where(rows.to(v.device)[:, self.members[k]], v, self.absent[k]) for k, v in self.values.items()
            }

        return self.variants.scores(len(different), kept_only)[where.to(self.full.device)].double()

    def part(self, worth: Tensor, empty: Tensor | None = None) -> Part:
        """The worth (features, N) of each feature, shared equally by its values.

        ``empty``: the score without any feature, for worths that promise to sum to the difference.
        """
        score, n = self.variants.begin.score, self.inputs.batch_size
        sizes = worth.new_zeros(n, self.size)
        for members in self.members.values():
            flat = members.flatten(1).expand(n, -1)
            sizes.scatter_add_(1, flat, worth.new_ones(()).expand_as(flat))
        each = worth.T / sizes.clamp(min=1)
        relevance = {}
        for name, value in self.inputs.tensors():
            if name in self.members:
                flat = self.members[name].flatten(1).expand(n, -1)
                relevance[name] = each.expand(n, -1).gather(1, flat).view(value.shape).to(score.dtype)
            else:
                relevance[name] = zeros(value, score)
        error = None
        if empty is not None:
            error = convergence_error(self.full - empty, {k: r.double() for k, r in relevance.items()}, self.inputs)
            error = None if error is None else error.to(score.dtype)
        return Part(relevance, self.variants.output, self.variants.begin.target, score, convergence_error=error)


def _members(values: dict[str, Tensor], features: Any, inputs: Inputs) -> dict[str, Tensor]:
    """The feature of each value, (1 or N, *shape of a sample)."""
    found: dict[str, Tensor] = {}
    if features is None:
        first = 0
        for name, value in values.items():
            members = torch.zeros(1, *value.shape[1:], dtype=torch.long, device=value.device)
            windows = windows_over(value, None, None)
            for i, window in enumerate(windows, first):
                members[0][window] = i
            found[name], first = members, first + len(windows)
        return found
    given = for_each_input(features, inputs, "features")
    for name, value in values.items():
        members = given[name]
        if not isinstance(members, Tensor) or members.is_floating_point() or members.dtype == torch.bool:
            raise InputError(f"features is {members!r:.60}; expected an integer tensor with the feature of each value.")
        shape = value.shape if members.ndim == value.ndim and len(members) > 1 else (1, *value.shape[1:])
        try:
            found[name] = members.to(value.device, torch.long).expand(shape)
        except RuntimeError:
            raise InputError(
                f"features has shape {tuple(members.shape)}, the input {tuple(value.shape)}; they must broadcast."
            ) from None
        if int(members.min()) < 0:
            raise InputError(f"features has the number {int(members.min())}; features are numbered from 0.")
    return found
