"""Reference networks over expression: dense layers, and graph convolutions over a network of genes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sciexplain.domains.genomics.expression.gene_network import GeneNetwork
from sciexplain.errors import InputError


def mlp(
    genes: int | Sequence[str],
    classes: int | Sequence[str],
    hidden: Sequence[int] = (64,),
    *,
    dropout: float = 0.5,
    bias: bool = False,
) -> nn.Sequential:
    """Dense layers with ReLU, (N, genes) to (N, classes).

    Without biases, as by default, LRP-ε shares out the whole score among genes.

    Parameters
    ----------
    genes, classes
        Their numbers or names.
    hidden
        Widths between.
    dropout
        Of inputs and hidden units while training.
    bias
        Whether layers have biases.

    Examples
    --------
    >>> mlp(100, ["ALL", "AML"], (8,))(torch.zeros(3, 100)).shape
    torch.Size([3, 2])
    """
    widths = [_number(genes), *hidden, _number(classes)]
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(widths)):
        layers += [nn.ReLU()] if i else []
        layers += [nn.Dropout(dropout)] if dropout else []
        layers += [nn.Linear(before, after, bias=bias)]
    return nn.Sequential(*layers)


def _number(given: int | Sequence[str]) -> int:
    return given if isinstance(given, int) else len(given)


class ChebyshevConvolution(nn.Module):
    r"""Graph convolution by Chebyshev polynomials of the Laplacian, (N, G, in) to (N, G, out).

    :math:`Y = \sum_{k<K} T_k(\tilde L) X W_k` with :math:`T_0 = 1`, :math:`T_1 = \tilde L`,
    :math:`T_k = 2 \tilde L T_{k-1} - T_{k-2}` and :math:`\tilde L = 2 L / \lambda - 1`, where
    :math:`L = 1 - D^{-1/2} A D^{-1/2}` and :math:`\lambda = 2` bounds its eigenvalues, so that
    :math:`\tilde L = -D^{-1/2} A D^{-1/2}`.

    Only :math:`W` is a layer for LRP; what comes before is linear, fixed by the network of genes, and takes its
    gradient. The ε-rule is therefore that of the whole convolution, as a dense layer over all genes.

    Parameters
    ----------
    network
        The G genes and their links.
    inputs, outputs
        Channels.
    order
        K: how many polynomials; a gene sees others up to K - 1 links away.
    bias
        Whether there is one.

    References
    ----------
    Defferrard et al. 2016, NeurIPS 29, equations 4 and 5.
    """

    index: Tensor
    values: Tensor

    def __init__(self, network: GeneNetwork, inputs: int, outputs: int, order: int, *, bias: bool = False) -> None:
        super().__init__()
        if order < 1:
            raise InputError(f"order={order}: expected at least 1.")
        self.genes, self.order = len(network), order
        index, values = _scaled_laplacian(network)
        self.register_buffer("index", torch.from_numpy(index))
        self.register_buffer("values", torch.from_numpy(values).to(torch.get_default_dtype()))
        self.weight = nn.Linear(order * inputs, outputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        n, g, channels = x.shape
        laplacian = torch.sparse_coo_tensor(self.index, self.values, (g, g), is_coalesced=True, check_invariants=False)

        def spread(state: Tensor) -> Tensor:
            return torch.sparse.mm(laplacian, state)

        rows = x.permute(1, 0, 2).reshape(g, n * channels)
        states = [rows, spread(rows)][: self.order]
        while len(states) < self.order:
            states.append(2 * spread(states[-1]) - states[-2])
        stacked = torch.stack([s.reshape(g, n, channels) for s in states], 2)
        return self.weight(stacked.permute(1, 0, 2, 3).reshape(n, g, self.order * channels))


def _scaled_laplacian(network: GeneNetwork) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Places (2, 2E), ordered by rows, and values of −D^{-1/2} A D^{-1/2}."""
    i, j = network.edges.T
    row, column = np.concatenate([i, j]), np.concatenate([j, i])
    weights = np.concatenate([network.weights, network.weights])
    degree = np.bincount(row, weights, minlength=len(network))
    order = np.lexsort((column, row))
    row, column, weights = row[order], column[order], weights[order]
    return np.stack([row, column]), -weights / np.sqrt(degree[row] * degree[column])


class GeneGraphCNN(nn.Module):
    """A graph CNN over a network of genes, (N, genes) to (N, classes).

    Chebyshev convolutions with ReLU, each followed by the maximum over pairs of linked genes, then dense layers.
    Without biases, as by default, LRP-ε shares out the whole score among genes.

    Parameters
    ----------
    network
        Its genes are the inputs, in its order.
    classes
        Their number or names.
    channels
        Of each convolution.
    order
        Chebyshev polynomials of each.
    pool
        Whether pairs of genes are merged after each convolution.
    hidden
        Widths of the dense layers between.
    dropout
        Of hidden units while training.
    bias
        Whether layers have biases.

    Examples
    --------
    >>> network = GeneNetwork.of([("CD79A", "CD79B"), ("CD79B", "CD19"), ("MPO", "LYZ")])
    >>> GeneGraphCNN(network, ["ALL", "AML"])(torch.zeros(2, 5)).shape
    torch.Size([2, 2])

    References
    ----------
    Chereda et al. 2021, Genome Medicine 13:42; Defferrard et al. 2016, NeurIPS 29.
    """

    pairs: Tensor

    def __init__(
        self,
        network: GeneNetwork,
        classes: int | Sequence[str],
        *,
        channels: Sequence[int] = (4, 4),
        order: int = 4,
        pool: bool = True,
        hidden: Sequence[int] = (32,),
        dropout: float = 0.5,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.genes = network.genes
        self.convolutions, self.pools = nn.ModuleList(), nn.ModuleList()
        before = 1
        for after in channels:
            self.convolutions.append(ChebyshevConvolution(network, before, after, order, bias=bias))
            if pool:
                pairs = matched(network)
                self.pools.append(PairMaximum(pairs))
                network = merged(network, pairs)
            before = after
        self.dense = mlp(len(network) * before, classes, hidden, dropout=dropout, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x[..., None]
        for i, convolution in enumerate(self.convolutions):
            x = convolution(x).relu()
            x = self.pools[i](x) if len(self.pools) else x
        return self.dense(x.flatten(1))


class PairMaximum(nn.Module):
    """The maximum over pairs of genes, (N, G, channels) to (N, pairs, channels)."""

    pairs: Tensor

    def __init__(self, pairs: NDArray[np.int64]) -> None:
        super().__init__()
        self.register_buffer("pairs", torch.from_numpy(pairs))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.pairs].amax(2)


def matched(network: GeneNetwork) -> NDArray[np.int64]:
    """(M, 2): genes in pairs along strong links, by greedy matching; a gene that is left over is paired with itself.

    Genes are taken by degree, the smallest first, each with the free neighbour that has the largest
    w (1 / d_i + 1 / d_j) (Dhillon et al. 2007, IEEE TPAMI 29:1944).

    Examples
    --------
    >>> matched(GeneNetwork.of([("a", "b"), ("b", "c"), ("c", "d"), ("c", "e")])).tolist()
    [[0, 1], [2, 3], [4, 4]]
    """
    g = len(network)
    i, j = network.edges.T
    degree = np.bincount(np.concatenate([i, j]), np.tile(network.weights, 2), minlength=g)
    near: list[list[tuple[float, int]]] = [[] for _ in range(g)]
    for a, b, w in zip(i.tolist(), j.tolist(), network.weights.tolist(), strict=True):
        cut = w * (1 / degree[a] + 1 / degree[b])
        near[a].append((-cut, b))
        near[b].append((-cut, a))
    partner = np.full(g, -1)
    for a in np.argsort(degree, kind="stable").tolist():
        if partner[a] < 0:
            free = [entry for entry in near[a] if partner[entry[1]] < 0]
            b = min(free)[1] if free else a
            partner[a], partner[b] = b, a
    first = np.flatnonzero(np.arange(g) <= partner)
    return np.stack([first, partner[first]], 1)


def merged(network: GeneNetwork, pairs: NDArray[np.int64]) -> GeneNetwork:
    """The network of pairs: what links members of two of them, summed."""
    owner = np.empty(len(network), np.int64)
    owner[pairs] = np.arange(len(pairs))[:, None]
    edges = np.sort(owner[network.edges], 1)
    between = edges[:, 0] != edges[:, 1]
    keys, inverse = np.unique(edges[between, 0] * len(pairs) + edges[between, 1], return_inverse=True)
    names = tuple("+".join(dict.fromkeys(network.genes[i] for i in pair)) for pair in pairs.tolist())
    weights = np.bincount(inverse, network.weights[between], minlength=len(keys)).astype(np.float64)
    return GeneNetwork(names, np.stack([keys // len(pairs), keys % len(pairs)], 1), weights)
