"""Which rule each operation gets: the presets of the design, selectors, positions, and what a user reads of it."""

import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain.rules import AlphaBeta, Epsilon, Flat, GeneralizedGamma, Pass, WSquare, ZBox, ZPlus

EPS, PLUS, ALPHA, GAMMA, BOX = Epsilon(1e-6), ZPlus(), AlphaBeta(2, 1), GeneralizedGamma(0.25), ZBox(-3.0, 3.5)
#: preset, options: first convolution, first dense layer, other convolutions, other dense layers, attention
PRESETS = {
    ("epsilon",): (EPS, EPS, EPS, EPS, "constant"),
    ("epsilon_plus",): (PLUS, EPS, PLUS, EPS, "constant"),
    ("epsilon_plus_flat",): (Flat(), Flat(), PLUS, EPS, "constant"),
    ("epsilon_gamma_box", ("low", -3.0), ("high", 3.5)): (BOX, BOX, GAMMA, EPS, "constant"),
    ("epsilon_alpha2_beta1",): (ALPHA, EPS, ALPHA, EPS, "constant"),
    ("epsilon_alpha2_beta1_flat",): (Flat(), Flat(), ALPHA, EPS, "constant"),
    ("deep_taylor",): (WSquare(), WSquare(), PLUS, PLUS, "constant"),
    ("deep_taylor", ("low", -3.0), ("high", 3.5)): (BOX, BOX, PLUS, PLUS, "constant"),
    ("attention",): (EPS, EPS, EPS, EPS, "attnlrp"),
    ("epsilon", ("epsilon", 0.1)): (Epsilon(0.1),) * 4 + ("constant",),
    ("epsilon_plus_flat", ("epsilon", 0.1), ("stabilizer", 1e-7)): (
        Flat(stabilizer=1e-7), Flat(stabilizer=1e-7), ZPlus(stabilizer=1e-7), Epsilon(0.1), "constant",
    ),
    ("epsilon_gamma_box", ("low", -3.0), ("high", 3.5), ("gamma", 0.5)): (
        BOX, BOX, GeneralizedGamma(0.5), EPS, "constant",
    ),
}  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS, ids=str)
def test_presets(preset):
    name, *options = preset
    *rules, attention = PRESETS[preset]
    composite = sx.composites.get(name, **dict(options))
    found = [composite.rule_for(kind, first=first) for first in (True, False) for kind in ("convolution", "linear")]
    assert (found, composite.attention) == (rules, attention)


def test_every_preset_is_in_the_table():
    assert {name for name, *_ in PRESETS} == set(sx.composites.PRESETS)


def test_stabilizers():
    assert {r.stabilizer for r in (PLUS, ALPHA, GAMMA, BOX, Flat(), WSquare())} == {1e-9}
    assert Epsilon().epsilon == EPS.epsilon == 1e-6


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(5, 5), nn.Linear(5, 5)

    def forward(self, x):
        return F.relu(self.one(x)) + self.two(x)


NET = randomize(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), Block(), nn.Conv1d(1, 2, 2), nn.Flatten(), nn.Linear(8, 3)))
NET[2].register_forward_hook(lambda module, args, output: output[:, None])
X = sample(2, 6)


def rules_of(composite, net=NET, inputs=X):
    """The letter of the rule of each linear layer, in order: F for Flat, P for ZPlus …"""
    treatments = [op.treatment for op in composite.describe(net, inputs).operations if op.kind]
    return "".join(
        {"Flat": "F", "WSquare": "W", "ZPlus": "P", "Epsilon": ".", "Pass": "="}[t.split("(")[0]] for t in treatments
    )


F_, P_, W_ = Flat(), ZPlus(), WSquare()
#: lines, and the rules of the layers 0, 2.one, 2.two, 3 (convolution), 5
SELECTORS = {
    "nothing": ([], "....."),
    "kinds": ([("linear", P_)], "PPP.P"),
    "convolution": ([("convolution", P_)], "...P."),
    "first": ([("first", P_)], "P...."),
    "last": ([("last", P_)], "....P"),
    "first and last": ([("first", F_), ("last", P_)], "F...P"),
    "module type": ([(nn.Conv1d, P_)], "...P."),
    "type of the block around it": ([(Block, P_)], ".PP.."),
    "base class": ([(nn.Module, P_)], "PPPPP"),
    "type and enclosing type": ([(nn.Linear, W_), (Block, P_)], "WWW.W"),
    "enclosing type first": ([(Block, P_), (nn.Linear, W_)], "WPP.W"),
    "name": ([("2.two", P_)], "..P.."),
    "name of the block": ([("2", P_)], ".PP.."),
    "name pattern": ([("2.*", P_)], ".PP.."),
    "pattern of characters": ([("[05]", P_)], "P...P"),
    "pattern of one character": ([("?", P_)], "PPPPP"),
    "everything named": ([("*", P_)], "PPPPP"),
    "first line wins": ([("linear", P_), ("first", F_), ("last", F_)], "PPP.P"),
    "position wins where it stands first": ([("first", F_), ("2.one", W_), ("linear", P_)], "FWP.P"),
    "last before kind": ([("last", W_), ("linear", P_)], "PPP.W"),
    "no such name": ([("block", P_)], "....."),
}


@pytest.mark.parametrize("case", SELECTORS)
def test_selectors(case):
    lines, expected = SELECTORS[case]
    assert rules_of(sx.Composite(lines)) == expected
    assert rules_of(sx.Composite(tuple(lines))) == expected


def test_default():
    assert rules_of(sx.Composite([("0", P_)], default=W_)) == "PWWWW"


def test_selectors_hold_in_explain():
    """The rule named is the rule applied: by name, by type and by kind the same numbers."""
    by_kind, by_type, by_name, by_default = (
        sx.explain(NET, X, 1, composite=composite).relevance
        for composite in (
            sx.Composite([("convolution", P_)]),
            sx.Composite([(nn.Conv1d, P_)]),
            sx.Composite([("3", P_)]),
            sx.Composite([("linear", Epsilon())], default=P_),
        )
    )
    assert torch.equal(by_kind, by_type) and torch.equal(by_kind, by_name) and torch.equal(by_kind, by_default)
    assert not torch.allclose(by_kind, sx.explain(NET, X, 1).relevance)


# -- first and last --------------------------------------------------------------------------------------------------

ONE, TWO, HEAD = (randomize(nn.Linear(*io), i) for i, io in enumerate([(6, 4), (6, 4), (4, 3)]))
FIRST = sx.Composite([("first", F_)])
#: model, inputs, rules in the order of the forward pass
FIRSTS = {
    "one input": (lambda a: HEAD(ONE(a)), X, "F."),
    "two inputs": (lambda a, b: HEAD(ONE(a) + TWO(b)), (X, X), "FF."),
    "two inputs, one deeper": (lambda a, b: HEAD(ONE(a)) + HEAD(TWO(F.relu(b))), (X, X), "F.F."),
    "one input used twice": (lambda a: HEAD(ONE(a) + TWO(a)), X, "FF."),
    "input skip": (lambda a: HEAD(TWO(torch.cat([ONE(a), a[:, :2]], 1))), X, "F.."),
    "after an activation": (lambda a: HEAD(ONE(torch.tanh(a))), X, "F."),
    "after normalisation": (lambda a: HEAD(ONE((a - 0.4) / 0.2)), X, "F."),
    "after a batch norm": (nn.Sequential(randomize(nn.BatchNorm1d(6)), ONE, HEAD), X, "F."),
    "after pooling": (lambda a: HEAD(ONE(F.max_pool1d(F.pad(a, (3, 3)), 2))), X, "F."),
    "after a layer that is constant": (lambda a: HEAD(ONE(a + TWO(X)[:, :1])), X, "F."),
    "tokens": (lambda t: HEAD(ONE(F.embedding(t, sample(5, 6)).sum(1))), torch.tensor([[1, 2], [3, 0]]), "F."),
    "tensors without gradient between": (lambda a: HEAD(ONE(a) * F.linear(X, TWO.weight)), X, "F."),
}  # fmt: skip


@pytest.mark.parametrize("case", FIRSTS)
def test_first(case):
    model, inputs, expected = FIRSTS[case]
    assert rules_of(FIRST, model, inputs) == expected


LASTS = {
    "one output": (lambda a: HEAD(ONE(a)), ".P"),
    "two heads": (lambda a: (HEAD(ONE(a)), HEAD(TWO(a))), "...P"),
    "one layer": (ONE, "P"),
}


@pytest.mark.parametrize("case", LASTS)
def test_last(case):
    model, expected = LASTS[case]
    assert rules_of(sx.Composite([("last", P_)]), model) == expected


def test_last_in_explain():
    found = sx.explain(nn.Sequential(ONE, nn.ReLU(), HEAD), X, 1, composite=sx.Composite([("last", P_)]))
    expected = sx.explain(nn.Sequential(ONE, nn.ReLU(), HEAD), X, 1, composite=sx.Composite([("2", P_)]))
    assert torch.equal(found.relevance, expected.relevance)


# -- the input before the first layer --------------------------------------------------------------------------------

IMAGES = sample(2, 3, 5, 6, sign="nonnegative").clamp(0, 1)
CONV = randomize(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)))
MEAN, STD = torch.tensor([0.4, 0.5, 0.6]).double(), torch.tensor([0.2, 0.3, 0.25]).double()


def column(v):
    return v[:, None, None]


BOUNDS = [column((torch.tensor(v).double() - MEAN) / STD) for v in (0.0, 1.0)]
BOX_FIRST = sx.composites.get("epsilon_gamma_box", low=BOUNDS[0], high=BOUNDS[1])
NORMALISATIONS = {
    "operators": lambda x: (x - column(MEAN)) / column(STD),
    "functions": lambda x: torch.div(torch.sub(x, column(MEAN)), column(STD)),
    "in place": lambda x: x.clone().sub_(column(MEAN)).div_(column(STD)),
    "in place on the input itself": lambda x: x.sub_(column(MEAN)).div_(column(STD)),
    "augmented assignment": lambda x: _augmented(x.clone()),
    "times one over": lambda x: (x + -column(MEAN)) * (1 / column(STD)),
    "minus, turned round": lambda x: -(column(MEAN) - x) / column(STD),
    "batch norm": lambda x: F.batch_norm(x, MEAN, STD**2, eps=0.0),
    "channel by channel": lambda x: torch.stack([(x[:, i] - MEAN[i]) / STD[i] for i in range(3)], 1),
    "addcmul": lambda x: torch.addcmul(column(-MEAN / STD), x, column(1 / STD)),
    "last axis": lambda x: ((x.permute(0, 2, 3, 1) - MEAN) / STD).permute(0, 3, 1, 2),
}  # fmt: skip


def _augmented(x):
    x -= column(MEAN)
    x /= column(STD)
    return x


@pytest.mark.parametrize("ledger", [False, True])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_relevance_passes_through_a_normalisation_of_the_input(normalisation, ledger):
    normalise = NORMALISATIONS[normalisation]
    found = sx.explain(lambda x: CONV(normalise(x)), IMAGES, 1, composite=BOX_FIRST, ledger=ledger, on_unknown="error")
    expected = sx.explain(CONV, (IMAGES - column(MEAN)) / column(STD), 1, composite=BOX_FIRST, ledger=ledger)
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-9, atol=1e-12)
    if ledger:
        assert found.ledger.gap.abs().max() < 1e-12


#: a rearrangement of the input, and how the relevance of what it makes is put back
REARRANGEMENTS = {
    "permute": (lambda x: x.transpose(2, 3), lambda r: r.transpose(2, 3)),
    "flip": (lambda x: x.flip(1), lambda r: r.flip(1)),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 1)), lambda r: r[:, :, :-1, 1:-2]),
    "reflect": (lambda x: F.pad(x, (1, 0, 0, 0), mode="reflect"), lambda r: _unreflected(r)),
    "reshape": (lambda x: x.flatten(2).unflatten(2, (6, 5)), lambda r: r.flatten(2).unflatten(2, (5, 6))),
    "cat of parts": (lambda x: torch.cat([x[:, 1:], x[:, :1]], 1), lambda r: r.roll(1, 1)),
    "cat with constants": (lambda x: torch.cat([x[:, :2], x.new_ones(2, 1, 5, 6)], 1), lambda r: _third_zero(r)),
    "the same channel": (lambda x: x[:, :1].expand(-1, 3, -1, -1), lambda r: _in_first(r)),
    "repeated": (lambda x: x[:, :1].repeat(1, 3, 1, 1), lambda r: _in_first(r)),
    "by channels last": (lambda x: x.contiguous(memory_format=torch.channels_last), lambda r: r),
}  # fmt: skip


def _unreflected(r):
    inner = r[..., 1:].clone()
    inner[..., 1] += r[..., 0]
    return inner


def _third_zero(r):
    return torch.cat([r[:, :2], torch.zeros_like(r[:, :1])], 1)


def _in_first(r):
    return torch.cat([r.sum(1, keepdim=True), torch.zeros_like(r[:, :2])], 1)


@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus_flat", "deep_taylor"])
@pytest.mark.parametrize("case", REARRANGEMENTS)
def test_relevance_moves_with_the_input(case, composite):
    rearrange, back = REARRANGEMENTS[case]
    x = sample(2, 3, 5, 6)
    conv = randomize(nn.Conv2d(3, 4, 3))

    def net(v):
        return F.relu(conv(v)).sum((2, 3))

    found = sx.explain(lambda v: net(rearrange(v)), x, 1, composite=composite, on_unknown="error").relevance
    expected = back(sx.explain(net, rearrange(x), 1, composite=composite).relevance)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("composite", ["epsilon_plus_flat", "deep_taylor"])
def test_parts_of_two_inputs_side_by_side(composite):
    a, b = sample(2, 2), sample(2, 4, seed=3)
    found = sx.explain(lambda a, b: HEAD(ONE(torch.cat([a, b], 1))), (a, b), 1, composite=composite).relevance
    expected = sx.explain(nn.Sequential(ONE, HEAD), torch.cat([a, b], 1), 1, composite=composite).relevance
    torch.testing.assert_close(found, expected.split([2, 4], 1), rtol=1e-9, atol=1e-12)


# -- Pass ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("selector", [nn.Sigmoid, "1", "[1]"])
def test_pass_on_an_activation(selector):
    """σ(0) ≠ 0 takes nothing: the relevance of each neuron stays its own."""
    net = nn.Sequential(ONE, nn.Sigmoid(), HEAD)
    rules = [(selector, Pass())]
    e = sx.explain(net, X, 1, composite=sx.Composite(rules, Epsilon(0)), layers=["0", "1"])
    torch.testing.assert_close(e.layers["0"], e.layers["1"], rtol=1e-8, atol=0)
    without = sx.explain(net, X, 1, composite=sx.Composite(default=Epsilon(0)), layers=["0", "1"])
    assert not torch.allclose(without.layers["0"], without.layers["1"])


@pytest.mark.parametrize("activation", [nn.Sigmoid(), nn.Softplus(), nn.Tanh(), nn.GELU(), nn.ReLU()])
def test_pass_absorbs_nothing(activation):
    e = sx.explain(
        nn.Sequential(ONE, activation, HEAD), X, 1, layers=["0", "1"], ledger=True,
        composite=sx.Composite([(type(activation), Pass(stabilizer=0))], Epsilon(0)),
    )  # fmt: skip
    torch.testing.assert_close(e.layers["0"], e.layers["1"], rtol=1e-9, atol=1e-12)
    assert e.ledger.gap.abs().max() < 1e-12


# -- what a user reads -----------------------------------------------------------------------------------------------


def test_description():
    net = nn.Sequential(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.ReLU(), nn.Flatten(), nn.Linear(6, 2), nn.Softmax(1))
    found = sx.composites.get("epsilon_plus_flat").describe(net.eval(), torch.ones(4, 2, 3))
    assert str(found).splitlines() == [
        "module  operation   kind         output     treatment",
        "0       conv1d      convolution  (4, 3, 2)  Flat(stabilizer=1e-09)",
        "1       batch_norm               (4, 3, 2)  merged into conv1d",
        "2       relu                     (4, 3, 2)  gradient",
        "3       flatten                  (4, 6)     moves",
        "4       linear      linear       (4, 2)     Epsilon(stabilizer=1e-09, epsilon=1e-06)",
        "5       softmax                  (4, 2)     first-order expansion",
    ]
    assert found.operations[0] == ("0", "conv1d", "convolution", (4, 3, 2), "Flat(stabilizer=1e-09)")


def test_description_of_functions_tokens_and_unruled_operations():
    table = sample(5, 6)
    found = sx.Composite().describe(
        lambda t, x: torch.lgamma(ONE(F.embedding(t, table) + x)),
        {"t": torch.tensor([1, 2]), "x": X},
    )
    assert [op[1:] for op in found.operations] == [
        ("add", "", (2, 6), "gradient"),
        ("linear", "linear", (2, 4), str(Epsilon())),
        ("lgamma", "", (2, 4), "no rule"),
    ]


def test_description_of_a_lone_batch_norm():
    (op,) = sx.Composite(default=P_).describe(nn.BatchNorm1d(6).eval(), X.float()).operations
    assert op == ("", "batch_norm", "linear", (2, 6), str(P_))


def test_printed_composite():
    composite = sx.Composite([("first", ZBox(0.0, 1.0)), (nn.Conv2d, P_), ("features.*", AlphaBeta(2, 1))])
    assert str(composite).splitlines() == [
        "first       ZBox(stabilizer=1e-09, low=0.0, high=1.0)",
        "Conv2d      ZPlus(stabilizer=1e-09)",
        "features.*  AlphaBeta(stabilizer=1e-09, alpha=2, beta=1)",
        "otherwise   Epsilon(stabilizer=1e-09, epsilon=1e-06)",
    ]
    assert str(sx.Composite()) == "otherwise  Epsilon(stabilizer=1e-09, epsilon=1e-06)"


def test_printed_attention():
    assert "attnlrp" in str(sx.composites.get("attention"))


@pytest.mark.parametrize("preset", PRESETS, ids=str)
def test_yields_relevance(preset):
    """Exactly where a first-layer rule spreads over weights or bounds."""
    name, *options = preset
    first = PRESETS[preset][0]
    assert sx.composites.get(name, **dict(options)).yields_relevance == isinstance(first, Flat | WSquare | ZBox)


ERRORS = {
    "selector": (lambda: sx.Composite([(3, P_)]), r"3 is no selector; expected an op kind"),
    "type of no module": (lambda: sx.Composite([(int, P_)]), r"<class 'int'> is no selector"),
    "module for its type": (lambda: sx.Composite([(nn.ReLU(), P_)]), r"ReLU\(\) is no selector"),
    "function for a selector": (lambda: sx.Composite([(F.relu, P_)]), "is no selector"),
    "rule": (lambda: sx.Composite([("first", "flat")]), r"'flat' is no rule; expected an instance such as"),
    "class for a rule": (lambda: sx.Composite([("first", Flat)]), "is no rule; expected an instance"),
    "default": (lambda: sx.Composite(default=None), "None is no rule"),
    "one line without its list": (lambda: sx.Composite(("first", Flat())), "lines"),
    "rules without selectors": (lambda: sx.Composite([Flat(), ZPlus()]), "lines"),
    "dict": (lambda: sx.Composite({"first": Flat()}), "lines"),
    "attention": (lambda: sx.Composite(attention="cp"), r"attention='cp'\): expected \"constant\" or \"attnlrp\""),
    "preset": (lambda: sx.composites.get("epsilon_flat"), "No composite 'epsilon_flat'; there are epsilon, "),
    "option": (lambda: sx.composites.get("epsilon", gamma=1), r"get\('epsilon'\).*unexpected keyword argument 'gamma'"),
    "missing bounds": (lambda: sx.composites.get("epsilon_gamma_box"), r"missing 2 required.*'low' and 'high'"),
    "one bound": (lambda: sx.composites.get("deep_taylor", low=0.0), "give both low and high"),
    "bad value": (lambda: sx.composites.get("epsilon", epsilon=-1), r"Epsilon\(epsilon=-1\): expected a finite number"),
    "words for a number": (lambda: sx.composites.get("epsilon", epsilon="small"), r"epsilon='small'.*number"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    make, message = ERRORS[case]
    with pytest.raises(sx.RuleError, match=message):
        make()
