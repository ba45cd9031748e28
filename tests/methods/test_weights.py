"""Relevance of parameters against messages formed one by one, and how they add up."""

import copy

import pytest
import reference
import torch
import torch.nn.functional as F
from rule_tester import HIGH, LOW, RULES, randomize, sample
from torch import nn
from torch.nn.utils import parametrizations

import sciexplain as sx

WITHOUT_BIAS = ("w square", "flat", "z box")
LRP0 = sx.Composite(default=sx.rules.Epsilon(0))

LAYERS = {
    "linear": (nn.Linear(5, 4), (3, 5)),
    "linear on positions": (nn.Linear(5, 4), (2, 3, 5)),
    "linear without bias": (nn.Linear(5, 4, bias=False), (3, 5)),
    "conv1d": (nn.Conv1d(2, 4, 3, padding=1, stride=2), (2, 2, 7)),
    "conv1d dilated, in groups": (nn.Conv1d(4, 4, 2, dilation=2, groups=2), (2, 4, 6)),
    "conv1d same": (nn.Conv1d(2, 3, 2, padding="same"), (2, 2, 5)),
    "conv2d": (nn.Conv2d(2, 3, 2, padding=1), (2, 2, 3, 3)),
    "conv_transpose1d": (nn.ConvTranspose1d(4, 2, 3, stride=2, padding=1, groups=2), (2, 4, 4)),
}


def messages(rule, layer, x, relevance):
    """(out, in) messages and what the bias absorbs (out,), from one sample's dense reference."""
    formula = RULES[rule][1]
    J, b = reference.affine(layer, x)
    x, relevance = x.reshape(-1), relevance.reshape(-1)
    if rule in WITHOUT_BIAS:
        rows = [formula(J[j : j + 1], b[j : j + 1], x, relevance[j : j + 1]) for j in range(len(b))]
        return torch.stack(rows), torch.zeros_like(b)
    J, x = torch.cat([J, b[:, None]], 1), torch.cat([x, x.new_ones(1)])  # the bias as the weight of an input of 1
    rows = [formula(J[j : j + 1], torch.zeros(1).to(b), x, relevance[j : j + 1]) for j in range(len(b))]
    return torch.stack(rows)[:, :-1], torch.stack(rows)[:, -1]


def elements(layer, parameter, x):
    """For every entry of the layer's affine map: which element of the parameter it is, or −1."""
    numbered = copy.deepcopy(layer)
    with torch.no_grad():
        for p in numbered.parameters():
            p.zero_()
        chosen = dict(numbered.named_parameters())[parameter]
        chosen.copy_(torch.arange(1, chosen.numel() + 1).reshape(chosen.shape))
    J, b = reference.affine(numbered, x)
    return (J if parameter == "weight" else b).round().long() - 1


def summed(values, index, shape):
    flat = torch.zeros(shape.numel(), dtype=values.dtype)
    used = index >= 0
    return flat.index_add_(0, index[used], values[used]).reshape(shape)


@pytest.mark.parametrize("sign", ["both", "nonnegative"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", LAYERS)
def test_equals_the_sum_of_messages(name, rule, sign):
    layer, shape = LAYERS[name]
    layer, x = randomize(copy.deepcopy(layer)), sample(*shape, sign=sign)
    start = sample(*layer(x).shape, seed=7) * (layer(x).detach() != 0)  # nothing starts where nothing came out
    expected = {n: torch.zeros_like(p) for n, p in layer.named_parameters()}
    for one, r in zip(x, start, strict=True):
        to_inputs, to_bias = messages(rule, layer, one, r)
        for parameter, total in expected.items():
            values = to_inputs if parameter == "weight" else to_bias
            total += summed(values, elements(layer, parameter, one), total.shape)
    found = sx.weight_relevance(layer, x, start, composite=sx.Composite(default=RULES[rule][0]), on_unknown="error")
    assert found.relevance.keys() == expected.keys()
    assert not found.uncredited
    for parameter, total in expected.items():
        torch.testing.assert_close(found.relevance[parameter], total, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("sign", ["both", "nonnegative"])
@pytest.mark.parametrize("rule", RULES)
def test_batch_norm_behind_leaves_the_messages_to_the_layer(rule, sign):
    net = randomize(nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4)))
    conv, norm = net
    x = sample(2, 2, 5, sign=sign)
    start = sample(2, 4, 5, seed=7)
    weight, absorbed = torch.zeros_like(conv.weight), torch.zeros(4).double()
    for one, r in zip(x, start, strict=True):
        to_inputs, to_bias = messages(rule, net, one, r)
        weight += summed(to_inputs, elements(conv, "weight", one), weight.shape)
        absorbed += to_bias.reshape(4, 5).sum(1)
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = (conv.bias - norm.running_mean) * scale + norm.bias
    found = sx.weight_relevance(net, x, start, composite=sx.Composite(default=RULES[rule][0])).relevance
    torch.testing.assert_close(found["0.weight"], weight, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(found["0.bias"], absorbed * conv.bias * scale / bias, rtol=1e-8, atol=1e-11)
    torch.testing.assert_close(found["1.bias"], absorbed * norm.bias / bias, rtol=1e-8, atol=1e-11)
    assert not found["1.weight"].any()


@pytest.mark.parametrize("rule", [r for r in RULES if r not in WITHOUT_BIAS])
def test_batch_norm_in_front(rule):
    net = randomize(nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 4)))
    norm, linear = net
    x, composite = sample(4, 3), sx.Composite(default=RULES[rule][0])
    start = sample(4, 4, seed=7)
    found = sx.weight_relevance(net, x, start, composite=composite).relevance
    total = found["1.weight"].sum() + found["1.bias"].sum()
    stabilized = rule in ("epsilon big", "zplus stabilizer")
    if not stabilized and not rule.startswith(("zplus", "alpha")):
        torch.testing.assert_close(total, start.sum(), rtol=1e-5, atol=1e-5)
    shift = norm.bias - norm.running_mean * norm.weight / torch.sqrt(norm.running_var + norm.eps)
    doubled = copy.deepcopy(norm)
    with torch.no_grad():  # the same network, with twice the share of what is learned in the shift
        doubled.bias.add_(norm.bias)
        doubled.running_mean.add_(norm.bias * torch.sqrt(norm.running_var + norm.eps) / norm.weight)
    twice = sx.weight_relevance(nn.Sequential(doubled, linear), x, start, composite=composite).relevance
    torch.testing.assert_close(twice["0.bias"], 2 * found["0.bias"], rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(twice["1.weight"], found["1.weight"], rtol=1e-8, atol=1e-10)
    assert shift.abs().min() > 0 and found["0.bias"].abs().min() > 0


class Chain(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 2)
        self.hidden, self.last = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.first(x)), 2)
        x = torch.relu(self.second(x)).mean((2, 3))
        return self.last(F.relu(self.hidden(x), inplace=True))


@pytest.mark.parametrize("sign", ["both", "nonnegative"])
@pytest.mark.parametrize("rule", RULES)
def test_a_layer_has_the_relevance_at_its_output(rule, sign):
    net, x = randomize(Chain()), sample(3, 2, 6, 6, sign=sign)
    first = RULES[rule][0]
    inner = sx.rules.Epsilon() if first.yields_relevance else first  # those drop what inputs of 0 get
    composite = sx.Composite([("first", first), ("last", sx.rules.Epsilon(0))], inner)
    names = [n for n, _ in net.named_children()]
    explained = sx.explain(net, x, 1, composite=composite, layers=names, ledger=True)
    found = sx.weight_relevance(net, x, 1, composite=composite)
    stabilized = {row.module: float(row.stabilizer.sum()) for row in explained.ledger.rows}
    for name in names:
        credited = found.relevance[f"{name}.weight"].sum() + found.relevance[f"{name}.bias"].sum()
        arrived = explained.layers[name].sum() - stabilized[name]
        torch.testing.assert_close(credited, arrived, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(found.score, explained.score)
    assert torch.equal(found.target, explained.target)


class Separate(nn.Module):
    """Multi-head attention with parameters of their own for each projection."""

    def __init__(self, packed: nn.MultiheadAttention):
        super().__init__()
        for name, weight, bias in zip("qkv", packed.in_proj_weight.chunk(3), packed.in_proj_bias.chunk(3), strict=True):
            layer = nn.Linear(4, 4).double()
            layer.weight.data, layer.bias.data = weight.detach().clone(), bias.detach().clone()
            self.add_module(name, layer)
        self.out = copy.deepcopy(packed.out_proj)

    def forward(self, x):
        q, k, v = (m(x).unflatten(-1, (2, 2)).transpose(1, 2) for m in (self.q, self.k, self.v))
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)).mean(1)


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0].mean(1)


@pytest.mark.parametrize("composite", ["epsilon", "attention", "epsilon_plus"])
def test_packed_projections(composite):
    packed, x = randomize(Packed()), sample(2, 3, 4)
    found = sx.weight_relevance(packed, x, 1, composite=composite).relevance
    expected = sx.weight_relevance(Separate(packed.attention), x, 1, composite=composite).relevance
    for kind in ("weight", "bias"):
        joined = torch.cat([expected[f"{n}.{kind}"] for n in "qkv"])
        torch.testing.assert_close(found[f"attention.in_proj_{kind}"], joined, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(found[f"attention.out_proj.{kind}"], expected[f"out.{kind}"])
    assert found["attention.in_proj_weight"].abs().max() > 0


class Uses(nn.Module):
    """One weight and one vector, in whatever way."""

    def __init__(self, use):
        super().__init__()
        self.weight, self.vector = nn.Parameter(torch.empty(4, 4)), nn.Parameter(torch.empty(4))
        self.use = use

    def forward(self, x):
        return self.use(x, self.weight, self.vector)


LINEAR = "weight"
#: what stands for ``F.linear(x, weight, vector)``, with the same messages
SPELLINGS = {
    "linear": lambda x, w, b: F.linear(x, w, b),
    "matmul": lambda x, w, b: x @ w.t() + b,
    "transposed twice": lambda x, w, b: x.matmul(w.T.contiguous().transpose(0, 1).mT) + b,
    "addmm": lambda x, w, b: torch.addmm(b, x, w.mT),
    "einsum": lambda x, w, b: torch.einsum("ni,ji->nj", x, w) + b,
    "halves": lambda x, w, b: torch.cat([F.linear(x, v, c) for v, c in zip(w.split(2), b.chunk(2), strict=True)], 1),
    "joined rows": lambda x, w, b: F.linear(x, torch.cat([w[:1], w[1:]]), torch.stack(b.unbind())),
    "cast": lambda x, w, b: F.linear(x, w.to(torch.float64).clone(), b.clone()),
    "multiples": lambda x, w, b: F.linear(x, (w * 4).mul(0.5) - w, -(2 * b).sub(3 * b)),
    "convolution": lambda x, w, b: F.conv1d(x[..., None], w[..., None], b)[..., 0],
    "expanded bias": lambda x, w, b: F.linear(x, w) + b.expand(len(x), 4),
    "bias subtracted": lambda x, w, b: F.linear(x, w).sub(b, alpha=-1),
    "bias in place": lambda x, w, b: F.linear(x, w).add_(b),
}


@pytest.mark.parametrize("rule", ["epsilon", "generalized gamma", "alpha 2 beta 1"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_are_one(spelling, rule):
    x, composite = sample(3, 4), sx.Composite(default=RULES[rule][0])
    expected, found = (
        sx.weight_relevance(randomize(Uses(SPELLINGS[name])), x, 1, composite=composite, on_unknown="error")
        for name in ("linear", spelling)
    )
    assert not found.uncredited
    for name, relevance in expected.relevance.items():
        torch.testing.assert_close(found.relevance[name], relevance, rtol=1e-9, atol=1e-12)


#: operation with a vector behind the layer, and the vector's relevance: from c at the result, and what came in
VECTORS = {
    "added": (lambda h, v: torch.tanh(h) + v, lambda h, v, c: v * c.sum(0)),
    "subtracted from": (lambda h, v: v - torch.tanh(h), lambda h, v, c: v * c.sum(0)),
    "factor": (lambda h, v: h * v, lambda h, v, c: (h * v * c).sum(0)),
    "factor in place": (lambda h, v: h.mul_(v), lambda h, v, c: (h * v * c).sum(0)),
    "layer norm": (lambda h, v: F.layer_norm(h, (4,), v), lambda h, v, c: (F.layer_norm(h, (4,)) * v * c).sum(0)),
    "layer norm bias": (lambda h, v: F.layer_norm(h, (4,), None, v), lambda h, v, c: v * c.sum(0)),
    "prelu": (lambda h, v: F.prelu(h, v), lambda h, v, c: (h.clamp(max=0) * v * c).sum(0)),
    "where": (lambda h, v: torch.where(h.detach() > 0, h, v), lambda h, v, c: v * (c * (h <= 0)).sum(0)),
}


@pytest.mark.parametrize("name", VECTORS)
def test_parameters_outside_layers(name):
    operation, formula = VECTORS[name]
    x = sample(3, 4)
    net = randomize(Uses(lambda x, w, v: operation(F.linear(x, w), v)))
    with torch.no_grad():
        hidden, vector = F.linear(x, net.weight), net.vector.clone()
    c = torch.zeros(3, 4).double()
    c[:, 1] = 1
    found = sx.weight_relevance(net, x, 1, composite=LRP0, on_unknown="error")
    torch.testing.assert_close(found.relevance["vector"], formula(hidden, vector, c), rtol=1e-9, atol=1e-12)
    assert not found.uncredited


def test_what_cancels_exactly_credits_nothing():
    class Difference(nn.Module):
        def __init__(self):
            super().__init__()
            self.plus, self.minus = nn.Parameter(torch.empty(4)), nn.Parameter(torch.empty(4))

        def forward(self, x):
            return x * x + (self.plus - self.minus)

    net = randomize(Difference())
    with torch.no_grad():
        net.minus[1] = net.plus[1]
    found = sx.weight_relevance(net, sample(3, 4), sample(3, 4, seed=7), composite=LRP0, on_unknown="error").relevance
    assert found["plus"][1] == found["minus"][1] == 0
    kept = torch.tensor([0, 2, 3])
    ratio = -(net.minus / net.plus)[kept]
    torch.testing.assert_close(found["minus"][kept], found["plus"][kept] * ratio, rtol=1e-9, atol=1e-12)
    assert found["plus"][kept].abs().min() > 0


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.places, self.start = nn.Embedding(9, 4), nn.Embedding(6, 4), nn.Parameter(torch.empty(1, 1, 4))
        self.head = nn.Linear(4, 2)

    def forward(self, tokens):
        x = self.table(tokens) + self.places(torch.arange(tokens.shape[1]))
        x = torch.cat([self.start.expand(len(x), -1, -1), x], 1)
        return self.head(torch.relu(x).sum(1))


@pytest.mark.parametrize("composite", [LRP0, "epsilon_plus"])
def test_rows_of_embeddings(composite):
    net, tokens = randomize(Tokens()), torch.tensor([[1, 2, 8], [2, 2, 0]])
    found = sx.weight_relevance(net, tokens, 1, composite=composite).relevance
    relevance = sx.explain(net, tokens, 1, composite=composite).relevance
    rows = torch.zeros(9).double().index_add_(0, tokens.reshape(-1), relevance.reshape(-1))
    torch.testing.assert_close(found["table.weight"].sum(1), rows, rtol=1e-9, atol=1e-12)
    assert not found["table.weight"][3:8].any()
    assert found["places.weight"][:3].abs().sum(1).min() > 0
    assert not found["places.weight"][3:].any()
    if composite is LRP0:
        everything = sum(r.sum() for n, r in found.items() if not n.startswith("head"))
        head = found["head.weight"].sum()
        torch.testing.assert_close(everything, head, rtol=1e-9, atol=1e-12)


def test_bags_of_embeddings():
    net = randomize(nn.Sequential(nn.EmbeddingBag(9, 4, mode="sum"), nn.Linear(4, 2)))
    tokens = torch.tensor([[1, 2, 8], [2, 2, 0]])
    found, relevance = sx.weight_relevance(net, tokens, 1).relevance, sx.explain(net, tokens, 1).relevance
    rows = torch.zeros(9).double().index_add_(0, tokens.reshape(-1), relevance.reshape(-1))
    torch.testing.assert_close(found["0.weight"].sum(1), rows)


def test_tied_weights_have_both():
    class Tied(nn.Module):
        def __init__(self, one, two):
            super().__init__()
            self.one, self.two = one, two

        def forward(self, x):
            return self.two(torch.relu(self.one(x)))

    layer, x = randomize(nn.Linear(4, 4)), sample(3, 4)
    apart = sx.weight_relevance(Tied(layer, copy.deepcopy(layer)), x, 1).relevance
    tied = sx.weight_relevance(Tied(layer, layer), x, 1).relevance
    assert set(tied) == {"one.weight", "one.bias"}
    torch.testing.assert_close(tied["one.weight"], apart["one.weight"] + apart["two.weight"])


def test_computed_weights_are_listed():
    plain = randomize(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)))
    normed = copy.deepcopy(plain)
    parametrizations.weight_norm(normed[0])
    x = sample(3, 4)
    found, expected = sx.weight_relevance(normed, x, 1), sx.weight_relevance(plain, x, 1)
    torch.testing.assert_close(found.relevance["0.bias"], expected.relevance["0.bias"])
    torch.testing.assert_close(found.relevance["2.weight"], expected.relevance["2.weight"])
    (listed,) = found.uncredited
    assert listed.parameters == (
        "0.parametrizations.weight.original0",
        "0.parametrizations.weight.original1",
    )
    assert listed.module.startswith("0.parametrizations")
    assert abs(listed.relevance - float(expected.relevance["0.weight"].sum())) < 1e-9
    assert not any(found.relevance[n].any() for n in listed.parameters)
    assert "1 uncredited" in repr(found)
    nonlinear = randomize(Uses(lambda x, w, v: F.linear(x, w) / (1 + v.abs())))
    (listed,) = sx.weight_relevance(nonlinear, x, 1, on_unknown="gradient").uncredited
    assert listed.parameters == ("vector",)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_layers(kind):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cells, self.head = kind(4, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x):
            return self.head(self.cells(x)[0][:, -1])

    net, x = randomize(Net()), sample(2, 3, 4)
    found, explained = sx.weight_relevance(net, x, 1, composite=LRP0), sx.explain(net, x, 1, composite=LRP0)
    assert not found.uncredited and not found.unknown
    # with LRP-0 all relevance stays in biases, or reaches the input through the first weight
    torch.testing.assert_close(found.relevance["cells.weight_ih_l0"].sum(), explained.relevance.sum())
    if kind is nn.RNN:
        biases = sum(found.relevance[n].sum() for n in ("cells.bias_ih_l0", "cells.bias_hh_l0", "head.bias"))
        torch.testing.assert_close(biases + explained.relevance.sum(), found.score.sum())


FORMS = {
    "scripted": torch.jit.script,
    "exported": lambda net: torch.export.export(net, (sample(3, 2, 6, 6),), strict=False),
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "data parallel": nn.DataParallel,
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("form", FORMS)
def test_other_forms_of_a_model(form):
    net, x = randomize(Chain()), sample(3, 2, 6, 6)
    expected = sx.weight_relevance(net, x, 1, composite="epsilon_plus").relevance
    found = sx.weight_relevance(FORMS[form](net), x, 1, composite="epsilon_plus").relevance
    assert found.keys() == expected.keys()
    for name, relevance in expected.items():
        torch.testing.assert_close(found[name], relevance, rtol=1e-9, atol=1e-12)


def test_the_model_is_untouched_and_the_relevance_the_same():
    net, x = randomize(Chain()), sample(3, 2, 6, 6)
    before = {n: (p, p.clone(), p._version) for n, p in net.named_parameters()}
    sx.weight_relevance(net, x, 1, composite="deep_taylor")
    for name, p in net.named_parameters():
        assert p is before[name][0] and torch.equal(p, before[name][1]) and p._version == before[name][2]
        assert p.grad is None


def test_names_and_errors():
    net, x = randomize(Chain()), sample(1, 2, 6, 6)
    everything = sx.weight_relevance(net, x).relevance
    some = sx.weight_relevance(net, x, parameters=["*.bias", "first.*"]).relevance
    assert list(some) == ["first.weight", "first.bias", "second.bias", "hidden.bias", "last.bias"]
    assert all(torch.equal(some[n], everything[n]) for n in some)
    assert all(r.shape == p.shape for r, p in zip(everything.values(), net.parameters(), strict=True))
    with pytest.raises(sx.InputError, match=r"no parameter has such a name; there are first\.weight"):
        sx.weight_relevance(net, x, parameters="third.*")
    with pytest.raises(sx.ModelError, match="expected a torch module"):
        sx.weight_relevance(torch.tanh, x)


def test_bounds_of_the_box_are_those_of_the_tester():
    assert RULES["z box"][0].low == LOW and RULES["z box"][0].high == HIGH
