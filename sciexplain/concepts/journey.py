"""One forward pass, and relevance that travels back from waypoint to waypoint as often as wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from .._evaluation import evaluation_mode
from ..composites import Composite
from ..engine.base import OnUnknown, UnknownOperation, engines_suspended
from ..engine.call import tensors_in
from ..engine.channels import by_channel
from ..engine.programs import as_written
from ..engine.waypoints import Entry, Projection, Waypoint
from ..errors import InputError
from ..inputs import Inputs
from ..methods.lrp import Propagation
from ..targets import Target

ChannelAxis = int | Mapping[str, int] | None
"""Which dimension of outputs has the channels: for all layers, by layer, or found from their modules."""


class Leg(NamedTuple):
    """Where relevance over activation begins a part of its way back."""

    outputs: tuple[Tensor | GradientEdge, ...]
    slopes: tuple[Tensor | None, ...]


class Journey:
    """A model's pass through the engine with waypoints at the outputs of modules.

    Relevance *passes* a waypoint where it goes through an output of that module: what takes a way around, such as a
    skip connection, does not. Waypoints are passed from the output back, the module that ran last first.

    Attributes
    ----------
    start, explained
        As of :meth:`sciexplain.methods.lrp.Propagation.begin`.
    names : list of str
        Of the waypoints, in the order in which relevance comes by.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        inputs: Inputs,
        target: Target,
        waypoints: Sequence[Waypoint],
        *,
        composite: Composite | str | None = None,
        on_unknown: OnUnknown = "warn",
    ) -> None:
        self._run = Propagation(inputs, composite, waypoints=waypoints, on_unknown=on_unknown)
        with evaluation_mode(model):
            self.explained, _, self.start = self._run.begin(model, target)
        self._run.engine.report_unknown()
        self.waypoints = {w.name: w for w in waypoints}
        if missing := [w.name for w in waypoints if not w.entries]:
            raise InputError(
                f"layers {missing}: no module of that name gave an output that depends on the input; names are those "
                "of model.named_modules()."
            )
        self.names = sorted(self.waypoints, key=lambda name: -self.waypoints[name].order)

    @property
    def unknown(self) -> tuple[UnknownOperation, ...]:
        return tuple(self._run.engine.unknown)

    @property
    def output(self) -> Tensor:
        """What is explained, without its graph."""
        return next(tensors_in(self.explained), self.start.score).detach()

    @property
    def leg(self) -> Leg:
        """From the explained output."""
        return Leg((self.start.objective,), (None,))

    def leg_of(self, samples: Tensor) -> Leg:
        """From the explained outputs of some samples, (N,) bool, only."""
        if bool(samples.all()):
            return self.leg
        if self.start.target is None or not isinstance(self.explained, Tensor) or self.explained.ndim < 2:
            raise InputError("Some samples of a batch can be chosen only where the target is a class of several.")
        rows = samples.nonzero().flatten().to(self.explained.device)
        return Leg((self.explained[rows, self.start.target[rows]].sum(),), (None,))

    @contextmanager
    def letting_through(self, projections: Mapping[str, Projection]) -> Iterator[None]:
        """Only so much passes the waypoints named."""
        for name, projection in projections.items():
            self.waypoints[name].passage.projection = projection
        try:
            yield
        finally:
            for name in projections:
                self.waypoints[name].passage.projection = None

    def to(self, name: str, leg: Leg) -> Leg:
        """On to the outputs of a module, each where relevance meets the first of them."""
        waypoint = self.waypoints[name]
        waypoint.passage.closed = True
        try:
            self._gradients(leg, [e.edge for e in waypoint.entries])
        finally:
            waypoint.passage.closed = False
            arrived = [(e.edge, c) for e in waypoint.entries if (c := e.emptied()) is not None]
        return Leg(tuple(edge for edge, _ in arrived), tuple(c for _, c in arrived))

    def channels(self, name: str, leg: Leg) -> Tensor:
        """(rows, channels): relevance of a leg that begins at a waypoint."""
        slopes = dict(zip(map(_key, leg.outputs), leg.slopes, strict=True))
        return self._per_channel(name, [slopes.get(_key(e.edge)) for e in self.waypoints[name].entries])

    @property
    def predicted(self) -> Tensor | None:
        """(N,): classes; None where there is a single output."""
        output = self.output
        if output.ndim < 2 or output.shape[1] == 1 or len(output) != len(self.start.score):
            return None
        return (output.flatten(2).sum(2) if output.ndim > 2 else output).argmax(1).cpu()

    def strongest(self, name: str, leg: Leg, channel: int) -> tuple[Entry, Tensor]:
        """The output of a module through which most relevance of a channel goes, and what comes there."""
        slopes = dict(zip(map(_key, leg.outputs), leg.slopes, strict=True))
        found = [(e, c) for e in self.waypoints[name].entries if (c := slopes.get(_key(e.edge))) is not None]
        return max(found, key=lambda pair: float(pair[0].per_channel(pair[1])[:, channel].abs().sum()))

    def values(self, name: str) -> Tensor:
        """(rows, channels): activations, their mean over everything else."""
        first = self.waypoints[name].entries[0]
        return by_channel(first.values, first.axis).mean(2)

    def projected(self, name: str, leg: Leg, projection: Projection) -> Tensor:
        """(rows,): what a waypoint lets through of a leg that begins there."""
        axes = {_key(e.edge): e.axis for e in self.waypoints[name].entries}
        slopes = tuple(
            None if c is None else projection(c, axes[_key(o)]) for o, c in zip(leg.outputs, leg.slopes, strict=True)
        )
        return self.channels(name, Leg(leg.outputs, slopes)).sum(1)

    def all_channels(self, names: Sequence[str], leg: Leg | None = None) -> dict[str, Tensor]:
        """(rows, channels) for each layer: all relevance there, of a leg or of the explained output."""
        edges = [[e.edge for e in self.waypoints[name].entries] for name in names]
        found = iter(self._gradients(self.leg if leg is None else leg, [edge for each in edges for edge in each]))
        return {
            name: self._per_channel(name, [next(found) for _ in each]) for name, each in zip(names, edges, strict=True)
        }

    def _per_channel(self, name: str, slopes: Sequence[Tensor | None]) -> Tensor:
        entries = self.waypoints[name].entries
        found = [
            e.per_channel(torch.zeros_like(e.values) if c is None else c) for e, c in zip(entries, slopes, strict=True)
        ]
        total = found[0]
        for further in found[1:]:
            if len(further) == len(total):
                total = total + further
            elif bool(further.any()):
                raise InputError(
                    f"{name!r} has outputs of {len(total)} and of {len(further)} rows, which cannot be summed; ask at "
                    "the output of another module."
                )
        return total

    def at_inputs(self, leg: Leg) -> dict[str, Tensor]:
        """Relevance that comes to the inputs, by their names."""
        roots = self._run.roots
        found = dict(zip(roots, self._gradients(leg, list(roots.values())), strict=True))
        return self._run.as_relevance(found, self.start.objective.dtype)

    def _gradients(self, leg: Leg, inputs: Sequence[Tensor] | Sequence[GradientEdge]) -> list[Tensor | None]:
        kept = [
            (o, s) for o, s in zip(leg.outputs, leg.slopes, strict=True) if not isinstance(o, Tensor) or o.requires_grad
        ]
        if not kept:
            return [None] * len(inputs)
        outputs, slopes = zip(*kept, strict=True)
        return list(torch.autograd.grad(outputs, inputs, slopes, allow_unused=True, retain_graph=True))


def _key(edge: Tensor | GradientEdge) -> tuple[int, int]:
    assert isinstance(edge, GradientEdge)
    return id(edge.node), edge.output_nr


def waypoints_for(names: Sequence[str], channel_axis: ChannelAxis, held: Sequence[str] = ()) -> list[Waypoint]:
    """One for every layer."""
    if isinstance(channel_axis, Mapping) and (foreign := sorted(set(channel_axis) - set(names))):
        raise InputError(f"channel_axis names {foreign}, which are none of the layers {list(names)}.")
    axis = channel_axis.get if isinstance(channel_axis, Mapping) else lambda _: channel_axis
    return [Waypoint(name, axis(name), holds=name in held) for name in names]


@contextmanager
def travelling() -> Iterator[None]:
    """What every journey is made under."""
    with ExitStack() as stack:
        for context in (engines_suspended(), as_written, torch.inference_mode(False), torch.enable_grad()):
            stack.enter_context(context)
        yield
