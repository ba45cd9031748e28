"""A recorded forward pass cut into layers: between two cuts, relevance moves from sites to sites once.

Rows of tensors belong to *sites* (the atoms of molecules, say). An operation that sums rows of something finer (edges)
into rows of sites is a *hop*, and the hops on the longest way from the input to the output are the layers. A cut is a
set of tensors through which everything between two layers flows; what skips a layer is cut too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError
from .hops import Made, Use, record_of


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
    """

    tensor: Tensor
    place: Tensor
    carries_relevance: bool


@dataclass(frozen=True, eq=False)
class Passage:
    """Rows that are on their way from one site to another: of a tensor, the rows' sites before and after the hop."""

    crossing: Crossing
    to: Tensor


@dataclass(frozen=True, eq=False)
class Layers:
    """Cuts, from the input's side to the output's; cut 0, the input, is left out.

    Attributes
    ----------
    cuts
        For every layer what flows out of it.
    passages
        For every layer the rows by which relevance travels between sites, where these are all: rows looked up by one
        index, worked on row by row, and summed by another. None for a layer with other ways.
    """

    cuts: list[list[Crossing]]
    passages: list[list[Passage] | None]


@dataclass(eq=False)
class _Space:
    """What rows are: sites, rows that a lookup or the input gave a place, or something else."""

    rows: int
    sites: bool = False
    known: bool = True
    places: list[Tensor] = field(default_factory=list)
    """Candidates for the site of each row."""
    lookups: list[tuple[_Space, Tensor]] = field(default_factory=list)
    """Rows of which other space these are."""
    targets: list[Tensor] = field(default_factory=list)
    """Where sums send the rows."""

    def place(self) -> Tensor | None:
        """The site of each row: where it comes from, rather than where it goes."""
        places = list(self.places)
        for space, index in self.lookups:
            place = space.place()
            if place is not None:
                places.append(place[index])
        for place in places:
            if not any(torch.equal(place, target) for target in self.targets):
                return place
        return places[0] if places else None


@dataclass(eq=False)
class _Step:
    """A recorded operation that carries relevance."""

    made: Made
    uses: list[_Edge] = field(default_factory=list)
    used_by: list[_Edge] = field(default_factory=list)
    space: _Space | None = None
    hop: bool = False
    level: int = 0


@dataclass(eq=False)
class _Edge:
    """A use: by which step, of what other steps made (of the input, where there is none)."""

    use: Use
    users: list[_Step] = field(default_factory=list)
    makers: list[_Step] = field(default_factory=list)
    roots: list[Tensor] = field(default_factory=list)

    @property
    def level(self) -> int:
        return max((m.level for m in self.makers), default=0)

    @property
    def level_used(self) -> int:
        return min(u.level - u.hop for u in self.users)


def layers(objective: Tensor, sites: int, roots: Sequence[tuple[Tensor, Tensor | None]]) -> Layers:
    """Cut the recorded pass that ended in ``objective``.

    Parameters
    ----------
    objective
        What is explained; its graph carries the records.
    sites
        How many there are.
    roots
        The explained inputs, and the sites of their rows; None for an input whose rows are the sites.

    Raises
    ------
    ModelError
        When rows without a site carry relevance around a layer, so that no cut has a place for it.
    """
    steps, edges = _graph(objective)
    spaces = _Spaces(sites, roots)
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
    passages = [_passages(steps, spaces, level, positions) for level in range(depth)]
    return Layers(cuts, passages)


def _graph(objective: Tensor) -> tuple[list[_Step], list[_Edge]]:
    """The records that relevance flows through, in the order of the forward pass."""
    steps: dict[int, _Step] = {}
    edges: dict[int, _Edge] = {}

    def entry(node: Any) -> _Step | _Edge:
        record = record_of(node)
        if isinstance(record, Made):
            return steps.setdefault(id(record), _Step(record))
        assert record is not None
        return edges.setdefault(id(record), _Edge(record))

    stack, seen = _recorded(objective.grad_fn)[0], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        here = entry(node)
        for following, _ in node.next_functions:
            nodes, leaves = _recorded(following)
            stack.extend(nodes)
            if isinstance(here, _Edge):
                here.roots.extend(leaf for leaf in leaves if all(leaf is not r for r in here.roots))
            for other in map(entry, nodes):
                _connect(here, other)
    return sorted(steps.values(), key=lambda s: s.made.number), list(edges.values())


def _recorded(node: Any) -> tuple[list[Any], list[Tensor]]:
    """The nearest recorded nodes at or below ``node``, and the leaves reached without one."""
    found, leaves, stack, seen = [], [], [node], set()
    while stack:
        here = stack.pop()
        if here is None or here in seen:
            continue
        seen.add(here)
        if record_of(here) is not None:
            found.append(here)
        elif here.name().endswith("AccumulateGrad"):
            leaves.append(here.variable)
        else:
            stack.extend(n for n, _ in here.next_functions)
    return found, leaves


def _connect(above: _Step | _Edge, below: _Step | _Edge) -> None:
    if isinstance(above, _Edge):
        if isinstance(below, _Step) and below not in above.makers:
            above.makers.append(below)
            below.used_by.append(above)
    elif isinstance(below, _Edge) and above not in below.users:
        below.users.append(above)
        above.uses.append(below)


class _Spaces:
    """What the rows of every tensor are."""

    def __init__(self, sites: int, roots: Sequence[tuple[Tensor, Tensor | None]]) -> None:
        device = roots[0][0].device if roots else None
        self.sites = _Space(sites, sites=True, places=[torch.arange(sites, device=device)])
        self._by_rows: dict[int, _Space] = {}
        self._of_root = {
            id(root): self.sites if place is None else self._finer(len(place), place) for root, place in roots
        }

    def of(self, edge: _Edge) -> _Space:
        """The space of what is used."""
        rows = _rows(edge.use.tensor)
        spaces = [m.space for m in edge.makers if m.space is not None]
        spaces += [s for r in edge.roots if (s := self._of_root.get(id(r))) is not None]
        return next((s for s in spaces if s.rows == rows), None) or _Space(rows, known=False)

    def _named(self, rows: int) -> _Space:
        """By the number of rows alone."""
        if rows == self.sites.rows:
            return self.sites
        return self._by_rows.get(rows) or _Space(rows, known=False)

    def _finer(self, rows: int, place: Tensor | None = None) -> _Space:
        space = self._by_rows.setdefault(rows, _Space(rows))
        if place is not None and not any(torch.equal(place, p) for p in space.places):
            space.places.append(place)
        return space

    def assign(self, step: _Step) -> None:
        """The space of a step's result, and whether the step is a hop."""
        rows = _rows(step.made.tensors[0])
        before = [self.of(e) for e in step.uses]
        moves, index = step.made.moves, step.made.rows
        finer = next((s for s in before if s.known and not s.sites), None)
        if moves == "gather" and index is not None and before:
            source = before[0]
            if source.sites:
                step.space = self._finer(rows, index)
            elif source.known:
                step.space = self._finer(rows)
                if step.space is not source:
                    step.space.lookups.append((source, index))
            else:
                step.space = self._named(rows)
        elif moves == "scatter":
            step.space = _Space(rows, known=False)
            if finer is not None:
                step.space = self._named(rows)
                step.hop = step.space.known
            if finer is not None and index is not None and len(index) == finer.rows:
                finer.targets.append(index)
        elif moves == "product":
            step.space = self._named(rows)
            step.hop = step.space.known and any(s is step.space for s in before)
        elif finer is not None and finer.rows == rows:
            step.space = finer
        else:
            alike = any(s.sites for s in before) or all(not s.known for s in before)
            step.space = self.sites if alike and rows == self.sites.rows else _Space(rows, known=False)


def _rows(tensor: Tensor) -> int:
    return tensor.shape[0] if tensor.ndim else 1


def _is_statistic(hop: _Step) -> bool:
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

    def __init__(self, steps: list[_Step], edges: list[_Edge], spaces: _Spaces) -> None:
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

        def done(step: _Step) -> bool:
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
                name = maker.made.name
            else:
                tensors, raw, name = [edge.use.tensor], edge.use.carries_relevance, edge.users[0].made.name
                space = edge.users[0].space
                if space is None or not space.known or space.rows != _rows(edge.use.tensor):
                    space = self._spaces.of(edge)
            place = None if space is None else space.place()
            for tensor in tensors:
                if place is None or len(place) != _rows(tensor):
                    return f"what {name} ({tuple(tensor.shape)}) works on"
                found.append(Crossing(tensor, place.to(tensor.device), raw))
        return found


def _passages(steps: list[_Step], spaces: _Spaces, level: int, positions: list[int]) -> list[Passage] | None:
    """How rows travel from the cut behind ``level`` (0: the input) to the next; see :class:`Layers`."""

    def before(step: _Step, cut: int) -> bool:
        """Whether the step runs before the cut behind level ``cut``."""
        if cut == 0:
            return False
        return step.level < cut or (step.level == cut and (step.hop or step.made.number <= positions[cut - 1]))

    inside = [s for s in steps if not before(s, level) and before(s, level + 1)]
    members, hops = set(map(id, inside)), [s for s in inside if s.hop]
    target = hops[0].made.rows
    if target is None or any(h.made.rows is None or not torch.equal(h.made.rows, target) for h in hops):
        return None
    assert hops[0].space is not None
    arrival = hops[0].space.place()
    feeding: set[int] = set()
    for step in reversed(inside):
        if step.hop or any(id(u) in feeding for e in step.used_by for u in e.users):
            feeding.add(id(step))
    passages: list[Passage] = []
    summed: set[int] = set()
    for step in inside:
        space, makers = step.space, [m for e in step.uses for m in e.makers if id(m) in members]
        if space is None or not space.known or step.made.moves == "product" or arrival is None:
            return None
        if not step.hop and (step.made.moves == "scatter" or any(id(m) in summed for m in makers)):
            summed.add(id(step))  # statistics, and what is made of them
            continue
        for edge in step.uses:
            source, outside = spaces.of(edge), not any(id(m) in members for m in edge.makers)
            looked_up = step.made.moves == "gather"
            if (source.sites and not looked_up) or (not source.sites and not outside and not looked_up):
                continue  # at its site, or counted on its way before
            start, tensor, raw = source.place(), edge.use.tensor, edge.use.carries_relevance
            if looked_up:
                if step.made.rows is None or not outside or start is None:  # biases on the way take their part
                    return None
                start, tensor, raw = start[step.made.rows], step.made.tensors[0], step.made.carries_relevance
            end = arrival[target] if id(step) in feeding else space.place()
            if start is None or end is None or not len(start) == len(end) == _rows(tensor):
                return None
            passages.append(Passage(Crossing(tensor, start, raw), end))
    return passages
