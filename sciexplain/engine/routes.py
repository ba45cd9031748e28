"""How rows travel through a layer: looked up from sites by one index, worked on one by one, and summed by another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .spaces import Edge, Space, Spaces, Step, rows_of


@dataclass(frozen=True, eq=False)
class Crossing:
    """A tensor that relevance flows through from one layer to the one before.

    Attributes
    ----------
    tensor
        (rows, …), on the graph.
    place
        (rows,): the site of each row.
    carries_relevance
        What flows back is relevance, not relevance over activation.
    edges
        Its uses behind the cut.
    """

    tensor: Tensor
    place: Tensor
    carries_relevance: bool
    edges: tuple[Edge, ...] = ()


@dataclass(frozen=True, eq=False)
class Route:
    """Rows on their way through a layer.

    Attributes
    ----------
    tensor
        (rows, …), on the graph: as looked up, or as they come in.
    place, to
        (rows,): their sites before and behind the layer.
    carries_relevance
        As in :class:`Crossing`.
    operand
        (sites, …): what they were looked up in; None for rows that come in as they are.
    direct
        Nothing is between the cut and what they were looked up in.
    """

    tensor: Tensor
    place: Tensor
    to: Tensor
    carries_relevance: bool
    operand: Tensor | None
    direct: bool


@dataclass(frozen=True, eq=False)
class Routes:
    """All ways through a layer from one site to another.

    Attributes
    ----------
    routes
        Everything else stays at its site.
    ends
        For every tensor of the cut before the layer, (rows,): where its rows are behind it; None for rows of sites,
        which may go several ways. Empty for the first layer, which begins at the input.
    """

    routes: tuple[Route, ...]
    ends: tuple[Tensor | None, ...]


def find(inside: list[Step], spaces: Spaces, before: list[Crossing]) -> Routes | None:
    """The routes through the steps ``inside`` a layer, behind the cut ``before``; None where rows do not tell."""
    members, hops = set(map(id, inside)), [s for s in inside if s.hop]
    target = hops[0].made.rows
    if target is None or any(h.made.rows is None or not torch.equal(h.made.rows, target) for h in hops):
        return None
    arrival = None if hops[0].space is None else hops[0].space.place()
    if arrival is None:
        return None
    arrival = arrival[target]
    feeding, behind = _feeding(inside), _behind(inside)
    if any(
        not s.hop and not (s.space is not None and s.space.sites) and id(s) in feeding and id(u) not in feeding
        for s in inside
        for e in s.used_by
        for u in e.users
    ):
        return None  # rows that both travel and stay
    routes: list[Route] = []
    summed: set[int] = set()
    for step in inside:
        makers = [m for e in step.uses for m in e.makers if id(m) in members]
        if step.space is None or not step.space.known or step.made.moves == "product":
            return None
        if not step.hop and (step.made.moves == "scatter" or any(id(m) in summed for m in makers)):
            if id(step) not in feeding:
                return None  # rows share them behind the layer
            summed.add(id(step))  # statistics, and what is made of them
            continue
        end = arrival if id(step) in feeding else step.space.place()
        for edge in step.uses:
            route = _route(step, edge, spaces.of(edge), members, end)
            if route is False:
                return None
            if isinstance(route, Route) and id(step) in behind:
                if not torch.equal(route.place, route.to):
                    return None  # a second move
            elif isinstance(route, Route):
                routes.append(route)
    ends = []
    for crossing in before:
        found = _end(crossing, spaces, members, routes)
        if found is False:
            return None
        ends.append(found if isinstance(found, Tensor) else None)
    return Routes(tuple(routes), tuple(ends))


def _feeding(inside: list[Step]) -> set[int]:
    """The steps that a hop of the layer takes in."""
    feeding: set[int] = set()
    for step in reversed(inside):
        if step.hop or any(id(u) in feeding for e in step.used_by for u in e.users):
            feeding.add(id(step))
    return feeding


def _behind(inside: list[Step]) -> set[int]:
    """The steps that a hop of the layer leads to."""
    behind: set[int] = set()
    for step in inside:
        if any(m.hop or id(m) in behind for e in step.uses for m in e.makers if m in inside):
            behind.add(id(step))
    return behind


def _route(step: Step, edge: Edge, source: Space, members: set[int], end: Tensor | None) -> Route | bool:
    """The route that begins with this use; True where none does, False where rows do not tell."""
    outside, looks_up = not any(id(m) in members for m in edge.makers), step.made.moves == "gather"
    if source.sites and not looks_up:
        return True  # stays at its site
    if not source.sites and not outside:
        return not looks_up  # counted on its way before
    start, use = source.place(), edge.use
    if start is None or end is None:
        return False
    if not looks_up:
        fits = len(start) == len(end) == rows_of(use.tensor)
        return Route(use.tensor, start, end, use.carries_relevance, None, True) if fits else False
    index = step.made.rows
    if index is None or len(index) != len(end):
        return False
    if source.sites:
        made = step.made
        return Route(made.tensors[0], start[index], end, made.carries_relevance, use.tensor, outside)
    if len(index.unique()) != len(index) or len(index) != len(start):
        return False
    to = torch.empty_like(end)
    to[index] = end
    return Route(use.tensor, start, to, use.carries_relevance, None, True)


def _end(crossing: Crossing, spaces: Spaces, members: set[int], routes: list[Route]) -> Tensor | bool:
    """Where the rows of a cut's tensor are behind the layer; True for rows of sites, False where rows do not tell."""
    if all(spaces.of(edge).sites for edge in crossing.edges):
        return True
    ends: list[Tensor] = []
    for edge in crossing.edges:
        inside = any(id(u) in members for u in edge.users)
        ends += [r.to for r in routes if r.tensor is edge.use.tensor] if inside else [crossing.place]
    same = bool(ends) and all(torch.equal(e, ends[0]) for e in ends)
    return ends[0] if same else False
