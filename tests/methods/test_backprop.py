"""Guided backpropagation and the deconvnet: by hand, by captum, and however the author wrote the rectifier."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

A, B, C = (randomize(nn.Linear(*io), i) for i, io in enumerate([(5, 8), (8, 7), (7, 3)]))
X = sample(4, 5)
METHODS = ("guided_backprop", "deconvnet")


def network(f, g=None):
    """Two rectifiers between three dense layers."""
    return lambda x: C((g or f)(B(f(A(x)))))


def explain(model, method, x=X, target=1, **options):
    return sx.explain(model, x, target, method, **options).relevance


def by_hand(method, slope=lambda z: (z > 0).double(), f=torch.relu):
    """Backwards through the three layers, with each paper's rule at the rectifiers."""
    z1 = A(X)
    z2 = B(f(z1))
    signal = C.weight[1].expand(4, -1)
    for z, layer in ((z2, B), (z1, A)):
        signal = signal.clamp(min=0) * (slope(z) if method == "guided_backprop" else 1)
        signal = signal @ layer.weight
    return signal.detach()


def on_views(x):
    y = x.clone()
    y[:, 2:].relu_()
    y[:, :2].relu_()
    return y


#: the rectifier as it may be written
FORMS = {
    "F.relu": F.relu,
    "F.relu by keyword": lambda x: F.relu(input=x),
    "torch.relu": torch.relu,
    "method": lambda x: x.relu(),
    "module": nn.ReLU(),
    "in place": lambda x: F.relu(x, inplace=True),
    "in place by position": lambda x: F.relu(x, True),
    "in place by keyword": lambda x: F.relu(input=x, inplace=True),
    "relu_": torch.relu_,
    "F.relu_": F.relu_,
    "method in place": lambda x: x.relu_(),
    "module in place": nn.ReLU(inplace=True),
    "aten": torch.ops.aten.relu,
    "clamp": lambda x: x.clamp(min=0),
    "clamp by position": lambda x: torch.clamp(x, 0),
    "clamp in place": lambda x: x.clamp_(min=0.0),
    "clamp_min": lambda x: x.clamp_min(0),
    "clip": lambda x: torch.clip(x, min=0),
    "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "maximum, the other way": lambda x: torch.maximum(torch.zeros(()).double(), x),
    "max": lambda x: torch.max(x, torch.zeros(()).double()),
    "threshold": nn.Threshold(0, 0),
    "in place on a view": on_views,
    "in place, then changed in place": lambda x: x.relu_().mul_(1.0),
    "out of place, then changed in place": lambda x: torch.relu(x).mul_(1.0),
    "on a slice": lambda x: torch.cat([x[:, :2].relu(), x[:, 2:].relu()], 1),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", FORMS)
def test_every_way_to_write_a_relu(form, method):
    torch.testing.assert_close(explain(network(FORMS[form]), method), by_hand(method))


#: relatives, and the slope of each
KIN = {
    "relu6": (lambda x: F.relu6(x), lambda z: ((z > 0) & (z < 6)).double()),
    "hardtanh": (lambda x: F.hardtanh(x, 0.0, 0.5), lambda z: ((z > 0) & (z < 0.5)).double()),
    "clamp to a range": (lambda x: x.clamp(0, 0.5), lambda z: ((z > 0) & (z < 0.5)).double()),
    "leaky": (nn.LeakyReLU(0.2), lambda z: torch.where(z > 0, 1.0, 0.2)),
    "leaky in place": (nn.LeakyReLU(0.2, inplace=True), lambda z: torch.where(z > 0, 1.0, 0.2)),
    "parametric": (nn.PReLU(init=0.3).double(), lambda z: torch.where(z > 0, 1.0, 0.3)),
    "randomised": (nn.RReLU().eval(), lambda z: torch.where(z > 0, 1.0, (1 / 8 + 1 / 3) / 2)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kin", KIN)
def test_relatives_of_the_relu(kin, method):
    f, slope = KIN[kin]
    torch.testing.assert_close(explain(network(f), method), by_hand(method, slope, f))


@pytest.mark.parametrize("method", METHODS)
def test_captum(method):
    captum = pytest.importorskip("captum.attr")
    theirs = {"guided_backprop": captum.GuidedBackprop, "deconvnet": captum.Deconvolution}[method]
    net = randomize(
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 8),
                      nn.ReLU(), nn.Linear(8, 3))
    )  # fmt: skip
    x, target = sample(4, 2, 6, 6), torch.tensor([2, 0, 1, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs(net).attribute(x, target=target)
    torch.testing.assert_close(explain(net, method, x, target), expected.detach())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", METHODS)
def test_a_residual_network(method):
    """One module used twice, and a sum in place: the signal is rectified where it arrives as a whole."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.relu = B, randomize(nn.Linear(7, 8), 5), nn.ReLU(inplace=True)

        def forward(self, x):
            y = self.b(self.relu(self.a(x)))
            y += x
            return self.relu(y)

    block, head = Block(), randomize(nn.Linear(8, 3), 6)
    z0 = A(X)
    z1 = B(z0)
    z2 = block.b(z1.relu()) + z0
    guided = method == "guided_backprop"
    top = head.weight[1].expand(4, -1).clamp(min=0) * ((z2 > 0) if guided else 1)
    inner = (top @ block.b.weight).clamp(min=0) * ((z1 > 0) if guided else 1)
    expected = ((top + inner @ B.weight) @ A.weight).detach()
    torch.testing.assert_close(explain(nn.Sequential(A, block, head), method), expected)


def test_only_ordinary_operations_have_their_gradient():
    """Products, softmax and tanh are no rectifiers."""

    def model(x):
        return C(torch.tanh(B(A(x))) * B(A(x)).softmax(1)) + C(B(A(x).relu()))

    def without(x):
        return C(torch.tanh(B(A(x))) * B(A(x)).softmax(1))

    plain = explain(without, "gradient")
    guided = explain(model, "guided_backprop")
    alone = explain(lambda x: C(B(A(x).relu())), "guided_backprop")
    torch.testing.assert_close(guided, plain + alone)


@pytest.mark.parametrize("method", METHODS)
def test_smooth_rectifiers_are_named(method):
    model = nn.Sequential(A, nn.GELU(), B, nn.ReLU(), C)
    with pytest.warns(UserWarning, match=rf"{method} has no rule for gelu \(1, 1×\); the gradient was used there"):
        e = sx.explain(model, X, 1, method)
    assert [tuple(u) for u in e.unknown] == [("gelu", "1", 1)]
    with pytest.raises(sx.UnknownOperationError, match="'gelu' in module '1' has no propagation rule"):
        sx.explain(model, X, 1, method, on_unknown="error")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sx.explain(model, X, 1, method, on_unknown="gradient").unknown == e.unknown
    with pytest.raises(sx.RuleError, match="on_unknown='ignore': expected"):
        sx.explain(model, X, 1, method, on_unknown="ignore")


@pytest.mark.filterwarnings("error", "ignore:.*is deprecated:DeprecationWarning")
@pytest.mark.parametrize("method", METHODS)
def test_a_scripted_network(method):
    scripted = torch.jit.script(nn.Sequential(A, nn.ReLU(), B, nn.ReLU(inplace=True), C))
    torch.testing.assert_close(explain(scripted, method), by_hand(method))


@pytest.mark.filterwarnings("error")
def test_an_explanation_inside_the_model():
    """It sees its own model's gradient."""
    seen = []

    def model(x):
        seen.append(explain(network(F.relu), "gradient"))
        return network(F.relu)(x)

    torch.testing.assert_close(explain(model, "guided_backprop"), by_hand("guided_backprop"))
    torch.testing.assert_close(seen[0], explain(network(F.relu), "gradient"))


@pytest.mark.parametrize("method", METHODS)
def test_a_network_without_rectifiers(method):
    with pytest.warns(UserWarning, match=f"{method} met no rectifier in this model, so that it is the plain gradient"):
        found = explain(network(torch.tanh), method)
    torch.testing.assert_close(found, explain(network(torch.tanh), "gradient"))
