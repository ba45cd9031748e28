"""One call for every model: its inputs, outputs, layers, ledger, batches, dtypes and errors."""

import copy
import typing

import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain.rules import Epsilon, ZPlus

LRP0 = sx.Composite(default=Epsilon(0))
PRESETS = ["epsilon", "epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1_flat", "deep_taylor"]
A, B = sample(4, 5), sample(4, 5, seed=2)
CLASSES = torch.tensor([2, 0, 1, 2])
LAYER, OTHER, HEAD = (randomize(nn.Linear(*io), i) for i, io in enumerate([(5, 6), (5, 6), (6, 3)]))
NET = nn.Sequential(LAYER, nn.ReLU(), HEAD)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def input_x_gradient(model, *inputs):
    """What LRP-0 is in a network of ReLUs, for the sum of the model's output."""
    leaves = [v.detach().clone().requires_grad_() for v in inputs]
    gradients = torch.autograd.grad(model(*leaves).sum(), leaves)
    return tuple(v * g for v, g in zip(inputs, gradients, strict=True))


# -- inputs ----------------------------------------------------------------------------------------------------------


def two(a, b, scale=1.0, flag=None):
    assert flag in (None, "on")
    return HEAD(F.relu(LAYER(a) - OTHER(b))) * scale


R_A, R_B = input_x_gradient(lambda a, b: two(a, b)[:, 1], A, B)
STRUCTURES = {
    "tensor": (NET, A, input_x_gradient(lambda a: NET(a)[:, 1], A)[0]),
    "tuple of one": (NET, (A,), input_x_gradient(lambda a: NET(a)[:, 1], A)),
    "tuple": (two, (A, B), (R_A, R_B)),
    "list": (two, [A, B], (R_A, R_B)),
    "dict": (two, {"b": B, "a": A}, {"b": R_B, "a": R_A}),
    "dict with other values": (two, {"scale": 2.0, "a": A, "flag": "on", "b": B}, {"a": 2 * R_A, "b": 2 * R_B}),
    "the same tensor twice": (two, (A, A), input_x_gradient(lambda a, b: two(a, b)[:, 1], A, A)),
    "an input that is not used": (lambda a, b: NET(a), (A, B), (*input_x_gradient(lambda a: NET(a)[:, 1], A), 0 * B)),
    "a mask": (
        lambda a, m: NET(a.masked_fill(m, 0)),
        (A, B > 0),
        (*input_x_gradient(lambda a: NET(a * (B <= 0))[:, 1], A), torch.zeros(4, 5).double()),
    ),
    "shared by all samples": (
        lambda a, s: NET(a + s),
        (A, B[:1]),
        input_x_gradient(lambda a, s: NET(a + s)[:, 1], A, B[:1]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STRUCTURES)
def test_structure_of_inputs(case):
    model, inputs, expected = STRUCTURES[case]
    close(sx.explain(model, inputs, 1, composite=LRP0, on_unknown="error").relevance, expected)


def test_positions_of_tensors_among_other_values():
    found = sx.explain(lambda a, scale, b: two(a, b, scale), (A, 2.0, B), 1, composite=LRP0).relevance
    close((found[0], found[2]), (2 * R_A, 2 * R_B))


@pytest.mark.parametrize("composite", PRESETS)
def test_twin_network_is_two_copies(composite):
    body = randomize(nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4)))
    twin = copy.deepcopy(body)

    one, other = (
        sx.explain(f, (A, B), composite=composite, on_unknown="error")
        for f in (
            lambda a, b: (body(a) * body(b)).sum(1) + (body(a) - body(b)).abs().sum(1),
            lambda a, b: (body(a) * twin(b)).sum(1) + (body(a) - twin(b)).abs().sum(1),
        )
    )
    close(one.relevance, other.relevance)


@pytest.mark.parametrize("composite", PRESETS)
def test_module_used_twice_is_two_copies(composite):
    layer = randomize(nn.Sequential(nn.Linear(5, 5), nn.ReLU()))
    one, other = nn.Sequential(layer, layer, layer), nn.Sequential(*(copy.deepcopy(layer) for _ in range(3)))
    found, expected = (sx.explain(net, A, 3, composite=composite) for net in (one, other))
    assert torch.equal(found.relevance, expected.relevance)


def test_plain_function_with_trainable_tensors():
    weight = sample(5, 3).requires_grad_()
    found = sx.explain(lambda a: F.relu(a @ weight).sum(1), A, composite=LRP0)
    close(found.relevance, input_x_gradient(lambda a: F.relu(a @ weight), A)[0])
    assert weight.grad is None and weight.requires_grad


@pytest.mark.parametrize("composite", PRESETS)
def test_memory_layout_does_not_matter(composite):
    net = randomize(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 2), nn.Flatten(), nn.Linear(12, 3)))
    x = sample(2, 3, 5, 6)
    strided = torch.zeros(2, 6, 5, 12).double()
    strided[:, ::2, :, 1::2] = x
    expected = sx.explain(net, x, 1, composite=composite).relevance
    for same in (
        x.contiguous(memory_format=torch.channels_last),
        strided[:, ::2, :, 1::2],
        x.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1),
        x.flip(0).flip(0).requires_grad_(),
    ):
        close(sx.explain(net, same, 1, composite=composite).relevance, expected)


# -- outputs ---------------------------------------------------------------------------------------------------------


class Named(typing.NamedTuple):
    logits: torch.Tensor
    hidden: torch.Tensor


#: what the model makes of (N, 3), the target, and the score's sum by hand
OUTPUTS = {
    "(N, C)": (lambda y: y, 1, lambda y: y[:, 1]),
    "(N, 1)": (lambda y: y[:, :1], None, lambda y: y[:, 0]),
    "(N,)": (lambda y: y[:, 2], None, lambda y: y[:, 2]),
    "(N, C, H, W)": (lambda y: y[:, :, None, None] * A[:, :4].view(4, 1, 2, 2), 1, lambda y: y[:, 1] * A[:, :4].sum(1)),
    "tuple": (lambda y: (y, y.exp()), 1, lambda y: y[:, 1]),
    "tuple, by callable": (lambda y: (y, 2 * y), lambda out: out[1][:, 1], lambda y: 2 * y[:, 1]),
    "tuple with a state first": (lambda y: (None, y), 1, lambda y: y[:, 1]),
    "list": (lambda y: [y, 2 * y], 1, lambda y: y[:, 1]),
    "named tuple": (lambda y: Named(y, 2 * y), 1, lambda y: y[:, 1]),
    "dict of one": (lambda y: {"energy": y[:, 0]}, None, lambda y: y[:, 0]),
    "dict with logits": (lambda y: {"loss": y.sum(), "logits": y}, 1, lambda y: y[:, 1]),
    "dict, by callable": (lambda y: {"a": y, "b": 2 * y}, lambda out: out["b"][:, 0], lambda y: 2 * y[:, 0]),
}  # fmt: skip


@pytest.mark.parametrize("case", OUTPUTS)
def test_outputs(case):
    output, target, score = OUTPUTS[case]
    e = sx.explain(lambda a: output(NET(a)), A, target, composite=LRP0, on_unknown="gradient")
    close(e.score, score(NET(A)).detach())
    close(e.relevance, input_x_gradient(lambda a: score(NET(a)), A)[0])


def test_one_number_for_one_unbatched_sample():
    e = sx.explain(lambda a: NET(a)[1], A[0], composite=LRP0)
    close(e.relevance, input_x_gradient(lambda a: NET(a)[1], A[0])[0])
    close(e.score, NET(A[0])[1:2].detach())


# -- a final softmax or sigmoid --------------------------------------------------------------------------------------

#: the end of the model after z (N, 3), the name, the logits that are explained
ENDINGS = {
    "F.softmax": (lambda z: F.softmax(z, 1), "softmax", lambda z: z),
    "method": (lambda z: z.softmax(-1), "softmax", lambda z: z),
    "nn.Softmax": (nn.Softmax(1), "softmax", lambda z: z),
    "with temperature": (lambda z: F.softmax(z / 2, 1), "softmax", lambda z: z / 2),
    "aten": (lambda z: torch.ops.aten.softmax.int(z, 1), "softmax", lambda z: z),
    "log_softmax": (lambda z: torch.log_softmax(z, 1), "log_softmax", lambda z: z),
    "nn.LogSoftmax": (nn.LogSoftmax(1), "log_softmax", lambda z: z),
    "sigmoid": (torch.sigmoid, "sigmoid", lambda z: z),
    "nn.Sigmoid": (nn.Sigmoid(), "sigmoid", lambda z: z),
    "sigmoid_": (lambda z: z.sigmoid_(), "sigmoid", lambda z: z),
    "torch.sigmoid_": (lambda z: torch.sigmoid_(z), "sigmoid", lambda z: z),
    "expit": (torch.special.expit, "sigmoid", lambda z: z),
    "squeeze(-1)": (lambda z: torch.sigmoid(z[:, :1]).squeeze(-1), "sigmoid", lambda z: z[:, 0]),
    "view": (lambda z: torch.sigmoid(z[:, :1]).view(-1), "sigmoid", lambda z: z[:, 0]),
    "index": (lambda z: F.softmax(z, 1)[:, 1:], "softmax", lambda z: z[:, 1:]),
    "transposed": (lambda z: F.softmax(z.t(), 0).t().contiguous(), "softmax", lambda z: z),
    "clone": (lambda z: F.softmax(z, 1).clone().unsqueeze(2).flatten(1), "softmax", lambda z: z),
    "cast": (lambda z: F.softmax(z, 1).to(torch.float64).double(), "softmax", lambda z: z),
    "dropout": (lambda z: F.dropout(F.softmax(z, 1), training=False), "softmax", lambda z: z),
    "tuple": (lambda z: (F.softmax(z, 1), z.detach()), "softmax", lambda z: z),
    "dict": (lambda z: {"probability": torch.sigmoid(z)}, "sigmoid", lambda z: z),
    "named tuple": (lambda z: Named(torch.sigmoid(z), z.detach()), "sigmoid", lambda z: z),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("options", [{}, {"composite": "deep_taylor"}, {"ledger": True}], ids=str)
@pytest.mark.parametrize("ending", ENDINGS)
def test_final_softmax_is_stepped_over(ending, options):
    end, name, logits = ENDINGS[ending]
    target = None if logits(NET(A)).ndim == 1 else 1
    e = sx.explain(lambda a: end(NET(a)), A, target, on_unknown="error", **options)
    expected = sx.explain(lambda a: logits(NET(a)), A, target, **options)
    close(e.relevance, expected.relevance)
    close(e.output, logits(NET(A)).detach())
    close(e.score, expected.score)
    assert e.stepped_over == name and expected.stepped_over is None
    if e.ledger is not None:
        assert e.ledger.gap.abs().max() < 1e-12


def test_callables_get_logits():
    e = sx.explain(
        lambda a: {"p": F.softmax(NET(a), 1)}, A, lambda out: out["p"][:, 0] - out["p"][:, 1], composite=LRP0
    )
    close(e.score, (NET(A)[:, 0] - NET(A)[:, 1]).detach())
    close(e.relevance, input_x_gradient(lambda a: NET(a)[:, 0] - NET(a)[:, 1], A)[0])
    assert e.stepped_over == "softmax"


def test_stepped_over_is_what_is_explained():
    def model(a):
        return NET(a), F.softmax(NET(a), 1)

    first, second = sx.explain(model, A, 1), sx.explain(model, A, lambda out: out[1][:, 1])
    assert (first.stepped_over, second.stepped_over) == (None, "softmax")
    close(second.relevance, first.relevance)


NOT_FINAL = {
    "softmax before a layer": lambda z: F.softmax(z, 1) @ sample(3, 3),
    "sigmoid as a gate": lambda z: z * torch.sigmoid(z),
    "one minus": lambda z: 1 - torch.sigmoid(z),
    "sum of two": lambda z: F.softmax(z, 1) + torch.sigmoid(z),
    "scaled": lambda z: 100 * torch.sigmoid(z),
    "maximum": lambda z: F.softmax(z, 1).cummax(1).values,
    "changed in place": lambda z: torch.sigmoid(z).mul_(2),
    "set item": lambda z: _first_doubled(torch.sigmoid(z)),
}


def _first_doubled(p):
    p[:, 0] = 2 * p[:, 0]
    return p


@pytest.mark.parametrize("ending", NOT_FINAL)
def test_softmax_that_is_not_final(ending):
    end = NOT_FINAL[ending]
    e = sx.explain(lambda a: end(NET(a)), A, 1)
    assert e.stepped_over is None
    close(e.output, end(NET(A)).detach())
    close(e.score, end(NET(A))[:, 1].detach())


# -- layers ----------------------------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.norm(self.conv(x))) + x


def image_net():
    features = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), Block(), nn.Conv2d(4, 4, 2), nn.ReLU(),
        nn.MaxPool2d(2),
    )  # fmt: skip
    head = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    return randomize(nn.Sequential(features, head))


IMAGE_NET, IMAGES = image_net(), sample(2, 3, 5, 7)
FEATURES = [f"0.{i}" for i in range(7)]
#: layer, and the part of the network after which its relevance is known; a layer merged with BatchNorm is its output
LAYERS = {"0.0": "0.1", "0.1": "0.1", "0.2": "0.2", "0.3": "0.3", "0.4": "0.4", "0.5": "0.5", "0.6": "0.6", "0": "0.6",
          "1.0": "1.0", "1.1": "1.1", "1.2": "1.2", "1.3": "1.3", "1": "1.3"}  # fmt: skip


def _split(name):
    """The network up to and including a module, and the rest."""
    part, index = map(int, name.split("."))
    flat = [*IMAGE_NET[0], *IMAGE_NET[1]]
    cut = index + 1 + (len(IMAGE_NET[0]) if part else 0)
    return nn.Sequential(*copy.deepcopy(flat[:cut])), nn.Sequential(*copy.deepcopy(flat[cut:]))


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_relevance_of_lrp_0_is_activation_times_gradient(layer):
    below, above = _split(LAYERS[layer])
    e = sx.explain(IMAGE_NET, IMAGES, 1, composite=LRP0, layers=[layer])
    close(e.layers, {layer: input_x_gradient(lambda a: above(a.clone())[:, 1], below(IMAGES).detach())[0]})


@pytest.mark.parametrize("composite", PRESETS)
def test_layer_relevance_and_what_was_absorbed_above_is_the_score(composite):
    names = [name for name, module in IMAGE_NET.named_modules() if name]
    e = sx.explain(IMAGE_NET, IMAGES, 1, composite=composite, layers=list(LAYERS), ledger=True)
    for layer, relevance in e.layers.items():
        above = {n for n in names[names.index(LAYERS[layer]) + 1 :] if not n.startswith(f"{LAYERS[layer]}.")}
        absorbed = sum(r.bias + r.stabilizer + r.unruled for r in e.ledger.rows if r.module in above)
        torch.testing.assert_close(relevance.flatten(1).sum(1) + absorbed, e.score, rtol=0, atol=1e-11)


@pytest.mark.parametrize("composite", PRESETS)
@pytest.mark.parametrize("ledger", [False, True])
def test_layers_do_not_change_relevance(composite, ledger):
    plain, with_layers = (
        sx.explain(IMAGE_NET, IMAGES, 1, composite=composite, ledger=ledger, layers=layers) for layers in ((), ["*"])
    )
    assert torch.equal(with_layers.relevance, plain.relevance)


NAMES = {
    "pattern": (["0.?"], FEATURES),
    "pattern and name": (["0.?", "1.3"], [*FEATURES, "1.3"]),
    "everything below": (["0.*"], ["0.0", "0.1", "0.2", "0.3.conv", "0.3.norm", "0.3.act", "0.3", *FEATURES[4:]]),
    "a name twice": (["1.1", "1.*1"], ["1.1"]),
    "the whole model": ([""], [""]),
    "one string": ("1.1", ["1.1"]),
}  # fmt: skip


def test_a_normalisation_merged_into_what_follows_it_has_no_relevance_of_its_own():
    model = nn.Sequential(
        *(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Sequential(nn.BatchNorm2d(3)), nn.Conv2d(3, 2, 3)),
        *(nn.Flatten(), nn.Linear(32, 2)),
    ).eval()
    x = torch.randn(2, 1, 8, 8)
    for name in ("2", "2.0"):
        with pytest.raises(sx.InputError, match="is one layer with the linear layer behind it"):
            sx.explain(model, x, 1, layers=[name])
    assert list(sx.explain(model, x, 1, layers=["*"]).layers) == ["0", "1", "3", "4", "5", ""]


@pytest.mark.parametrize("case", NAMES)
def test_names_of_layers(case):
    patterns, names = NAMES[case]
    assert list(sx.explain(IMAGE_NET, IMAGES, 1, layers=patterns).layers) == names


def test_the_input_of_the_first_layer_and_the_output():
    e = sx.explain(nn.Sequential(nn.Identity(), *IMAGE_NET), IMAGES, 1, layers=["0", ""], composite="deep_taylor")
    close(e.layers["0"], e.relevance)
    close(e.layers[""][:, 1], e.score)
    assert not e.layers[""][:, [0, 2]].any()


def test_reused_module_gives_a_tuple():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = LAYER, HEAD

        def forward(self, a, b):
            return self.head(F.relu(self.layer(a)) + F.relu(self.layer(b)))

    e = sx.explain(Twice(), (A, B), 1, layers=["layer"], composite=LRP0)
    expected = input_x_gradient(lambda p, q: HEAD(F.relu(p) + F.relu(q))[:, 1], LAYER(A).detach(), LAYER(B).detach())
    close(e.layers["layer"], expected)


def test_layer_with_several_outputs():
    class Split(nn.Module):
        def forward(self, x):
            return {"low": x[:, :2], "high": (x[:, 2:], None)}

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.split = Split()

        def forward(self, x):
            parts = self.split(LAYER(x))
            return HEAD(F.relu(torch.cat([parts["low"], parts["high"][0]], 1)))

    e = sx.explain(Model(), A, 1, layers=["split"], composite=LRP0)
    (expected,) = input_x_gradient(lambda z: HEAD(F.relu(z))[:, 1], LAYER(A).detach())
    close(e.layers["split"], (expected[:, :2], expected[:, 2:]))


# -- batches ---------------------------------------------------------------------------------------------------------

START = sample(4, 3, seed=7)
BATCHES = {
    "predicted class": (NET, A, {}),
    "class": (NET, A, {"target": 1}),
    "classes": (NET, A, {"target": CLASSES}),
    "list of classes": (NET, A, {"target": CLASSES.tolist()}),
    "array of classes": (NET, A, {"target": CLASSES.numpy()}),
    "start relevance": (NET, A, {"target": START}),
    "array of start relevance": (NET, A, {"target": START.numpy()}),
    "callable": (NET, A, {"target": lambda y: y[:, 0] - y[:, 1]}),
    "as many samples as classes": (NET, A[:3], {"target": START[:3]}),
    "tuple": (two, (A, B), {"target": CLASSES}),
    "dict": (two, {"b": B, "scale": 2.0, "a": A}, {"target": CLASSES}),
    "shared by all samples": (lambda a, s: NET(a + s), (A, B[:1]), {"target": 1}),
    "layers": (NET, A, {"target": CLASSES, "layers": ["*"]}),
    "reused layer": (nn.Sequential(LAYER, nn.ReLU(), HEAD), A, {"layers": ["0", "2"]}),
    "ledger": (NET, A, {"target": CLASSES, "ledger": True, "layers": ["1"]}),
    "tokens": (nn.Sequential(randomize(nn.EmbeddingBag(9, 5)), NET), torch.arange(12).view(4, 3) % 9, {}),
    "unknown operation": (lambda a: NET(torch.lgamma(a.abs() + 1)), A, {"on_unknown": "gradient"}),
    "softmax": (nn.Sequential(NET, nn.Softmax(1)), A, {}),
    "flat": (NET, A, {"composite": "epsilon_plus_flat"}),
    "gradient": (NET, A, {"method": "gradient", "target": CLASSES}),
    "integrated gradients": (NET, A, {"method": "integrated_gradients", "steps": 3}),
    "smoothgrad": (NET, A, {"method": "smoothgrad", "samples": 3}),
}  # fmt: skip


@pytest.mark.parametrize("batch_size", [1, 3, 9])
@pytest.mark.parametrize("case", BATCHES)
def test_splitting_the_batch(case, batch_size):
    model, inputs, options = BATCHES[case]
    whole = sx.explain(model, inputs, **options)
    split = sx.explain(model, inputs, batch_size=batch_size, **options)
    for name in ("relevance", "output", "score", "target", "layers"):
        close(getattr(split, name), getattr(whole, name))
    assert (split.unknown, split.stepped_over) == (whole.unknown, whole.stepped_over)
    if whole.ledger is not None:
        close(split.ledger.absorbed, whole.ledger.absorbed)
        assert str(split.ledger) == str(whole.ledger)


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 3}, {"ledger": True}])
def test_rows_that_are_no_samples_are_not_split(options):
    def pairs(a):
        return NET(a[::2] + a[1::2])

    with pytest.raises(sx.InputError, match="sample"):
        sx.explain(pairs, A, 1, **options)


# -- ledger ----------------------------------------------------------------------------------------------------------


def test_ledger_of_one_layer_by_hand():
    epsilon, z, bias = 0.5, HEAD(sample(4, 6)).detach()[:, 1], HEAD.bias[1].detach()
    e = sx.explain(HEAD, sample(4, 6), 1, composite=sx.composites.get("epsilon", epsilon=epsilon), ledger=True)
    stabilized = z + epsilon * z.sign()
    assert list(e.ledger.absorbed) == ["bias", "stabilizer", "unruled"]
    close(e.ledger.absorbed["bias"], bias * z / stabilized)
    close(e.ledger.absorbed["stabilizer"], epsilon * z.sign() * z / stabilized)
    assert not e.ledger.absorbed["unruled"].any()
    (row,) = (r for r in e.ledger.rows if r.operation == "linear")
    assert row.treatment == "Epsilon(stabilizer=1e-09, epsilon=0.5)"
    close(row.received, z)
    close(row.passed, e.relevance.sum(1))


@pytest.mark.parametrize("composite", PRESETS)
def test_ledger_adds_up(composite):
    e = sx.explain(IMAGE_NET, IMAGES, CLASSES[:2], composite=composite, ledger=True)
    absorbed = sum(e.ledger.absorbed.values())
    close(e.ledger.gap, e.score - e.relevance.sum((1, 2, 3)) - absorbed)
    assert e.ledger.gap.abs().max() < 1e-12 < absorbed.abs().min()
    close(sum(r.received - r.passed for r in e.ledger.rows), absorbed)
    for account, amount in e.ledger.absorbed.items():
        close(sum(getattr(r, account) for r in e.ledger.rows), amount)


def test_ledger_of_several_inputs():
    e = sx.explain(two, (A, B), 1, composite="deep_taylor", ledger=True)
    close(sum(r.sum(1) for r in e.relevance) + sum(e.ledger.absorbed.values()), e.score)


def test_ledger_of_one_sample_with_many_rows():
    """The atoms of one molecule: rows that are no samples."""

    def pooled(a):
        return NET(a).sum(0, keepdim=True)

    e, plain = (sx.explain(pooled, A, 1, ledger=ledger) for ledger in (True, False))
    close((e.relevance, e.score), (plain.relevance, plain.score))
    close(e.ledger.gap, torch.zeros(1).double())


def test_ledger_is_float64_for_a_float32_model():
    e = sx.explain(copy.deepcopy(NET).float(), A.float(), 1, ledger=True)
    assert {t.dtype for t in (e.ledger.gap, *e.ledger.absorbed.values())} == {torch.float64}
    assert e.relevance.dtype == e.score.dtype == torch.float32
    assert e.ledger.gap.abs().max() < 1e-5


def test_printed_ledger():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        for parameter, values in zip(net.parameters(), [[[1, 0], [0, -1]], [1, 0], [[2, 3]], [4]], strict=True):
            parameter.copy_(torch.tensor(values))
    e = sx.explain(net, torch.tensor([[3.0, 5.0]]).double(), composite=LRP0, ledger=True)
    assert str(e.ledger).splitlines() == [
        "module  operation  treatment                             received  passed  bias  stabilizer  unruled",
        "0       linear     Epsilon(stabilizer=1e-09, epsilon=0)  8         6       2     0           0",
        "2       linear     Epsilon(stabilizer=1e-09, epsilon=0)  12        8       4     0           0",
        "total                                                                      6     0           0",
        "gap 0",
    ]  # fmt: skip


def test_nothing_but_the_relevance_is_made_unasked():
    e = sx.explain(NET, A)
    assert (e.ledger, e.layers, e.unknown, e.stepped_over, e.method) == (None, {}, (), None, "lrp")


def test_unknown_operations_are_counted():
    def model(a):
        for _ in range(3):
            a = torch.lgamma(a.abs() + 1)
        return NET(torch.digamma(a + 1))

    e = sx.explain(model, A, on_unknown="gradient")
    assert [tuple(u) for u in e.unknown] == [("lgamma", "", 3), ("digamma", "", 1)]


# -- tokens ----------------------------------------------------------------------------------------------------------

TOKENS, SEGMENTS = torch.tensor([[1, 3, 0, 7], [2, 2, 5, 0]]), torch.tensor([[0, 0, 1, 1], [1, 0, 1, 1]])
EMBEDDING, SEGMENT = randomize(nn.Embedding(8, 5, padding_idx=0)), randomize(nn.Embedding(2, 5), 1)
with torch.no_grad():
    EMBEDDING.weight[0] = 0
TABLE = EMBEDDING.weight.detach()
SCALE = sample(2, 4, seed=3)


def bag(mode, **options):
    module = nn.EmbeddingBag(8, 5, mode=mode, **options).double()
    module.weight.data.copy_(sample(8, 5, seed=4))
    return module


BAGS = {mode: bag(mode) for mode in ("sum", "mean", "max")}
BAG_TABLE = BAGS["sum"].weight.detach()
WITH_LAST_OFFSET = bag("mean", include_last_offset=True)


def in_bag(mode, x, keep=None):
    """What an embedding bag makes of embeddings (N, L, D)."""
    if mode == "max":
        return x.amax(1)
    keep = torch.ones(x.shape[:2]).double() if keep is None else keep
    return (x * keep[..., None]).sum(1) / (keep.sum(1, keepdim=True) if mode == "mean" else 1)


#: model of integer inputs, the inputs, and the same as a model of the embeddings (N, L, D), with these embeddings
TOKEN_MODELS = {
    "embedding": (lambda t: NET(EMBEDDING(t).sum(1)), (TOKENS,), lambda x: NET(x.sum(1)), (TABLE[TOKENS],)),
    "functional": (
        lambda t: NET(F.embedding(t, TABLE).mean(1)), (TOKENS,), lambda x: NET(x.mean(1)), (TABLE[TOKENS],),
    ),
    "int32": (lambda t: NET(EMBEDDING(t).sum(1)), (TOKENS.int(),), lambda x: NET(x.sum(1)), (TABLE[TOKENS],)),
    "one token a sample": (lambda t: NET(EMBEDDING(t)), (TOKENS[0],), NET, (TABLE[TOKENS[0]],)),
    "two inputs": (
        lambda t, s: NET((EMBEDDING(t) + SEGMENT(s)).sum(1)), (TOKENS, SEGMENTS),
        lambda x, y: NET((x + y).sum(1)), (TABLE[TOKENS], SEGMENT.weight.detach()[SEGMENTS]),
    ),
    "positions": (
        lambda t: NET((EMBEDDING(t) + sample(4, 5)[torch.arange(t.shape[1])]).sum(1)), (TOKENS,),
        lambda x: NET((x + sample(4, 5)).sum(1)), (TABLE[TOKENS],),
    ),
    "table by index": (lambda t: NET(EMBEDDING.weight[t].sum(1)), (TOKENS,), lambda x: NET(x.sum(1)), (TABLE[TOKENS],)),
    "index_select": (
        lambda t: NET(EMBEDDING.weight.index_select(0, t)), (TOKENS[0],), NET, (TABLE[TOKENS[0]],),
    ),
    "one-hot": (
        lambda t: NET((F.one_hot(t, 8).double() @ TABLE).sum(1)), (TOKENS,),
        lambda x: NET((x @ TABLE).sum(1)), (F.one_hot(TOKENS, 8).double(),),
    ),
    "shifted and rearranged": (
        lambda t: NET(EMBEDDING((t.flip(1).T + 1) % 8).sum(0)), (TOKENS,),
        lambda x: NET(x.sum(1)), (TABLE[(TOKENS + 1) % 8],),
    ),
    "cut": (lambda t: NET(EMBEDDING(t[:, 1:3]).sum(1)), (TOKENS,), lambda x: NET(x[:, 1:3].sum(1)), (TABLE[TOKENS],)),
    "column by column": (
        lambda t: NET(sum(EMBEDDING(c) for c in t.unbind(1))), (TOKENS,), lambda x: NET(x.sum(1)), (TABLE[TOKENS],),
    ),
    "two embeddings": (
        lambda t: NET((EMBEDDING(t) * 2 + TABLE.flip(0)[t]).sum(1)), (TOKENS,),
        lambda x: NET((x[..., :5] * 2 + x[..., 5:]).sum(1)), (torch.cat([TABLE, TABLE.flip(0)], 1)[TOKENS],),
    ),
    "twin": (
        lambda s, t: NET(EMBEDDING(s).sum(1) - EMBEDDING(t).sum(1)), (TOKENS, TOKENS.flip(1)),
        lambda x, y: NET(x.sum(1) - y.sum(1)), (TABLE[TOKENS], TABLE[TOKENS.flip(1)]),
    ),
    **{f"bag {mode}": (
        nn.Sequential(BAGS[mode], NET), (TOKENS,),
        lambda x, mode=mode: NET(in_bag(mode, x)), (BAG_TABLE[TOKENS],),
    ) for mode in ("sum", "mean", "max")},
    **{f"bag {mode} with padding": (
        nn.Sequential(bag(mode, padding_idx=0), NET), (TOKENS,),
        lambda x, mode=mode: NET(in_bag(mode, x, (TOKENS > 0).double())), (BAG_TABLE[TOKENS],),
    ) for mode in ("sum", "mean")},
    "bag with weights": (
        lambda t: NET(BAGS["sum"](t, per_sample_weights=SCALE)), (TOKENS,),
        lambda x: NET((x * SCALE[..., None]).sum(1)), (BAG_TABLE[TOKENS],),
    ),
    **{f"bag {mode} with offsets": (
        lambda t, mode=mode: NET(BAGS[mode](t, torch.tensor([0, 3]))), (TOKENS.flatten(),),
        lambda x, mode=mode: NET(torch.cat([in_bag(mode, x[None, :3]), in_bag(mode, x[None, 3:])])),
        (BAG_TABLE[TOKENS.flatten()],),
    ) for mode in ("sum", "mean", "max")},
    "bag with an empty bag": (
        lambda t: NET(WITH_LAST_OFFSET(t, torch.tensor([0, 3, 3, 8]))), (TOKENS.flatten(),),
        lambda x: NET(torch.stack([x[:3].mean(0), 0 * x[0], x[3:].mean(0)])),
        (BAG_TABLE[TOKENS.flatten()],),
    ),
}  # fmt: skip
TOKEN_COMPOSITES = {"LRP-0": LRP0, "z⁺": sx.Composite(default=ZPlus()), "flat": "epsilon_plus_flat"}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("composite", TOKEN_COMPOSITES)
@pytest.mark.parametrize("case", TOKEN_MODELS)
def test_a_token_gets_the_sum_over_its_embedding(case, composite):
    model, tokens, rest, embeddings = TOKEN_MODELS[case]
    composite = TOKEN_COMPOSITES[composite]
    found = sx.explain(model, tokens, lambda y: y[:, 1], composite=composite)
    expected = sx.explain(rest, embeddings, lambda y: y[:, 1], composite=composite)
    close(found.score, expected.score)
    close(found.relevance, tuple(r.sum(-1) for r in expected.relevance))
    if composite is LRP0:
        by_hand = input_x_gradient(lambda *x: rest(*x)[:, 1], *embeddings)
        close(found.relevance, tuple(r.sum(-1) for r in by_hand))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("composite", TOKEN_COMPOSITES)
def test_tokens_conserve_by_the_ledger(composite):
    e = sx.explain(TOKEN_MODELS["two inputs"][0], (TOKENS, SEGMENTS), 1, composite=TOKEN_COMPOSITES[composite],
                   ledger=True)  # fmt: skip
    close(e.relevance[0].sum(1) + e.relevance[1].sum(1) + sum(e.ledger.absorbed.values()), e.score)


def test_offsets_as_an_input_get_nothing():
    tokens, offsets = TOKENS.flatten(), torch.tensor([0, 3])
    found = sx.explain(lambda t, o: NET(BAGS["mean"](t, o)), (tokens, offsets), lambda y: y[:, 1], composite=LRP0)
    fixed = sx.explain(lambda t: NET(BAGS["mean"](t, offsets)), tokens, lambda y: y[:, 1], composite=LRP0)
    close(found.relevance, (fixed.relevance, torch.zeros(2).double()))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("composite", TOKEN_COMPOSITES)
def test_integers_beside_floats(composite):
    composite = TOKEN_COMPOSITES[composite]

    def model(x, t):
        return NET(t + x)

    x = sample(2, 5)
    found = sx.explain(
        lambda x, t: model(x, EMBEDDING(t).sum(1)), {"x": x, "t": TOKENS}, 1, composite=composite
    ).relevance
    expected = sx.explain(
        lambda x, e: model(x, e.sum(1)), {"x": x, "e": TABLE[TOKENS]}, 1, composite=composite
    ).relevance
    close(found, {"x": expected["x"], "t": expected["e"].sum(-1)})


PIXELS = torch.arange(20, dtype=torch.uint8).view(4, 5) * 12
CASTS = {
    "float": lambda p: p.double(),
    "to": lambda p: p.to(torch.float64),
    "divided": lambda p: p / 255,
    "normalised": lambda p: (p.double() / 255 - 0.4) / 0.3,
    "times": lambda p: p * 0.5,
    "rearranged": lambda p: p.view(4, 5, 1).flip(1).double().flip(1).flatten(1),
    "by constructor": lambda p: p.type(torch.float64) - 7,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus_flat", "deep_taylor"])
@pytest.mark.parametrize("cast", CASTS)
def test_integers_that_become_numbers(cast, composite):
    net, cast = (lambda v: NET(v.double())), CASTS[cast]
    found = sx.explain(lambda p: net(cast(p)), PIXELS, 1, composite=composite)
    expected = sx.explain(lambda p: net(cast(p)), PIXELS.double(), 1, composite=composite)
    torch.testing.assert_close(found.relevance.double(), expected.relevance, rtol=1e-5, atol=1e-7)


# -- dtypes ----------------------------------------------------------------------------------------------------------


def float32(net):
    return copy.deepcopy(net).float()


@pytest.mark.parametrize("composite", PRESETS)
def test_float32_is_close_to_float64(composite):
    exact = sx.explain(IMAGE_NET, IMAGES, 1, composite=composite).relevance
    found = sx.explain(float32(IMAGE_NET), IMAGES.float(), 1, composite=composite).relevance
    assert found.dtype == torch.float32
    assert (found - exact).abs().max() < 1e-4 * exact.abs().max()


@pytest.mark.parametrize("ledger", [False, True])
@pytest.mark.parametrize("composite", PRESETS)
def test_autocast(composite, ledger):
    net = float32(IMAGE_NET)
    full = sx.explain(net, IMAGES.float(), 1, composite=composite).relevance
    with torch.autocast("cpu", torch.bfloat16):
        e = sx.explain(net, IMAGES.float(), 1, composite=composite, ledger=ledger)
    assert e.relevance.dtype == torch.float32
    assert torch.corrcoef(torch.stack([full.flatten(), e.relevance.flatten()]))[0, 1] > 0.99


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("composite", PRESETS)
def test_half_precision(composite, dtype):
    full = sx.explain(IMAGE_NET, IMAGES, 1, composite=composite).relevance
    e = sx.explain(copy.deepcopy(IMAGE_NET).to(dtype), IMAGES.to(dtype), 1, composite=composite, ledger=True)
    assert e.relevance.dtype == dtype and e.relevance.isfinite().all() and e.ledger.gap.isfinite().all()
    assert torch.corrcoef(torch.stack([full.flatten(), e.relevance.flatten().double()]))[0, 1] > 0.9


# -- errors ----------------------------------------------------------------------------------------------------------

NAN, INF = A.clone(), A.clone()
NAN[1, 2] = NAN[3, 0] = torch.nan
INF[0, 0] = torch.inf
ERRORS = {
    "no tensor": (lambda a: "cat", A, {}, sx.ModelError, "returned str without a tensor"),
    "nothing": (lambda a: None, A, {}, sx.ModelError, "returned NoneType without a tensor"),
    "tuple of nothing": (lambda a: (1, None), A, {}, sx.ModelError, "returned tuple without a tensor"),
    "empty dict": (lambda a: {"x": 1}, A, {}, sx.ModelError, "returned dict without a tensor"),
    "several in a dict": (lambda a: {"p": a, "q": a}, A, {}, sx.ModelError, r"the tensors \['p', 'q'\]; say which"),
    "integer output": (lambda a: NET(a).argmax(1), A, {}, sx.ModelError, "a tensor of torch.int64; expected float"),
    "truth values": (lambda a: NET(a) > 0, A, {}, sx.ModelError, "a tensor of torch.bool; expected floating"),
    "NaN output": (lambda a: NET(a) / 0 * 0, A, {}, sx.ModelError, r"output is NaN or infinite .* \[0, 1, 2, 3\]"),
    "one NaN output": (
        lambda a: NET(a) / torch.tensor([[1.0], [0.0], [1.0], [1.0]]), A, {"target": lambda y: y[:, 0]}, sx.ModelError,
        r"output is NaN or infinite for the samples \[1\]",
    ),
    "detached": (lambda a: NET(a.detach()), A, {}, sx.ModelError, "does not depend on the input"),
    "constant": (lambda a: HEAD.weight, A, {}, sx.ModelError, "does not depend on the input"),
    "through numpy": (
        lambda a: NET(torch.from_numpy(a.detach().numpy())), A, {}, sx.ModelError, "does not depend on the input",
    ),
    "under no_grad": (torch.no_grad()(NET.forward), A, {"on_unknown": "gradient"}, sx.ModelError, "does not depend"),
    "no model": ("resnet50", A, {}, sx.ModelError, "model is str; expected a torch module or another callable"),
    "NaN": (NET, NAN, {}, sx.InputError, r"The input of shape \(4, 5\) has 2 values that are NaN or infinite"),
    "infinite": (two, (A, INF), {}, sx.InputError, r"The input '1' of shape \(4, 5\) has 1 values"),
    "NaN in a dict": (two, {"a": NAN, "b": A}, {}, sx.InputError, r"The input 'a' of shape \(4, 5\) has 2 values"),
    "integers": (
        lambda t: NET(A[:2] * (t[:, :1] > 2)), TOKENS, {}, sx.InputError,
        r"The input is integer and meets no embedding: input \(\(2, 4\), torch.int64\)",
    ),
    "no input": (NET, (), {}, sx.InputError, r"inputs \(tuple\) has no tensor to explain"),
    "list of numbers": (NET, [1.0, 2.0], {}, sx.InputError, r"inputs \(tuple\) has no tensor to explain"),
    "array": (NET, A.numpy(), {}, sx.InputError, "inputs is ndarray; expected a tensor"),
    "None": (NET, None, {}, sx.InputError, "inputs is NoneType; expected a tensor"),
    "empty batch": (NET, A[:0], {}, sx.InputError, "The batch is empty"),
    "batch_size": (NET, A, {"batch_size": 0}, sx.InputError, "batch_size=0: expected a positive number"),
    "layer": (NET, A, {"layers": ["0", "fc"]}, sx.InputError, r"layers=\['fc'\]: no module of that name"),
    "layer of a function": (two, (A, B), {"layers": ["fc"]}, sx.InputError, r"layers=\['fc'\]: no module"),
    "a sum over the batch": (lambda a: NET(a).sum(0), A, {"ledger": True, "target": 0}, sx.SciExplainError, "sample"),
    "method": (NET, A, {"method": "lpr"}, sx.RuleError, "No method 'lpr'; there are lrp, deeplift, deepshap, gradient"),
    "option": (NET, A, {"gamma": 1}, sx.RuleError, "has no option gamma"),
    "option of another method": (
        NET, A, {"method": "smoothgrad", "steps": 5}, sx.RuleError,
        "method='smoothgrad' has no option steps; it takes samples, noise, seed",
    ),
    "composite": (NET, A, {"composite": "epsilon_plus_flatt"}, sx.RuleError, "No composite 'epsilon_plus_flatt'"),
    "rule as composite": (NET, A, {"composite": Epsilon()}, sx.RuleError, "expected a Composite or the name"),
    "composite of a gradient": (
        NET, A, {"method": "gradient", "composite": "epsilon"}, sx.RuleError, "composite, ledger and layers belong",
    ),
    "ledger of a gradient": (NET, A, {"method": "gradient", "ledger": True}, sx.RuleError, 'belong to method="lrp"'),
    "layers of a gradient": (NET, A, {"method": "gradient", "layers": ["0"]}, sx.RuleError, 'belong to method="lrp"'),
    "on_unknown": (NET, A, {"on_unknown": "ignore"}, sx.RuleError, "on_unknown='ignore': expected"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    model, inputs, options, error, message = ERRORS[case]
    with pytest.raises(error, match=message) as caught:
        sx.explain(model, inputs, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients"])
@pytest.mark.parametrize("case", ["nothing", "integer output", "NaN output", "detached", "constant", "through numpy"])
def test_errors_of_other_methods(case, method):
    model, inputs, options, error, message = ERRORS[case]
    with pytest.raises(error, match=message):
        sx.explain(model, inputs, method=method, **options)


def test_errors_of_the_model_are_its_own():
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes") as caught:
        sx.explain(NET, A[:, :3])
    assert not isinstance(caught.value, sx.SciExplainError)
