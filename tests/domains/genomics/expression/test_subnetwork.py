"""What is drawn and written of a patient's subnetwork is what networkx makes of it."""

from __future__ import annotations

import csv
import itertools

import networkx
import numpy as np
import pytest
import torch

from sciexplain.domains.genomics.expression import ExpressionExplanation, draw_subnetwork
from sciexplain.errors import InputError

GENES = tuple(f"GENE{i}" for i in range(40))


@pytest.fixture
def graph():
    found = networkx.relabel_nodes(networkx.gnp_random_graph(40, 0.06, seed=2), dict(enumerate(GENES)))
    for n, (a, b) in enumerate(found.edges):
        found.edges[a, b]["weight"] = 1.0 + n % 3
    return found


@pytest.fixture
def explanation():
    relevance = torch.randn(2, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = torch.arange(80.0, dtype=torch.float64).reshape(2, 40)
    return ExpressionExplanation(relevance, values, relevance.sum(1), None, relevance, GENES, ("p", "q"))


@pytest.mark.parametrize("positive", [False, True])
def test_is_the_induced_subgraph_of_the_most_relevant_genes(positive, explanation, graph):
    found = explanation.subnetwork("q", graph, 15, positive=positive)
    relevance = explanation.relevance[1].numpy()
    chosen = np.argsort(-(relevance if positive else np.abs(relevance)))[:15]
    induced = graph.subgraph([GENES[j] for j in chosen])
    ours = found.to_networkx()
    assert found.genes == tuple(GENES[j] for j in chosen)
    assert networkx.utils.graphs_equal(networkx.Graph(ours.edges(data=True)), networkx.Graph(induced.edges(data=True)))
    assert set(map(frozenset, found.components)) == set(map(frozenset, networkx.connected_components(induced)))
    for j in chosen:
        kept = ours.nodes[GENES[j]]
        assert (kept["relevance"], kept["value"]) == (relevance[j], 40.0 + j)
        assert GENES[j] in found.components[kept["component"]]
    assert (ours.graph["patient"], ours.graph["score"]) == ("q", pytest.approx(float(relevance.sum())))


def test_files_hold_what_the_graph_holds(explanation, graph, tmp_path):
    found = explanation.subnetwork(0, graph, 20)
    read = networkx.read_graphml(found.to_graphml(tmp_path / "p.graphml"))
    ours = found.to_networkx()
    assert dict(read.nodes(data=True)) == dict(ours.nodes(data=True))
    assert networkx.utils.edges_equal(read.edges(data=True), ours.edges(data=True))
    assert read.graph["score"] == ours.graph["score"]
    nodes, edges = found.to_csv(tmp_path / "p.csv")
    assert (nodes.name, edges.name) == ("p.nodes.csv", "p.edges.csv")
    with nodes.open() as a, edges.open() as b:
        rows, links = list(csv.DictReader(a)), list(csv.DictReader(b))
    assert [(r["gene"], float(r["relevance"])) for r in rows] == list(
        zip(found.genes, found.relevance.tolist(), strict=True)
    )
    expected = {frozenset((a, b)): w for a, b, w in found.to_networkx().edges(data="weight")}
    assert {frozenset((r["source"], r["target"])): float(r["weight"]) for r in links} == expected


def test_genes_that_the_network_lacks_are_kept_without_links(explanation):
    found = explanation.subnetwork(0, [("GENE1", "OTHER"), ("GENE1", "GENE2")], 40)
    assert len(found) == 40
    assert len(found.network.edges) == 1
    with pytest.raises(InputError, match="0 are in the network"):
        explanation.subnetwork(0, [("ENSG1", "ENSG2")])


@pytest.mark.parametrize(("k", "links"), [(1, 0), (2, 1), (40, 1), (40, 4)])
def test_labels_are_apart_and_inside_the_picture(k, links, explanation, tmp_path):
    graph = networkx.relabel_nodes(networkx.barabasi_albert_graph(40, links or 1, seed=1), dict(enumerate(GENES)))
    figure = draw_subnetwork(explanation.subnetwork(0, graph, k), tmp_path / "x.png")
    axes = figure.axes[0]
    renderer = figure.canvas.get_renderer()
    boxes = [patch.get_window_extent(renderer) for patch in axes.patches]
    texts = [text.get_window_extent(renderer) for text in axes.texts]
    assert len(boxes) == len(texts) == k
    for box, text in zip(boxes, texts, strict=True):
        assert box.x0 <= text.x0 and text.x1 <= box.x1
    for a, b in itertools.combinations(boxes, 2):
        assert not (a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1)
    whole = figure.bbox
    assert all(whole.x0 <= b.x0 and b.x1 <= whole.x1 and whole.y0 <= b.y0 for b in boxes)
    title = figure.texts[0].get_window_extent(renderer)
    assert max(b.y1 for b in boxes) < title.y0
    assert (tmp_path / "x.png").stat().st_size > 0
