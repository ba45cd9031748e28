"""Layers between sites: against explain, Jacobians and masks, for every spelling of message passing."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch_geometric import nn as pyg

import sciexplain as sx

EDGES = torch.tensor([[0, 1, 1, 2, 2, 3, 3, 0, 3, 4], [1, 0, 2, 1, 3, 2, 0, 3, 4, 3]])
SITES, DEPTH = 5, 3


def _mlp(a: int, b: int) -> nn.Module:
    return nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, b))


CONVOLUTIONS = {
    "gcn": (lambda a, b: pyg.GCNConv(a, b), False),
    "gin": (lambda a, b: pyg.GINConv(_mlp(a, b), train_eps=True), False),
    "gine": (lambda a, b: pyg.GINEConv(_mlp(a, b), edge_dim=4), True),
    "gat": (lambda a, b: pyg.GATConv(a, b, heads=2, concat=False), False),
    "gat with edges": (lambda a, b: pyg.GATConv(a, b, heads=2, concat=False, edge_dim=4), True),
    "gatv2": (lambda a, b: pyg.GATv2Conv(a, b, heads=2, concat=False), False),
    "sage": (lambda a, b: pyg.SAGEConv(a, b), False),
    "sage max": (lambda a, b: pyg.SAGEConv(a, b, aggr="max", project=True), False),
    "graphconv": (lambda a, b: pyg.GraphConv(a, b), False),
    "nnconv": (lambda a, b: pyg.NNConv(a, b, nn.Linear(4, a * b)), True),
    "transformer": (lambda a, b: pyg.TransformerConv(a, b, edge_dim=4, beta=True), True),
    "pna": (
        lambda a, b: pyg.PNAConv(
            a, b, ["mean", "max", "std"], ["identity", "amplification"], torch.tensor([0, 1, 4, 3]), edge_dim=4
        ),
        True,
    ),
    "edgeconv": (lambda a, b: pyg.EdgeConv(_mlp(2 * a, b)), False),
    "genconv": (lambda a, b: pyg.GENConv(a, b, edge_dim=4), True),
}
READOUTS = ("plain", "batch norm", "residual", "every layer")


class Net(nn.Module):
    """Three convolutions, put together in the usual ways."""

    def __init__(self, name: str, readout: str = "plain") -> None:
        super().__init__()
        make, self.takes_edges = CONVOLUTIONS[name]
        self.convolutions = nn.ModuleList([make(6, 8), make(8, 8), make(8, 8)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(8) for _ in range(DEPTH)])
        for norm in self.norms:
            nn.init.normal_(norm.bias)
        self.readout = readout
        self.out = nn.Linear(24 if readout == "every layer" else 8, 2)

    def forward(self, x, edge_attr=None):
        states, batch = [], torch.zeros(SITES, dtype=torch.long)
        for i, (conv, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            h = conv(x, EDGES, edge_attr) if self.takes_edges else conv(x, EDGES)
            if self.readout == "batch norm":
                h = norm(h)
            h = F.relu(h)
            x = x + h if self.readout == "residual" and i else h
            states.append(x)
        if self.readout == "every layer":
            return self.out(torch.cat([pyg.global_add_pool(s, batch) for s in states], 1))
        return self.out(pyg.global_mean_pool(x, batch))


def _linearized(name, readout="plain", composite="epsilon"):
    torch.manual_seed(sum(map(ord, name + readout)))
    model = Net(name, readout).double().eval()
    inputs = {"x": torch.randn(SITES, 6, dtype=torch.float64)}
    places = {"x": None}
    if model.takes_edges:
        inputs["edge_attr"] = torch.randn(EDGES.shape[1], 4, dtype=torch.float64)
        places["edge_attr"] = EDGES[0]
    return model, inputs, sx.linearize(model, inputs, 1, sites=SITES, places=places, composite=composite)


def _by_masks(layers, layer):
    """(from, to) of a layer: one backward pass for each site behind it."""
    flow = torch.zeros(SITES, SITES, dtype=torch.float64)
    for to in range(SITES):
        slopes = [
            s * (c.place == to).to(s).reshape(-1, *(1,) * (s.ndim - 1))
            for s, c in zip(layers.slopes(layer), layers.cuts[layer - 1], strict=True)
        ]
        if layer == 1:
            flow[:, to] = layers.pull_to_input(slopes)
        else:
            flow[:, to] = layers.reaching_input(layer - 1, layers.pull(layer, slopes))
    return flow


@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus", "deep_taylor"])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_layers_chain_to_the_relevance_of_explain(name, readout, composite):
    model, inputs, layers = _linearized(name, readout, composite)
    assert layers.depth == DEPTH
    expected = sx.explain(model, inputs, 1, composite=composite)
    for key, relevance in expected.relevance.items():
        torch.testing.assert_close(layers.relevance[key], relevance, rtol=1e-10, atol=1e-13)
    slopes = layers.slopes(DEPTH)
    for cut in range(DEPTH, 1, -1):
        slopes = layers.pull(cut, slopes)
    torch.testing.assert_close(layers.pull_to_input(slopes), layers.at(0), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("composite", ["epsilon", "attention", "epsilon_plus", "deep_taylor"])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_what_travels_is_what_masks_let_through(name, readout, composite):
    _, _, layers = _linearized(name, readout, composite)
    total = layers.at(0).sum()
    for layer in range(1, layers.depth + 1):
        torch.testing.assert_close(layers.reaching_input(layer).sum(), total, rtol=1e-9, atol=1e-12)
        masked = _by_masks(layers, layer)
        torch.testing.assert_close(masked.sum(), total, rtol=1e-9, atol=1e-12)
        if (flows := layers.flows(layer)) is not None:
            start, end, relevance = flows
            travelling = torch.zeros(SITES, SITES, dtype=torch.float64)
            travelling.index_put_((start, end), relevance, accumulate=True)
            apart = ~torch.eye(SITES, dtype=torch.bool)
            torch.testing.assert_close(travelling[apart], masked[apart], rtol=1e-9, atol=1e-12)


def test_one_pass_tells_the_flows_of_ordinary_networks():
    for name in ("gin", "gine", "graphconv", "sage"):
        _, _, layers = _linearized(name)
        assert all(layers.flows(layer) is not None for layer in range(1, DEPTH + 1)), name


@pytest.mark.parametrize("name", ["gcn", "gin", "sage", "graphconv"])
def test_layers_are_jacobians_of_piecewise_linear_networks(name):
    """LRP-0 of a network of ReLUs without biases is the chain of its layers' Jacobians (Schnake et al. 2020)."""
    torch.manual_seed(0)
    model = Net(name).double().eval()
    for key, parameter in model.named_parameters():
        if key.endswith("bias"):
            nn.init.zeros_(parameter)
    x = torch.randn(SITES, 6, dtype=torch.float64)
    layers = sx.linearize(
        model, {"x": x}, 1, sites=SITES, places={"x": None}, composite=sx.Composite(default=sx.rules.Epsilon(0.0))
    )
    states, jacobians = [x], []
    for conv in model.convolutions:
        step = lambda h, conv=conv: F.relu(conv(h, EDGES))  # noqa: E731
        jacobians.append(torch.autograd.functional.jacobian(step, states[-1]))  # (to, b, from, a)
        states.append(step(states[-1]).detach())
    slope = model.out.weight[1].detach().expand(SITES, -1) / SITES
    for layer in range(DEPTH, 0, -1):
        pulled = torch.einsum("jbia,jb->ija", jacobians[layer - 1], slope)
        torch.testing.assert_close(
            _by_masks(layers, layer), (pulled * states[layer - 1][:, None]).sum(-1), rtol=1e-9, atol=1e-12
        )
        slope = pulled.sum(1)


def test_functional_code_without_modules():
    weight = torch.tensor([[1.0, -2.0], [0.5, 1.0]], dtype=torch.float64)

    def model(h):
        for _ in range(2):
            messages = h[EDGES[0]] @ weight
            h = torch.relu(h.index_add(0, EDGES[1], messages))
        return h.sum()[None]

    x = torch.rand(SITES, 2, dtype=torch.float64)
    layers = sx.linearize(model, x, sites=SITES, places={"input": None})
    assert layers.depth == 2
    torch.testing.assert_close(layers.at(0).sum(), layers.score[0], rtol=1e-5, atol=1e-6)


def test_sparse_matrices_pass_messages_too():
    adjacency = torch.zeros(SITES, SITES, dtype=torch.float64)
    adjacency[EDGES[1], EDGES[0]] = 1.0
    x = torch.rand(SITES, 3, dtype=torch.float64)
    sparse = sx.linearize(
        lambda h: torch.sparse.mm(adjacency.to_sparse(), torch.sparse.mm(adjacency.to_sparse(), h)).sum()[None],
        x, sites=SITES, places={"input": None},
    )  # fmt: skip
    assert sparse.depth == 2
    expected = x.sum(1) * (adjacency @ adjacency).sum(0)
    torch.testing.assert_close(sparse.at(0), expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(
        _by_masks(sparse, 2), (adjacency @ x).sum(1)[:, None] * adjacency.T, rtol=1e-9, atol=1e-12
    )


def test_softmax_sums_and_norms_are_no_layers_of_their_own():
    _, _, attention = _linearized("gat", composite="attention")
    assert attention.depth == DEPTH

    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.norm = pyg.GraphConv(6, 8), pyg.GraphConv(8, 1), pyg.GraphNorm(8)

        def forward(self, x):
            return self.b(self.norm(self.a(x, EDGES)).relu(), EDGES).sum(0)

    x = torch.randn(SITES, 6, dtype=torch.float64)
    layers = sx.linearize(Normed().double().eval(), x, sites=SITES, places={"input": None})
    assert layers.depth == 2
    torch.testing.assert_close(_by_masks(layers, 1).sum(1), layers.at(0), rtol=1e-9, atol=1e-12)


def test_nothing_is_left_behind():
    gc.collect()
    gc.disable()
    try:
        _, _, layers = _linearized("gin")
        left = weakref.ref(layers.cuts[0][0].tensor)
        del layers
        assert left() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({}, "expected their places="),
        ({"y": None}, r"names \['y'\]"),
        ({"x": torch.zeros(3, dtype=torch.long)}, r"shape \(3,\)"),
        ({"x": torch.full((SITES,), SITES)}, "goes from 5 to 5"),
    ],
)
def test_places_are_checked(places, message):
    with pytest.raises(sx.InputError, match=message):
        sx.linearize(lambda x: x.sum(0), {"x": torch.ones(SITES, 2)}, sites=SITES, places=places)
