"""A scripted or traced model is explained like the model it was made from, operation by operation."""

import io
import threading

import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import Tensor, nn

import sciexplain as sx
from sciexplain.engine.torchscript import _overload

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")

COMPOSITES = {
    "epsilon": "epsilon",
    "flat": "epsilon_plus_flat",
    "by name": sx.Composite([("head", sx.rules.ZPlus()), ("body*", sx.rules.GeneralizedGamma())]),
}


class Net(nn.Module):
    """``body`` and ``head`` with what is tested between them."""

    def __init__(self, between: nn.Module, width: int = 6):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
        self.between = between
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.between(self.body(x)).flatten(1))


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.scale = 0.5

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = F.relu(layer(x)) if i % 2 == 0 else F.gelu(layer(x)) * self.scale
        steps = 0
        while bool(x.detach().abs().sum() > 1.0) and steps < 4:
            x = x / 2
            steps += 1
        if x.shape[0] > 100:
            x = x * 3
        elif x.dim() != 2:
            raise ValueError("expected {} dimensions".format(2))  # noqa: UP032
        return x


class Containers(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        parts = [x, x * 2]
        parts.append(x.roll(1, 1))
        parts[0] = parts[0] + parts[-1]
        parts.extend([x])
        parts.insert(1, x * 3)
        last = parts.pop()
        named = {"first": parts[0], "last": last}
        named["sum"] = named["first"] + named["last"]
        both = (named["sum"], parts[1:])
        total, rest = both
        for part in rest:
            total = total + part
        least, _ = torch.min(x.view(-1, 2, 3), 2)
        return total + torch.cat([least, least, least], 1) * len(parts)


class InPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x.clone()
        y[:, 2:4] *= 2.0
        y[:, 0] = x[:, 5]
        y += x
        y[:, 5].add_(x[:, 4], alpha=2)
        return torch.relu_(y.mul_(0.5))


class Twice(nn.Module):
    """The same module at two places: a trace keeps it as ``forward`` and ``forward1``."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(torch.tanh(self.inner(x)))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(3, 9)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x.view(-1, 2, 3)).chunk(3, dim=-1)
        return F.scaled_dot_product_attention(q, k, v)


class Image(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 2, padding="same")
        self.norm = nn.BatchNorm2d(4)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(F.max_pool2d(F.relu(self.norm(self.conv(x.view(-1, 1, 2, 3)))), 2, 1))


@torch.jit.script
def gated(x: Tensor, power: int = 2) -> Tensor:
    return x * torch.sigmoid(x) ** power


class Functions(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return gated(F.softplus(x)) + gated(x, power=1)


BETWEEN = {
    "branches": (Branches(), 6),
    "containers": (Containers(), 6),
    "in place": (InPlace(), 6),
    "twice": (Twice(), 6),
    "attention": (Attention(), 6),
    "image": (Image(), 4),
    "functions": (Functions(), 6),
    "layer norm": (nn.LayerNorm(6), 6),
    "dropout": (nn.Dropout(0.5), 6),
}
X = sample(3, 6)

MADE = {
    "scripted": torch.jit.script,
    "traced": lambda net: torch.jit.trace(net, X),
    "loaded": lambda net: loaded(torch.jit.script(net)),
}


def net_with(name: str) -> nn.Module:
    return randomize(Net(*BETWEEN[name]))


def loaded(script):
    file = io.BytesIO()
    torch.jit.save(script, file)
    file.seek(0)
    return torch.jit.load(file)


def explained(net, composite, **options):
    return sx.explain(net, X, 1, composite=COMPOSITES[composite], on_unknown="error", **options)


@pytest.mark.parametrize("composite", COMPOSITES)
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("between", BETWEEN)
def test_equals_the_original(between, made, composite):
    net = net_with(between)
    script = MADE[made](net)
    layers = ["body.0", "between", "head"]
    expected = explained(net, composite, layers=layers)
    found = explained(script, composite, layers=layers)
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-9, atol=1e-12)
    for name in layers:
        torch.testing.assert_close(found.layers[name], expected.layers[name], rtol=1e-9, atol=1e-12)
    assert torch.equal(script(X), net(X))


@pytest.mark.parametrize("between", BETWEEN)
def test_frozen_has_the_operations_without_the_names(between):
    net = net_with(between)
    found = explained(torch.jit.freeze(torch.jit.script(net)), "flat")
    torch.testing.assert_close(found.relevance, explained(net, "flat").relevance, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("made", MADE)
def test_inside_an_eager_model(made):
    net = net_with("branches")
    whole = nn.Sequential(nn.Tanh(), MADE[made](net), nn.Softmax(1))
    expected = explained(nn.Sequential(nn.Tanh(), net, nn.Softmax(1)), "by name", layers=["1.head"])
    found = explained(whole, "by name", layers=["1.head"])
    assert torch.equal(found.relevance, expected.relevance)
    assert torch.equal(found.layers["1.head"], expected.layers["1.head"])


@pytest.mark.parametrize("function", [gated, lambda x: gated(x, 3), torch.jit.trace(F.silu, X)])
def test_functions(function):
    source = {gated: lambda x: x * torch.sigmoid(x) ** 2}.get(function)
    source = source or (F.silu if isinstance(function, torch.jit.ScriptFunction) else lambda x: x * x.sigmoid() ** 3)
    found, expected = (explained(lambda x, f=f: f(x) * 1, "epsilon") for f in (function, source))
    torch.testing.assert_close(found.relevance, expected.relevance)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.layer = nn.Embedding(9, 4), nn.Linear(4, 2)

    @torch.jit.export
    def encode(self, tokens: Tensor, scale: float = 1.0) -> Tensor:
        return self.layer(self.table(tokens).mean(1)) * scale

    def forward(self, tokens: Tensor) -> Tensor:
        return self.encode(tokens, 1.0)


def test_methods_keywords_and_tokens():
    net, tokens = randomize(Encoder()), torch.tensor([[1, 2, 8], [4, 4, 0]])
    script = torch.jit.script(net)
    expected = sx.explain(lambda t: net.encode(t, scale=2.0), tokens, 1)
    found = sx.explain(lambda t: script.encode(t, scale=2.0), tokens, 1)
    assert torch.equal(found.relevance, expected.relevance)
    assert torch.equal(sx.explain(script, {"tokens": tokens}, 1).relevance["tokens"] * 2, found.relevance)
    with pytest.raises(TypeError, match="misses its argument 'tokens'"):
        sx.explain(lambda t: script.encode(scale=2.0), tokens, 1)


def test_the_context():
    net = net_with("twice")
    x = X.clone().requires_grad_()
    with sx.LRP("epsilon_plus") as lrp:
        y = loaded(torch.jit.script(net))(x)
    (c,) = torch.autograd.grad(y[:, 1].sum(), x)
    torch.testing.assert_close(x * c, sx.explain(net, X, 1, composite="epsilon_plus").relevance)
    assert not lrp.unknown


class Outside(nn.Module):
    """Parts that TorchScript leaves to Python."""

    @torch.jit.ignore
    def outside(self, x: Tensor) -> Tensor:
        return torch.tanh(x) * 2

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            rows = torch.ones_like(x).sum(1, keepdim=True)
        return (self.outside(x) + x) / rows


class Pair:
    def __init__(self, x: Tensor):
        self.x = x


class Classes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Pair(x).x


def test_parts_left_to_python():
    script = torch.jit.script(Outside())
    assert torch.equal(explained(script, "epsilon").relevance, explained(Outside(), "epsilon").relevance)


def test_what_cannot_be_followed_is_one_clear_error():
    script = torch.jit.script(Classes())
    with pytest.raises(sx.ModelError, match=r"'prim::CreateObject' .*Pass the original nn.Module"):
        sx.explain(script, X, 1)
    with pytest.raises(torch.jit.Error, match="expected 2 dimensions"):
        sx.explain(torch.jit.script(Branches().double()), sample(2, 2, 6), 1)
    assert torch.equal(script(X), X)


def test_torch_is_as_before():
    before = torch._C.ScriptMethod.__call__, torch._C.ScriptFunction.__call__
    net, script = net_with("functions"), torch.jit.script(net_with("functions"))
    inside, elsewhere = threading.Event(), threading.Event()

    def waiting(x):
        inside.set()
        assert elsewhere.wait(20)
        return script(x)

    def other():
        assert inside.wait(20)
        results.append(script(X))
        elsewhere.set()

    results = []
    thread = threading.Thread(target=other)
    thread.start()
    found = explained(waiting, "epsilon")
    thread.join()
    assert torch.equal(found.relevance, explained(net, "epsilon").relevance)
    torch.testing.assert_close(results[0], net(X))
    assert (torch._C.ScriptMethod.__call__, torch._C.ScriptFunction.__call__) == before


def test_operators_by_their_schemas():
    add = _overload("aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor")
    assert add(torch.ones(2), torch.ones(2), 3).tolist() == [4, 4]  # keywords by position, too
    assert _overload("aten::relu(Tensor self) -> Tensor") is torch.ops.aten.relu.default
    assert _overload("nowhere::nothing(Tensor self) -> Tensor") is None
    assert _overload("aten::relu.missing(Tensor self) -> Tensor") is None
