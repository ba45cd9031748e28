"""DeepLIFT against the paper's worked cases, closed forms, a reference written from the paper, captum and shap."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx


def deeplift(model, x, target=0, reference=None, **options):
    return sx.explain(model, x, target, method="deeplift", reference=reference, on_unknown="error", **options)


class Minimum(nn.Module):
    """``o = i₁ − max(0, i₁ − i₂) = min(i₁, i₂)``, section 3.5.3 of the paper."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 1, bias=False, dtype=torch.float64)
        with torch.no_grad():
            self.hidden.weight.copy_(torch.tensor([[1.0, -1.0]]))

    def forward(self, x):
        return x[:, :1] - torch.relu(self.hidden(x))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("rescale", [[0.0, 6.0], [3.0, 0.0]]), ("reveal_cancel", [[3.0, 3.0], [1.5, 1.5]])],
)
def test_minimum(rule, expected):
    x = torch.tensor([[10.0, 6.0], [3.0, 7.0]], dtype=torch.float64)
    torch.testing.assert_close(deeplift(Minimum(), x, rule=rule).relevance, torch.tensor(expected).double())


def test_saturation():
    """Figure 1: ``1 − relu(1 − i₁ − i₂)`` is flat at (1, 1), and both inputs are given their half all the same."""

    def net(x):
        return 1 - torch.relu(1 - x.sum(1, keepdim=True))

    found = deeplift(net, torch.ones(1, 2).double()).relevance
    torch.testing.assert_close(found, torch.full((1, 2), 0.5).double())


def test_threshold():
    """Figure 2: ``relu(x − 10)`` has no jump; all of the difference goes to x, none to the bias."""
    x = torch.tensor([[10.0 + 1e-6], [12.0]], dtype=torch.float64)
    found = deeplift(lambda v: torch.relu(v - 10), x).relevance
    torch.testing.assert_close(found, (x - 10))


@pytest.mark.parametrize("rule", ["rescale", "reveal_cancel"])
def test_linear_model(rule):
    layer = randomize(nn.Linear(4, 3))
    x, x0 = sample(3, 4), sample(3, 4, seed=5)
    found = deeplift(layer, x, 2, x0, rule=rule)
    torch.testing.assert_close(found.relevance, layer.weight[2].detach() * (x - x0))
    torch.testing.assert_close(found.score, layer(x)[:, 2].detach())


def test_product_is_the_shapley_value():
    (x, y), (x0, y0) = (sample(3, 2), sample(3, 2, seed=2)), (sample(3, 2, seed=3), sample(3, 2, seed=4))
    a, b = deeplift(lambda p, q: (p * q).sum(1, keepdim=True), (x, y), 0, (x0, y0)).relevance
    torch.testing.assert_close(a, (x - x0) * (y + y0) / 2)
    torch.testing.assert_close(b, (y - y0) * (x + x0) / 2)


def dense_reference(weights, biases, f, x, x0, target):
    """Sections 3.5.1 and 3.5.2 for one sample of a multilayer perceptron, in plain sums."""
    hs, rs = [x], [x0]
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        z, z0 = w @ hs[-1] + b, w @ rs[-1] + b
        last = i == len(weights) - 1
        hs += [z] if last else [z, f(z)]
        rs += [z0] if last else [z0, f(z0)]
    m = torch.zeros(len(hs[-1])).double()
    m[target] = 1
    for w in weights[:0:-1]:
        hs.pop(), rs.pop()
        m = w.T @ m
        (y, z), (y0, z0) = (hs.pop(), hs[-1]), (rs.pop(), rs[-1])
        m = m * (y - y0) / (z - z0)
    return (weights[0].T @ m) * (x - x0)


@pytest.mark.parametrize("f", [torch.relu, torch.tanh, F.gelu, F.softplus, torch.sigmoid], ids=lambda f: f.__name__)
def test_against_the_paper(f):
    layers = [randomize(nn.Linear(*shape), i) for i, shape in enumerate(((5, 6), (6, 4), (4, 3)))]

    def net(x):
        return layers[2](f(layers[1](f(layers[0](x)))))

    x, x0 = sample(4, 5), sample(4, 5, seed=9)
    weights, biases = [layer.weight.detach() for layer in layers], [layer.bias.detach() for layer in layers]
    expected = torch.stack([dense_reference(weights, biases, f, a, b, 1) for a, b in zip(x, x0, strict=True)])
    torch.testing.assert_close(deeplift(net, x, 1, x0).relevance, expected, rtol=1e-9, atol=1e-12)


def reveal_cancel_reference(w1, b1, w2, f, x, x0):
    """Section 3.5.3 for one hidden layer, in plain sums."""
    contributions = w1 * (x - x0)
    up, down = contributions.clamp(min=0).sum(1), contributions.clamp(max=0).sum(1)
    z0 = w1 @ x0 + b1
    y_up = (f(z0 + up) - f(z0) + f(z0 + up + down) - f(z0 + down)) / 2
    y_down = (f(z0 + down) - f(z0) + f(z0 + up + down) - f(z0 + up)) / 2
    m = torch.where(contributions > 0, (y_up / up)[:, None], (y_down / down)[:, None]) * contributions
    return (w2[:, None] * m).sum(0)


@pytest.mark.parametrize("f", [torch.relu, torch.tanh, F.elu], ids=lambda f: f.__name__)
def test_reveal_cancel_against_the_paper(f):
    hidden, head = randomize(nn.Linear(5, 6)), randomize(nn.Linear(6, 2), 1)
    x, x0 = sample(4, 5), sample(4, 5, seed=9)
    expected = torch.stack(
        [
            reveal_cancel_reference(hidden.weight.detach(), hidden.bias.detach(), head.weight[1].detach(), f, a, b)
            for a, b in zip(x, x0, strict=True)
        ]
    )
    found = deeplift(lambda v: head(f(hidden(v))), x, 1, x0, rule="reveal_cancel", ledger=True)
    torch.testing.assert_close(found.relevance, expected, rtol=1e-9, atol=1e-12)
    assert found.ledger.absorbed["unruled"].abs().max() < 1e-12


def convolutional():
    return randomize(
        nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ELU(),
            nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 6), nn.Sigmoid(), nn.Linear(6, 3),
        )
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(2, 2, 8, 8)])
def test_equals_captum_where_captum_is_right(shape):
    captum = pytest.importorskip("captum.attr")
    net, x, x0 = convolutional(), sample(*shape), sample(*shape, seed=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, delta = captum.DeepLift(net).attribute(x, x0, target=1, return_convergence_delta=True)
    assert delta.abs().max() < 1e-10
    torch.testing.assert_close(deeplift(net, x, 1, x0).relevance, expected.detach(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)),
        nn.Sequential(nn.Flatten(), nn.Linear(128, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 3)),
        nn.Sequential(nn.Flatten(), nn.Linear(128, 6), nn.Softmax(1), nn.Linear(6, 3)),
    ],
    ids=["max-pool behind a ReLU", "LayerNorm", "softmax inside"],
)
def test_is_complete_where_captum_is_not(net):
    captum = pytest.importorskip("captum.attr")
    net, x, x0 = randomize(net), sample(2, 2, 8, 8), sample(2, 2, 8, 8, seed=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, delta = captum.DeepLift(net).attribute(x, x0, target=1, return_convergence_delta=True)
    assert delta.abs().max() > 1e-4
    assert deeplift(net, x, 1, x0).convergence_error.abs().max() < 1e-12


def test_deepshap_is_the_mean_over_references():
    net, x, references = convolutional(), sample(2, 2, 8, 8), sample(2, 5, 2, 8, 8, seed=3)
    found = sx.explain(net, x, 1, method="deepshap", references=references, ledger=True)
    each = [deeplift(net, x, 1, references[:, k]).relevance for k in range(5)]
    torch.testing.assert_close(found.relevance, torch.stack(each).mean(0), rtol=1e-10, atol=1e-13)
    scores = torch.stack([net(references[:, k])[:, 1] for k in range(5)]).mean(0).detach()
    torch.testing.assert_close(found.relevance.flatten(1).sum(1), found.score - scores)
    torch.testing.assert_close(found.ledger.absorbed["bias"], scores)
    shared = sx.explain(net, x, 1, method="deepshap", references=references[:1]).relevance
    same = sx.explain(net, x, 1, method="deepshap", references=references[:1].expand(2, -1, -1, -1, -1)).relevance
    assert torch.equal(shared, same)


def test_closed_forms_of_shap():
    """Lundberg & Lee 2017, corollary 1 and section 4.2: linear models, and the maximum of inputs."""
    layer, x, references = randomize(nn.Linear(4, 3)), sample(3, 4), sample(3, 6, 4, seed=2)
    found = sx.explain(layer, x, 2, method="deepshap", references=references).relevance
    torch.testing.assert_close(found, layer.weight[2].detach() * (x - references.mean(1)))
    x = torch.tensor([[3.0, 1.0, 2.0]], dtype=torch.float64)
    found = deeplift(lambda v: v.amax(1, keepdim=True), x).relevance
    torch.testing.assert_close(found, torch.tensor([[3.0, 0.0, 0.0]]).double())


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.calls = convolutional(), 0

    def forward(self, x):
        self.calls += 1
        return self.net(x)


def test_the_model_runs_once_for_many_references():
    net = Counting()
    sx.explain(net, sample(2, 2, 8, 8), 1, method="deepshap", references=sample(2, 7, 2, 8, 8))
    assert net.calls == 1


def test_samples_do_not_depend_on_their_batch():
    net, x, x0 = convolutional(), sample(5, 2, 8, 8), sample(5, 2, 8, 8, seed=4)
    whole = deeplift(net, x, 1, x0).relevance
    for i in range(5):
        torch.testing.assert_close(deeplift(net, x[i : i + 1], 1, x0[i : i + 1]).relevance[0], whole[i])
    split = deeplift(net, x, 1, x0, batch_size=2).relevance
    torch.testing.assert_close(split, whole, rtol=1e-12, atol=1e-14)
    assert torch.equal(deeplift(net, x, 1, x0).relevance, whole)


def test_tokens():
    table, head = nn.Embedding(9, 4).double(), randomize(nn.Linear(4, 3))
    tokens, reference = torch.tensor([[1, 2, 5], [4, 4, 0]]), torch.tensor([[0, 2, 1], [3, 3, 3]])
    found = deeplift(lambda t: head(torch.tanh(table(t)).sum(1)), tokens, 1, reference)
    expected = ((torch.tanh(table(tokens)) - torch.tanh(table(reference))) * head.weight[1]).sum(-1).detach()
    assert found.relevance.shape == tokens.shape
    torch.testing.assert_close(found.relevance, expected)


def test_a_callable_may_be_anything():
    net, x, x0 = convolutional(), sample(2, 2, 8, 8), sample(2, 2, 8, 8, seed=4)

    def target(y):
        return y[:, 0] * torch.exp(y[:, 1]) / (1 + y[:, 2] ** 2)

    found = deeplift(net, x, target, x0, ledger=True)
    torch.testing.assert_close(found.relevance.flatten(1).sum(1), (target(net(x)) - target(net(x0))).detach())


class Router(nn.Module):
    """Two experts, one of them used."""

    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(4, 2), nn.ModuleList(nn.Linear(4, 3) for _ in range(2))

    def forward(self, x):
        weight, index = torch.softmax(self.gate(x), 1).topk(1, dim=1)
        both = torch.stack([e(x) for e in self.experts], 1)
        return weight * both[torch.arange(len(x)), index[:, 0]]


def test_decisions_of_the_sample_are_named():
    net, x = randomize(Router()), sample(6, 4)
    reference = x.roll(1, 0)
    decided = (net.gate(x).argmax(1) != net.gate(reference).argmax(1)).tolist()
    assert any(decided)
    assert not all(decided)
    found = deeplift(net, x, 1, reference, ledger=True)
    lost = found.ledger.absorbed["unruled"].abs() > 1e-6
    assert lost.tolist() == decided
    assert (found.convergence_error.abs() > 1e-6).tolist() == decided
    assert found.ledger.gap.abs().max() < 1e-12
    (row,) = [r for r in found.ledger.rows if "decisions" in r.treatment]
    assert "topk" in row.treatment


def test_a_leak_is_named_by_its_operation():
    """Where torch's operation is no polynomial and has no multipliers of its own, quadrature leaks, and is told."""

    def net(x):
        return torch.renorm(x, 2, 0, 1.0) * x

    with pytest.warns(UserWarning, match=r"renorm"):
        found = sx.explain(net, sample(2, 9), 4, method="deeplift", reference=sample(2, 9, seed=3) / 9, ledger=True)
    leaks = {r.operation: float(r.unruled.abs().max()) for r in found.ledger.rows}
    assert leaks.pop("renorm") > 1e-8
    assert all(v < 1e-12 for v in leaks.values())
    assert found.ledger.gap.abs().max() < 1e-12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "deeplift", "reference": torch.zeros(3, 4)}, r"has shape \(3, 4\); expected \(2, 5\)"),
        ({"method": "deeplift", "reference": {"x": 0.0}}, "The references are for x; the inputs are input"),
        ({"method": "deeplift", "reference": float("nan")}, "NaN or infinite"),
        ({"method": "deeplift", "rule": "deep"}, 'expected "rescale" or "reveal_cancel"'),
        ({"method": "deepshap", "references": torch.zeros(2, 5)}, r"expected a tensor \(N, K, \*input shape\)"),
        ({"method": "deepshap"}, "needs references="),
        ({"method": "deeplift", "composite": "epsilon"}, "composite"),
    ],
)
def test_unfit_options(options, message):
    with pytest.raises(sx.SciExplainError, match=message):
        sx.explain(randomize(nn.Linear(5, 2)), sample(2, 5), 0, **options)


class Noisy(nn.Module):
    """Of the kinds that training changes, and one that decides."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.head = nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)

    def forward(self, x):
        y = F.dropout(self.norm(self.first(x)), 0.5, self.training)
        return self.head(y * torch.softmax(y - y.detach().amax(1, keepdim=True), 1))


def test_a_model_in_training_mode_is_explained_as_it_predicts():
    net = randomize(Noisy())
    x, x0 = sample(3, 4), sample(3, 4, seed=2)
    expected = deeplift(net, x, 1, x0)
    with pytest.warns(UserWarning, match="training mode"):
        found = deeplift(net.train(), x, 1, x0)
    assert net.training
    assert torch.equal(found.relevance, expected.relevance)
    assert torch.equal(found.convergence_error, expected.convergence_error)
