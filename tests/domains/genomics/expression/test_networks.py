"""Graph convolutions against the dense recursion, torch_geometric's, and their own promises."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
import torch

import sciexplain as sx
from sciexplain.domains.genomics.expression import ChebyshevConvolution, GeneGraphCNN, GeneNetwork, mlp
from sciexplain.domains.genomics.expression.networks import matched, merged
from sciexplain.errors import InputError


def random_network(genes=17, seed=0, alone=2):
    """With some genes that have no links."""
    graph = networkx.gnp_random_graph(genes - alone, 0.25, seed=seed)
    rng = np.random.default_rng(seed)
    edges = np.array(sorted(graph.edges))
    return GeneNetwork(tuple(f"g{i}" for i in range(genes)), edges, rng.uniform(0.2, 2, len(edges)))


def adjacency(network):
    a = np.zeros((len(network),) * 2)
    i, j = network.edges.T
    a[i, j] = a[j, i] = network.weights
    return a


def dense_chebyshev(network, x, weight, order):
    """Y = Σ_k T_k(2 L / 2 − 1) X W_k, written with matrices; a gene without links has L = 1."""
    a = adjacency(network)
    degree = a.sum(1)
    inverse = np.where(degree > 0, 1 / np.sqrt(np.where(degree > 0, degree, 1)), 0)
    laplacian = np.eye(len(a)) - inverse[:, None] * a * inverse
    scaled = laplacian - np.eye(len(a))
    t = [np.eye(len(a)), scaled]
    for _ in range(order):
        t.append(2 * scaled @ t[-1] - t[-2])
    return sum(np.einsum("ij,njc,oc->nio", t[k], x, weight[k]) for k in range(order))


@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize("channels", [(1, 3), (4, 2)])
def test_convolution_is_the_dense_recursion(order, channels):
    network = random_network()
    layer = ChebyshevConvolution(network, *channels, order).double()
    layer.values = layer.values.double()
    layer = _exact(layer, network)
    x = torch.randn(3, len(network), channels[0], dtype=torch.float64)
    weight = layer.weight.weight.detach().numpy().reshape(channels[1], order, channels[0]).transpose(1, 0, 2)
    expected = dense_chebyshev(network, x.numpy(), weight, order)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def _exact(layer, network):
    """The Laplacian in float64, which a layer made in float32 had rounded."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        made = ChebyshevConvolution(network, layer.weight.in_features // layer.order, 1, layer.order)
    finally:
        torch.set_default_dtype(before)
    layer.values = made.values
    return layer


def test_convolution_is_that_of_torch_geometric():
    nn = pytest.importorskip("torch_geometric.nn")
    network, order = random_network(alone=0, seed=3), 4
    ours = _exact(ChebyshevConvolution(network, 2, 3, order).double(), network)
    theirs = nn.ChebConv(2, 3, order, normalization="sym", bias=False).double()
    for k, lin in enumerate(theirs.lins):
        lin.weight.data = ours.weight.weight.data[:, 2 * k : 2 * k + 2]
    edges = torch.from_numpy(network.edges.T.copy())
    x = torch.randn(len(network), 2, dtype=torch.float64)
    weights = torch.from_numpy(network.weights).repeat(2)
    expected = theirs(x, torch.cat([edges, edges.flip(0)], 1), weights, lambda_max=2.0)
    torch.testing.assert_close(ours(x[None])[0], expected, rtol=1e-10, atol=1e-12)


def test_pairs_are_a_matching_along_links_that_none_can_be_added_to():
    for seed in range(5):
        network = random_network(30, seed)
        pairs = matched(network)
        members = sorted({i for pair in pairs.tolist() for i in pair})
        assert members == list(range(30))
        linked = {tuple(e) for e in network.edges.tolist()}
        assert all(i == j or (i, j) in linked for i, j in pairs.tolist())
        alone = {i for i, j in pairs.tolist() if i == j}
        assert not any(i in alone and j in alone for i, j in linked)
        owner = {i: p for p, pair in enumerate(pairs.tolist()) for i in pair}
        sums = np.zeros((len(pairs),) * 2)
        for (i, j), w in zip(network.edges.tolist(), network.weights, strict=True):
            if owner[i] != owner[j]:
                sums[owner[i], owner[j]] += w
                sums[owner[j], owner[i]] += w
        np.testing.assert_allclose(adjacency(merged(network, pairs)), sums)


@pytest.mark.parametrize("pool", [True, False])
def test_relevance_of_the_graph_cnn_adds_up(pool):
    torch.manual_seed(0)
    network = random_network(25)
    model = GeneGraphCNN(network, 3, channels=(3, 2), order=3, pool=pool, hidden=(8,)).double().eval()
    x = torch.randn(4, 25, dtype=torch.float64)
    e = sx.explain(model, x, composite=sx.composites.get("epsilon", epsilon=1e-12), ledger=True, on_unknown="error")
    torch.testing.assert_close(e.relevance.sum(1), e.score, rtol=1e-8, atol=1e-10)
    assert float(e.ledger.gap.abs().max()) < 1e-12
    gradient = sx.explain(model, x, e.target, "input_x_gradient")
    torch.testing.assert_close(e.relevance, gradient.relevance, rtol=1e-6, atol=1e-9)
    assert bool((e.relevance[:, -2:] != 0).any()), "a gene without links is seen by its own polynomials"


def test_relevance_stays_within_reach():
    """Two convolutions of order 2 see two links far; without pooling nothing else may get relevance."""
    path = GeneNetwork.of([(f"g{i}", f"g{i + 1}") for i in range(8)])
    torch.manual_seed(1)
    model = GeneGraphCNN(path, 1, channels=(2, 2), order=2, pool=False, hidden=(), dropout=0).double().eval()
    for convolution in model.convolutions:
        convolution.weight.weight.data = convolution.weight.weight.data.abs() * torch.tensor(
            [1.0, -1.0]
        ).repeat_interleave(convolution.weight.in_features // 2)
    model.dense[0].weight.data.zero_()
    model.dense[0].weight.data[0, :2] = 1.0
    x = torch.ones(1, 9, dtype=torch.float64)
    seen = sx.explain(model, x).relevance[0] != 0
    assert seen.tolist() == [True] * 3 + [False] * 6


def test_a_network_is_the_same_after_saving(tmp_path):
    from safetensors.torch import load_file, save_file

    network = random_network()
    torch.manual_seed(0)
    model, other = (GeneGraphCNN(network, 2).eval() for _ in range(2))
    save_file(model.state_dict(), tmp_path / "m.safetensors")
    other.load_state_dict(load_file(tmp_path / "m.safetensors"))
    x = torch.randn(2, len(network))
    assert torch.equal(model(x), other(x))


def test_dense_network_has_the_widths_asked_for():
    model = mlp(["a", "b", "c"], ["x", "y"], (7, 5), dropout=0, bias=True)
    assert [tuple(m.weight.shape) for m in model if hasattr(m, "weight")] == [(7, 3), (5, 7), (2, 5)]
    assert all(m.bias is not None for m in model if hasattr(m, "weight"))
    with pytest.raises(InputError, match="order=0"):
        ChebyshevConvolution(random_network(), 1, 1, 0)
