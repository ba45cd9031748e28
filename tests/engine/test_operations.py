"""Every operation conserves relevance, or the ledger says what took it; all spellings are one thing to the engine."""

import pytest
import torch
import torch.nn.functional as F
from operations import ABSORBING, CONSERVING, SPELLINGS, Net, batchwise
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx


def _explained(net, composite, **options):
    return sx.explain(net, sample(3, 5), target=1, composite=composite, on_unknown="error", **options)


LRP0 = sx.Composite(default=sx.rules.Epsilon(0))


@pytest.mark.filterwarnings("ignore:The model is in training mode")
@pytest.mark.parametrize("operation", CONSERVING)
def test_conserves(operation):
    net = Net(CONSERVING[operation], bias=False)
    found = _explained(net, LRP0)
    assert found.relevance.abs().max() > 0
    total = found.score.abs() + found.relevance.abs().sum(1)
    assert ((found.relevance.sum(1) - found.score).abs() <= 1e-9 * total).all()


@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus_flat"])
@pytest.mark.parametrize("operation", ABSORBING)
def test_absorbs_into_bias(operation, composite):
    net = Net(batchwise(ABSORBING[operation]), bias=False)
    found = sx.explain(net, sample(1, 5), 1, composite=composite, on_unknown="error", ledger=True)
    assert found.ledger.gap.abs().max() < 1e-12
    assert found.ledger.absorbed["bias"].abs().min() > 1e-6
    assert not found.ledger.absorbed["unruled"].any()


@pytest.mark.parametrize("composite", ["epsilon", "deep_taylor"])
@pytest.mark.parametrize("operation", SPELLINGS)
def test_spellings_are_one(operation, composite):
    first, *others = (_explained(Net(op, True), composite).relevance for op in SPELLINGS[operation])
    for other in others:
        torch.testing.assert_close(other, first, rtol=1e-10, atol=1e-13)


def test_secant_is_exact_near_zero():
    net = nn.Sequential(nn.Sigmoid())
    x = torch.tensor([[0.0, 1e-12, -1e-7, 1e-3, 2.0]], dtype=torch.float64)
    found = sx.explain(lambda v: net(v * 1.0) * 1.0, x, torch.sigmoid(x), composite=LRP0).relevance
    expected = torch.special.expm1(x) / (2 * (torch.exp(x) + 1))  # σ(z) − σ(0)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


def test_gate_takes_nothing():
    inner, gate = randomize(nn.Linear(4, 4, bias=False)), randomize(nn.Linear(4, 4), 1)
    signal, other = sample(2, 4), sample(2, 4, seed=5)
    a, b = sx.explain(lambda s, g: inner(s) * torch.sigmoid(gate(g)), (signal, other), 1).relevance
    assert a.abs().min() > 0
    assert not b.any()


def test_product_shares_half():
    a, b = sample(2, 3), sample(2, 3, seed=5)
    found = sx.explain(lambda p, q: (p * q).sum(1), (a, b))
    torch.testing.assert_close(found.relevance[0], a * b / 2)
    torch.testing.assert_close(found.relevance[1], a * b / 2)


def test_max_pool_tie_goes_to_the_first():
    x = torch.tensor([[[1.0, 3, 3, 2]]])
    found = sx.explain(lambda v: F.max_pool1d(v, 4).flatten(1), x)
    assert found.relevance.tolist() == [[[0, 3, 0, 0]]]


def test_unknown_operations_are_named():
    class Block(nn.Module):
        def forward(self, x):
            return torch.lgamma(x.abs() + 1)

    net = nn.Sequential(nn.Linear(3, 3), Block(), nn.Linear(3, 2))
    with pytest.warns(UserWarning, match=r"lgamma \(1, 1×\)"):
        found = sx.explain(net, torch.randn(2, 3), 0)
    assert ("lgamma", "1", 1) in found.unknown
    with pytest.raises(sx.UnknownOperationError, match=r"'lgamma' in module '1' has no propagation rule"):
        sx.explain(net, torch.randn(2, 3), 0, on_unknown="error")
    with pytest.warns(UserWarning, match="lgamma"):
        booked = sx.explain(net.double(), sample(2, 3), 0, ledger=True).ledger
    assert booked.absorbed["unruled"].abs().min() > 1e-6
    assert booked.gap.abs().max() < 1e-12


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x + 1

    @staticmethod
    def backward(ctx, g):
        return 2 * g


def test_what_cannot_be_seen_is_named():
    with pytest.warns(UserWarning, match="hidden Twice"):
        sx.explain(lambda x: Twice.apply(x * 2).sum(1), sample(2, 3))

    def stopped(x):
        with torch.no_grad():
            scale = x.norm(dim=1, keepdim=True)
        return (x / scale).sum(1)

    with pytest.warns(UserWarning, match=r"norm under no_grad"):
        sx.explain(stopped, sample(2, 3))


@pytest.mark.parametrize("method", ["lrp", "deeplift"])
def test_a_type_or_shape_under_no_grad_is_no_cut(method):
    def placed(x):
        with torch.no_grad():
            places = torch.arange(3).type_as(x).expand_as(x) / 4
        return (x + places).sum(1)

    assert sx.explain(placed, sample(2, 3), method=method, on_unknown="error").relevance.abs().min() > 0


@pytest.mark.filterwarnings("ignore:The model is in training mode")
@pytest.mark.parametrize("composite", ["epsilon", "deep_taylor"])
def test_batch_norm_in_training_mode_is_explained_as_in_evaluation_mode(composite):
    net = randomize(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2)))
    expected = sx.explain(net, sample(3, 5), 1, composite=composite, ledger=True)
    found = sx.explain(net.train(), sample(3, 5), 1, composite=composite, ledger=True)
    assert torch.equal(found.relevance, expected.relevance)
    assert [r.operation for r in found.ledger.rows] == [r.operation for r in expected.ledger.rows]
    assert found.ledger.gap.abs().max() < 1e-12
