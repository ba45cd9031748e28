"""Samples as points: activations or relevance at a layer, with the score of each sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ._evaluation import evaluation_mode
from .composites import Composite
from .concepts.journey import ChannelAxis, Journey, travelling, waypoints_for
from .engine.base import OnUnknown
from .engine.modules import ModuleStack
from .errors import InputError
from .inputs import Inputs, buffers_restored
from .membership import ClassTarget
from .samples import Batch, Samples

_LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Bilinear)

Space = Literal["activation", "relevance"]
Rows = Callable[[Any], Tensor]
"""For graph models: from a batch's inputs to the sample of each row of the layer's output, (rows,)."""


class Points(NamedTuple):
    """A batch of N samples.

    Attributes
    ----------
    features : Tensor, shape (N, D)
        float64, on the CPU.
    scores : Tensor, shape (N,)
        The explained output, or a channel's value.
    explained : Tensor, shape (N,)
        The explained output.
    predicted : Tensor, shape (N,), or None
        The class that the model predicts; None where it has a single output.
    labels : Tensor, shape (N,), or None
    """

    features: Tensor
    scores: Tensor
    explained: Tensor
    predicted: Tensor | None
    labels: Tensor | None


@dataclass(frozen=True)
class View:
    """How samples become points.

    Attributes
    ----------
    model, target, composite, on_unknown, channel_axis
        As in :func:`sciexplain.concepts.conditional`.
    layer
        A module's name; "" for the input itself.
    space
        ``"activation"``: channels, their mean over all positions. ``"relevance"``: relevance of channels, its sum over
        all positions, as a direction: divided by its length.
    channel
        Whose value is the score; None: the explained output.
    rows
        See :data:`Rows`.
    """

    model: Callable[..., Any]
    target: ClassTarget
    layer: str
    space: Space
    channel: int | None = None
    composite: Composite | str | None = None
    on_unknown: OnUnknown = "warn"
    channel_axis: ChannelAxis = None
    rows: Rows | None = None

    def over(self, samples: Samples) -> Iterator[Points]:
        """The points of all samples, batch by batch."""
        for batch in samples:
            yield self.of(batch)

    def of(self, batch: Batch) -> Points:
        """The points of one batch."""
        if self.space not in ("activation", "relevance"):
            raise InputError(f'space={self.space!r}: expected "activation" or "relevance".')
        given = batch.inputs
        with travelling():
            journey = Journey(
                self.model, given, self.target, waypoints_for([self.layer] if self.layer else [], self.channel_axis),
                composite=self.composite, on_unknown=self.on_unknown,
            )  # fmt: skip
            scores = explained = journey.start.score
            found = self._at_layer(journey, given) if self.layer else self._at_input(journey, given)
        if len(found) != len(scores):
            raise InputError(
                f"{self.layer!r} gives {len(found)} rows for {len(scores)} samples; say with rows= which sample each "
                "row belongs to."
            )
        if self.channel is not None:
            if not self.layer or not -found.shape[1] <= self.channel < found.shape[1]:
                raise InputError(
                    f"channel={self.channel} of {self.layer or 'the input'!r}, which has {found.shape[1]}."
                )
            scores = found[:, self.channel]
        if self.space == "relevance":
            found = found / found.norm(dim=1, keepdim=True).clamp(min=1e-300)
        scores, explained = scores.detach().double().cpu(), explained.detach().double().cpu()
        return Points(found.cpu(), scores, explained, journey.predicted, batch.labels)

    def _at_input(self, journey: Journey, given: Inputs) -> Tensor:
        tensors = journey.at_inputs(journey.leg) if self.space == "relevance" else dict(given.tensors())
        parts = [t.flatten(1) if t.ndim > 1 else t[:, None] for n, t in tensors.items() if given.is_batched(n)]
        return torch.cat([p.double() for p in parts], 1)

    def _at_layer(self, journey: Journey, given: Inputs) -> Tensor:
        """(N, channels), or rows of the output as it is where nothing tells their samples."""
        mean, n = self.space == "activation", len(journey.start.score)
        found = (journey.values(self.layer) if mean else journey.all_channels([self.layer])[self.layer]).double()
        if self.rows is None or len(found) == n:
            return found
        index = self.rows(given.rebuild(dict(given.tensors()))).to(found.device)
        if index.shape != (len(found),) or (len(index) and not 0 <= int(index.min()) <= int(index.max()) < n):
            raise InputError(
                f"rows gave {tuple(index.shape)} for {len(found)} rows of {self.layer!r}; expected the sample (0 to "
                f"{n - 1}) of each."
            )
        total = found.new_zeros(n, found.shape[1]).index_add_(0, index, found)
        return total / torch.bincount(index, minlength=n).clamp(min=1)[:, None] if mean else total


def read_by_the_last_layer(model: Callable[..., Any], inputs: Inputs) -> str:
    """The module whose output the last linear layer reads, as far as the order of modules tells; "" for the input."""
    ran: list[tuple[str, bool]] = []

    def note(name: str, output: Any) -> None:
        module = stack.innermost
        if module is not None and name and next(module.children(), None) is None:
            ran.append((name, isinstance(module, _LINEAR) or type(module).__name__ == "Linear"))

    stack = ModuleStack(note)
    with evaluation_mode(model), buffers_restored(model), torch.no_grad(), stack:
        inputs.cloned().call(model)
    last = max((i for i, (_, linear) in enumerate(ran) if linear), default=0)
    return ran[last - 1][0] if last else ""
