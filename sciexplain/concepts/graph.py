"""How concepts are made of concepts: relevance that flows from channels of one layer to channels of the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ..composites import Composite
from ..engine.base import OnUnknown
from ..engine.programs import never_compiled, original
from ..errors import DataError, InputError
from ..membership import ClassTarget, Members, belonging, class_target, named
from ..samples import Batch, Samples
from .journey import ChannelAxis, Journey, Leg, travelling, waypoints_for
from .projections import ChannelSet


@dataclass(frozen=True, eq=False)
class ConceptGraph:
    """Channels of several layers, and the relevance that flows between them: means over the members of a class.

    The last entry of every layer is all its other channels together.

    Attributes
    ----------
    layers : tuple of str
        From the output back.
    channels : dict of tuple of int
        For each layer, its k channels, the most relevant first.
    relevance : dict of Tensor, (k + 1,)
        At each layer, in the unit of the output.
    edges : dict of Tensor, (k + 1, k' + 1)
        For each layer and the next one down, what flows from the channels of the one to those of the other. A row sums
        to the relevance of its channel, less what biases between take and what goes around the lower layer.
    score : float
        Mean explained output.
    count : int
        Members.
    target
    """

    layers: tuple[str, ...]
    channels: Mapping[str, tuple[int, ...]]
    relevance: Mapping[str, Tensor]
    edges: Mapping[tuple[str, str], Tensor]
    score: float
    count: int
    target: ClassTarget

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name!r}: {len(self.channels[name])}" for name in self.layers)
        return f"ConceptGraph(target {self.target!r}, {self.count} members; channels {sizes})"


@never_compiled
def graph(
    model: Callable[..., Any],
    data: Any,
    target: ClassTarget = None,
    layers: Sequence[str] = (),
    *,
    k: int = 5,
    channels: Mapping[str, Sequence[int]] | None = None,
    members: Members = "predicted",
    composite: Composite | str | None = None,
    channel_axis: ChannelAxis = None,
    on_unknown: OnUnknown = "warn",
    batch_size: int = 64,
) -> ConceptGraph:
    """Which concepts of a layer are made of which of the layer below, for a class.

    The weight of an edge is the relevance that passes the upper channel and then the lower one, for the target. It
    takes one forward pass, and for each layer k + 1 backward passes to the next.

    Parameters
    ----------
    model, target, composite, channel_axis, on_unknown
        As in :func:`sciexplain.concepts.conditional`.
    data
        As in :func:`sciexplain.prototypes`; read twice unless ``channels`` are given, and then no generator.
    layers : sequence of str
        Names of modules, at least two.
    k : int
        Channels of each layer: those with the largest mean relevance, in size.
    channels : dict
        For some of the layers, instead of these.
    members, batch_size
        As in :func:`sciexplain.concepts.top`.

    Returns
    -------
    ConceptGraph

    Raises
    ------
    InputError, DataError, TargetError, ModelError, RuleError, UnknownOperationError

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> _ = torch.manual_seed(0)
    >>> a, b, c = (torch.nn.Linear(i, o, bias=False) for i, o in [(3, 4), (4, 5), (5, 2)])
    >>> model = torch.nn.Sequential(a, torch.nn.ReLU(), b, torch.nn.ReLU(), c)
    >>> g = sx.concepts.graph(model, torch.randn(20, 3), 1, ["0", "2"], k=2)
    >>> edges = g.edges["2", "0"]
    >>> edges.shape, bool(torch.allclose(edges.sum(1), g.relevance["2"], atol=1e-4))
    (torch.Size([3, 3]), True)
    """
    names = list(dict.fromkeys(layers))
    if isinstance(layers, str) or len(names) < 2 or k < 1:
        raise InputError(f"layers={layers!r}, k={k}: expected names of at least two modules, and k of at least 1.")
    chosen = {name: ChannelSet(tuple(value)) for name, value in (channels or {}).items()}
    if foreign := sorted(set(chosen) - set(names)):
        raise InputError(f"channels names {foreign}, which are none of the layers {names}.")
    model, target = original(model), class_target(target)
    samples = Samples(data, model, batch_size)

    def begun(batch: Batch, begin: int) -> Trip:
        waypoints = waypoints_for(names, channel_axis)
        trip = Journey(model, batch.inputs, target, waypoints, composite=composite, on_unknown=on_unknown)
        index = torch.arange(len(trip.start.score)) + begin
        belongs = belonging(members, target, trip.start.score, trip.predicted, batch.labels, index)
        return trip, trip.leg_of(belongs) if bool(belongs.any()) else None, trip.start.score.double().cpu()[belongs]

    if set(chosen) != set(names):
        samples.needed_again()
        for name, relevance in _each(samples, begun, lambda trip, leg: _means(trip, leg, names))[0].items():
            best = torch.argsort(-relevance.abs(), stable=True)[:k]
            chosen.setdefault(name, ChannelSet(tuple(best.tolist())))
    total, scores, order = _each(samples, begun, lambda trip, leg: _flows(trip, leg, chosen))
    if not len(scores):
        raise DataError(f"No sample is a member of target={target!r} ({named(members)}).")
    return ConceptGraph(
        layers=tuple(order),
        channels={name: chosen[name].channels for name in order},
        relevance={name: total[name] / len(scores) for name in order},
        edges={pair: total[pair] / len(scores) for pair in pairwise(order)},
        score=float(scores.mean()),
        count=len(scores),
        target=target,
    )


Trip = tuple[Journey, Leg | None, Tensor]
"""A batch's journey, the leg of its members, and their scores."""


def _each(
    samples: Samples, begun: Callable[[Batch, int], Trip], measured: Callable[[Journey, Leg], Mapping[Any, Tensor]]
) -> tuple[dict[Any, Tensor], Tensor, list[str]]:
    """Sums over the members of all batches, their scores, and the order of the layers."""
    total: dict[Any, Tensor] = {}
    scores, begin = [torch.zeros(0, dtype=torch.float64)], 0
    order: list[str] = []
    for batch in samples:
        with travelling():
            trip, leg, own = begun(batch, begin)
            begin, order = begin + len(trip.start.score), trip.names
            for key, value in ({} if leg is None else measured(trip, leg)).items():
                total[key] = total[key] + value if key in total else value
            scores.append(own)
    return total, torch.cat(scores), order


def _means(trip: Journey, leg: Leg, names: Sequence[str]) -> dict[Any, Tensor]:
    return {name: r.detach().double().sum(0).cpu() for name, r in trip.all_channels(names, leg).items()}


def _flows(trip: Journey, leg: Leg, chosen: Mapping[str, ChannelSet]) -> dict[Any, Tensor]:
    """Relevance of the groups of channels of every layer, and what flows from those of one to those of the next."""
    groups = {name: _groups(trip, name, chosen[name]) for name in trip.names}
    found: dict[Any, Tensor] = {n: _grouped(r, groups[n]) for n, r in trip.all_channels(trip.names, leg).items()}
    for upper, lower in pairwise(trip.names):
        there, rows = trip.to(upper, leg), []
        for group in groups[upper]:
            with trip.letting_through({upper: group}):
                flow = trip.channels(lower, trip.to(lower, there))
            rows.append(_grouped(flow, groups[lower]))
        found[upper, lower] = torch.stack(rows)
    return found


def _groups(trip: Journey, name: str, chosen: ChannelSet) -> list[ChannelSet]:
    """Each channel, and all others."""
    number = trip.waypoints[name].channels
    own = chosen.fitted(name, number).channels
    if len(own) != len(chosen.channels):
        raise InputError(f"channels {list(chosen.channels)} of {name!r}: some are the same.")
    others = tuple(c for c in range(number) if c not in own)
    return [*(ChannelSet((c % number,)) for c in chosen.channels), ChannelSet(others)]


def _grouped(relevance: Tensor, groups: Sequence[ChannelSet]) -> Tensor:
    total = relevance.detach().double().sum(0).cpu()
    return torch.stack([total[list(group.channels)].sum() for group in groups])
