"""Graph networks of torch_geometric on one small molecule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import _networks
import _peers
import torch
from _cases import Case, molecule
from torch import nn


def graph(make: Callable[[Any, int, int], nn.Module], edges: str | None = None, readout: str = "add") -> Case:
    """A network of three convolutions on a graph of 8 atoms; ``make`` takes torch_geometric.nn and two widths."""
    _peers.torchvision()
    import torch_geometric.nn as library

    model = _networks.GraphNetwork([make(library, a, b) for a, b in ((5, 6), (6, 6), (6, 6))], edges, readout)
    return Case(model, molecule(), 1)


def _mlp(a: int, b: int) -> nn.Module:
    return nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, b))


GRAPH: dict[str, tuple[Callable[[Any, int, int], nn.Module], str | None]] = {
    "GCNConv": (lambda g, a, b: g.GCNConv(a, b), None),
    "GCNConv weighted": (lambda g, a, b: g.GCNConv(a, b), "edge_weight"),
    "GINConv": (lambda g, a, b: g.GINConv(_mlp(a, b), train_eps=True), None),
    "GINEConv": (lambda g, a, b: g.GINEConv(_mlp(a, b), edge_dim=4), "edge_attr"),
    "GATConv": (lambda g, a, b: g.GATConv(a, b, heads=2, concat=False), None),
    "GATv2Conv": (lambda g, a, b: g.GATv2Conv(a, b, heads=2, concat=False, edge_dim=4), "edge_attr"),
    "SAGEConv": (lambda g, a, b: g.SAGEConv(a, b), None),
    "SAGEConv max": (lambda g, a, b: g.SAGEConv(a, b, aggr="max", project=True), None),
    "GraphConv": (lambda g, a, b: g.GraphConv(a, b), "edge_weight"),
    "NNConv": (lambda g, a, b: g.NNConv(a, b, _mlp(4, a * b)), "edge_attr"),
    "TransformerConv": (
        lambda g, a, b: g.TransformerConv(a, b, heads=2, concat=False, edge_dim=4, beta=True),
        "edge_attr",
    ),
    "PNAConv": (
        lambda g, a, b: g.PNAConv(
            a, b, ["mean", "min", "max", "std"], ["identity", "amplification"], torch.tensor([0, 1, 4, 3]), edge_dim=4
        ),
        "edge_attr",
    ),
    "CGConv": (
        lambda g, a, b: g.Sequential(
            "x, edge_index, edge_attr", [(g.CGConv(a, 4), "x, edge_index, edge_attr -> x"), nn.Linear(a, b)]
        ),
        "edge_attr",
    ),
    "GatedGraphConv": (lambda g, a, b: g.GatedGraphConv(b, 2), None),
    "GENConv": (lambda g, a, b: g.GENConv(a, b, edge_dim=4), "edge_attr"),
    "ResGatedGraphConv": (lambda g, a, b: g.ResGatedGraphConv(a, b), None),
    "ChebConv": (lambda g, a, b: g.ChebConv(a, b, 3), None),
    "SuperGATConv": (lambda g, a, b: g.SuperGATConv(a, b), None),
    "AGNNConv": (
        lambda g, a, b: g.Sequential(
            "x, edge_index", [(nn.Linear(a, b), "x -> x"), (g.AGNNConv(), "x, edge_index -> x")]
        ),
        None,
    ),
    "EdgeConv": (lambda g, a, b: g.EdgeConv(_mlp(2 * a, b)), None),
    "ARMAConv": (lambda g, a, b: g.ARMAConv(a, b), None),
}


def attentive_fp() -> Case:
    _peers.torchvision()
    from torch_geometric.nn.models import AttentiveFP

    x, edges, features = molecule()
    model = AttentiveFP(5, 6, 2, edge_dim=4, num_layers=2, num_timesteps=2)
    return Case(model, (x, edges, features, torch.zeros(8, dtype=torch.long)), 1)
