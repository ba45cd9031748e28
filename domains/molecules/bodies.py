r"""Relevance of sets of atoms: subgraphs, and their parts that belong to 1, 2, 3, … atoms together.

The relevance of a subgraph is that of all walks inside it (Xiong et al. 2022, *Efficient computation of higher-order
subgraph attribution via message passing*, ICML). What belongs to a set and to no part of it,

.. math:: B(S) = \sum_{T ⊆ S} (-1)^{|S| - |T|} R(T)

is the relevance of all walks that visit exactly :math:`S`. No walk is listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import torch
from torch import Tensor

from sciexplain.domains.molecules.blocks import Blocks

Atoms = frozenset[int]


class Bodies(dict[Atoms, float]):
    """Relevance of sets of atoms.

    Attributes
    ----------
    order : int
        The largest set.
    remainder : float
        Relevance of all walks less that of the sets listed: what belongs to larger ones.
    """

    def __init__(self, terms: dict[Atoms, float], order: int, remainder: float) -> None:
        super().__init__(terms)
        self.order, self.remainder = order, remainder

    def of_order(self, order: int) -> dict[Atoms, float]:
        """The terms of sets of one size."""
        return {atoms: r for atoms, r in self.items() if len(atoms) == order}


def within(blocks: Blocks, sets: Sequence[Atoms]) -> Tensor:
    """(len(sets),): relevance of all walks inside each set of atoms, by the small matrices of its own pairs."""
    out = torch.zeros(len(sets), dtype=blocks.top.dtype)
    by_size: dict[int, list[int]] = {}
    for number, atoms in enumerate(sets):
        by_size.setdefault(len(atoms), []).append(number)
    for size, numbers in by_size.items():
        for chunk in torch.tensor(numbers).split(max(1, 200_000 // size**2)):
            members = torch.tensor([sorted(sets[int(i)]) for i in chunk])
            out[chunk] = _within(blocks, members)
    return out


def _within(blocks: Blocks, members: Tensor) -> Tensor:
    """Of sets of one size, (B, s)."""
    count, size = members.shape
    slopes = blocks.top[members]  # (B, s, width)
    for cut in range(len(blocks.layers), 0, -1):
        pairs = blocks.layers[cut - 1].index[members[:, :, None], members[:, None, :]]  # (B, from, to)
        heads = slopes[:, None].expand(count, size, size, slopes.shape[-1]).reshape(-1, slopes.shape[-1])
        present = (pairs.flatten() >= 0).nonzero()[:, 0]
        pulled = blocks.step(cut, pairs.flatten()[present], heads[present])
        slopes = pulled.new_zeros(count * size, pulled.shape[1]).index_add_(0, present // size, pulled)
        slopes = slopes.view(count, size, -1)
    return slopes[..., 0].sum(1)


def bodies(blocks: Blocks, total: float, order: int) -> Bodies:
    """All terms of up to ``order`` atoms; ``total`` is the relevance of all walks."""
    neighbours = _neighbours(blocks)
    connected = _connected(neighbours, order)
    subgraph = dict(zip(connected, within(blocks, connected).tolist(), strict=True))
    terms: dict[Atoms, float] = {}
    for atoms in connected:
        value = 0.0
        for size in range(1, len(atoms) + 1):
            sign = (-1) ** (len(atoms) - size)
            for part in map(frozenset, combinations(atoms, size)):
                # a walk does not leave a connected part
                value += sign * sum(subgraph[piece] for piece in _pieces(part, neighbours))
        terms[atoms] = value
    return Bodies(terms, order, total - sum(terms.values()))


def _neighbours(blocks: Blocks) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in range(len(blocks.top))]
    for layer in blocks.layers:
        for i, j in zip(layer.source.tolist(), layer.to.tolist(), strict=True):
            if i != j:
                found[i].add(j)
                found[j].add(i)
    return found


def _connected(neighbours: list[set[int]], order: int) -> list[Atoms]:
    """All connected sets of up to ``order`` atoms, small ones first."""
    layer: Iterable[Atoms] = [frozenset((a,)) for a in range(len(neighbours))]
    found: list[Atoms] = []
    for _ in range(order):
        layer = list(layer)
        found.extend(layer)
        layer = {s | {b} for s in layer for a in s for b in neighbours[a] if b not in s}
    return found


def _pieces(atoms: Atoms, neighbours: list[set[int]]) -> list[Atoms]:
    """The connected parts of a set."""
    left, pieces = set(atoms), []
    while left:
        stack = [left.pop()]
        piece = set(stack)
        while stack:
            near = neighbours[stack.pop()] & left
            left -= near
            piece |= near
            stack.extend(near)
        pieces.append(frozenset(piece))
    return pieces
