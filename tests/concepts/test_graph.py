"""What flows from channel to channel: equal to chained conditions, and conserved."""

import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain import concepts

NET = randomize(
    nn.Sequential(
        nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Conv2d(5, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(54, 7),
        nn.ReLU(), nn.Linear(7, 3),
    )
)  # fmt: skip
WITHOUT_BIAS = randomize(
    nn.Sequential(
        nn.Conv1d(4, 5, 3, bias=False), nn.ReLU(), nn.Conv1d(5, 6, 3, bias=False), nn.ReLU(), nn.Flatten(),
        nn.Linear(48, 3, bias=False),
    )
)  # fmt: skip
X, SEQUENCES = sample(30, 1, 7, 7), sample(20, 4, 12)


def test_edges_are_chained_conditions():
    g = concepts.graph(NET, X, 1, ["1", "4", "7"], k=2, batch_size=7)
    members = X[NET(X).argmax(1) == 1]
    assert g.layers == ("7", "4", "1") and g.count == len(members)
    assert g.score == pytest.approx(float(NET(members)[:, 1].detach().mean()))
    relevance = concepts.channel_relevance(NET, members, 1, layers=g.layers)
    for name, r in relevance.items():
        assert g.channels[name] == tuple(torch.argsort(-r.mean(0).abs())[:2].tolist())
        others = [c for c in range(r.shape[1]) if c not in g.channels[name]]
        expected = torch.cat([r.mean(0)[list(g.channels[name])], r.mean(0)[others].sum()[None]])
        torch.testing.assert_close(g.relevance[name], expected)
    for upper, lower in (("7", "4"), ("4", "1")):
        groups = [
            [*([c] for c in g.channels[n]), [c for c in range(relevance[n].shape[1]) if c not in g.channels[n]]]
            for n in (upper, lower)
        ]
        for i, u in enumerate(groups[0]):
            for j, v in enumerate(groups[1]):
                passed = concepts.conditional(NET, members, 1, {upper: u, lower: v}).passed[lower]
                assert float(g.edges[upper, lower][i, j]) == pytest.approx(float(passed.mean()), abs=1e-10)
        # what comes to the lower layer came through the upper one
        torch.testing.assert_close(g.edges[upper, lower].sum(0), g.relevance[lower], rtol=0, atol=1e-10)


def test_conserved_without_biases():
    g = concepts.graph(
        WITHOUT_BIAS, SEQUENCES, 2, ["1", "3"], k=3, composite=sx.Composite([], default=sx.rules.Epsilon(1e-12))
    )
    for axis, name in ((1, "3"), (0, "1")):
        torch.testing.assert_close(g.edges["3", "1"].sum(axis), g.relevance[name], rtol=0, atol=1e-8)
    assert float(g.relevance["3"].sum()) == pytest.approx(g.score, abs=1e-8)


def test_given_channels_need_one_reading():
    g = concepts.graph(NET, (x for x in X.split(9)), 1, ["1", "4"], channels={"1": [3, 0], "4": [5]})
    assert g.channels == {"4": (5,), "1": (3, 0)} and g.edges["4", "1"].shape == (2, 3)
    whole = concepts.graph(NET, X, 1, ["1", "4"], channels={"1": [3, 0], "4": [5]})
    torch.testing.assert_close(g.edges["4", "1"], whole.edges["4", "1"], rtol=0, atol=1e-12)


def test_all_channels_leave_nothing_to_others():
    g = concepts.graph(WITHOUT_BIAS, SEQUENCES, 1, ["1", "3"], k=99)
    assert len(g.channels["1"]) == 5 and float(g.relevance["1"][-1]) == 0 and not g.edges["3", "1"][-1].any()


def test_graph_models():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1)

        def forward(self, x, edges, batch):
            for layer in (self.first, self.second):
                x = torch.relu(layer(x + torch.zeros_like(x).index_add(0, edges[1], x[edges[0]])))
            return self.head(torch.zeros(2, 4, dtype=x.dtype).index_add(0, batch, x))[:, 0]

    model = randomize(Net())
    batch = {"x": sample(5, 3), "edges": torch.tensor([[0, 1, 3], [1, 2, 4]]), "batch": torch.tensor([0, 0, 0, 1, 1])}
    g = concepts.graph(model, [batch], None, ["first", "second"], k=2)
    e = sx.explain(model, batch, layers=["first"])
    torch.testing.assert_close(g.relevance["first"].sum() * 2, e.layers["first"].sum())
    torch.testing.assert_close(g.edges["second", "first"].sum(0), g.relevance["first"], rtol=0, atol=1e-10)


@pytest.mark.parametrize(("options", "message"), [
    ({"layers": ["1"]}, "names of at least two"), ({"layers": "14"}, "names of at least two"), ({"k": 0}, "k=0"),
    ({"channels": {"9": [1]}}, r"channels names \['9'\]"), ({"channels": {"1": [1, 1]}}, "some are the same"),
    ({"channels": {"1": [7]}}, r"channels \[7\] of '1', which has 5"), ({"layers": ["1", "x"]}, r"layers \['x'\]"),
])  # fmt: skip
def test_errors(options, message):
    with pytest.raises(sx.InputError, match=message):
        concepts.graph(NET, X, 1, **{"layers": ["1", "4"], **options})
