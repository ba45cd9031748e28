r"""Walks: relevance of the ways by which information reached the output, from atom to atom, layer by layer.

.. math:: R_{(j_0, …, j_L)} = x_{j_0} A^{(1)}_{j_0 j_1} A^{(2)}_{j_1 j_2} ⋯ A^{(L)}_{j_{L-1} j_L}\, c_{j_L}

with the layers' adjoints :math:`A` and the slopes :math:`c` behind the last layer (Schnake et al. 2020, *Higher-order
explanations of graph neural networks via relevant walks*, IEEE TPAMI 44, eq. 6). Walks with a common end share the
product that belongs to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciexplain.domains.molecules.blocks import Blocks, Layer
from sciexplain.errors import InputError

LIMIT = 5_000_000
"""Walks that are listed one by one."""


@dataclass(frozen=True)
class Parts:
    """Parts of walks between the input or the output and one cut: atoms in the model's direction, and what they hold.

    Attributes
    ----------
    atoms
        (m, length).
    states
        (m, width): slopes at the cut for ends of walks, activations for beginnings.
    """

    atoms: Tensor
    states: Tensor

    def __len__(self) -> int:
        return len(self.atoms)

    def chosen(self, rows: Tensor) -> Parts:
        return Parts(self.atoms[rows], self.states[rows])


def count(blocks: Blocks) -> int:
    """How many walks there are."""
    total = torch.ones(len(blocks.top), dtype=torch.float64)
    for layer in reversed(blocks.layers):
        total = torch.zeros_like(total).index_add_(0, layer.source, total[layer.to])
    return int(total.sum())


def ends(blocks: Blocks) -> Parts:
    """The ends of all walks behind the last layer: one atom each."""
    return Parts(torch.arange(len(blocks.top))[:, None], blocks.top)


def earlier(blocks: Blocks, cut: int, parts: Parts) -> Parts:
    """Ends of walks from ``cut``, each prolonged by every step of layer ``cut`` that leads to it."""
    layer = blocks.layers[cut - 1]
    rows, pairs = _matching(parts.atoms[:, 0], layer.to, len(blocks.top))
    states = blocks.step(cut, pairs, parts.states[rows])
    return Parts(torch.cat([layer.source[pairs][:, None], parts.atoms[rows]], 1), states)


def beginnings(blocks: Blocks) -> Parts:
    """The first steps of all walks."""
    layer = blocks.layers[0]
    return Parts(torch.stack([layer.source, layer.to], 1), layer.matrices[:, 0])


def later(blocks: Blocks, cut: int, parts: Parts) -> Parts:
    """Beginnings of walks up to ``cut``, each prolonged by every step of the layer behind it."""
    layer = blocks.layers[cut]
    rows, pairs = _matching(parts.atoms[:, -1], layer.source, len(blocks.top))
    states = _forward(layer, pairs, parts.states[rows])
    return Parts(torch.cat([parts.atoms[rows], layer.to[pairs][:, None]], 1), states)


def _forward(layer: Layer, pairs: Tensor, states: Tensor) -> Tensor:
    out = states.new_zeros(len(states), layer.matrices.shape[2])
    order = torch.argsort(pairs, stable=True)
    numbers, counts = torch.unique_consecutive(pairs[order], return_counts=True)
    for number, rows in zip(numbers.tolist(), order.split(counts.tolist()), strict=True):
        out[rows] = states[rows] @ layer.matrices[number]
    return out


def _matching(atoms: Tensor, keys: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """All (row, pair) with ``atoms[row] == keys[pair]``."""
    order = torch.argsort(keys, stable=True)
    counts = torch.bincount(keys, minlength=n)
    first = counts.cumsum(0) - counts
    each = counts[atoms]
    rows = torch.arange(len(atoms)).repeat_interleave(each)
    within = torch.arange(len(rows)) - (each.cumsum(0) - each).repeat_interleave(each)
    return rows, order[first[atoms[rows]] + within]


def every(blocks: Blocks, atoms: Tensor) -> tuple[Tensor, Tensor]:
    """All walks (W, depth + 1) and their relevance (W,).

    Parameters
    ----------
    blocks
        The molecule's layers.
    atoms
        (n,): relevance of the atoms, which are the walks of a model without layers.

    Raises
    ------
    InputError
        There are too many to list.
    """
    if not blocks.layers:
        return torch.arange(len(atoms))[:, None], atoms
    if (number := count(blocks)) > LIMIT:
        raise InputError(f"There are {number:,} walks, too many to list; ask for the most relevant ones with walks(k).")
    suffixes = ends(blocks)
    for cut in range(len(blocks.layers), 1, -1):
        suffixes = earlier(blocks, cut, suffixes)
    prefixes = beginnings(blocks)
    rows, pairs = _matching(suffixes.atoms[:, 0], prefixes.atoms[:, 1], len(blocks.top))
    relevance = torch.cat(
        [
            (suffixes.states[r] * prefixes.states[p]).sum(1)
            for r, p in zip(rows.split(1 << 18), pairs.split(1 << 18), strict=True)
        ]
    )
    return torch.cat([prefixes.atoms[pairs, :1], suffixes.atoms[rows]], 1), relevance


def relevance(blocks: Blocks, walks: Tensor) -> Tensor:
    """(W,): relevance of given walks (W, depth + 1); 0 for steps that the model does not take."""
    slopes = blocks.top[walks[:, -1]]
    for cut in range(len(blocks.layers), 0, -1):
        pairs = blocks.layers[cut - 1].index[walks[:, cut - 1], walks[:, cut]]
        slopes = blocks.step(cut, pairs, slopes)
    return slopes[:, 0]


def checked(walks: Sequence[Sequence[int]] | Tensor, atoms: int, depth: int) -> Tensor:
    """Walks as (W, depth + 1) int64.

    Raises
    ------
    InputError
        For walks of another length, or of atoms that are not there.
    """
    rows = [[int(a) for a in walk] for walk in walks]
    for row in rows:
        if len(row) != depth + 1:
            raise InputError(
                f"The walk {tuple(row)} has {len(row)} atoms; the model has {depth} message-passing layers, so that "
                f"walks have {depth + 1} atoms, the input's side first."
            )
        if not all(0 <= a < atoms for a in row):
            raise InputError(f"The walk {tuple(row)} names atoms outside 0 … {atoms - 1}.")
    return torch.tensor(rows, dtype=torch.long).reshape(len(rows), depth + 1)
