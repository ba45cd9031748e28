"""What holds for every network, preset and input: conservation, invariances, equal spellings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import sciexplain as sx
from sciexplain.rules import Epsilon

BOUNDS = {"low": -60.0, "high": 60.0}
PRESETS = {
    "epsilon": {},
    "epsilon_plus": {},
    "epsilon_plus_flat": {},
    "epsilon_gamma_box": BOUNDS,
    "epsilon_alpha2_beta1": {},
    "epsilon_alpha2_beta1_flat": {},
    "deep_taylor": {},
    "deep_taylor box": BOUNDS,
    "attention": {},
}
presets = st.sampled_from(sorted(PRESETS))

Activation = tuple[nn.Module, Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]
#: as a module, a function, in place
ACTIVATIONS: dict[str, Activation] = {
    "relu": (nn.ReLU(), F.relu, torch.relu_),
    "relu flag": (nn.ReLU(), torch.relu, lambda x: F.relu(x, inplace=True)),
    "leaky relu": (nn.LeakyReLU(0.1), lambda x: F.leaky_relu(x, 0.1), lambda x: F.leaky_relu_(x, 0.1)),
    "clamp": (nn.Threshold(0, 0), lambda x: x.clamp(min=0), lambda x: x.clamp_(min=0)),
    "gelu": (nn.GELU(), F.gelu, F.gelu),
    "tanh": (nn.Tanh(), torch.tanh, Tensor.tanh_),
    "elu": (nn.ELU(), F.elu, F.elu_),
    "silu": (nn.SiLU(), F.silu, lambda x: F.silu(x, inplace=True)),
}
RECTIFIERS = ["relu", "relu flag", "leaky relu"]
SPELLINGS = ("module", "function", "in place")


@dataclass
class Weights:
    """Random float64 layers of one network."""

    generator: torch.Generator
    bias: bool
    dims: int

    def randn(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def layer(self, ins: int, outs: int, **options: int) -> nn.Module:
        options = {"kernel_size": 3, "padding": 1} | options
        make = nn.Linear if not self.dims else (nn.Conv1d, nn.Conv2d)[self.dims - 1]
        layer = make(ins, outs, bias=self.bias, dtype=torch.float64, **(options if self.dims else {}))
        with torch.no_grad():
            for p in layer.parameters():
                p.copy_(self.randn(*p.shape) * 0.6)
        return layer

    def norm(self, channels: int) -> nn.Module:
        norm = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[self.dims](channels, dtype=torch.float64).eval()
        with torch.no_grad():
            for p in (norm.weight, norm.bias, norm.running_mean):
                p.copy_(self.randn(channels))
            norm.running_var.copy_(self.randn(channels) ** 2 + 0.5)
        return norm


class Block(nn.Module):
    """``forward(x, spelling)``; the spellings are the same function."""

    def __init__(self, layer: nn.Module | None, norm: nn.Module | None, activation: str) -> None:
        super().__init__()
        self.layer, self.norm, self.activation = layer, norm, activation

    def linear(self, x: Tensor, spelling: str) -> Tensor:
        layer = self.layer
        if spelling == "module":
            return layer(x)
        if isinstance(layer, nn.Linear):
            if spelling == "in place" and layer.bias is not None:
                return torch.matmul(x, layer.weight.t()).add_(layer.bias)
            return F.linear(x, layer.weight, layer.bias)
        conv = F.conv1d if isinstance(layer, nn.Conv1d) else F.conv2d
        return conv(x, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)

    def normalize(self, x: Tensor, spelling: str) -> Tensor:
        norm = self.norm
        if norm is None:
            return x
        if spelling == "module":
            return norm(x)
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.1, norm.eps)

    def act(self, x: Tensor, spelling: str) -> Tensor:
        return ACTIVATIONS[self.activation][SPELLINGS.index(spelling)](x)


class Plain(Block):
    def forward(self, x: Tensor, spelling: str) -> Tensor:
        return self.act(self.normalize(self.linear(x, spelling), spelling), spelling)


class NormFirst(Block):
    def forward(self, x: Tensor, spelling: str) -> Tensor:
        return self.act(self.linear(self.normalize(x, spelling), spelling), spelling)


class Residual(Block):
    def forward(self, x: Tensor, spelling: str) -> Tensor:
        y = self.normalize(self.linear(x, spelling), spelling)
        if spelling == "in place":
            y += x
        else:
            y = torch.add(y, x) if spelling == "function" else y + x
        return self.act(y, spelling)


class Concatenation(Block):
    def forward(self, x: Tensor, spelling: str) -> Tensor:
        new = self.act(self.linear(x, spelling), spelling)
        if spelling != "in place":
            return torch.cat([x, new], 1)
        out = x.new_zeros(len(x), x.shape[1] + new.shape[1], *x.shape[2:])
        out[:, : x.shape[1]] = x
        out[:, x.shape[1] :] += new
        return out


class Gate(Block):
    def forward(self, x: Tensor, spelling: str) -> Tensor:
        gate = self.linear(x, spelling)
        if spelling == "in place":
            return gate.sigmoid_() * x
        return torch.mul(x, torch.sigmoid(gate)) if spelling == "function" else x * gate.sigmoid()


class Pool(nn.Module):
    def __init__(self, dims: int, kind: str) -> None:
        super().__init__()
        self.module = getattr(nn, f"{kind.title()}Pool{dims}d")(2)
        self.function = getattr(F, f"{kind}_pool{dims}d")

    def forward(self, x: Tensor, spelling: str) -> Tensor:
        return self.module(x) if spelling == "module" else self.function(x, 2)


class Net(nn.Module):
    def __init__(self, blocks: list[nn.Module], head: nn.Linear, spelling: str = "module") -> None:
        super().__init__()
        self.blocks, self.head, self.spelling = nn.ModuleList(blocks), head, spelling

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, self.spelling)
        return self.head(x.flatten(1))


@dataclass
class Case:
    net: Callable[[Tensor], Tensor]
    x: Tensor
    target: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.target = torch.arange(len(self.x)) % 3

    def __repr__(self) -> str:
        return f"{self.net}\non {tuple(self.x.shape)}"


@st.composite
def cases(draw, *, free: bool = False, activations=tuple(ACTIVATIONS)) -> Case:
    """One to four blocks and a batch of signed inputs; ``free`` of biases, BatchNorm and gates."""
    dims = draw(st.integers(0, 2))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    weights = Weights(generator, not free and draw(st.booleans()), dims)
    channels = draw(st.integers(1, 3)) * 2
    x = weights.randn(draw(st.integers(2, 4)), channels, *draw(st.tuples(*[st.integers(4, 7)] * dims)))
    x = torch.where(weights.randn(*x.shape) > 1.2, 0.0, x.clamp(-3, 3))
    kinds = (
        ["plain", "plain", "residual", "concatenation"] + ["max", "avg"] * (dims > 0) + ["norm", "gate"] * (not free)
    )
    blocks: list[nn.Module] = []
    size = x.shape
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4)):
        channels, activation = size[1], draw(st.sampled_from(activations))
        norm = weights.norm(channels) if not free and draw(st.booleans()) else None
        if kind in ("max", "avg"):
            if min(size[2:]) < 2:
                continue
            block: nn.Module = Pool(dims, kind)
        elif kind == "plain":
            outs = draw(st.integers(1, 3)) * 2
            options = {
                "stride": draw(st.integers(1, 2)),
                "dilation": draw(st.integers(1, 2)),
                "groups": draw(st.sampled_from([1, 2])),
                "padding": 2,
            }
            block = Plain(weights.layer(channels, outs, **options), norm and weights.norm(outs), activation)
        elif kind == "norm":
            block = NormFirst(weights.layer(channels, channels), weights.norm(channels), activation)
        elif kind == "gate":
            block = Gate(weights.layer(channels, channels), None, activation)
        else:
            block_type = Residual if kind == "residual" else Concatenation
            block = block_type(weights.layer(channels, channels), norm, activation)
        blocks.append(block)
        with torch.no_grad():
            size = block(torch.zeros(size, dtype=torch.float64), "module").shape
    flat = Weights(generator, weights.bias, 0)
    return Case(Net(blocks, flat.layer(size[1:].numel(), 3)).eval(), x)


def explain(case: Case, preset: str, **options) -> sx.Explanation:
    composite = sx.composites.get(preset.split()[0], **PRESETS[preset])
    x, target = options.pop("x", case.x), options.pop("target", case.target)
    return sx.explain(case.net, x, target, composite=composite, on_unknown="error", **options)


def assert_close(found: Tensor, expected: Tensor, tolerance: float = 1e-10) -> None:
    scale = max(1.0, float(expected.abs().max()))
    assert float((found - expected).abs().max()) <= tolerance * scale


def examples(n: int) -> Callable:
    return settings(max_examples=n, derandomize=True)


def scale_of(e: sx.Explanation) -> Tensor:
    return torch.stack([torch.ones_like(e.score), e.score.abs(), e.relevance.flatten(1).abs().sum(1)]).amax(0)


@examples(80)
@given(cases(), presets)
def test_the_ledger_explains_the_score_to_the_last_digit(case, preset):
    e = explain(case, preset, ledger=True)
    assert (e.ledger.gap.abs() <= 1e-9 * scale_of(e)).all()
    assert torch.equal(e.ledger.absorbed["unruled"], torch.zeros(len(case.x), dtype=torch.float64))
    assert_close(explain(case, preset).relevance, e.relevance)


@examples(60)
@given(cases(free=True), presets)
def test_without_biases_nothing_is_booked_to_them(case, preset):
    e = explain(case, preset, ledger=True)
    assert (e.ledger.absorbed["bias"].abs() <= 1e-9 * scale_of(e)).all()
    assert (e.ledger.gap.abs() <= 1e-9 * scale_of(e)).all()


@examples(40)
@given(cases(free=True), st.sampled_from([0.0, 1e-13]))
def test_without_biases_relevance_sums_to_the_score(case, epsilon):
    e = sx.explain(case.net, case.x, case.target, composite=sx.Composite(default=Epsilon(epsilon)))
    assert ((e.relevance.flatten(1).sum(1) - e.score).abs() <= 1e-9 * scale_of(e)).all()


@examples(40)
@given(cases(activations=RECTIFIERS))
def test_epsilon_0_is_input_times_gradient(case):
    """Between piecewise linear layers the slopes are the gradient's, gates excepted."""
    if any(isinstance(block, Gate) for block in case.net.blocks):
        return
    found = sx.explain(case.net, case.x, case.target, composite=sx.Composite(default=Epsilon(0)))
    expected = sx.explain(case.net, case.x, case.target, "input_x_gradient")
    assert_close(found.relevance, expected.relevance)


@examples(40)
@given(cases(), presets, st.data())
def test_a_sample_has_its_relevance_in_any_batch(case, preset, data):
    whole = explain(case, preset)
    order = torch.tensor(data.draw(st.permutations(range(len(case.x)))))
    permuted = explain(case, preset, x=case.x[order], target=case.target[order])
    assert_close(permuted.relevance, whole.relevance[order])
    assert_close(permuted.score, whole.score[order])
    i = int(order[0])
    alone = explain(case, preset, x=case.x[i : i + 1], target=case.target[i : i + 1])
    assert_close(alone.relevance[0], whole.relevance[i])


@examples(30)
@given(cases(), presets, st.integers(1, 3))
def test_splitting_the_batch(case, preset, batch_size):
    whole = explain(case, preset, layers=["blocks.0"])
    parts = explain(case, preset, layers=["blocks.0"], batch_size=batch_size)
    for found, expected in pairwise((parts, whole)):
        assert_close(found.relevance, expected.relevance)
        assert_close(found.layers["blocks.0"], expected.layers["blocks.0"])
        assert_close(found.output, expected.output)
        assert torch.equal(found.target, expected.target)


@examples(25)
@given(cases(), presets)
def test_determinism(case, preset):
    a, b = explain(case, preset), explain(case, preset)
    assert torch.equal(a.relevance, b.relevance) and torch.equal(a.score, b.score)


@examples(40)
@given(cases(free=True, activations=RECTIFIERS), st.sampled_from([1e-3, 0.37, 2.0, 1e3]))
def test_positive_homogeneity(case, factor):
    composite = sx.Composite(default=Epsilon(0))
    once = sx.explain(case.net, case.x, case.target, composite=composite).relevance
    scaled = sx.explain(case.net, factor * case.x, case.target, composite=composite).relevance
    assert_close(scaled / factor, once)


@examples(150)
@given(cases(), presets)
def test_spellings_of_the_same_network(case, preset):
    expected = explain(case, preset)
    for case.net.spelling in SPELLINGS[1:]:
        for ledger in (False, True):
            found = explain(case, preset, ledger=ledger)
            assert_close(found.output, expected.output)
            assert_close(found.relevance, expected.relevance)


@examples(30)
@given(cases(), presets, st.floats(-2, 2), st.floats(-2, 2))
def test_start_relevance_is_linear(case, preset, a, b):
    generator = torch.Generator().manual_seed(3)
    one, two = torch.randn((2, len(case.x), 3), generator=generator, dtype=torch.float64)
    parts = [explain(case, preset, target=t).relevance for t in (one, two)]
    both = explain(case, preset, target=a * one + b * two).relevance
    scale = max(float(p.abs().max()) for p in parts)
    assert_close(both, a * parts[0] + b * parts[1], 1e-10 * max(1.0, scale))


@pytest.mark.parametrize("preset", PRESETS)
def test_start_relevance_of_one_class_is_that_class(preset):
    generator = torch.Generator().manual_seed(5)
    weights = Weights(generator, True, 2)
    head = Weights(generator, True, 0).layer(4 * 30, 3)
    case = Case(Net([Plain(weights.layer(2, 4), weights.norm(4), "relu")], head).eval(), weights.randn(3, 2, 5, 6))
    by_class = explain(case, preset)
    start = F.one_hot(case.target, 3) * by_class.output
    assert_close(explain(case, preset, target=start).relevance, by_class.relevance, 1e-12)


def _at(columns: list[int], values: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """``x`` with ``values(x)`` in the place of these columns."""

    def function(x: Tensor) -> Tensor:
        parts = list(x.unbind(1))
        for i, part in zip(columns, values(x).unbind(1), strict=True):
            parts[i] = part
        return torch.stack(parts, 1)

    return function


#: a change of ``x`` in place, the same as a function
IN_PLACE = {
    "sub_ and div_": (lambda x: x.sub_(0.4).div_(0.2), lambda x: (x - 0.4) / 0.2),
    "relu_": (torch.relu_, F.relu),
    "clamp_": (lambda x: x.clamp_(-1, 1), lambda x: x.clamp(-1, 1)),
    "set to 0": (
        lambda x: x.__setitem__((slice(None), 0), 0),
        _at([0], lambda x: torch.zeros(len(x), 1).to(x)),
    ),
    "set": (
        lambda x: x.__setitem__((slice(None), slice(2)), x[:, 2:4] * 2),
        _at([0, 1], lambda x: x[:, 2:4] * 2),
    ),
    "mul_ of a view": (lambda x: x[:, 1].mul_(2), _at([1], lambda x: x[:, 1:2] * 2)),
    "add_ of a view": (lambda x: x[:, 1].add_(1), _at([1], lambda x: x[:, 1:2] + 1)),
    "add_ of a transposed view": (lambda x: x.t()[1].add_(1), _at([1], lambda x: x[:, 1:2] + 1)),
    "sub_ of a view of a view": (
        lambda x: x.view(-1, 2, 3)[:, 0].sub_(0.4),
        _at([0, 1, 2], lambda x: x[:, :3] - 0.4),
    ),
    "relu_ of a view": (lambda x: x[:, :3].relu_(), _at([0, 1, 2], lambda x: F.relu(x[:, :3]))),
    "copy_ to a view": (lambda x: x[:, :2].copy_(x[:, 2:4]), _at([0, 1], lambda x: x[:, 2:4])),
    "add_ of another view": (lambda x: x[:, 0].add_(x[:, 1]), _at([0], lambda x: x[:, :1] + x[:, 1:2])),
}  # fmt: skip
BEFORE = ("the input", "a layer", "a layer and its ReLU")


@pytest.mark.parametrize("ledger", [False, True])
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("change", IN_PLACE)
@pytest.mark.parametrize("preset", ["epsilon", "epsilon_plus_flat", "deep_taylor", "deep_taylor box"])
def test_changes_in_place(preset, change, before, ledger):
    weights = Weights(torch.Generator().manual_seed(0), True, 0)
    first, second, head = weights.layer(6, 6), weights.layer(6, 6), weights.layer(6, 3)
    in_place, function = IN_PLACE[change]

    def prepared(x: Tensor) -> Tensor:
        x = x if before == "the input" else first(x)
        return (F.relu(x) if "ReLU" in before else x).clone()

    def changing(x: Tensor) -> Tensor:
        x = prepared(x)
        in_place(x)
        return head(F.relu(second(x)))

    def functional(x: Tensor) -> Tensor:
        return head(F.relu(second(function(prepared(x)))))

    x = weights.randn(3, 6)
    found, expected = explain(Case(changing, x), preset, ledger=ledger), explain(Case(functional, x), preset)
    assert_close(found.relevance, expected.relevance)
    if ledger:
        assert (found.ledger.gap.abs() <= 1e-9 * scale_of(found)).all()
