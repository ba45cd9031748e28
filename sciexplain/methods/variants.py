"""Many variants of every sample (points on a path, noisy or occluded copies), run together in few passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import RuleError
from ..inputs import Inputs, buffers_restored
from ..targets import Target, explained_output, repeated, start
from .gradient import gradients

Make = Callable[[range], dict[str, Tensor]]
"""From numbers of variants to the values of the inputs that vary, each of shape (variants, *shape of the input).

Asked again, it gives the same values, in memory that the model may write to.
"""

VALUES_PER_PASS = 2**22
ROWS_PER_PASS = 1024


class Evaluation(NamedTuple):
    """Scores (variants, N) and, where asked for, gradients (variants, *shape of the input)."""

    scores: Tensor
    gradients: dict[str, Tensor]


class Variants:
    """The model, the batch as given, its start and output, and how many variants of it go through in one pass.

    Variants share a pass where rows are samples of their own. That is not taken on trust: the first shared pass ends
    with the batch as given, and where its scores are not what they were alone (a graph's nodes, batch statistics,
    random numbers), variants are run one by one.

    Parameters
    ----------
    chunk : int, optional
        Rows of input in one pass. Default: what holds four million input values, at most 1024 rows; never less than
        the batch.
    """

    def __init__(self, model: Callable[..., Any], inputs: Inputs, target: Target, chunk: int | None = None) -> None:
        if chunk is not None and chunk < 1:
            raise RuleError(f"chunk={chunk}: expected a positive number of rows.")
        self.model, self.inputs = model, inputs
        with torch.no_grad(), buffers_restored(model):
            output = inputs.cloned().call(model)
            self.begin = start(output, target, inputs.batch_size)
        self.output = self.begin.score if callable(target) else explained_output(output).detach()
        n = inputs.batch_size
        separate = len(self.begin.score) == n and all(inputs.is_batched(name) for name, _ in inputs.tensors())
        per_sample = sum(v.numel() for _, v in inputs.tensors()) // n
        rows = chunk or min(ROWS_PER_PASS, VALUES_PER_PASS // max(1, per_sample))
        self._copies = max(1, rows // n) if separate else 1
        self._tried = False

    def scores(self, count: int, make: Make) -> Tensor:
        """The score of each of ``count`` variants of each sample, shape (count, N)."""
        with torch.no_grad():
            return torch.cat([e.scores for _, e in self._passes(count, make, self._scores)])

    def gradients(self, count: int, make: Make) -> Iterator[tuple[range, Evaluation]]:
        """Gradients of the scores at the variants, a few variants at a time."""
        return self._passes(count, make, self._gradients)

    def _passes(
        self, count: int, make: Make, evaluate: Callable[[dict[str, Tensor], int], Evaluation]
    ) -> Iterator[tuple[range, Evaluation]]:
        begin = 0
        while begin < count:
            block = range(begin, min(count, begin + self._copies))
            values = make(block)
            if len(block) > 1 and not self._tried:
                evaluation = self._try_together(values, len(block), evaluate)
                if evaluation is None:
                    self._copies = 1
                    continue
            else:
                evaluation = evaluate(values, len(block))
            yield block, evaluation
            begin = block.stop

    def _try_together(
        self, values: dict[str, Tensor], count: int, evaluate: Callable[[dict[str, Tensor], int], Evaluation]
    ) -> Evaluation | None:
        """The evaluation, with the batch as given at its end; None where that makes a difference."""
        self._tried = True
        given = dict(self.inputs.tensors())
        try:
            found = evaluate({k: torch.cat([v, given[k].detach()[None]]) for k, v in values.items()}, count + 1)
        except Exception:  # a model of one fixed batch size, too little memory; what else is wrong comes up again
            return None
        alone, together = self.begin.score, found.scores[-1]
        tolerance = min(0.05, 10 * torch.finfo(alone.dtype).eps ** 0.5) * alone.abs().amax()
        if bool((together - alone).abs().amax() > tolerance):
            return None
        return Evaluation(found.scores[:-1], {k: g[:-1] for k, g in found.gradients.items()})

    def _at(self, values: dict[str, Tensor], count: int) -> tuple[Inputs, Target]:
        """The inputs with ``count`` variants one after the other, in memory of their own, and the target for them."""
        tensors = {}
        for name, given in self.inputs.tensors():
            if name in values:
                tensors[name] = values[name][0] if count == 1 else values[name].flatten(0, 1)
            else:
                tensors[name] = given.detach().clone() if count == 1 else _copies(given, count)
        return self.inputs.replaced(tensors), repeated(self.begin.fixed, count)

    def _scores(self, values: dict[str, Tensor], count: int) -> Evaluation:
        inputs, target = self._at(values, count)
        with buffers_restored(self.model):
            output = inputs.call(self.model)
        return Evaluation(start(output, target, inputs.batch_size).score.view(count, -1), {})

    def _gradients(self, values: dict[str, Tensor], count: int) -> Evaluation:
        inputs, target = self._at(values, count)
        found, begin, _ = gradients(self.model, inputs, target)
        by_variant = {
            k: g.view(count, *v.shape) for (k, v), g in zip(self.inputs.tensors(), found.values(), strict=True)
        }
        return Evaluation(begin.score.view(count, -1), by_variant)


def _copies(tensor: Tensor, count: int) -> Tensor:
    return tensor.detach().repeat(count, *(1,) * (tensor.ndim - 1))
