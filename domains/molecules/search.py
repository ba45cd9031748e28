r"""The most relevant walks among more than anyone can list.

:func:`exact` splits walks in the middle. A beginning :math:`p` and an end :math:`s` that meet at one atom have the
relevance :math:`p · s`, at most :math:`‖p‖‖s‖`; parts whose bound is below the k-th best walk found so far cannot be in
the answer, and neither can what continues them (branch and bound; the norms of the layers' matrices bound what is still
to come).

:func:`max_product` is polynomial in the length of walks, after Xiong et al. 2023, *Relevant walk search for explaining
graph neural networks*, ICML: a max-product recursion from the output to the input that keeps, at every atom, the ends
with the largest relevance of all walks that share them: what is still to come enters as its sum. It may miss walks
whose relevance is hidden in such a sum.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sciexplain.domains.molecules import walks
from sciexplain.domains.molecules.blocks import Blocks
from sciexplain.domains.molecules.walks import Parts
from sciexplain.errors import InputError

MOST_PARTS = 4_000_000
"""Beginnings or ends of walks that are held at a time."""
_SLACK = 1 - 1e-4
"""Rounding of single precision must not cut off a walk that ties."""


def exact(blocks: Blocks, k: int) -> tuple[Tensor, Tensor]:
    """The k walks (k, depth + 1) of largest absolute relevance, and it (k,), largest first.

    Raises
    ------
    InputError
        Too many parts of walks remain within the bound to hold them.
    """
    depth = len(blocks.layers)
    before, behind = _bounds(blocks)
    best = _Best(k, *_beam(blocks, before, 8 * k + 256))
    middle = _middle(blocks)
    prefixes = walks.beginnings(blocks)
    for cut in range(1, middle + 1):
        if cut > 1:
            prefixes = walks.later(blocks, cut - 1, _bearable(prefixes, blocks, cut - 1, behind=False))
        prefixes = prefixes.chosen(
            prefixes.states.norm(dim=1) * behind[cut][prefixes.atoms[:, -1]] >= best.threshold * _SLACK
        )
    at_middle = torch.zeros(len(blocks.top), dtype=blocks.top.dtype)
    at_middle.scatter_reduce_(0, prefixes.atoms[:, -1], prefixes.states.norm(dim=1), "amax")
    suffixes = walks.ends(blocks)
    for cut in range(depth, middle - 1, -1):
        if cut < depth:
            suffixes = walks.earlier(blocks, cut + 1, _bearable(suffixes, blocks, cut, behind=True))
        bound = at_middle if cut == middle else before[cut]
        suffixes = suffixes.chosen(suffixes.states.norm(dim=1) * bound[suffixes.atoms[:, 0]] >= best.threshold * _SLACK)
    for atom in range(len(blocks.top)):
        _join(prefixes.chosen(prefixes.atoms[:, -1] == atom), suffixes.chosen(suffixes.atoms[:, 0] == atom), best)
    return best.walks, best.relevance


class _Best:
    """The k best walks so far."""

    def __init__(self, k: int, found: Tensor, relevance: Tensor) -> None:
        self.k = k
        self.walks, self.relevance = found[:0], relevance[:0]
        self.offer(found, relevance)

    @property
    def threshold(self) -> float:
        return float(self.relevance[-1].abs()) if len(self.relevance) == self.k else 0.0

    def offer(self, found: Tensor, relevance: Tensor) -> None:
        found, relevance = torch.cat([self.walks, found]), torch.cat([self.relevance, relevance])
        found, first = _distinct(found)
        relevance = relevance[first]
        order = torch.argsort(relevance.abs(), descending=True, stable=True)[: self.k]
        self.walks, self.relevance = found[order], relevance[order]


def _distinct(found: Tensor) -> tuple[Tensor, Tensor]:
    """Walks without repetition, and the row of each."""
    unique, inverse = torch.unique(found, dim=0, return_inverse=True)
    first = torch.full((len(unique),), len(found)).scatter_reduce(
        0, inverse, torch.arange(len(found)), "amin", include_self=True
    )
    return unique, first


def _bounds(blocks: Blocks) -> tuple[list[Tensor], list[Tensor]]:
    """For every cut and atom, bounds on the norms of beginnings that arrive there, and of ends that start there."""
    n, depth = len(blocks.top), len(blocks.layers)
    zero = torch.zeros(n, dtype=blocks.top.dtype)
    first = blocks.layers[0]
    before = [zero, zero.scatter_reduce(0, first.to, first.matrices[:, 0].norm(dim=1), "amax")]
    behind = [zero] * depth + [blocks.top.norm(dim=1)]
    norms = [_norm_bound(layer.matrices) for layer in blocks.layers]
    for cut in range(2, depth + 1):
        layer = blocks.layers[cut - 1]
        before.append(zero.scatter_reduce(0, layer.to, norms[cut - 1] * before[cut - 1][layer.source], "amax"))
    for cut in range(depth - 1, -1, -1):
        layer = blocks.layers[cut]
        behind[cut] = zero.scatter_reduce(0, layer.source, norms[cut] * behind[cut + 1][layer.to], "amax")
    return before, behind


def _norm_bound(matrices: Tensor) -> Tensor:
    r"""(P,): at least the spectral norm, :math:`‖(M^T M)^8‖_F^{1/16}`."""
    size = matrices.flatten(1).norm(dim=1).clamp(min=torch.finfo(matrices.dtype).tiny)
    scaled = matrices / size[:, None, None]
    square = scaled.mT @ scaled if scaled.shape[2] <= scaled.shape[1] else scaled @ scaled.mT
    for _ in range(3):
        square = square @ square
    return size * square.flatten(1).norm(dim=1) ** (1 / 16)


def _beam(blocks: Blocks, before: list[Tensor], width: int) -> tuple[Tensor, Tensor]:
    """Good walks, found backwards with the ``width`` best-bounded ends at every step."""
    parts = walks.ends(blocks)
    for cut in range(len(blocks.layers), 0, -1):
        parts = walks.earlier(blocks, cut, parts)
        size = parts.states.abs()[:, 0] if cut == 1 else parts.states.norm(dim=1) * before[cut - 1][parts.atoms[:, 0]]
        parts = parts.chosen(size.topk(min(width, len(size))).indices)
    return parts.atoms, parts.states[:, 0]


def _middle(blocks: Blocks) -> int:
    """The cut at which beginnings and ends are fewest together."""
    n, depth = len(blocks.top), len(blocks.layers)
    arriving = [torch.ones(n, dtype=torch.float64)]
    for layer in blocks.layers:
        arriving.append(torch.zeros(n, dtype=torch.float64).index_add_(0, layer.to, arriving[-1][layer.source]))
    leaving = [torch.ones(n, dtype=torch.float64)]
    for layer in reversed(blocks.layers):
        leaving.insert(0, torch.zeros(n, dtype=torch.float64).index_add_(0, layer.source, leaving[0][layer.to]))
    return min(range(1, depth + 1), key=lambda cut: float(arriving[cut].sum() + leaving[cut].sum()))


def _bearable(parts: Parts, blocks: Blocks, cut: int, *, behind: bool) -> Parts:
    """``parts`` at ``cut``, if what prolongs them by a layer can be held."""
    layer = blocks.layers[cut - 1] if behind else blocks.layers[cut]
    keys, atoms = (layer.to, parts.atoms[:, 0]) if behind else (layer.source, parts.atoms[:, -1])
    number = int(torch.bincount(keys, minlength=len(blocks.top))[atoms].sum())
    if number > MOST_PARTS:
        raise InputError(
            f"{number:,} parts of walks may belong to the best, too many to hold; ask for fewer walks, or pass "
            'search="max_product".'
        )
    return parts


def _join(prefixes: Parts, suffixes: Parts, best: _Best) -> None:
    """Offer every pair of parts that can be among the best; both meet at one atom."""
    if not len(prefixes) or not len(suffixes):
        return
    p, s = prefixes.states.norm(dim=1), suffixes.states.norm(dim=1)
    prefixes, p = prefixes.chosen(order := p.argsort(descending=True)), p[order]
    suffixes, s = suffixes.chosen(order := s.argsort(descending=True)), s[order]
    for begin in range(0, len(p), 512):
        limit = best.threshold * _SLACK
        reach = int((s * p[begin] >= limit).sum()) if limit else len(s)
        if not reach:
            break
        block = Parts(prefixes.atoms[begin : begin + 512], prefixes.states[begin : begin + 512])
        for start in range(0, reach, 16_384):
            stop = min(start + 16_384, reach)
            products = block.states @ suffixes.states[start:stop].T
            size = products.abs()
            row, column = (size > best.threshold * _SLACK).nonzero(as_tuple=True)
            if len(row) > best.k:
                flat = size.flatten().topk(best.k).indices
                row, column = flat // size.shape[1], flat % size.shape[1]
            if len(row):
                found = torch.cat([block.atoms[row, :-1], suffixes.atoms[start + column]], 1)
                best.offer(found, products[row, column])


def max_product(blocks: Blocks, k: int) -> tuple[Tensor, Tensor]:
    """Up to k walks and their relevance, largest first, with the best ends kept atom by atom."""
    wanted = 2 * k + 32
    sums = blocks.states()
    parts = walks.ends(blocks)
    for cut in range(len(blocks.layers), 0, -1):
        parts = walks.earlier(blocks, cut, parts)
        if cut > 1:
            shared = (parts.states * sums[cut - 1][parts.atoms[:, 0]]).sum(1)
            parts = parts.chosen(_best_of_each(parts.atoms[:, 0], shared.abs(), wanted))
    relevance = parts.states[:, 0]
    order = relevance.abs().argsort(descending=True, stable=True)[:k]
    return parts.atoms[order], relevance[order]


def _best_of_each(atoms: Tensor, size: Tensor, wanted: int) -> Tensor:
    """The rows of the ``wanted`` largest of each atom."""
    order = size.argsort(descending=True, stable=True)
    order = order[atoms[order].argsort(stable=True)]
    ordered = atoms[order]
    rank = torch.arange(len(order)) - torch.searchsorted(ordered, ordered)
    return order[rank < wanted]
