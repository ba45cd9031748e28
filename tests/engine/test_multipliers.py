"""Every operation's multipliers add up to the difference of the scores; every spelling has the same."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from operations import ABSORBING, CONSERVING, SPELLINGS, Net, batchwise
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

INDEX = torch.tensor([[0, 2, 1, 5], [3, 3, 0, 4], [5, 1, 2, 2]])
X, X0 = sample(3, 5), sample(3, 5, seed=6)

#: beyond the operations that LRP is tested with
MORE = {
    "relu by a mask": lambda x: x * (x > 0),
    "relu by a float mask": lambda x: x * (x > 0).to(x.dtype),
    "leaky relu by where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "abs by where": lambda x: torch.where(x > 0, x, -x),
    "clamp by masked_fill": lambda x: x.masked_fill(x < 0, 0.0),
    "where between signals": lambda x: torch.where(x > x.roll(1, 1), x, x.roll(2, 1)),
    "method where": lambda x: x.where((x > 0.1) & (x < 2), x.square()),
    "chain in place": lambda x: x.clone().relu_().add_(x).mul_(x),
    "division in place": lambda x: x.clone().div_(x.roll(1, 1).square() + 1),
    "buffer": lambda x: _buffer(x),
    "view of a buffer": lambda x: _view_of_a_buffer(x),
    "quotient": lambda x: x / (x.roll(1, 1).square() + 1),
    "constant over signal": lambda x: 2 / (x.square() + 0.5),
    "powers": lambda x: (x.abs() + 0.1) ** torch.sigmoid(x),
    "median of all in a row": lambda x: x + x.median(1, keepdim=True).values,
    "median without keepdim": lambda x: x * x.median(1).values[:, None],
    "kthvalue": lambda x: x * x.kthvalue(2, 1).values[:, None],
    "k-max pooling": lambda x: x.topk(3, 1).values,
    "cumprod": lambda x: x.cumprod(1),
    "cummax": lambda x: x.cummax(1).values,
    "scatter_reduce amax": lambda x: torch.zeros(3, 6).double().scatter_reduce(1, INDEX, x[:, :4], "amax"),
    "scatter_reduce amax in place": lambda x: torch.zeros(3, 6).double().scatter_reduce_(
        1, INDEX, x[:, :4], "amax", include_self=False
    ),
    "lgamma": lambda x: torch.lgamma(x.abs() + 1),
    "log": lambda x: torch.log(x.abs() + 0.1),
    "cdist": lambda x: torch.cdist(x.view(3, 3, 2), x.view(3, 2, 3)[:, :, :2]),
    "maximum of signals": lambda x: torch.maximum(x, x.roll(1, 1)),
    "instance_norm": lambda x: F.instance_norm(x.view(3, 2, 3)).flatten(1),
    "batch_norm": nn.BatchNorm1d(6).double().eval(),
    "softmin": lambda x: F.softmin(x, 1),
    "softmax by hand": lambda x: _softmax(x),
    "softmax over far values": lambda x: torch.softmax(200 * x, 1),
    "masked softmax": lambda x: torch.softmax(x.masked_fill(torch.arange(6) > 3, -torch.inf), 1),
    "logsumexp of two dimensions": lambda x: x + x.view(3, 2, 3).logsumexp((1, 2))[:, None],
    "std": lambda x: x / x.std(1, keepdim=True),
    "linalg.norm": lambda x: x * torch.linalg.norm(x, dim=1, keepdim=True),
    "count of entries": lambda x: x * torch.linalg.vector_norm(x, 0, dim=1, keepdim=True),
}  # fmt: skip


def _buffer(x):
    out = torch.zeros(3, 8, dtype=x.dtype)
    out[:, :6] = x.tanh()
    out[:, 6] += x[:, 0] * x[:, 1]
    out[:, 2:4].relu_()
    return out


def _view_of_a_buffer(x):
    out = torch.ones(3, 8, dtype=x.dtype)
    left = out[:, :4]
    left.mul_(x[:, :4])
    out[:, 4:].copy_(x[:, 2:].square())
    return out * left.sum(1, keepdim=True)


def _softmax(x):
    e = torch.exp(x - x.detach().amax(1, keepdim=True))
    return e / e.sum(1, keepdim=True)


EVERY = CONSERVING | ABSORBING | MORE


def _found(net, x=X, x0=X0, **options):
    return sx.explain(net, x, 1, method="deeplift", reference=x0, on_unknown="gradient", **options)


#: the sample's indices hold for the reference
DECIDING = {"max_unpool"}


@pytest.mark.filterwarnings("ignore:The model is in training mode")
@pytest.mark.parametrize("operation", EVERY)
def test_completeness(operation):
    net = Net(EVERY[operation], bias=True)
    found = _found(net)
    assert found.relevance.abs().max() > 1e-6
    if operation in DECIDING:
        assert found.convergence_error.abs().max() > 1e-6
    else:
        assert found.convergence_error.abs().max() < 1e-10
    if "training" not in operation:
        difference = (net(X) - net(X0))[:, 1].detach()
        torch.testing.assert_close(found.relevance.sum(1) + found.convergence_error, difference, rtol=1e-9, atol=1e-11)


@pytest.mark.filterwarnings("ignore:The model is in training mode")
@pytest.mark.parametrize("operation", EVERY)
def test_the_ledger_only_looks_on(operation):
    net = Net(batchwise(EVERY[operation]), bias=True)
    expected, found = _found(net, X[:1], X0[:1]), _found(net, X[:1], X0[:1], ledger=True)
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-12, atol=1e-14)
    assert found.ledger.gap.abs().max() < 1e-9


@pytest.mark.parametrize("operation", SPELLINGS)
def test_spellings_are_one(operation):
    first, *others = (_found(Net(op, True)).relevance for op in SPELLINGS[operation])
    for other in others:
        torch.testing.assert_close(other, first, rtol=1e-9, atol=1e-12)


def test_softmax_by_hand_and_by_name_add_up_without_overflow():
    x = torch.tensor([[900.0, -900.0, 0.0]], dtype=torch.float64)
    x0 = -x
    found = sx.explain(lambda v: torch.softmax(v, 1), x, 0, method="deeplift", reference=x0)
    assert torch.isfinite(found.relevance).all()
    torch.testing.assert_close(found.relevance.sum(1), torch.ones(1).double())


@pytest.mark.parametrize("step", [1e-5, 1e-7, 1e-9])
@pytest.mark.parametrize("function", [torch.softmax, torch.log_softmax, torch.logsumexp])
def test_close_to_the_reference_the_multipliers_are_the_gradient(function, step):
    x, direction = sample(4, 6), sample(4, 6, seed=3)
    x0 = x + step * direction

    def net(v):
        made = function(v, 1)
        return made if made.ndim == 2 else made[:, None]

    found = sx.explain(net, x, 0, method="deeplift", reference=x0)
    middle = ((x + x0) / 2).requires_grad_()
    (gradient,) = torch.autograd.grad(net(middle)[:, 0].sum(), middle)
    torch.testing.assert_close(found.relevance / (x - x0), gradient, rtol=1e-9, atol=1e-10)


def test_attention_adds_up():
    attention = randomize(nn.MultiheadAttention(6, 2, batch_first=True))
    head = randomize(nn.Linear(6, 2), 1)
    padding = torch.tensor([[False] * 4, [False, False, True, True]])

    def net(x):
        return head(attention(x, x, x, key_padding_mask=padding[: len(x)], need_weights=False)[0].mean(1))

    found = _found(net, sample(2, 4, 6), sample(2, 4, 6, seed=3))
    assert found.convergence_error.abs().max() < 1e-12


NORMS = {
    "layer_norm": lambda x: F.layer_norm(x, (6,)),
    "by rsqrt": lambda x: (x - x.mean(1, keepdim=True)) * torch.rsqrt(x.var(1, keepdim=True, correction=0) + 1e-5),
    "by division": lambda x: (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt(),
    "rms_norm": lambda x: F.rms_norm(x, (6,), eps=1e-6),
    "rms by power": lambda x: x * (x.square().mean(1, keepdim=True) + 1e-6) ** -0.5,
    "normalize": lambda x: F.normalize(x, dim=1, eps=1e-6),
}


@pytest.mark.parametrize("norm", NORMS)
def test_norms_of_a_constant_reference_lose_no_digits(norm):
    """At a reference of zeros the denominators all but vanish, layer after layer."""
    layers = [randomize(nn.Linear(6, 6, bias=False), i) for i in range(12)]

    def net(x):
        for layer in layers:
            x = x + layer(NORMS[norm](x))
        return x

    found = _found(net, sample(3, 6), torch.zeros(3, 6).double())
    assert found.relevance.abs().max() < 1e4
    assert found.convergence_error.abs().max() < 1e-11


def test_integers_that_are_structure_have_no_reference():
    edges = torch.tensor([[0, 1], [1, 2], [2, 0]])

    def net(x, edges):
        return torch.zeros_like(x).index_add(0, edges[:, 1], torch.tanh(x[edges[:, 0]]))

    x, x0 = sample(3, 4), sample(3, 4, seed=2)
    found = sx.explain(net, (x, edges), 1, method="deeplift", reference=(x0, None))
    difference = (net(x, edges) - net(x0, edges))[:, 1]
    torch.testing.assert_close(found.relevance[0].sum(), difference.sum())
    assert found.convergence_error is None or found.convergence_error.sum().abs() < 1e-12


def test_what_is_detached_is_no_embedding():
    """The maximum in a softmax over edges, detached and looked up by the edges' ends, gives those no relevance."""
    ends = torch.tensor([0, 1, 1, 0, 2])

    def net(x, ends):
        index = ends.view(-1, 1).expand_as(x.detach())
        top = x.new_zeros(3, 4).scatter_reduce_(0, index, x.detach(), "amax", include_self=False)
        e = torch.exp(x - top.index_select(0, ends))
        total = torch.zeros(3, 4, dtype=x.dtype).index_add(0, ends, e)
        return e / total.index_select(0, ends)

    x, x0 = sample(5, 4), sample(5, 4, seed=2)
    for options in ({}, {"method": "deeplift", "reference": (x0, None)}):
        found = sx.explain(net, (x, ends), 1, **options)
        assert not found.relevance[1].any()


def test_quotient_rule():
    a, b, a0, b0 = (sample(4, 1, seed=s).abs() + 0.1 for s in range(4))
    found = sx.explain(lambda p, q: p / q, (a, b), 0, method="deeplift", reference=(a0, b0)).relevance
    mean, denominator = (a / b + a0 / b0) / 2, (b + b0) / 2
    torch.testing.assert_close(found[0], (a - a0) / denominator)
    torch.testing.assert_close(found[1], -mean * (b - b0) / denominator)


def test_detached_values_are_the_samples():
    """A sample's scale that the author took as constant stays the sample's in the reference, and the ledger says so."""

    def net(x):
        return x / x.detach().norm(dim=1, keepdim=True)

    found = _found(net, ledger=True)
    scale = X.norm(dim=1, keepdim=True)
    torch.testing.assert_close(found.relevance[:, 1], ((X - X0) / scale)[:, 1])
    difference = (net(X) - net(X0))[:, 1]
    torch.testing.assert_close(found.convergence_error, difference - found.relevance.sum(1))
    torch.testing.assert_close(found.ledger.absorbed["unruled"], found.convergence_error)


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0] * g


def test_what_cannot_be_seen_is_named_and_measured():
    with pytest.warns(UserWarning, match="hidden Square"):
        found = sx.explain(lambda x: Square.apply(x * 2), X, 1, method="deeplift", reference=X0)
    expected = (4 * (X**2 - X0**2))[:, 1] - found.relevance.sum(1)
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(found.convergence_error, expected)

    def stopped(x):
        with torch.no_grad():
            scale = x.norm(dim=1, keepdim=True)
        return x * scale

    with pytest.warns(UserWarning, match="norm under no_grad"):
        found = sx.explain(stopped, X, 1, method="deeplift", reference=X0)
    torch.testing.assert_close(found.convergence_error, (stopped(X) - stopped(X0))[:, 1] - found.relevance.sum(1))


def test_equal_values_give_no_noise():
    """Where sample and reference meet, the multiplier is the derivative, not a quotient of rounding errors."""
    net = randomize(nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 1)))
    x = sample(3, 4)
    near = x + 1e-14 * sample(3, 4, seed=2)
    with torch.enable_grad():
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(net(leaf).sum(), leaf)
    found = _found_first(net, x, near)
    torch.testing.assert_close(found, gradient * (x - near), rtol=1e-3, atol=1e-17)
    assert not _found_first(net, x, x.clone()).any()


def _found_first(net, x, x0):
    return sx.explain(net, x, 0, method="deeplift", reference=x0).relevance


def test_the_ledger_sees_views_changed_in_place():
    layer, head = randomize(nn.Linear(4, 6)), randomize(nn.Linear(6, 2), 1)

    def net(x):
        y = layer(x).view(-1, 2, 3)
        left = y[:, 0]
        left /= 3
        left += x[:, :3]
        y[:, 1] = y[:, 1] * 2
        y[:, :, 0].relu_()
        return head(y.flatten(1))

    found = _found(net, sample(3, 4), sample(3, 4, seed=3), ledger=True)
    assert found.ledger.gap.abs().max() < 1e-12
    assert max(float(r.unruled.abs().max()) for r in found.ledger.rows) < 1e-12


@pytest.mark.parametrize("ledger", [False, True])
def test_buffers_are_as_they_were_when_used(ledger):
    def net(x):
        total = torch.zeros(len(x), 6, dtype=x.dtype)
        for part in (x, x.square(), x.sin()):
            total.index_add_(1, torch.tensor([0, 2, 4, 1, 0]), part)
        scale = torch.ones(6, dtype=x.dtype)
        y = total + scale
        scale.fill_(5.0)
        return y * total + scale

    found = _found(net, ledger=ledger)
    torch.testing.assert_close(found.relevance.sum(1), (net(X) - net(X0))[:, 1])
    if ledger:
        assert max(float(r.unruled.abs().max()) for r in found.ledger.rows) < 1e-12


def test_maxima_of_padding():
    net = randomize(nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(10, 2)))

    def padded(x):
        y = net[0](x[:, None])
        y = torch.nn.functional.pad(y, (1, 1), value=-torch.inf)
        return net[2](torch.nn.functional.max_pool1d(y, 2)[..., :5].flatten(1)[:, :10])

    found = _found(padded, sample(2, 10), sample(2, 10, seed=3), ledger=True)
    assert found.convergence_error.abs().max() < 1e-12
    assert found.ledger.gap.abs().max() < 1e-12


ACTIVATIONS = [torch.relu, torch.tanh, F.gelu, torch.sigmoid, torch.abs, F.hardswish, lambda v: v * v.sigmoid()]


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**20),
    depth=st.integers(1, 4),
    rule=st.sampled_from(["rescale", "reveal_cancel"]),
    data=st.data(),
)
def test_completeness_of_random_networks(seed, depth, rule, data):
    layers = [randomize(nn.Linear(5, 5), seed + i) for i in range(depth + 1)]
    functions = data.draw(st.lists(st.sampled_from(ACTIVATIONS), min_size=depth, max_size=depth))

    def net(x):
        for layer, f in zip(layers, functions, strict=False):
            x = x + f(layer(x)) if f is not torch.abs else f(layer(x)) * x
        return layers[-1](x)

    x, x0 = sample(3, 5, seed=seed % 97), sample(3, 5, seed=seed % 89 + 100)
    found = _found(net, x, x0, rule=rule)
    scale = found.relevance.abs().sum(1) + found.score.abs() + 1
    assert (found.convergence_error.abs() / scale).max() < 1e-9
