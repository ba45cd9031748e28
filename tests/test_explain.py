"""One call for every model: its inputs, outputs, batches, dtypes and errors."""

import copy
import typing

import pytest
import torch
import torch.nn.functional as F
from explained_networks import (
    CLASSES,
    HEAD,
    IMAGE_NET,
    IMAGES,
    LAYER,
    LRP0,
    NET,
    PRESETS,
    TOKENS,
    A,
    B,
    close,
    input_x_gradient,
    two,
)
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain.rules import Epsilon

# -- inputs ----------------------------------------------------------------------------------------------------------


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
