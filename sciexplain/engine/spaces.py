"""What the rows of every tensor of a recorded forward pass are: sites, or something finer with a place among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .hops import Hops, Made, Use


@dataclass(eq=False)
class Space:
    """What rows are: sites, rows that a lookup or the input gave a place, or something else."""

    rows: int
    sites: bool = False
    known: bool = True
    places: list[Tensor] = field(default_factory=list)
    """Candidates for the site of each row."""
    lookups: list[tuple[Space, Tensor]] = field(default_factory=list)
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
class Step:
    """A recorded operation that carries relevance."""

    made: Made
    uses: list[Edge] = field(default_factory=list)
    used_by: list[Edge] = field(default_factory=list)
    space: Space | None = None
    hop: bool = False
    level: int = 0


@dataclass(eq=False)
class Edge:
    """A use: by which step, of what other steps made (of the input, where there is none)."""

    use: Use
    users: list[Step] = field(default_factory=list)
    makers: list[Step] = field(default_factory=list)
    roots: list[Tensor] = field(default_factory=list)

    @property
    def level(self) -> int:
        return max((m.level for m in self.makers), default=0)


def graph(objective: Tensor, hops: Hops) -> tuple[list[Step], list[Edge]]:
    """The records that relevance flows through, in the order of the forward pass."""
    steps: dict[int, Step] = {}
    edges: dict[int, Edge] = {}

    def entry(node: Any) -> Step | Edge:
        record = hops.record_of(node)
        if isinstance(record, Made):
            return steps.setdefault(id(record), Step(record))
        assert record is not None
        return edges.setdefault(id(record), Edge(record))

    stack, seen = _recorded(objective.grad_fn, hops)[0], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        here = entry(node)
        for following, _ in node.next_functions:
            nodes, leaves = _recorded(following, hops)
            stack.extend(nodes)
            if isinstance(here, Edge):
                here.roots.extend(leaf for leaf in leaves if all(leaf is not r for r in here.roots))
            for other in map(entry, nodes):
                _connect(here, other)
    return sorted(steps.values(), key=lambda s: s.made.number), list(edges.values())


def _recorded(node: Any, hops: Hops) -> tuple[list[Any], list[Tensor]]:
    """The nearest recorded nodes at or below ``node``, and the leaves reached without one."""
    found, leaves, stack, seen = [], [], [node], set()
    while stack:
        here = stack.pop()
        if here is None or here in seen:
            continue
        seen.add(here)
        if hops.record_of(here) is not None:
            found.append(here)
        elif here.name().endswith("AccumulateGrad"):
            leaves.append(here.variable)
        else:
            stack.extend(n for n, _ in here.next_functions)
    return found, leaves


def _connect(above: Step | Edge, below: Step | Edge) -> None:
    if isinstance(above, Edge):
        if isinstance(below, Step) and below not in above.makers:
            above.makers.append(below)
            below.used_by.append(above)
    elif isinstance(below, Edge) and above not in below.users:
        below.users.append(above)
        above.uses.append(below)


class Spaces:
    """What the rows of every tensor are."""

    def __init__(self, sites: int, roots: Sequence[tuple[Tensor, Tensor | None]]) -> None:
        device = roots[0][0].device if roots else None
        self.sites = Space(sites, sites=True, places=[torch.arange(sites, device=device)])
        self._by_rows: dict[int, Space] = {}
        self._of_root = {
            id(root): self.sites if place is None else self._finer(len(place), place) for root, place in roots
        }

    def of(self, edge: Edge) -> Space:
        """The space of what is used."""
        rows = rows_of(edge.use.tensor)
        spaces = [m.space for m in edge.makers if m.space is not None]
        spaces += [s for r in edge.roots if (s := self._of_root.get(id(r))) is not None]
        return next((s for s in spaces if s.rows == rows), None) or Space(rows, known=False)

    def _named(self, rows: int) -> Space:
        """By the number of rows alone."""
        if rows == self.sites.rows:
            return self.sites
        return self._by_rows.get(rows) or Space(rows, known=False)

    def _finer(self, rows: int, place: Tensor | None = None) -> Space:
        space = self._by_rows.setdefault(rows, Space(rows))
        if place is not None and not any(torch.equal(place, p) for p in space.places):
            space.places.append(place)
        return space

    def assign(self, step: Step) -> None:
        """The space of a step's result, and whether the step is a hop."""
        rows = rows_of(step.made.tensors[0])
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
            step.space = Space(rows, known=False)
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
            step.space = self.sites if alike and rows == self.sites.rows else Space(rows, known=False)


def rows_of(tensor: Tensor) -> int:
    return tensor.shape[0] if tensor.ndim else 1
