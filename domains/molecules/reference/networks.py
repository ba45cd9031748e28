"""Small graph networks of the usual kinds, to learn from and to compare with: GIN, GAT, GCN, D-MPNN, SchNet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from sciexplain._optional import require
from sciexplain.errors import InputError, ModelError

Kind = Literal["gin", "gat", "gcn", "dmpnn", "schnet"]
Readout = Literal["sum", "mean"]


@dataclass(frozen=True)
class Architecture:
    """What a reference model is built from.

    Attributes
    ----------
    kind
        See :func:`build`.
    width, layers
        Hidden channels, and message passing steps.
    readout
        How atoms become a molecule: their sum, for what grows with size, or their mean.
    bias
        Whether layers have biases, which take up relevance; SchNet and the attention of GAT do not ask.
    heads
        Of GAT; they share the width.
    cutoff
        Of SchNet, in Å.
    """

    kind: Kind
    width: int = 64
    layers: int = 3
    readout: Readout = "sum"
    bias: bool = True
    heads: int = 4
    cutoff: float = 5.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ModelError(f"model {self.kind!r}: expected {', '.join(get_args(Kind))}")
        if self.readout not in get_args(Readout):
            raise ModelError(f"readout {self.readout!r}: expected {', '.join(get_args(Readout))}")
        if self.width < 2 or self.layers < 1 or self.heads < 1 or not self.cutoff > 0:
            raise ModelError(
                f"width {self.width}, layers {self.layers}, heads {self.heads}, cutoff {self.cutoff:g} Å: expected a "
                "width of 2 or more and the others above 0"
            )
        if self.kind == "gat" and self.width % self.heads:
            raise ModelError(f"width {self.width}: expected a multiple of the {self.heads} heads")


def build(architecture: Architecture, *, tasks: int, atom_width: int = 0, bond_width: int = 0) -> nn.Module:
    """A network with random weights.

    Parameters
    ----------
    architecture
        Its kind decides what its forward takes and returns (B, tasks) for:

        - ``"gin"`` (x, edge_index, edge_attr, batch): isomorphism network with bond features (GINE);
        - ``"gat"`` (the same): attention network whose attention sees bond features;
        - ``"gcn"`` (x, edge_index, batch): convolutional network, which sees no bond features;
        - ``"dmpnn"`` (as gin): directed message passing;
        - ``"schnet"`` (z, pos, batch): continuous-filter convolutions on positions.

    tasks
        Outputs.
    atom_width, bond_width
        Of ``x`` and ``edge_attr``; SchNet has neither.

    References
    ----------
    GINE: W. Hu et al., ICLR 2020. GAT: P. Veličković et al., ICLR 2018. GCN: T. Kipf and M. Welling, ICLR 2017.
    D-MPNN: K. Yang et al., J. Chem. Inf. Model. 59, 3370 (2019). SchNet: K. T. Schütt et al., NeurIPS 2017.
    """
    if architecture.kind == "schnet":
        return _schnet(architecture, tasks)
    if architecture.kind == "dmpnn":
        return DirectedMessagePassing(architecture, atom_width, bond_width, tasks)
    if architecture.kind == "gcn":
        return GraphConvolution(architecture, atom_width, tasks)
    return GraphNetwork(architecture, atom_width, bond_width, tasks)


def last_layer(network: nn.Module) -> nn.Linear:
    """The linear layer that the output comes from."""
    layer = network.lin2 if hasattr(network, "lin2") else network.head[-1]  # type: ignore[index]  # a Sequential
    assert isinstance(layer, nn.Linear)
    return layer


class GraphNetwork(nn.Module):
    """Rounds of messages along bonds, a sum or mean over atoms, two dense layers.

    ``forward(x, edge_index, edge_attr, batch)``: (n, atom_width), (2, E), (E, bond_width), (n,) → (B, tasks).
    """

    def __init__(self, architecture: Architecture, atom_width: int, bond_width: int, tasks: int) -> None:
        super().__init__()
        width, bias = architecture.width, architecture.bias
        self.readout = architecture.readout
        self.embedding = nn.Linear(atom_width, width, bias=bias)
        self.convolutions = nn.ModuleList(_convolution(architecture, bond_width) for _ in range(architecture.layers))
        self.head = _head(width, tasks, bias)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, batch: Tensor | None = None) -> Tensor:
        h = self.embedding(x).relu()
        for convolution in self.convolutions:
            h = convolution(h, edge_index, edge_attr).relu()
        return self.head(_pool(h, batch, self.readout))


class GraphConvolution(nn.Module):
    """The same without bond features: ``forward(x, edge_index, batch)``."""

    def __init__(self, architecture: Architecture, atom_width: int, tasks: int) -> None:
        super().__init__()
        layers: Any = require("torch_geometric.nn", extra="molecules")
        width, bias = architecture.width, architecture.bias
        self.readout = architecture.readout
        self.embedding = nn.Linear(atom_width, width, bias=bias)
        self.convolutions = nn.ModuleList(layers.GCNConv(width, width, bias=bias) for _ in range(architecture.layers))
        self.head = _head(width, tasks, bias)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        h = self.embedding(x).relu()
        for convolution in self.convolutions:
            h = convolution(h, edge_index).relu()
        return self.head(_pool(h, batch, self.readout))


class DirectedMessagePassing(nn.Module):
    """Messages on directed bonds, none of which returns at once to the atom it came from.

    With W bonds' states h⁰ = relu(W_i [x_v, e_vw]) and h = relu(h⁰ + W_h Σ_{k ∈ N(v) \\ w} h_kv), repeated, then atoms
    relu(W_a [x_v, Σ_{k ∈ N(v)} h_kv]) (equations 3 to 6 of Yang et al.), a sum or mean, two dense layers.

    ``forward(x, edge_index, edge_attr, batch)`` as :class:`GraphNetwork`; every bond is there in both directions.
    """

    def __init__(self, architecture: Architecture, atom_width: int, bond_width: int, tasks: int) -> None:
        super().__init__()
        width, bias = architecture.width, architecture.bias
        self.readout, self.steps = architecture.readout, architecture.layers
        self.initial = nn.Linear(atom_width + bond_width, width, bias=bias)
        self.message = nn.Linear(width, width, bias=bias)
        self.atom = nn.Linear(atom_width + width, width, bias=bias)
        self.head = _head(width, tasks, bias)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, batch: Tensor | None = None) -> Tensor:
        scatter = require("torch_geometric.utils", extra="molecules").scatter
        start, end = edge_index
        reverse = reversed_edges(edge_index, len(x))
        first = self.initial(torch.cat([x[start], edge_attr], 1))
        h = first.relu()
        for _ in range(self.steps - 1):
            arriving = scatter(h, end, dim=0, dim_size=len(x), reduce="sum")
            h = (first + self.message(arriving[start] - h[reverse])).relu()
        arriving = scatter(h, end, dim=0, dim_size=len(x), reduce="sum")
        atoms = self.atom(torch.cat([x, arriving], 1)).relu()
        return self.head(_pool(atoms, batch, self.readout))


class RadiusGraph(nn.Module):
    """Pairs of atoms of one molecule nearer than a cutoff, and their distances; without compiled extensions."""

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff

    def forward(self, pos: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3) positions and (n,) molecules → (2, E) pairs in both directions, (E,) distances in Å."""
        near = (torch.cdist(pos.detach(), pos.detach()) < self.cutoff) & (batch[:, None] == batch)
        near.fill_diagonal_(False)
        pairs = near.nonzero().T
        return pairs, (pos[pairs[0]] - pos[pairs[1]]).norm(dim=1)


def reversed_edges(edge_index: Tensor, nodes: int) -> Tensor:
    """For every edge (2, E) the place of the edge between the same nodes the other way, (E,).

    Raises
    ------
    InputError
        An edge has none.

    Examples
    --------
    >>> reversed_edges(torch.tensor([[0, 1, 2, 1], [1, 0, 1, 2]]), 3)
    tensor([1, 0, 3, 2])
    """
    key, wanted = edge_index[0] * nodes + edge_index[1], edge_index[1] * nodes + edge_index[0]
    order = key.argsort()
    place = torch.searchsorted(key[order], wanted).clamp(max=max(len(key) - 1, 0))
    reverse = order[place]
    if not torch.equal(key[reverse], wanted):
        raise InputError("edge_index has edges in one direction only; expected each bond in both")
    return reverse


def _schnet(architecture: Architecture, tasks: int) -> nn.Module:
    """PyG's SchNet with a neighbour search of its own, several tasks, and energies of lone atoms."""
    models: Any = require("torch_geometric.nn", extra="molecules")
    width = architecture.width
    network: nn.Module = models.SchNet(
        hidden_channels=width,
        num_filters=width,
        num_interactions=architecture.layers,
        num_gaussians=max(10, round(5 * architecture.cutoff)),
        cutoff=architecture.cutoff,
        interaction_graph=RadiusGraph(architecture.cutoff),
        readout={"sum": "add", "mean": "mean"}[architecture.readout],
    )
    network.lin2 = nn.Linear(width // 2, tasks)
    network.atomref = nn.Embedding(100, tasks)
    nn.init.zeros_(network.atomref.weight)
    network.atomref.weight.requires_grad_(False)
    return network


def _convolution(architecture: Architecture, bond_width: int) -> nn.Module:
    layers: Any = require("torch_geometric.nn", extra="molecules")
    width, bias = architecture.width, architecture.bias
    if architecture.kind == "gat":
        convolution: nn.Module = layers.GATConv(
            width, width // architecture.heads, heads=architecture.heads, edge_dim=bond_width, bias=bias
        )
        return convolution
    dense = nn.Sequential(nn.Linear(width, width, bias=bias), nn.ReLU(), nn.Linear(width, width, bias=bias))
    convolution = layers.GINEConv(dense, edge_dim=bond_width)
    if not bias:
        convolution.lin = nn.Linear(bond_width, width, bias=False)
    return convolution


def _head(width: int, tasks: int, bias: bool) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width, bias=bias), nn.ReLU(), nn.Linear(width, tasks, bias=bias))


def _pool(h: Tensor, batch: Tensor | None, readout: Readout) -> Tensor:
    layers: Any = require("torch_geometric.nn", extra="molecules")
    pool = layers.global_add_pool if readout == "sum" else layers.global_mean_pool
    pooled: Tensor = pool(h, h.new_zeros(len(h), dtype=torch.long) if batch is None else batch)
    return pooled
