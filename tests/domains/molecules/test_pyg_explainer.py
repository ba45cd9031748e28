"""LRP as an algorithm of PyG's Explainer: against explain, against Jacobians, and under PyG's own metrics."""

import time

import pytest
import torch
from torch_geometric.explain import Explainer, characterization_score, fidelity
from torch_geometric.nn import GAT, GCN, GIN, GraphSAGE, global_add_pool

import sciexplain as sx
from sciexplain.domains.molecules import LRPExplainer

EDGES = torch.tensor([[0, 1, 1, 2, 2, 3, 3, 0, 3, 4], [1, 0, 2, 1, 3, 2, 0, 3, 4, 3]])
NETWORKS = {"gcn": GCN, "gin": GIN, "gat": GAT, "sage": GraphSAGE}


def network(name, classes=3, pooled=False, **options):
    torch.manual_seed(0)
    made = NETWORKS[name](4, 8, 2, out_channels=classes, **options).double().eval()
    if not pooled:
        return made

    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = made

        def forward(self, x, edge_index, batch):
            return global_add_pool(self.network(x, edge_index), batch)

    return Pooled()


def explainer(model, level="node", mode="multiclass_classification", returns="raw", composite=None, **options):
    return Explainer(
        model, LRPExplainer(composite), **{"explanation_type": "model", "node_mask_type": "attributes", **options},
        model_config={"mode": mode, "task_level": level, "return_type": returns},
    )  # fmt: skip


X = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NETWORKS)
def test_node_masks_are_relevance(name):
    model = network(name)
    found = explainer(model)(X, EDGES, index=3)
    best = int(model(X, EDGES)[3].argmax())
    expected = sx.explain(lambda x: model(x, EDGES), {"x": X}, lambda out: out[:, best] * (torch.arange(5) == 3))
    torch.testing.assert_close(found.node_mask, expected.relevance["x"], rtol=1e-10, atol=1e-14)
    for kind, reduced in (
        ("object", found.node_mask.sum(1, keepdim=True)),
        ("common_attributes", found.node_mask.sum(0, keepdim=True)),
    ):
        torch.testing.assert_close(explainer(model, node_mask_type=kind)(X, EDGES, index=3).node_mask, reduced)


@pytest.mark.parametrize("name", NETWORKS)
def test_graphs_and_given_targets(name):
    model, batch = network(name, pooled=True), torch.tensor([0, 0, 0, 0, 0])
    given = explainer(model, "graph", explanation_type="phenomenon")(X, EDGES, target=torch.tensor([2]), batch=batch)
    expected = sx.explain(lambda x: model(x, EDGES, batch), {"x": X}, 2).relevance["x"]
    torch.testing.assert_close(given.node_mask, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", ["gcn", "gin", "sage"])
def test_edge_masks_are_what_jacobians_let_through(name):
    """Without biases a network of ReLUs is the chain of its layers' Jacobians."""
    options = {"bias": False} if name != "gin" else {}
    model = network(name, **options)
    for key, parameter in model.named_parameters():
        if key.endswith("bias"):
            torch.nn.init.zeros_(parameter)
    exact = sx.Composite(default=sx.rules.Epsilon(0.0))
    made = explainer(model, edge_mask_type="object", mode="regression", composite=exact)
    found = made(X, EDGES, index=3).edge_mask
    states, jacobians = [X], []
    for number, conv in enumerate(model.convs):
        step = lambda h, conv=conv, n=number: conv(h, EDGES).relu() if n == 0 else conv(h, EDGES)  # noqa: E731
        jacobians.append(torch.autograd.functional.jacobian(step, states[-1]))
        states.append(step(states[-1]).detach())
    slope = torch.zeros(5, 3, dtype=torch.float64)
    slope[3] = 1.0
    total = torch.zeros(5, 5, dtype=torch.float64)
    for jacobian, state in zip(reversed(jacobians), reversed(states[:-1]), strict=True):
        pulled = torch.einsum("jbia,jb->ija", jacobian, slope)
        total += (pulled * state[:, None]).sum(-1) / 2
        slope = pulled.sum(1)
    torch.testing.assert_close(found, total[EDGES[0], EDGES[1]], rtol=1e-9, atol=1e-12)


def test_two_classes_with_one_logit():
    model = network("gin", classes=1)
    logits = model(X, EDGES)[:, 0]
    settings = {"mode": "binary_classification", "edge_mask_type": "object"}
    for row in range(5):
        found = explainer(model, **settings)(X, EDGES, index=row)
        plain = sx.explain(lambda x: model(x, EDGES), {"x": X}, lambda out, r=row: out[:, 0] * (torch.arange(5) == r))
        sign = 1.0 if bool(found.target[row]) else -1.0
        torch.testing.assert_close(found.node_mask, sign * plain.relevance["x"], rtol=1e-10, atol=1e-14)
    assert logits.shape == (5,)


def test_metrics_of_pyg_and_the_model_untouched():
    model = network("gin", pooled=True)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.train()
    made = explainer(model, "graph", edge_mask_type="object", threshold_config={"threshold_type": "topk", "value": 6})
    explanation = made(X, EDGES, batch=torch.zeros(5, dtype=torch.long))
    assert explanation.validate() and int((explanation.edge_mask != 0).sum()) <= 6
    positive, negative = fidelity(made, explanation)
    assert 0 <= positive <= 1 and 0 <= negative <= 1
    assert characterization_score(torch.tensor(0.5), torch.tensor(0.5)) == 0.5
    assert explanation.get_explanation_subgraph().num_nodes <= 5
    assert model.training and all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_a_graph_of_thousands_of_nodes():
    torch.manual_seed(0)
    edges = torch.randint(0, 2700, (2, 10_000))
    model = GCN(16, 16, 2, out_channels=7).eval()
    begin = time.perf_counter()
    found = explainer(model, edge_mask_type="object")(torch.rand(2700, 16), edges, index=5)
    assert found.edge_mask.shape == (10_000,) and time.perf_counter() - begin < 60
    assert float(found.edge_mask.abs().sum()) > 0


def test_graphs_of_several_kinds_are_refused():
    made = explainer(network("gin"))
    with pytest.raises(sx.InputError, match="several kinds"):
        made.algorithm(made.model, {"a": X}, {("a", "to", "a"): EDGES}, target=torch.zeros(5))
