"""A molecule's layers as small matrices, one for every pair of atoms that a layer joins.

Where the layer looks rows up, works on them one by one and sums them, as message passing does, the matrices are
products: of what happens to one row, found for all rows at once with one backward pass for each feature, and of what
happens at its atom before. Of other layers they are found with one backward pass for each feature and each colour of
atoms that share no neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from sciexplain.domains.molecules.adjoints import Adjoints, Run


@dataclass(frozen=True)
class Layer:
    """A layer's adjoint by pairs of atoms.

    Attributes
    ----------
    source, to
        (P,): the pairs that the layer joins, in the model's direction.
    matrices
        (P, width before, width behind): slopes at ``source`` are ``matrices @ slopes at to``. In the first layer
        (P, 1, width behind): relevance of the input.
    index
        (n, n): the number of each pair (from, to); -1 for none.
    """

    source: Tensor
    to: Tensor
    matrices: Tensor
    index: Tensor


@dataclass(frozen=True)
class Blocks:
    """A molecule's layers 1 … depth, and the slopes (n, width) behind the last."""

    layers: tuple[Layer, ...]
    top: Tensor

    def flows(self) -> list[Tensor]:
        """As :meth:`Adjoints.flows`."""
        n, slopes = len(self.top), [self.top]
        for number in range(len(self.layers), 1, -1):
            layer = self.layers[number - 1]
            pulled = torch.einsum("pab,pb->pa", layer.matrices, slopes[0][layer.to])
            slopes.insert(0, pulled.new_zeros(n, pulled.shape[1]).index_add_(0, layer.source, pulled))
        found = []
        for layer, state, behind in zip(self.layers, self.states(), slopes, strict=False):
            arriving = torch.einsum("pa,pab->pb", state[layer.source], layer.matrices)
            flow = torch.zeros(n, n, dtype=self.top.dtype)
            flow[layer.source, layer.to] = (arriving * behind[layer.to]).sum(1)
            found.append(flow)
        return found

    def states(self) -> list[Tensor]:
        """At every cut 0 … depth what the layers make of the input, (n, width): the sum of all beginnings of walks."""
        states = [self.top.new_ones(len(self.top), 1)]
        for layer in self.layers:
            arriving = torch.einsum("pa,pab->pb", states[-1][layer.source], layer.matrices)
            states.append(arriving.new_zeros(len(self.top), arriving.shape[1]).index_add_(0, layer.to, arriving))
        return states

    def step(self, layer: int, pairs: Tensor, slopes: Tensor) -> Tensor:
        """Slopes (m, width behind) at the heads of ``pairs`` (m,), pulled to their tails: (m, width before).

        Pairs of number -1 give zeros. Equal pairs share one product of matrices.
        """
        matrices = self.layers[layer - 1].matrices
        out = slopes.new_zeros(len(slopes), matrices.shape[1])
        order = torch.argsort(pairs, stable=True)
        numbers, counts = torch.unique_consecutive(pairs[order], return_counts=True)
        begin = 0
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            rows = order[begin : begin + count]
            begin += count
            if number >= 0:
                out[rows] = slopes[rows] @ matrices[number].T
        return out


def of(adjoints: Adjoints) -> Blocks:
    """The layers of a molecule."""
    generator = torch.Generator().manual_seed(0)
    one, layers = adjoints.run(1), []
    for cut in range(1, adjoints.depth + 1):
        layer = None if one.lin.routes(cut) is None else _routed(adjoints, cut)
        if layer is None or not _holds(layer, one, cut, generator):
            layer = _coloured(adjoints, cut, generator)
        layers.append(layer)
    n = adjoints.atoms
    top = one.states(adjoints.depth, one.lin.slopes(adjoints.depth))[0] if layers else torch.zeros(n, 0)
    return Blocks(tuple(layers), top)


def _layer(source: Tensor, to: Tensor, matrices: Tensor, n: int) -> Layer:
    """Without the pairs between which nothing passes."""
    passes = (matrices != 0).flatten(1).any(1)
    source, to, matrices = source[passes], to[passes], matrices[passes]
    index = torch.full((n, n), -1)
    index[source, to] = torch.arange(len(source))
    return Layer(source, to, matrices, index)


def _holds(layer: Layer, run: Run, cut: int, generator: torch.Generator) -> bool:
    """Whether a layer does to slopes, weighed at random atom by atom, what the model does."""
    slopes = run.states(cut, run.lin.slopes(cut))[0]
    slopes = slopes * torch.randn(run.atoms, 1, generator=generator, dtype=torch.float64).to(run.dtype)
    expected = run.pull(cut, slopes[None])[0].reshape(run.atoms, -1)
    pulled = torch.einsum("pab,pb->pa", layer.matrices, slopes[layer.to])
    found = torch.zeros_like(expected).index_add_(0, layer.source, pulled)
    largest = max(pulled.abs().max(), expected.abs().max()) if len(pulled) else expected.abs().max()
    return bool(((found - expected).abs() <= 10 * torch.finfo(run.dtype).eps ** 0.5 * largest).all())


# -- by rows -------------------------------------------------------------------------------------------------------


def _routed(adjoints: Adjoints, cut: int) -> Layer:
    one, n = adjoints.run(1), adjoints.atoms
    routes = one.lin.routes(cut)
    assert routes is not None
    width, before = one.widths[cut - 1], 1 if cut == 1 else one.widths[cut - 2]
    run = adjoints.run(max([width, *(r.tensor.shape[1:].numel() for r in routes.routes)]))
    ways = [(r.place, r.to) for r in routes.routes if r.operand is not None or cut == 1]
    if cut > 1:
        crossings = zip(one.lin.cuts[cut - 2], routes.ends, strict=True)
        ways += [(c.place, end) for c, end in crossings if end is not None]
    atoms = torch.arange(n)
    keys = torch.cat([atoms * n + atoms, *(place * n + to for place, to in ways)]).unique()
    matrices = torch.zeros(len(keys), before, width, dtype=one.dtype)
    lookups = [None if r.operand is None else _lookup(run, cut, i) for i, r in enumerate(routes.routes)]
    for begin in range(0, width, run.copies):
        features = torch.arange(begin, min(begin + run.copies, width))
        staying, moving = _one_pass(run, cut, features, lookups)
        largest = staying.abs()
        for place, to, values in moving:  # (copies, rows, before)
            leaves = place != to
            largest.index_add_(1, place[leaves], values[:, leaves].abs())
            staying.index_add_(1, place[leaves], -values[:, leaves])
            pairs = torch.searchsorted(keys, (place * n + to)[leaves])
            part = torch.zeros(len(keys), before, len(features), dtype=one.dtype)
            part.index_add_(0, pairs, values[:, leaves].permute(1, 2, 0))
            matrices[:, :, features] += part
        staying[staying.abs() <= 64 * torch.finfo(one.dtype).eps * largest] = 0  # what rounding left of a difference
        matrices[torch.searchsorted(keys, atoms * n + atoms)[:, None], :, features] += staying.permute(1, 0, 2)
    return _layer(keys // n, keys % n, matrices, n)


def _lookup(run: Run, cut: int, route: int) -> Tensor:
    """(features, n, before): what a slope at a feature that rows are looked up in is at the cut before."""
    routes = run.lin.routes(cut)
    assert routes is not None
    operand = routes.routes[route].operand
    assert operand is not None
    width, found = operand.shape[1:].numel(), []
    for begin in range(0, width, run.copies):
        features = torch.arange(begin, min(begin + run.copies, width))
        slopes = torch.zeros(run.copies, run.atoms, width, dtype=operand.dtype)
        slopes[torch.arange(len(features)), :, features] = 1.0
        pulled = run.lin.pull_lookup(cut, route, slopes.reshape(operand.shape))
        found.append(_as_states(run, cut, pulled)[: len(features)])
    return torch.cat(found)


def _one_pass(
    run: Run, cut: int, features: Tensor, lookups: list[Tensor | None]
) -> tuple[Tensor, list[tuple[Tensor, Tensor, Tensor]]]:
    """(copies, n, before) with every way, and (place, to, (copies, rows, before)) of those by rows."""
    routes = run.lin.routes(cut)
    assert routes is not None
    copies, n = len(features), run.atoms
    ones = torch.zeros(run.copies, n, run.widths[cut - 1], dtype=run.dtype)
    ones[torch.arange(copies), :, features] = 1.0
    pulled, rows = run.lin.pull_along(cut, run.tensors(cut, ones))
    moving = []
    for route, lookup, slopes in zip(routes.routes, lookups, rows, strict=True):
        mine = run.by_copy(route.place)[:copies]
        place, to = route.place[mine[0]] % n, route.to[mine[0]] % n
        if lookup is not None:
            each = slopes.flatten(1)[mine].to(run.dtype)  # (copies, rows, features)
            moving.append((place, to, torch.einsum("krf,frb->krb", each, lookup[:, place])))
        elif cut == 1:
            relevance = slopes if route.carries_relevance else slopes * route.tensor.detach()
            moving.append((place, to, relevance.flatten(1).sum(1)[mine].to(run.dtype)[..., None]))
    if cut > 1:
        assert isinstance(pulled, list)
        for number, (crossing, end) in enumerate(zip(run.lin.cuts[cut - 2], routes.ends, strict=True)):
            if end is None:
                continue
            rank, width = run.slots[cut - 2][number]
            mine = run.by_copy(crossing.place)[:copies]
            values = torch.zeros(copies, mine.shape[1], run.widths[cut - 2], dtype=run.dtype)
            columns = rank[mine[0]][:, None] + torch.arange(width)
            values[:, torch.arange(mine.shape[1])[:, None], columns] = pulled[number].flatten(1)[mine].to(run.dtype)
            moving.append((crossing.place[mine[0]] % n, end[mine[0]] % n, values))
    return _as_states(run, cut, pulled)[:copies], moving


def _as_states(run: Run, cut: int, pulled: list[Tensor] | Tensor) -> Tensor:
    """(copies, n, width) at the cut before; the width of the input is 1, its relevance."""
    if isinstance(pulled, Tensor):
        return pulled.view(run.copies, run.atoms, 1)
    return run.states(cut - 1, pulled)


# -- by colours ----------------------------------------------------------------------------------------------------


def _coloured(adjoints: Adjoints, cut: int, generator: torch.Generator) -> Layer:
    n = adjoints.atoms
    joined = _joined(adjoints, cut, generator)
    source, to = joined.nonzero(as_tuple=True)
    colours, one = colours_of(source, to, n), adjoints.run(1)
    width, before = one.widths[cut - 1], 1 if cut == 1 else one.widths[cut - 2]
    matrices = torch.zeros(len(source), before, width, dtype=one.dtype)
    questions = [(c, f) for c in range(int(colours.max()) + 1) for f in range(width)]
    run = adjoints.run(len(questions))
    for begin in range(0, len(questions), run.copies):
        part = torch.tensor(questions[begin : begin + run.copies])
        ones = torch.zeros(len(part), n, width, dtype=one.dtype)
        copy, atom = (part[:, 0, None] == colours).nonzero(as_tuple=True)
        ones[copy, atom, part[copy, 1]] = 1.0
        pulled = run.pull(cut, ones)
        pulled = pulled[..., None] if cut == 1 else pulled
        for colour in part[:, 0].unique().tolist():
            chosen = (part[:, 0] == colour).nonzero()[:, 0]
            pairs = (colours[to] == colour).nonzero()[:, 0]
            values = pulled[chosen][:, source[pairs]]  # (features, pairs, before)
            matrices[pairs[:, None], :, part[chosen, 1][None, :]] = values.permute(1, 0, 2)
    return _layer(source, to, matrices, n)


def _joined(adjoints: Adjoints, cut: int, generator: torch.Generator) -> Tensor:
    """(n, n) bool, from and to: whether anything flows back to one atom from the other, by random slopes at each."""
    n = adjoints.atoms
    run, rows = adjoints.run(n), []
    for begin in range(0, n, run.copies):
        atoms = torch.arange(begin, min(begin + run.copies, n))
        state = torch.zeros(len(atoms), n, run.widths[cut - 1], dtype=run.dtype)
        noise = torch.randn(len(atoms), state.shape[-1], generator=generator, dtype=torch.float64)
        state[torch.arange(len(atoms)), atoms] = noise.to(run.dtype)
        pulled = run.pull(cut, state)
        rows.append(pulled != 0 if cut == 1 else (pulled != 0).any(-1))
    return torch.cat(rows).T


def colours_of(source: Tensor, to: Tensor, n: int) -> Tensor:
    """(n,): a number for each atom; those with the same number get nothing from the same atom."""
    sources: list[list[int]] = [[] for _ in range(n)]
    for i, j in zip(source.tolist(), to.tolist(), strict=True):
        sources[j].append(i)
    taken: list[set[int]] = [set() for _ in range(n)]
    colours = [0] * n
    for atom in sorted(range(n), key=lambda a: -len(sources[a])):
        used = set().union(*(taken[i] for i in sources[atom]))
        colours[atom] = next(c for c in range(n + 1) if c not in used)
        for i in sources[atom]:
            taken[i].add(colours[atom])
    return torch.tensor(colours)
