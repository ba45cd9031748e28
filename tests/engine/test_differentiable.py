"""Relevance differentiates: its gradient to parameters and inputs is that of sx.explain's, by finite differences."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import sciexplain as sx
from sciexplain import mend
from sciexplain.engine.mode import LRP
from sciexplain.engine.twins import Twins

linear, conv1d, conv2d = nn.Linear, nn.Conv1d, nn.Conv2d


class Written(nn.Module):
    """A forward pass as a function of the module and its inputs."""

    def __init__(self, f, *, values=(), **parts):
        super().__init__()
        self.f = f
        for name, part in parts.items():
            self.add_module(name, part)
        for name, shape in dict(values).items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape, dtype=torch.float64)))

    def forward(self, *inputs):
        return self.f(self, *inputs)


def draw(*shape):
    return torch.randn(shape, dtype=torch.float64)


def tokens():
    return torch.randint(0, 7, (3, 4))


def added_in_place(m, x):
    h = m.a(x)
    h += x
    return m.b(F.relu(h, True))


def written_into(m, x):
    out = torch.zeros(len(x), 8, dtype=x.dtype)
    out[:, :5] = m.a(x)
    out[:, 5:] += x[:, :3] * m.p
    part = out[:, 2:4]
    part.mul_(2.0)
    return m.b(torch.relu(out))


def parameters_in_place(m, x):
    weight = m.p * 2
    weight[0] = m.q
    weight[:, 1:3].mul_(m.q[:2])
    return m.b(torch.relu(F.linear(x, weight)))


def squeezed(m, x):
    h = torch.relu(m.a(x))
    return m.b((h * torch.sigmoid(m.g(h.mean((2, 3))))[:, :, None, None]).mean((2, 3)))


def by_hand(m, x):
    e = (m.q(x) @ m.k(x).mT).exp()
    return m.o(((e / e.sum(-1, keepdim=True)) @ m.v(x)).mean(1))


def einsum_attention(m, x):
    weights = torch.softmax(torch.einsum("nqd,nkd->nqk", m.q(x), m.k(x)), -1)
    return m.o(torch.einsum("nqk,nkd->ndq", weights, m.v(x)).mean(2))


EDGES = torch.tensor([[0, 1, 1, 2, 3, 4, 4, 5], [1, 0, 2, 1, 4, 3, 5, 4]])
GRAPHS = torch.tensor([0, 0, 0, 1, 1, 1])


def graph_convolution(m, x, start, end, batch):
    degree = x.new_zeros(len(x)).index_add(0, end, x.new_ones(len(end))) + 1
    for layer in (m.a, m.b):
        h = layer(x)
        sent = h[start] * ((degree[start] * degree[end]) ** -0.5)[:, None]
        x = torch.relu(torch.zeros_like(h).scatter_add(0, end[:, None].expand_as(sent), sent) + h / degree[:, None])
    return m.o(x.new_zeros(2, 6).index_add(0, batch, x))


def isomorphism(m, x, edges, batch):
    for layer in (m.a, m.b):
        x = torch.relu(layer((1 + m.eps) * x + torch.zeros_like(x).index_add(0, edges[1], x[edges[0]])))
    return m.o(x.new_zeros(2, x.shape[1]).index_add(0, batch, x))


def qkvo():
    return {"q": linear(8, 8), "k": linear(8, 8), "v": linear(8, 8), "o": linear(8, 3)}


SIGNED = ("epsilon", "zero", "zplus", "gamma", "generalized gamma", "alpha beta")
SOME = ("epsilon", "zplus", "generalized gamma")
FIRST = ("flat", "w square", "box")
GATED = ("epsilon", "attnlrp")

COMPOSITES = {
    "epsilon": sx.Composite(default=sx.rules.Epsilon(0.05)),
    "zero": sx.Composite(default=sx.rules.Epsilon(0)),
    "zplus": sx.Composite(default=sx.rules.ZPlus()),
    "gamma": sx.Composite(default=sx.rules.Gamma()),
    "generalized gamma": sx.Composite(default=sx.rules.GeneralizedGamma()),
    "alpha beta": sx.Composite(default=sx.rules.AlphaBeta(2, 1)),
    "flat": sx.Composite([("first", sx.rules.Flat())], sx.rules.Epsilon(0.05)),
    "w square": sx.Composite([("first", sx.rules.WSquare())], sx.rules.ZPlus()),
    "box": sx.Composite([("first", sx.rules.ZBox(-6.0, 6.0))], sx.rules.GeneralizedGamma()),
    "attnlrp": sx.Composite(default=sx.rules.Epsilon(0.05), attention="attnlrp"),
    "pass": sx.Composite([(nn.Tanh, sx.rules.Pass(stabilizer=0.1))], sx.rules.Epsilon(0.05)),
}

sequential = nn.Sequential

#: a network, its inputs, and the rules it is tried with
NETWORKS = {
    "dense": (lambda: sequential(linear(5, 6), nn.ReLU(), linear(6, 3)), lambda: draw(3, 5), SIGNED + FIRST),
    "no bias": (lambda: sequential(linear(5, 6, bias=False), nn.ReLU(), linear(6, 3, bias=False)),
                lambda: draw(3, 5), SIGNED),
    "convolutions": (
        lambda: sequential(conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
                           conv2d(4, 5, 3, groups=1), nn.LeakyReLU(0.1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                           linear(5, 6), nn.GELU(), nn.Dropout(0.5), linear(6, 3)),
        lambda: draw(2, 3, 8, 8), SIGNED + FIRST),
    "1-D": (
        lambda: sequential(conv1d(4, 5, 4, padding="same"), nn.BatchNorm1d(5), nn.ReLU(), nn.MaxPool1d(2),
                           conv1d(5, 6, 2, stride=2, groups=1), nn.GELU(), nn.AvgPool1d(2), nn.Flatten(),
                           linear(12, 3)),
        lambda: draw(2, 4, 16), SOME + FIRST),
    "pooled to one": (lambda: sequential(conv1d(4, 5, 3), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(),
                                         nn.Dropout(0.2), linear(5, 3)), lambda: draw(2, 4, 9), SOME),
    "3-D": (lambda: sequential(nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2), nn.ReLU(), nn.Conv3d(2, 4, 2, groups=2),
                               nn.SiLU(), nn.Flatten(), linear(32, 3)), lambda: draw(2, 1, 4, 4, 4), SOME),
    "transposed": (lambda: sequential(nn.ConvTranspose2d(2, 3, 3, stride=2), nn.ReLU(), nn.Flatten(),
                                      linear(147, 3)), lambda: draw(2, 2, 3, 3), SOME),
    "BatchNorm first": (lambda: sequential(nn.BatchNorm2d(2), conv2d(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3),
                                           conv2d(3, 2, 2), nn.Flatten(), linear(2, 3)),
                        lambda: draw(2, 2, 4, 4), SOME + FIRST),
    "smooth activations": (lambda: sequential(linear(5, 6), nn.Softplus(), linear(6, 6), nn.ELU(), linear(6, 6),
                                              nn.Mish(), linear(6, 6), nn.Tanh(), linear(6, 3)),
                           lambda: draw(3, 5), (*SOME, "pass")),
    "learned activations": (lambda: Written(lambda m, x: m.b(torch.clamp(m.r(m.a(x)), min=m.p)), a=linear(5, 4),
                                            r=nn.PReLU(), b=linear(4, 3), values={"p": (4,)}),
                            lambda: draw(3, 5), ("epsilon",)),
    "in place": (lambda: sequential(linear(5, 6), nn.ReLU(inplace=True), linear(6, 3)), lambda: draw(3, 5), SOME),
    "residual": (lambda: Written(lambda m, x: m.b(torch.relu(m.a(x)) + x), a=linear(5, 5), b=linear(5, 3)),
                 lambda: draw(3, 5), SOME),
    "residual in place": (lambda: Written(added_in_place, a=linear(5, 5), b=linear(5, 3)), lambda: draw(3, 5), SOME),
    "views in place": (lambda: Written(written_into, a=linear(5, 5), b=linear(8, 3), values={"p": (3,)}),
                       lambda: draw(3, 5), SOME),
    "concatenation": (lambda: Written(lambda m, x: m.b(torch.cat([torch.relu(m.a(x)), x, m.p.expand(len(x), 2)], 1)),
                                      a=linear(5, 4), b=linear(11, 3), values={"p": (2,)}),
                      lambda: draw(3, 5), SOME),
    "weights made of parameters": (
        lambda: Written(lambda m, x: m.b(torch.relu(F.linear(x, F.softplus(m.p) + m.q[:, None]))), b=linear(6, 3),
                        values={"p": (6, 5), "q": (6,)}), lambda: draw(3, 5), SOME),
    "weights made in place": (lambda: Written(parameters_in_place, b=linear(4, 3), values={"p": (4, 5), "q": (5,)}),
                              lambda: draw(3, 5), ("epsilon",)),
    "weight norm": (lambda: sequential(nn.utils.parametrizations.weight_norm(linear(5, 6)), nn.ReLU(), linear(6, 3)),
                    lambda: draw(3, 5), SOME),
    "LayerNorm": (lambda: sequential(linear(5, 6), nn.LayerNorm(6), nn.GELU(), linear(6, 3)),
                  lambda: draw(3, 5), SOME),
    "RMSNorm": (lambda: sequential(linear(5, 6), nn.RMSNorm(6), nn.GELU(), linear(6, 3)), lambda: draw(3, 5), SOME),
    "GroupNorm": (lambda: sequential(conv2d(2, 4, 2), nn.GroupNorm(2, 4), nn.SiLU(), nn.Flatten(), linear(36, 3)),
                  lambda: draw(2, 2, 4, 4), ("epsilon",)),
    "InstanceNorm": (lambda: sequential(conv2d(2, 4, 2), nn.InstanceNorm2d(4, affine=True), nn.Flatten(),
                                        linear(36, 3)), lambda: draw(2, 2, 4, 4), ("epsilon",)),
    "squeeze and excitation": (lambda: Written(squeezed, a=conv2d(2, 4, 2), g=linear(4, 4), b=linear(4, 3)),
                               lambda: draw(2, 2, 4, 4), SOME),
    "GLU": (lambda: sequential(linear(5, 8), nn.GLU(), linear(4, 3)), lambda: draw(3, 5), SOME),
    "product of signals": (lambda: Written(lambda m, x: m.b(torch.relu(m.a(x)) * m.c(x)), a=linear(5, 4),
                                           c=linear(5, 4), b=linear(4, 3)), lambda: draw(3, 5), SOME),
    "bilinear": (lambda: Written(lambda m, x: m.b(m.a(x), torch.tanh(m.c(x))), a=linear(5, 4), c=linear(5, 4),
                                 b=nn.Bilinear(4, 4, 3)), lambda: draw(3, 5), ("epsilon",)),
    "einsum": (lambda: Written(lambda m, x: torch.einsum("nk,kj->nj", torch.relu(x @ m.p + m.q), m.r),
                               values={"p": (5, 4), "q": (4,), "r": (4, 3)}), lambda: draw(3, 5), SOME),
    "attention": (lambda: Written(lambda m, x: m.o(m.a(x, x, x)[0].mean(1)), o=linear(8, 3),
                                  a=nn.MultiheadAttention(8, 2, batch_first=True)), lambda: draw(2, 5, 8), GATED),
    "causal attention": (
        lambda: Written(lambda m, x: m.o(F.scaled_dot_product_attention(m.q(x), m.k(x), m.v(x), is_causal=True)[:, -1]),
                        **qkvo()), lambda: draw(2, 5, 8), GATED),
    "attention by hand": (lambda: Written(by_hand, **qkvo()), lambda: 0.3 * draw(2, 5, 8), GATED),
    "attention by einsum": (lambda: Written(einsum_attention, **qkvo()), lambda: 0.3 * draw(2, 5, 8), GATED),
    "encoder": (lambda: Written(lambda m, x: m.o(m.a(x).mean(1)), o=linear(8, 3),
                                a=nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")),
                lambda: draw(2, 5, 8), GATED),
    "LSTM": (lambda: Written(lambda m, x: m.o(m.a(x)[0][:, -1]), a=nn.LSTM(4, 5, batch_first=True), o=linear(5, 3)),
             lambda: draw(2, 4, 4), ("epsilon", "zplus")),
    "GRU": (lambda: Written(lambda m, x: m.o(m.a(x)[0].mean(1)), o=linear(8, 3),
                            a=nn.GRU(4, 4, batch_first=True, bidirectional=True)), lambda: draw(2, 3, 4), ("epsilon",)),
    "tokens": (lambda: sequential(nn.Embedding(7, 5), nn.Flatten(), linear(20, 6), nn.ReLU(), linear(6, 3)),
               tokens, SOME),
    "bags of tokens": (lambda: sequential(nn.EmbeddingBag(7, 5), nn.ReLU(), linear(5, 3)), tokens, ("epsilon",)),
    "normalised input": (lambda: Written(lambda m, x: m.b((x + m.p) * m.q), values={"p": (5,), "q": (5,)},
                                         b=sequential(linear(5, 6), nn.ReLU(), linear(6, 3))),
                         lambda: 0.3 * draw(3, 5), ("epsilon", *FIRST)),
    "chosen and ordered": (
        lambda: Written(lambda m, x: m.o(torch.cat([m.a(x).topk(2, 1).values, m.a(x).sort(1).values,
                                                    m.a(x).max(1, keepdim=True)[0], m.a(x).var(1, keepdim=True)], 1)),
                        a=linear(5, 4), o=linear(8, 3)), lambda: draw(3, 5), ("epsilon",)),
    "powers and products": (
        lambda: Written(lambda m, x: m.o(torch.cat([torch.cumprod(torch.sigmoid(m.a(x)) + 0.5, 1),
                                                    torch.relu(m.a(x)) ** 2, x.prod(1, keepdim=True)], 1)),
                        a=linear(5, 4), o=linear(9, 3)), lambda: draw(3, 5), ("epsilon",)),
    "upsampled": (lambda: sequential(conv2d(2, 3, 2), nn.Upsample(scale_factor=2, mode="bilinear"), nn.ReLU(),
                                     nn.Flatten(), linear(108, 3)), lambda: draw(2, 2, 4, 4), ("epsilon",)),
    "softmax at the end": (lambda: sequential(linear(5, 6), nn.ReLU(), linear(6, 3), nn.Softmax(1)),
                           lambda: draw(3, 5), SOME),
    "graph convolution": (lambda: Written(graph_convolution, a=linear(4, 6), b=linear(6, 6), o=linear(6, 3)),
                          lambda: (draw(6, 4), *EDGES, GRAPHS), SOME),
    "graph isomorphism": (
        lambda: Written(isomorphism, a=sequential(linear(4, 6), nn.ReLU(), linear(6, 4)), b=linear(4, 5),
                        o=linear(5, 3), values={"eps": ()}), lambda: (draw(6, 4), EDGES, GRAPHS), SOME),
}  # fmt: skip

CASES = [(name, rule) for name, (_, _, rules) in NETWORKS.items() for rule in rules]


def built(name):
    torch.manual_seed(sum(map(ord, name)))
    make, inputs, _ = NETWORKS[name]
    model = make().double().eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2.0)
    return model, inputs()


def as_tuple(value):
    return tuple(v for v in (value if isinstance(value, tuple) else (value,)) if v is not None)


def floats(inputs):
    return [v for v in as_tuple(inputs) if v.is_floating_point()]


def moved(inputs, steps):
    given, steps = as_tuple(inputs), list(steps)
    given = tuple(v + steps.pop(0) if v.is_floating_point() else v for v in given)
    return given if isinstance(inputs, tuple) else given[0]


def check_derivative(model, inputs, target, composite, *, rtol=2e-5):
    """One random direction of all parameters and inputs, one random weighting of relevance and scores."""
    generator = torch.Generator().manual_seed(0)
    leaves = [v.requires_grad_() if v.is_floating_point() else v for v in map(torch.clone, as_tuple(inputs))]
    given = tuple(leaves) if isinstance(inputs, tuple) else leaves[0]
    found = mend.relevance(model, given, target, composite=composite, on_unknown="error")
    weights = [torch.randn(r.shape, generator=generator, dtype=torch.float64) for r in as_tuple(found.relevance)]

    def weighed(result):
        return sum((w * r).sum() for w, r in zip(weights, as_tuple(result.relevance), strict=True)) + result.score.sum()

    def explained(model, inputs):
        return sx.explain(model, inputs, target, composite=composite, on_unknown="error")

    e = explained(model, inputs)
    for ours, theirs in zip(as_tuple(found.relevance), as_tuple(e.relevance), strict=True):
        assert (ours - theirs).abs().max() <= 1e-10 * max(1.0, float(theirs.abs().max()))
    assert torch.allclose(found.score, e.score, atol=1e-12)
    variables = [*model.parameters(), *floats(given)]
    gradients = torch.autograd.grad(weighed(found), variables, allow_unused=True)
    steps = [torch.randn(v.shape, generator=generator, dtype=torch.float64) for v in variables]
    expected = sum(float((g * s).sum()) for g, s in zip(gradients, steps, strict=True) if g is not None)
    own = len(list(model.parameters()))

    def at(h):
        shifted = copy.deepcopy(model)
        with torch.no_grad():
            for p, s in zip(shifted.parameters(), steps[:own], strict=True):
                p.add_(h * s)
        return float(weighed(explained(shifted, moved(inputs, [h * s for s in steps[own:]]))))

    # relevance bends sharply where a denominator is small: the step that fits is not known beforehand
    measured = []
    for h in (1e-6, 1e-5, 1e-7):
        measured.append((at(h) - at(-h)) / (2 * h))
        if abs(measured[-1] - expected) <= rtol * max(1e-2, abs(expected)):
            return
    raise AssertionError(f"measured {measured}, expected {expected}")


@pytest.mark.parametrize(("name", "rule"), CASES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_gradient_of_relevance(name, rule):
    model, inputs = built(name)
    check_derivative(model, inputs, 1, COMPOSITES[rule])


TARGETS = {
    "predicted": None,
    "one each": torch.tensor([2, 0, 1]),
    "start relevance": torch.tensor([[0.0, 1.0, -0.5], [2.0, 0.0, 0.0], [1.0, 1.0, 1.0]], dtype=torch.float64),
    "callable": lambda output: output[:, 0] - 2 * torch.relu(output[:, 1]),
}


@pytest.mark.parametrize("target", TARGETS)
def test_the_gradient_for_every_kind_of_target(target):
    model, inputs = built("dense")
    check_derivative(model, inputs, TARGETS[target], COMPOSITES["epsilon"])


def test_one_output_without_a_column():
    model = sequential(linear(5, 6), nn.ReLU(), linear(6, 1), nn.Flatten(0)).double()
    check_derivative(model, draw(3, 5), None, COMPOSITES["epsilon"])


def test_activations_at_exactly_zero():
    """Where z = 0 the secant s of GELU is 1/2, and its derivative f''(0) / 2 = 1 / √(2π)."""
    model = sequential(linear(2, 1, bias=False), nn.GELU(), linear(1, 1, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.5, -1.5]]))
    x = torch.ones(1, 2, dtype=torch.float64)
    found = mend.relevance(model, x, 0, composite=COMPOSITES["zero"])
    (gradient,) = torch.autograd.grad(found.relevance[0, 0], model[0].weight)
    v = model[2].weight.item()  # R_0 = x_0 w_0 s(z) v
    slope = 1 / math.sqrt(2 * math.pi)
    assert torch.allclose(
        gradient[0], torch.tensor([0.5 + 1.5 * slope, 1.5 * slope], dtype=torch.float64) * v, rtol=1e-9
    )


class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, c):
        return c * 2


def under_no_grad(m, x):
    h = m.a(x)
    with torch.no_grad():
        k = h * 2
    return m.b(torch.relu(h) + k)


REFUSED = {
    "custom function": (lambda m, x: m.b(Own.apply(m.a(x))), "hidden Own"),
    "no_grad": (under_no_grad, "mul under no_grad"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_the_engine_does_not_see_is_refused_by_name(what):
    f, named = REFUSED[what]
    with pytest.raises(sx.ModelError, match=named):
        mend.relevance(Written(f, a=linear(5, 4), b=linear(4, 3)).double(), draw(3, 5), 1)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_torch_cannot_differentiate_twice_is_refused_by_name():
    def alignment(m, x):
        n, frames = len(x), x.shape[1]
        scores = torch.log_softmax(m.a(x), -1).transpose(0, 1)
        return F.ctc_loss(scores, torch.ones(n, 2, dtype=torch.long), [frames] * n, [2] * n, reduction="none")

    with pytest.raises(sx.ModelError, match=r"'ctc_loss'.*second derivative"):
        mend.relevance(Written(alignment, a=linear(4, 3)).double(), draw(2, 6, 4))


def test_the_model_is_untouched():
    model, x = built("convolutions")
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    mend.relevance(model, x, 1).relevance.sum().backward()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(m.training for m in model.modules())


def test_frozen_parameters_get_no_gradient_and_inputs_do():
    model, x = built("dense")
    model.requires_grad_(False)
    x = x.requires_grad_()
    mend.relevance(model, x, 1).relevance.square().sum().backward()
    assert x.grad.abs().sum() > 0 and all(p.grad is None for p in model.parameters())


def test_without_twins_nothing_is_recorded():
    model, x = built("convolutions")
    with LRP("epsilon") as engine:
        model(x.requires_grad_())
    assert engine.twins is None
    with LRP("epsilon", twins=Twins()) as engine:
        assert engine.twins is not None
