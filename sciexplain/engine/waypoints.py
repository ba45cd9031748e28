"""Relevance on its way through the outputs of named modules: seen, stopped there, or let through in part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakValueDictionary, ref

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from ..errors import InputError
from . import tags
from .call import tensors_in
from .channels import by_channel, own_axis, unknown_axis
from .layer import Layer, layer_of
from .modules import ModuleStack

Projection = Callable[[Tensor, int], Tensor]
"""What goes on of relevance over activation, with its axis of channels; linear."""

Passing = Callable[[Tensor | None], Tensor | None]

_KEY = "sciexplain waypoints"


class Passage:
    """What is let through, at all outputs of a module.

    The graph holds it, so that it must not hold the graph.

    Attributes
    ----------
    projection : callable or None
        None: everything.
    closed : bool
        Nothing.
    """

    def __init__(self) -> None:
        self.projection: Projection | None = None
        self.closed = False


class Entry:
    """A tensor of the graph that the output of a module is: itself, or merged with what follows it."""

    def __init__(self, tensor: Tensor, tap: Tap) -> None:
        self.edge: GradientEdge = get_gradient_edge(tensor)
        self.values = tensor.detach().clone()
        self.axis, self._carries_relevance = tap.axis, tap.carries_relevance
        self._arrived: list[Tensor] = []
        node: Any = self.edge.node
        here = node.metadata.setdefault(_KEY, {}).setdefault(self.edge.output_nr, [])
        if not here:
            tensor.register_hook(_all_passing(here))
        here.append(_passing(tap.passage, tap.axis, self._arrived))

    def emptied(self) -> Tensor | None:
        """What has arrived while the passage was closed; it is then forgotten."""
        found = self._arrived[-1] if self._arrived else None
        self._arrived.clear()
        return found

    def relevance(self, c: Tensor) -> Tensor:
        return c if self._carries_relevance else self.values * c

    def per_channel(self, c: Tensor) -> Tensor:
        """(rows, channels): relevance summed over everything else."""
        return by_channel(self.relevance(c), self.axis).sum(2)


def _all_passing(here: list[Passing]) -> Passing:
    """Of waypoints at one tensor, relevance meets that of the module which ran last first."""

    def passing(c: Tensor | None) -> Tensor | None:
        for one in reversed(here):
            changed = one(c)
            c = c if changed is None else changed
        return c

    return passing


def _passing(passage: Passage, axis: int, arrived: list[Tensor]) -> Passing:
    def passing(c: Tensor | None) -> Tensor | None:
        if c is None:
            return None
        if passage.closed:
            arrived.append(c)
            return torch.zeros_like(c)
        return None if passage.projection is None else passage.projection(c, axis)

    return passing


class Tap:
    """One output of a module in the forward pass; a layer carries it on to what is merged into it."""

    def __init__(self, waypoint: Waypoint, axis: int, carries_relevance: bool) -> None:
        self.passage, self.holds = waypoint.passage, waypoint.holds
        self.axis, self.carries_relevance = axis, carries_relevance
        self._waypoint = ref(waypoint)

    def watch(self, tensor: Tensor) -> None:
        waypoint = self._waypoint()
        assert waypoint is not None
        waypoint.entries.append(Entry(tensor, self))


class Waypoint:
    """The outputs of one module, wherever it ran.

    Attributes
    ----------
    entries : list of Entry
    channels : int
        0 before the forward pass.
    holds : bool
        The projection mixes channels, so that it is of the module's own output, before any activation.
    order : int
        Of the last of its runs among those of all modules.
    """

    def __init__(self, name: str, axis: int | None = None, *, holds: bool = False) -> None:
        self.name, self.axis, self.holds = name, axis, holds
        self.passage = Passage()
        self.entries: list[Entry] = []
        self.channels, self.order = 0, 0

    def ran(self, output: Any, axis: Callable[[Tensor], int], yields_relevance: bool, order: int) -> None:
        for tensor in tensors_in(output):
            if not tensor.requires_grad or tensor.grad_fn is None:
                continue
            at = axis(tensor) if self.axis is None else self.axis % tensor.ndim if -tensor.ndim <= self.axis else 0
            if not 0 < at < tensor.ndim:
                raise InputError(
                    f"The output of {self.name!r} has shape {tuple(tensor.shape)}; channel_axis={self.axis} is none of "
                    "its dimensions behind the first."
                )
            if self.channels not in (0, tensor.shape[at]):
                continue  # such as attention weights beside the attended values
            self.channels, self.order = tensor.shape[at], order
            raw = yields_relevance and tags.tag_of(tensor).stage == tags.RAW
            if raw and self.holds:
                raise InputError(
                    f"Up to {self.name!r} the input is only rearranged, and the composite's first rule gives relevance "
                    "itself there: it has channels, but no subspaces. Take a later layer, or another composite."
                )
            tap = Tap(self, at, raw)
            tap.watch(tensor)
            if (layer := layer_of(tensor)) is not None:
                layer.captures.append(tap)


class Channels(NamedTuple):
    """The last module that said what its channels are."""

    axis: int
    number: int
    dimensions: int


class Waypoints:
    """The waypoints of a forward pass by module name; held by who asks for them, since the graph holds the engine."""

    def __init__(self, waypoints: Sequence[Waypoint], yields_relevance: bool) -> None:
        self.running: Callable[[], ModuleStack | None] = lambda: None
        self._by_name = WeakValueDictionary({w.name: w for w in waypoints})
        self._yields_relevance = yields_relevance
        self._last: Channels | None = None
        self._count = 0

    def on_output(self, name: str, output: Any) -> None:
        stack, self._count = self.running(), self._count + 1
        module = None if stack is None else stack.innermost
        if (waypoint := self._by_name.get(name)) is not None:
            waypoint.ran(output, lambda t: self._axis(name, module, t), self._yields_relevance, self._count)
        first = next(tensors_in(output), None)
        if first is not None and first.ndim > 1 and (axis := own_axis(module, first)) is not None:
            self._last = Channels(axis, first.shape[axis], first.ndim)

    def _axis(self, name: str, module: nn.Module | None, tensor: Tensor) -> int:
        if tensor.ndim < 3:
            return tensor.ndim - 1
        if (own := own_axis(module, tensor)) is not None:
            return own
        if self._last is not None:
            as_many = [i for i in range(1, tensor.ndim) if tensor.shape[i] == self._last.number]
            if len(as_many) == 1:
                return as_many[0]
            if self._last.axis in as_many and self._last.dimensions == tensor.ndim:
                return self._last.axis
        raise unknown_axis(name, tensor)


def tapped(layer: Layer) -> bool:
    """Whether a layer's output is that of a waypoint."""
    return any(isinstance(capture, Tap) for capture in layer.captures)


def held(layer: Layer) -> bool:
    """Whether a projection mixes the channels of a layer's output as it is now, before what follows it."""
    return any(isinstance(capture, Tap) and capture.holds for capture in layer.captures)
