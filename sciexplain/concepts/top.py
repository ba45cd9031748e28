"""What a model looks for when it says a class: its most relevant channels, each in real examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..composites import Composite
from ..engine.base import OnUnknown
from ..engine.programs import never_compiled, original
from ..errors import DataError, InputError
from ..explanation import Tensors
from ..inputs import Inputs
from ..membership import ClassTarget, Members, belonging, class_target, named
from ..samples import Samples
from .journey import ChannelAxis, Journey, Leg, travelling, waypoints_for
from .projections import ChannelSet
from .ranking import Ranked, Ranking, TopChannels
from .windows import Window, window


@dataclass(frozen=True, eq=False, repr=False)
class Concepts(TopChannels):
    """The k most relevant channels of a layer for a class, each with m real examples and what it saw in them.

    Attributes
    ----------
    layer, target, channels, relevance, share, count, indices, scores
        See :class:`~sciexplain.concepts.ranking.TopChannels`.
    inputs : Tensor, or tuple or dict of Tensors, (k, m, …)
        The members at ``indices``.
    heatmaps : Tensor, or tuple or dict of Tensors, (k, m, …)
        Relevance of the inputs that passes the channel.
    focus : Tensor, or tuple or dict of Tensors, (k, m, …)
        Relevance that passes the one position of the channel where it has most: what that saw.
    positions : Tensor, shape (k, m, …)
        This position, by the dimensions of the layer's output behind rows and channels.
    windows : tuple of tuples of windows
        For each channel and example, the stretch of every spatial dimension of the (first) input on which ``focus``
        lies: of (N, C, H, W) the rows and columns, of (N, C, L) the positions, of (N, L) these.
    """

    inputs: Tensors
    heatmaps: Tensors
    focus: Tensors
    positions: Tensor
    windows: tuple[tuple[Window, ...], ...]


@never_compiled
def top(
    model: Callable[..., Any],
    data: Any,
    target: ClassTarget = None,
    layer: str = "",
    k: int = 5,
    *,
    examples: int = 8,
    members: Members = "predicted",
    mass: float = 0.9,
    composite: Composite | str | None = None,
    channel_axis: ChannelAxis = None,
    on_unknown: OnUnknown = "warn",
    batch_size: int = 64,
) -> Concepts:
    """The channels that matter most for a class, and what they see in real examples.

    Channels are ranked by their mean relevance for the target over the members of the class. Each is shown in the
    members in which it is most relevant (RelMax), with the relevance that passes it, and with what its most relevant
    position saw.

    Parameters
    ----------
    model, target, composite, channel_axis, on_unknown
        As in :func:`sciexplain.concepts.conditional`.
    data
        As in :func:`sciexplain.prototypes`; read twice, so no generator.
    layer : str
        A module's name.
    k, examples : int
        How many channels, and how many members for each.
    members
        Who belongs to the class, as in :func:`sciexplain.prototypes`.
    mass : float
        Of a window, as in :func:`sciexplain.concepts.window`.
    batch_size : int
        For tensors and data sets; the result is the same.

    Returns
    -------
    Concepts

    Raises
    ------
    InputError, DataError, TargetError, ModelError, RuleError, UnknownOperationError

    References
    ----------
    Achtibat et al. 2023, Nature Machine Intelligence 5, Methods: relevance maximisation.

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> _ = torch.manual_seed(0)
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv1d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    >>> found = sx.concepts.top(model, torch.randn(50, 4, 10), 1, "1", k=2, examples=3)
    >>> len(found.channels), found.heatmaps.shape, found.windows[0][0][0][1] - found.windows[0][0][0][0] <= 3
    (2, torch.Size([2, 3, 4, 10]), True)
    """
    if k < 1 or examples < 1 or not layer:
        raise InputError(
            f"layer={layer!r}, k={k}, examples={examples}: expected a module's name, and at least 1 of each."
        )
    model, target = original(model), class_target(target)
    samples = Samples(data, model, batch_size)
    samples.needed_again()
    ranking = Ranking(examples)
    sizes: list[int] = []

    def journey(inputs: Inputs) -> Journey:
        waypoints = waypoints_for([layer], channel_axis)
        return Journey(model, inputs, target, waypoints, composite=composite, on_unknown=on_unknown)

    for batch in samples:
        with travelling():
            trip = journey(batch.inputs)
            found = trip.all_channels([layer])[layer]
        if len(found) != (n := len(trip.start.score)):
            raise InputError(
                f"{layer!r} gives {len(found)} rows for {n} samples; of a graph model, ask molecules.concepts."
            )
        index = torch.arange(n) + sum(sizes)
        belongs = belonging(members, target, trip.start.score, trip.predicted, batch.labels, index)
        ranking.add(found[belongs.to(found.device)], index[belongs])
        sizes.append(n)
    if not ranking.count:
        raise DataError(f"No sample of {sum(sizes)} is a member of target={target!r} ({named(members)}).")
    ranked = ranking.best(k)
    shown = []
    for channel, index in zip(ranked.channels, ranked.indices.tolist(), strict=True):
        part = samples.take(index, sizes)
        with travelling():
            shown.append((part, *_seen(journey(part), layer, channel)))
    return _collected(layer, target, ranked, ranking.count, shown, mass)


def _seen(trip: Journey, layer: str, channel: int) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    """Relevance that passes the channel, that passes its most relevant position, and where that is."""
    leg, only = trip.to(layer, trip.leg), ChannelSet((channel,))
    with trip.letting_through({layer: only}):
        heatmap = trip.at_inputs(leg)
    entry, c = trip.strongest(layer, leg, channel)
    relevance = entry.relevance(c).movedim(entry.axis, 1)[:, channel]
    flat = relevance.reshape(len(relevance), -1)
    best = flat.argmax(1)
    mask = torch.zeros_like(flat)
    mask[torch.arange(len(flat), device=flat.device), best] = 1
    kept = torch.zeros_like(c).movedim(entry.axis, 1)
    kept[:, channel] = mask.reshape(relevance.shape) * c.movedim(entry.axis, 1)[:, channel]
    focus = trip.at_inputs(Leg((entry.edge,), (kept.movedim(1, entry.axis),)))
    positions = (
        torch.stack(torch.unravel_index(best, relevance.shape[1:]), 1) if relevance.ndim > 1 else best[:, None][:, :0]
    )
    return heatmap, focus, positions.cpu()


def _collected(
    layer: str, target: ClassTarget, ranked: Ranked, count: int, shown: Sequence[Any], mass: float
) -> Concepts:
    first: Inputs = shown[0][0]

    def stacked(each: Sequence[dict[str, Tensor]]) -> Tensors:
        names = [name for name, _ in first.tensors()]
        return first.rebuild({name: torch.stack([e[name].detach() for e in each]) for name in names})

    name = next(n for n, v in first.tensors() if first.is_batched(n) and n not in first.masks)
    return Concepts(
        layer=layer,
        target=target,
        channels=ranked.channels,
        relevance=ranked.relevance,
        share=ranked.share,
        count=count,
        indices=ranked.indices,
        scores=ranked.scores,
        inputs=stacked([dict(part.tensors()) for part, *_ in shown]),
        heatmaps=stacked([heatmap for _, heatmap, _, _ in shown]),
        focus=stacked([focus for _, _, focus, _ in shown]),
        positions=torch.stack([positions for *_, positions in shown]),
        windows=tuple(tuple(window(_spatial(r), mass) for r in focus[name]) for _, _, focus, _ in shown),
    )


def _spatial(relevance: Tensor) -> Tensor:
    """Of one sample: without channels."""
    return relevance.abs().sum(0) if relevance.ndim > 1 else relevance
