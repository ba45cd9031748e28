"""A recorded forward pass cut into layers: between two cuts, relevance moves from sites to sites once.

Rows of tensors belong to *sites* (the atoms of molecules, say). An operation that sums rows of something finer (edges)
into rows of sites is a *hop*, and the hops on the longest way from the input to the output are the layers. A cut is a
set of tensors through which everything between two layers flows; what skips a layer is cut too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import ModelError
from . import routes
from .hops import Hops
from .routes import Crossing, Routes
from .spaces import Edge, Spaces, Step, graph, rows_of


@dataclass(frozen=True, eq=False)
class Layers:
    """Cuts, from the input's side to the output's; cut 0, the input, is left out.

    Attributes
    ----------
    cuts
        For every layer what flows out of it.
    routes
        For every layer how rows travel through it, where that can be told row by row.
    """

    cuts: list[list[Crossing]]
    routes: list[Routes | None]


def layers(objective: Tensor, hops: Hops, sites: int, roots: Sequence[tuple[Tensor, Tensor | None]]) -> Layers:
    """Cut the recorded pass that ended in ``objective``.

    Parameters
    ----------
    objective
        What is explained.
    hops
        The records.
    sites
        How many there are.
    roots
        The explained inputs, and the sites of their rows; None for an input whose rows are the sites.

    Raises
    ------
    ModelError
        When rows without a site carry relevance around a layer, so that no cut has a place for it.
    """
    steps, edges = graph(objective, hops)
    spaces = Spaces(sites, roots)
    for step in steps:
        spaces.assign(step)
    for step in steps:
        step.hop = step.hop and not _is_statistic(step)
        step.level = max((e.level for e in step.uses), default=0) + step.hop
    depth = max((s.level for s in steps), default=0)
    for step in reversed(steps):  # as late as it may: what has left its site, or has yet to meet one, where it is used
        if not step.hop:
            step.level = min((u.level - u.hop for e in step.used_by for u in e.users), default=depth)
    cutter = _Cutter(steps, edges, spaces)
    cuts: list[list[Crossing]] = []
    positions: list[int] = []
    for level in range(1, depth + 1):
        crossings, position = cutter.cut(level)
        cuts.append(crossings)
        positions.append(position)
    found = []
    for level in range(depth):
        inside = [s for s in steps if not _done(s, level, positions) and _done(s, level + 1, positions)]
        found.append(routes.find(inside, spaces, cuts[level - 1] if level else []))
    for step in steps:  # circles of references would keep every tensor until the next garbage collection
        step.uses, step.used_by = [], []
    for edge in edges:
        edge.users, edge.makers = [], []
    return Layers([[replace(c, edges=()) for c in cut] for cut in cuts], found)


def _done(step: Step, cut: int, positions: list[int]) -> bool:
    """Whether a step runs before a cut; 0 is the input, ``positions`` are the last steps before the others."""
    if cut == 0:
        return False
    return step.level < cut or (step.level == cut and (step.hop or step.made.number <= positions[cut - 1]))


def _is_statistic(hop: Step) -> bool:
    """Whether the sums only go back to the rows they are sums of, as a softmax's denominators do.

    Both by one and the same index, not just an equal one: without bonds messages go where they come from, too.
    """
    index = hop.made.rows
    if index is None or not len(index):
        return False
    stack, seen, returns = [hop], {id(hop)}, False
    while stack:
        for edge in stack.pop().used_by:
            for user in edge.users:
                if user.made.moves == "gather" and user.made.rows is not None:
                    if user.made.rows.data_ptr() != index.data_ptr() or not torch.equal(user.made.rows, index):
                        return False
                    returns = True
                elif user.space is hop.space and user.made.moves is None:
                    if id(user) not in seen:
                        seen.add(id(user))
                        stack.append(user)
                else:
                    return False
    return returns


class _Cutter:
    """Finds for every level the cut with the fewest tensors, next to where the next layer looks rows up, and narrow."""

    def __init__(self, steps: list[Step], edges: list[Edge], spaces: Spaces) -> None:
        self._steps, self._edges, self._spaces = steps, edges, spaces

    def cut(self, level: int) -> tuple[list[Crossing], int]:
        """The cut behind the hops of ``level``, and the number of the last operation of that level before it."""
        here = [s for s in self._steps if s.level == level and not s.hop]
        best: list[Crossing] | None = None
        cost, position = (0, False, 0), -1
        misplaced = ""
        for last in [-1, *(s.made.number for s in here)]:
            found = self._frontier(level, last)
            if isinstance(found, str):
                misplaced = misplaced or found
                continue
            own = len(found), not self._feeds_lookups(level, last), sum(c.tensor.numel() for c in found)
            if found and (best is None or own <= cost):
                best, cost, position = found, own, last
        if best is None:
            raise ModelError(
                f"The model cannot be cut behind message passing {level}: {misplaced} carries relevance there, but its "
                "rows belong to no atom. Relevance of the inputs is not affected (sx.explain)."
            )
        return best, position

    def _feeds_lookups(self, level: int, last: int) -> bool:
        """Whether rows of sites are looked up, after this cut, only as they are in the cut."""
        return not any(
            step.level == level
            and step.made.moves == "gather"
            and step.made.number > last
            and any(m.level == level and not m.hop and m.made.number > last for e in step.uses for m in e.makers)
            for step in self._steps
        )

    def _frontier(self, level: int, last: int) -> list[Crossing] | str:
        """What is used after the operation numbered ``last`` of ``level`` and made before."""

        def done(step: Step) -> bool:
            return step.level < level or (step.level == level and (step.hop or step.made.number <= last))

        found: list[Crossing] = []
        taken: set[int] = set()
        for edge in self._edges:
            if not edge.users or not all(map(done, edge.makers)):
                continue
            after = [not done(u) for u in edge.users]
            if not any(after):
                continue
            if not all(after):
                return "a tensor shared by merged operations"
            maker = edge.makers[0] if len(edge.makers) == 1 else None
            if maker is not None and all(not done(u) for e in maker.used_by for u in e.users):
                if id(maker) in taken:
                    continue
                taken.add(id(maker))
                tensors, raw, space = maker.made.tensors, maker.made.carries_relevance, maker.space
                uses = tuple(maker.used_by)
                name = maker.made.name
            else:
                tensors, raw, name = [edge.use.tensor], edge.use.carries_relevance, edge.users[0].made.name
                uses = (edge,)
                space = edge.users[0].space
                if space is None or not space.known or space.rows != rows_of(edge.use.tensor):
                    space = self._spaces.of(edge)
            place = None if space is None else space.place()
            for tensor in tensors:
                if place is None or len(place) != rows_of(tensor):
                    return f"what {name} ({tuple(tensor.shape)}) works on"
                found.append(Crossing(tensor, place.to(tensor.device), raw, uses))
        return found
