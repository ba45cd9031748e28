"""What a model says of changed samples: one number each, for a target that stays the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from .._evaluation import evaluation_mode
from ..errors import InputError, ModelError, NonFiniteOutputError, TargetError
from ..inputs import passes
from ..maximization.observe import observe
from ..targets import Target, explained_output, normalized, repeated, rows_of, start
from .fixed_target import FixedTarget
from .layout import channels_last, takes_channels_last

Output = Literal["score", "probability", "correct"]


class Scorer:
    """A model, the samples as given and their targets.

    Parameters
    ----------
    model
        In evaluation mode during each call, and as it was afterwards.
    inputs
        (N, ...).
    target
        As for :func:`sciexplain.explain`. None: the class predicted for the sample as given. A callable sees whole
        copies of the batch where N is at most ``batch_size``.
    output
        ``"score"``: what the model returns at the target (its logit, or the probability where it ends in a softmax).
        ``"probability"``: the softmax of the outputs at the class, the sigmoid of a single output; outputs of a softmax
        or sigmoid stay. ``"correct"``: 1 where the class has the highest output, else 0.
    batch_size
        Rows in one forward pass; the scores are the same for any.

    Attributes
    ----------
    given : Tensor
        (N,) float64: of the samples as given.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        inputs: Tensor,
        target: Target = None,
        *,
        output: Output = "score",
        batch_size: int = 128,
    ) -> None:
        if not callable(model):
            raise ModelError(f"model is {type(model).__name__}; expected a torch module or another callable.")
        if output not in get_args(Output):
            raise InputError(f"output={output!r}: expected one of {', '.join(map(repr, get_args(Output)))}.")
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(f"batch_size={batch_size!r}: expected a positive number of rows.")
        self.model, self.inputs, self.output, self.batch_size = model, inputs, output, batch_size
        target, n = normalized(target), len(inputs)
        self.together = callable(target) and n <= batch_size
        fixed: list[FixedTarget] = []
        scores: list[Tensor] = []
        outputs: list[Tensor] = []
        with evaluation_mode(model), torch.no_grad():
            self._channels_last = takes_channels_last(model, inputs)
            for rows in passes(n, batch_size):
                made, every = self._run(inputs[rows].clone()), torch.arange(len(inputs[rows]))
                fixed.append(FixedTarget.of(made, rows_of(target, rows, n), len(every)))
                scores.append(fixed[-1](made, every))
                if output != "score" and fixed[-1].classes is not None:
                    outputs.append(explained_output(made))
        every = torch.arange(n)
        self._fixed = FixedTarget.joined(fixed, every.split(batch_size))
        self.given, self._probabilities = torch.cat(scores), False
        if output != "score":
            self._check_classes(outputs)
            self._probabilities = output == "probability" and (self._squashes() or self._are_probabilities(outputs))
            parts = zip(outputs, every.split(batch_size), strict=True)
            self.given = torch.cat([self._of_output(y, samples) for y, samples in parts])

    def __call__(self, rows: Tensor, samples: Tensor) -> Tensor:
        """Scores (M,) float64, on the CPU, of changed samples.

        Parameters
        ----------
        rows
            (M, ...): changed samples, which the model may overwrite.
        samples
            (M,) LongTensor: which sample each was.
        """
        with evaluation_mode(self.model), torch.no_grad():
            if self.together:
                return self._in_whole_batches(rows, samples)
            found = [torch.zeros(0, dtype=torch.float64)]
            for part in passes(len(rows), self.batch_size):
                found.append(self._of_output(self._run(rows[part]), samples[part]))
        scores = torch.cat(found)
        if bad := samples.cpu()[~scores.isfinite()].tolist():
            raise NonFiniteOutputError(f"The explained output is NaN or infinite for changed samples {bad[:10]}.")
        return scores

    def _run(self, rows: Tensor) -> Any:
        return self.model(channels_last(rows) if self._channels_last else rows)

    def _of_output(self, output: Any, samples: Tensor) -> Tensor:
        if self.output == "score":
            return self._fixed(output, samples)
        assert self._fixed.classes is not None
        y = explained_output(output).double()
        y = y[:, None] if y.ndim == 1 else y.flatten(1)
        classes = self._fixed.classes[samples.cpu()].to(y.device)
        if self.output == "correct":
            return (y.argmax(1) == classes).double().cpu()
        if not self._probabilities:
            y = y.softmax(1) if y.shape[1] > 1 else y.sigmoid()
        return y.gather(1, classes[:, None])[:, 0].cpu()

    def _in_whole_batches(self, rows: Tensor, samples: Tensor) -> Tensor:
        """For a target callable that may count on the order of the batch: copies of the batch, as given where unasked.

        The k-th row of a sample stands in the k-th copy.
        """
        n = len(self.inputs)
        found = torch.empty(len(rows), dtype=torch.float64)
        if not len(rows):
            return found
        turn = _turns(samples)
        per_pass = max(1, self.batch_size // n)
        for first in range(0, int(turn.max()) + 1, per_pass):
            here = ((turn >= first) & (turn < first + per_pass)).nonzero()[:, 0]
            copies = int(turn[here].max()) - first + 1
            place = (turn[here] - first) * n + samples[here]
            batch = self.inputs.repeat(copies, *(1,) * (self.inputs.ndim - 1))
            batch[place] = rows[here]
            scores = start(self._run(batch), repeated(self._fixed.function, copies), len(batch)).score
            found[here.cpu()] = scores[place].double().cpu()
        return found

    def _check_classes(self, outputs: list[Tensor]) -> None:
        if self._fixed.classes is None or any(y.ndim > 2 for y in outputs):
            raise TargetError(
                f'output={self.output!r} needs a class as target and outputs of shape (N, classes); use output="score" '
                "for other targets."
            )
        if self.output == "correct" and (outputs[0].ndim < 2 or outputs[0].shape[1] < 2):
            raise TargetError(
                'output="correct" compares classes, but the model has a single output; use output="score".'
            )

    def _squashes(self) -> bool:
        """Whether the model ends in a softmax or sigmoid, where that can be seen."""
        with evaluation_mode(self.model), torch.no_grad():
            return observe(self.model, self.inputs[:1].clone()).stepped_over in ("softmax", "sigmoid")

    @staticmethod
    def _are_probabilities(outputs: list[Tensor]) -> bool:
        """Whether the model ends in a softmax of its own making, by its outputs."""
        y = torch.cat(outputs) if outputs else torch.zeros(0)
        inside = bool((y >= 0).all() and (y <= 1).all())
        if y.ndim == 2 and y.shape[1] > 1:
            return inside and bool((y.sum(1) - 1).abs().max() < 1e-3)
        if inside:
            raise ModelError(
                'output="probability" of a model with a single output in 0..1 on every sample: is it a probability '
                'already? Then use output="score"; otherwise wrap it: lambda x: model(x).sigmoid() and output="score".'
            )
        return False


def _turns(samples: Tensor) -> Tensor:
    """How many times each sample came before."""
    order = samples.argsort(stable=True)
    ordered = samples[order]
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    position = torch.arange(len(samples), device=samples.device)
    begin = torch.where(first, position, torch.zeros_like(position)).cummax(0).values
    return torch.empty_like(samples).scatter_(0, order, position - begin)
