import pytest
import torch
import torch.nn.functional as F
from rule_tester import RULES, RuleTester, randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain.rules import AlphaBeta, Epsilon, Flat, Gamma, GeneralizedGamma, Pass, ZBox, ZPlus, stabilize

#: layer, input shape
LAYERS = {
    "linear": (lambda: nn.Linear(6, 4), (3, 6)),
    "linear without bias": (lambda: nn.Linear(6, 4, bias=False), (3, 6)),
    "linear on a sequence": (lambda: nn.Linear(6, 4), (2, 5, 6)),
    "conv1d": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2), (2, 4, 9)),
    "conv2d": (lambda: nn.Conv2d(3, 4, 3, stride=(2, 1), padding=1), (2, 3, 7, 5)),
    "conv2d grouped": (lambda: nn.Conv2d(4, 4, (2, 3), groups=4, bias=False), (2, 4, 5, 6)),
    "conv2d same, even kernel": (lambda: nn.Conv2d(2, 3, (4, 3), padding="same", dilation=(1, 2)), (2, 2, 6, 7)),
    "conv2d valid": (lambda: nn.Conv2d(2, 3, 3, padding="valid"), (2, 2, 6, 7)),
    "conv3d": (lambda: nn.Conv3d(2, 3, (2, 1, 3), stride=(1, 2, 1), padding=(1, 0, 1)), (2, 2, 4, 3, 5)),
    "conv_transpose1d": (lambda: nn.ConvTranspose1d(4, 6, 3, 2, padding=1, output_padding=1, groups=2), (2, 4, 5)),
    "conv_transpose2d": (lambda: nn.ConvTranspose2d(3, 2, (2, 3), stride=2, dilation=(2, 1)), (2, 3, 4, 3)),
    "conv_transpose3d": (lambda: nn.ConvTranspose3d(2, 2, 2, stride=2), (1, 2, 2, 3, 2)),
    "conv2d + batch norm": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)), (2, 3, 5, 4)),
    "conv2d without bias + batch norm": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)),
        (2, 3, 5, 4),
    ),
    "conv_transpose2d grouped + batch norm": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2), nn.BatchNorm2d(6)),
        (2, 4, 3, 2),
    ),
    "linear + batch norm": (lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)), (3, 5)),
}  # fmt: skip

#: the input rules spread over weights, so BatchNorm in front of them is not merged
BATCH_NORM_FIRST = {
    "batch norm + conv2d": (
        lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1, stride=2)),
        (2, 3, 5, 4),
    ),
    "batch norm + grouped conv1d": (
        lambda: nn.Sequential(nn.BatchNorm1d(4), nn.Conv1d(4, 4, 3, groups=2)),
        (2, 4, 6),
    ),
    "batch norm + conv_transpose2d": (
        lambda: nn.Sequential(nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 2, 3, groups=2, padding=1)),
        (2, 4, 3, 4),
    ),
    "batch norm + linear": (lambda: nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 4)), (3, 5)),
    "batch norm alone": (lambda: nn.BatchNorm2d(3), (2, 3, 4, 2)),
    "batch norm + conv2d + batch norm": (
        lambda: nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3)),
        (2, 2, 4, 3),
    ),
}
INPUT_RULES = {"w square", "flat", "z box"}


@pytest.mark.parametrize("sign", ["both", "nonnegative"])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("rule", RULES)
def test_layer(rule, layer, sign):
    make, shape = LAYERS[layer]
    RuleTester(rule).check(randomize(make()), sample(*shape, sign=sign))


@pytest.mark.parametrize("sign", ["both", "nonnegative"])
@pytest.mark.parametrize("layer", BATCH_NORM_FIRST)
@pytest.mark.parametrize("rule", sorted(set(RULES) - INPUT_RULES))
def test_batch_norm_first(rule, layer, sign):
    make, shape = BATCH_NORM_FIRST[layer]
    RuleTester(rule).check(randomize(make()), sample(*shape, sign=sign))


WEIGHT = sample(5, 4, seed=3)
BIAS = sample(4, seed=4)
OTHER = sample(3, 6, seed=5)
FUNCTIONAL = {
    "operator with bias": lambda x: x @ WEIGHT + BIAS,
    "in-place bias": lambda x: torch.matmul(x, WEIGHT).add_(BIAS),
    "bias first": lambda x: BIAS + torch.mm(x, WEIGHT),
    "minus bias": lambda x: x @ WEIGHT - BIAS,
    "addmm": lambda x: torch.addmm(BIAS, x, WEIGHT),
    "einsum": lambda x: torch.einsum("ni,io->no", x, WEIGHT) + BIAS,
    "weight on the left": lambda x: (WEIGHT.T @ x.T).T,
    "method": lambda x: x.matmul(WEIGHT),
    "aten": lambda x: torch.ops.aten.linear(x, WEIGHT.T, BIAS),
    "aten overload": lambda x: torch.ops.aten.linear.default(x, WEIGHT.T, BIAS),
    "keyword": lambda x: F.linear(input=x, weight=WEIGHT.T, bias=BIAS),
    "tensordot": lambda x: torch.tensordot(x, WEIGHT, dims=1),
    "conv without batch": lambda x: torch.stack([F.conv1d(s[None], WEIGHT.T[:, None, :3]) for s in x]),
}


@pytest.mark.parametrize("layer", FUNCTIONAL)
@pytest.mark.parametrize("rule", sorted(set(RULES) - INPUT_RULES))
def test_functional_form(rule, layer):
    RuleTester(rule).check(FUNCTIONAL[layer], sample(3, 5))


@pytest.mark.parametrize("rule", sorted(set(RULES) - INPUT_RULES))
@pytest.mark.parametrize("active", [0, 1])
def test_bilinear_in_one_input(rule, active):
    layer = randomize(nn.Bilinear(6, 6, 4))
    fixed = sample(1, 6, seed=5)

    def one(x):
        other = fixed.expand(len(x), 6)
        return layer(x, other) if active == 0 else layer(other, x)

    RuleTester(rule).check(one, sample(3, 6))


def test_inner_input_rule_matches_the_reference_where_the_input_is_not_zero():
    """A flat layer in the middle: relevance over activation is exact where there is an activation."""
    first, second = randomize(nn.Linear(5, 6)), randomize(nn.Linear(6, 3), 1)
    x, relevance = sample(2, 5), sample(2, 3, seed=9)
    composite = sx.Composite([("1", Flat())], default=Epsilon(0))
    found = sx.explain(nn.Sequential(first, second), x, target=relevance, composite=composite, layers=["0"])
    expected = RuleTester("flat").expected(second, first(x).detach(), relevance)
    torch.testing.assert_close(found.layers["0"], expected, rtol=1e-9, atol=1e-12)


BOUNDS = {
    "number": (-3.0, 3.5),
    "per channel": (torch.tensor([-3.0, -4, -5]).double(), torch.tensor([3.5, 4, 5]).double()),
    "per channel, broadcast": (torch.full((1, 3, 1, 1), -3.0).double(), torch.full((1, 3, 1, 1), 3.5).double()),
    "one sample": (torch.full((3, 4, 5), -3.0).double(), torch.full((3, 4, 5), 3.5).double()),
    "every sample": (sample(2, 3, 4, 5, seed=3) - 7, sample(2, 3, 4, 5, seed=4) + 7),
}  # fmt: skip


@pytest.mark.parametrize("bounds", BOUNDS)
def test_box_bounds(bounds):
    import reference

    low, high = BOUNDS[bounds]
    layer, x, relevance = (
        randomize(nn.Conv2d(3, 4, 3, padding=1)),
        sample(2, 3, 4, 5),
        sample(2, 4, 4, 5, seed=9),
    )
    found = sx.explain(layer, x, relevance, composite=sx.Composite(default=ZBox(low, high))).relevance

    def full(bound):
        bound = torch.as_tensor(bound).double()
        return (bound[:, None, None] if bound.ndim == 1 else bound).expand(2, 3, 4, 5)

    for i in range(2):
        J, b = reference.affine(layer, x[i])
        expected = reference.z_box(
            J, b, x[i].flatten(), relevance[i].flatten(), full(low)[i].flatten(), full(high)[i].flatten()
        )
        torch.testing.assert_close(found[i].flatten(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AlphaBeta(2, 2), "alpha - beta must be 1"),
        (lambda: Epsilon(-1), "finite number >= 0"),
        (lambda: Gamma(float("nan")), "finite number >= 0"),
        (lambda: ZBox(1.0, 0.0), "low must not exceed high"),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(sx.RuleError, match=message):
        make()


def test_box_refuses_an_input_outside():
    with pytest.raises(sx.RuleError, match=r"spans \[-?\d.*the bounds are \[0, 1\]"):
        sx.explain(randomize(nn.Linear(5, 2)), sample(2, 5), composite=sx.Composite(default=ZBox(0.0, 1.0)))


def test_box_refuses_bounds_that_do_not_broadcast():
    with pytest.raises(sx.RuleError, match=r"shape \(4,\) do not broadcast"):
        bounds = ZBox(torch.full((4,), -9.0), torch.full((4,), 9.0))
        sx.explain(randomize(nn.Conv2d(3, 2, 3)), sample(2, 3, 5, 5), 0, composite=sx.Composite(default=bounds))


def test_pass_needs_equal_shapes():
    with pytest.raises(sx.RuleError, match="as many inputs as outputs"):
        sx.explain(randomize(nn.Linear(5, 2)), sample(2, 5), 0, composite=sx.Composite(default=Pass()))


def test_pass():
    relevance = sample(2, 5, seed=3)
    found = sx.explain(randomize(nn.Linear(5, 5)), sample(2, 5), relevance, composite=sx.Composite(default=Pass()))
    torch.testing.assert_close(found.relevance, relevance)


def test_stabilizer_of_zero_is_positive():
    assert stabilize(torch.zeros(1), 0.5).item() == 0.5
    assert torch.equal(stabilize(torch.tensor([2.0, -2.0]), 0.5), torch.tensor([2.5, -2.5]))
    assert stabilize(torch.zeros(1, dtype=torch.float16), 1e-9).item() > 0


def test_generalized_gamma_equals_gamma_behind_relu():
    net = randomize(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 9, 3)))
    x = sample(2, 3, 5, 5, sign="nonnegative")
    a, b = (
        sx.explain(net, x, 1, composite=sx.Composite([("convolution", r)])).relevance
        for r in (Gamma(0.5), GeneralizedGamma(0.5))
    )
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


def test_zplus_is_alpha_1_beta_0():
    net = randomize(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)))
    a, b = (
        sx.explain(net, sample(3, 6), 1, composite=sx.Composite(default=r)).relevance
        for r in (ZPlus(), AlphaBeta(1, 0))
    )
    assert torch.equal(a, b)
