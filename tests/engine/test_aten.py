"""torch's operators are its functions: other names, other argument orders, more results, the same relevance."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain.engine.handlers.operators import WRITTEN_OUT

aten = torch.ops.aten

C = 4
WEIGHT, BIAS, MEAN = sample(C, seed=2), sample(C, seed=3), sample(C, seed=4)
VAR, EPS = sample(C, seed=5).square() + 0.5, 1e-3
MATRIX, KERNEL = sample(5, 6, seed=6), sample(6, C, 3, 3, seed=7)
EXPERTS = sample(2, 8, 8, seed=9)
SQUARE, INDEX = sample(6, 6, seed=8), torch.tensor([2, 0, 0])
NORM = (WEIGHT, BIAS, MEAN, VAR)


def batch_norm(x):
    return F.batch_norm(x, MEAN, VAR, WEIGHT, BIAS, False, 0.1, EPS)


def group_norm(x):
    return F.group_norm(x, 2, WEIGHT, BIAS, EPS)


def layer_norm(x):
    return F.layer_norm(x, (6,), SQUARE[0], SQUARE[1], EPS)


def attention(x):
    return F.scaled_dot_product_attention(x, x + 1, x * 2)


def heads(x):
    return x, x + 1, x * 2


#: on an image (2, 4, 6, 6)
IMAGES = {
    "torch.batch_norm": (lambda x: torch.batch_norm(x, *NORM, False, 0.1, EPS, True), batch_norm),
    "torch.batch_norm by name": (
        lambda x: torch.batch_norm(
            input=x,
            running_var=VAR,
            running_mean=MEAN,
            bias=BIAS,
            weight=WEIGHT,
            training=False,
            momentum=0.1,
            eps=EPS,
            cudnn_enabled=False,
        ),
        batch_norm,
    ),
    "batch_norm": (lambda x: aten.batch_norm(x, *NORM, False, 0.1, EPS, True), batch_norm),
    "batch_norm.default": (lambda x: aten.batch_norm.default(x, *NORM, False, 0.1, EPS, False), batch_norm),
    "native_batch_norm": (lambda x: aten.native_batch_norm.default(x, *NORM, False, 0.1, EPS)[0], batch_norm),
    "torch.native_batch_norm": (lambda x: torch.native_batch_norm(x, *NORM, False, 0.1, EPS)[0], batch_norm),
    "_native_batch_norm_legit": (lambda x: aten._native_batch_norm_legit(x, *NORM, False, 0.1, EPS)[0], batch_norm),
    "_native_batch_norm_legit_no_training": (
        lambda x: aten._native_batch_norm_legit_no_training.default(x, *NORM, 0.1, EPS)[0],
        batch_norm,
    ),
    "torch.instance_norm": (
        lambda x: torch.instance_norm(x, WEIGHT, BIAS, MEAN, VAR, False, 0.1, EPS, True),
        lambda x: F.instance_norm(x, MEAN, VAR, WEIGHT, BIAS, False, 0.1, EPS),
    ),
    "instance_norm of the sample": (
        lambda x: aten.instance_norm(x, WEIGHT, BIAS, None, None, True, 0.1, EPS, True),
        lambda x: F.instance_norm(x, weight=WEIGHT, bias=BIAS, eps=EPS),
    ),
    "no_stats": (
        lambda x: aten._native_batch_norm_legit.no_stats(x.reshape(1, 8, 6, 6), None, None, True, 0.0, EPS)[0],
        lambda x: F.instance_norm(x, eps=EPS).reshape(1, 8, 6, 6),
    ),
    "group_norm": (lambda x: aten.group_norm(x, 2, WEIGHT, BIAS, EPS, True), group_norm),
    "native_group_norm": (lambda x: aten.native_group_norm(x, WEIGHT, BIAS, 2, C, 36, 2, EPS)[0], group_norm),
    "layer_norm": (lambda x: torch.layer_norm(x, (6,), SQUARE[0], SQUARE[1], EPS, True), layer_norm),
    "native_layer_norm": (lambda x: aten.native_layer_norm.default(x, [6], SQUARE[0], SQUARE[1], EPS)[0], layer_norm),
    "rms_norm": (
        lambda x: aten._fused_rms_norm(x, [6], SQUARE[0], EPS)[0],
        lambda x: F.rms_norm(x, (6,), SQUARE[0], EPS),
    ),
    "convolution": (
        lambda x: aten.convolution.default(x, KERNEL, MATRIX[0], [2, 1], [1, 0], [1, 1], False, [0, 0], 1),
        lambda x: F.conv2d(x, KERNEL, MATRIX[0], (2, 1), (1, 0)),
    ),
    "_convolution": (
        lambda x: aten._convolution(x, KERNEL, None, [2], [1], [1], False, [0], 1, False, False, True, True),
        lambda x: F.conv2d(x, KERNEL, stride=2, padding=1),
    ),
    "_convolution_mode": (
        lambda x: aten._convolution_mode(x, KERNEL, None, [1, 1], "same", [2, 2], 1),
        lambda x: F.conv2d(x, KERNEL, padding="same", dilation=2),
    ),
    "transposed convolution": (
        lambda x: aten.convolution(x, KERNEL[:4, :3], None, [2, 2], [1, 1], [1, 1], True, [1, 1], 1),
        lambda x: F.conv_transpose2d(x, KERNEL[:4, :3], None, 2, 1, 1),
    ),
    "conv2d.padding": (
        lambda x: aten.conv2d.padding(x, KERNEL, MATRIX[0], [1, 1], "valid"),
        lambda x: F.conv2d(x, KERNEL, MATRIX[0]),
    ),
    "max_pool2d_with_indices": (lambda x: aten.max_pool2d_with_indices(x, [2, 2])[0], lambda x: F.max_pool2d(x, 2)),
    "_adaptive_avg_pool2d": (
        lambda x: aten._adaptive_avg_pool2d(x, [2, 3]),
        lambda x: F.adaptive_avg_pool2d(x, (2, 3)),
    ),
    "upsample_nearest2d": (
        lambda x: aten.upsample_nearest2d.vec(x, None, [2.0, 2.0]),
        lambda x: F.interpolate(x, scale_factor=2),
    ),
    "upsample_bilinear2d": (
        lambda x: aten.upsample_bilinear2d(x, [9, 7], True),
        lambda x: F.interpolate(x, (9, 7), mode="bilinear", align_corners=True),
    ),
    "antialiased": (
        lambda x: aten._upsample_bilinear2d_aa(x, [3, 4], False),
        lambda x: F.interpolate(x, (3, 4), mode="bilinear", antialias=True),
    ),
    "native_dropout": (lambda x: aten.native_dropout(x, 0.5, False)[0], lambda x: x),
    "flash attention": (lambda x: aten._scaled_dot_product_flash_attention_for_cpu(*heads(x))[0], attention),
    "math attention": (lambda x: aten._scaled_dot_product_attention_math(*heads(x))[0], attention),
    "index": (lambda x: aten.index.Tensor(x, [None, INDEX]), lambda x: x[:, INDEX]),
    "slice": (lambda x: aten.slice.Tensor(x, 2, 1, 5, 2), lambda x: x[:, :, 1:5:2]),
    "select and stack": (
        lambda x: torch.stack([aten.select.int(x, 1, i) for i in (2, 0)]),
        lambda x: x[:, [2, 0]].transpose(0, 1),
    ),
    "pixel_shuffle": (lambda x: aten.pixel_shuffle(x, 2), lambda x: F.pixel_shuffle(x, 2)),
}

#: on a table (3, 6)
TABLES = {
    "linear": (lambda x: aten.linear(x, MATRIX, MATRIX[:, 0]), lambda x: F.linear(x, MATRIX, MATRIX[:, 0])),
    "addmm": (lambda x: aten.addmm.default(MATRIX[:, 0], x, MATRIX.t()), lambda x: F.linear(x, MATRIX, MATRIX[:, 0])),
    "torch.addmm by name": (
        lambda x: torch.addmm(input=MATRIX[:, 0], mat1=x, mat2=MATRIX.t()),
        lambda x: F.linear(x, MATRIX, MATRIX[:, 0]),
    ),
    "addmm in place": (
        lambda x: torch.zeros(3, 5).double().addmm_(x, MATRIX.t(), beta=0),
        lambda x: F.linear(x, MATRIX),
    ),
    "mm, view and add": (
        lambda x: aten.add.Tensor(aten._unsafe_view(aten.mm(x, MATRIX.t()), [3, 1, 5]), MATRIX[:, 0])[:, 0],
        lambda x: F.linear(x, MATRIX, MATRIX[:, 0]),
    ),
    "bmm, view and add": (
        lambda x: aten.bmm(x[:, None], MATRIX.t().expand(3, 6, 5)).view(3, 5) + MATRIX[:, 0],
        lambda x: F.linear(x, MATRIX, MATRIX[:, 0]),
    ),
    "_addmm_activation": (
        lambda x: aten._addmm_activation(MATRIX[:, 0], x, MATRIX.t()),
        lambda x: F.relu(F.linear(x, MATRIX, MATRIX[:, 0])),
    ),
    "_softmax": (lambda x: aten._softmax.default(x, 1, False), lambda x: F.softmax(x, 1)),
    "_safe_softmax": (lambda x: aten._safe_softmax(x, 1), lambda x: F.softmax(x, 1)),
    "torch.special.softmax": (lambda x: torch.special.softmax(x, 1), lambda x: F.softmax(x, 1)),
    "_log_softmax": (lambda x: aten._log_softmax(x, 1, False), lambda x: F.log_softmax(x, 1)),
    "_softmax as a gate": (lambda x: aten._softmax(x, 1, False) * x, lambda x: F.softmax(x, 1) * x),
    "special.expit as a gate": (lambda x: torch.special.expit(x) * x, F.silu),
    "log_sigmoid_forward": (lambda x: aten.log_sigmoid_forward(x)[0], F.logsigmoid),
    "mul.Scalar": (lambda x: aten.mul.Scalar(x, 3), lambda x: x * 3),
    "sub with alpha": (lambda x: aten.sub.Tensor(x, x.flip(1), alpha=2), lambda x: x - 2 * x.flip(1)),
    "rsub": (lambda x: aten.rsub.Scalar(x, 1.5), lambda x: 1.5 - x),
    "pow": (lambda x: aten.pow.Tensor_Scalar(x, 3), lambda x: x**3),
    "pow.Scalar": (lambda x: aten.pow.Scalar(2, x), lambda x: 2**x),
    "float_power": (lambda x: torch.float_power(x, 2), lambda x: x.square()),
    "true_divide": (lambda x: torch.true_divide(x, x.abs() + 1), lambda x: x / (x.abs() + 1)),
    "_to_copy": (lambda x: aten._to_copy(x, dtype=torch.float64), lambda x: x),
    "copy": (lambda x: aten.copy(torch.zeros(3, 6).double(), x), lambda x: x),
    "view_copy": (lambda x: aten.view_copy(x, [6, 3]).reshape(3, 6), lambda x: x),
    "hardtanh": (lambda x: aten.hardtanh(x, -0.5, 0.7), lambda x: F.hardtanh(x, -0.5, 0.7)),
    "clamp": (lambda x: torch.clip(x, -0.5, 0.7), lambda x: F.hardtanh(x, -0.5, 0.7)),
    "prelu": (lambda x: aten._prelu_kernel(x, SQUARE[:1, :1]), lambda x: F.prelu(x, SQUARE[0, :1])),
    "rrelu_with_noise": (
        lambda x: aten.rrelu_with_noise(x, torch.zeros(3, 6).double(), 0.1, 0.3),
        lambda x: F.leaky_relu(x, 0.2),
    ),
    "_cdist_forward": (
        lambda x: aten._cdist_forward(x, MATRIX, 2.0, 2),
        lambda x: torch.cdist(x, MATRIX, compute_mode="donot_use_mm_for_euclid_dist"),
    ),
    "grouped_mm": (
        lambda x: aten._grouped_mm(F.pad(x, (0, 2)).float(), EXPERTS.float(), torch.tensor([1, 3]).int()),
        lambda x: torch.cat([F.pad(x[:1], (0, 2)) @ EXPERTS[0], F.pad(x[1:], (0, 2)) @ EXPERTS[1]]),
    ),
    "in place": (lambda x: _in_place(x), lambda x: torch.lerp(x.flip(1).addcmul(x, x, value=0.5), x, 0.3)),
}


def _in_place(x):
    y = x.flip(1)
    y.addcmul_(x, x, value=0.5)
    return y.lerp_(x, 0.3)


CASES = {name: (pair, (2, C, 6, 6)) for name, pair in IMAGES.items()} | {n: (p, (3, 6)) for n, p in TABLES.items()}
PRESETS = ["epsilon", "attention", "epsilon_plus_flat"]


@pytest.mark.parametrize("composite", PRESETS)
@pytest.mark.parametrize("name", CASES)
def test_operators_are_functions(name, composite):
    """Behind a layer, so that BatchNorm and biases may be merged, and in front of one."""
    (operator, function), shape = CASES[name]
    inner = randomize(nn.Conv2d(2, C, 1) if len(shape) == 4 else nn.Linear(5, 6, bias=False))
    x = sample(shape[0], 2, *shape[2:]) if len(shape) == 4 else sample(3, 5)
    with torch.no_grad():
        values = function(inner(x))
        single = name == "grouped_mm"  # which torch has in float32 only
        torch.testing.assert_close(operator(inner(x)), values, check_dtype=False, **_tolerance(single))
    head = randomize(nn.Linear(values.numel() // len(values), 2), 3)

    def explained(operation):
        def model(x):
            return head(operation(inner(x)).double().flatten(1))

        target = torch.ones(len(values), 2).double()
        return sx.explain(model, x, target, composite=composite, on_unknown="error").relevance

    found, expected = explained(operator), explained(function)
    torch.testing.assert_close(found, expected, **_tolerance(single))
    assert expected.abs().max() > 0


def _tolerance(single):
    return {"rtol": 1e-3, "atol": 1e-4} if single else {"rtol": 1e-9, "atol": 1e-11}


class Block(nn.Module):
    """What decompositions touch: merged and lone norms, attention, gates, pooling, an LSTM, an embedding of places."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding="same"), nn.BatchNorm2d(8), nn.Hardswish())
        self.norm, self.squeeze = nn.GroupNorm(2, 8), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1))
        self.place = nn.Embedding(9, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, activation="gelu", norm_first=True)
        self.rnn, self.head = nn.GRU(8, 6, batch_first=True, bidirectional=True), nn.Linear(12, 3)

    def forward(self, x):
        x = self.stem(x)
        x = F.max_pool2d(self.norm(x) * torch.sigmoid(self.squeeze(x)), 2)
        x = F.interpolate(x, (3, 3), mode="bilinear").flatten(2).transpose(1, 2)
        x = self.encoder(x + self.place(torch.arange(9)))
        return self.head(self.rnn(x)[0].mean(1)).softmax(-1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("composite", PRESETS)
def test_programs_are_their_models(composite, decomposed):
    net, x = randomize(Block()), sample(2, 3, 8, 8)
    program = torch.export.export(net, (x,), strict=False)
    program = program.run_decompositions() if decomposed else program
    expected = sx.explain(net, x, 1, composite=composite, on_unknown="error")
    found = sx.explain(program.module(), x, 1, composite=composite, on_unknown="error")
    torch.testing.assert_close(found.score, expected.score, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("shape", [(6,), (6, 6), (C, 6, 6)])
def test_statistics_beside_a_layer_norm_are_torch_s(shape):
    x, weight, bias = sample(3, C, 6, 6), sample(*shape, seed=1), sample(*shape, seed=2)
    given = (x, list(shape), weight, bias, EPS)
    torch.testing.assert_close(WRITTEN_OUT["native_layer_norm"](*given), aten.native_layer_norm(*given))


def test_statistics_beside_a_group_norm_are_torch_s():
    given = (sample(3, C, 6, 6), sample(C, seed=1), sample(C, seed=2), 3, C, 36, 2, EPS)
    torch.testing.assert_close(WRITTEN_OUT["native_group_norm"](*given), aten.native_group_norm(*given))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("a", "b", "ends"),
    [
        ((7, 4), (2, 4, 3), [2, 6]),  # rows, the last of no group
        ((2, 5, 4), (4, 7), [3, 7]),  # columns
        ((5, 7), (7, 3), [3, 7]),  # what they are summed over
        ((2, 5, 4), (2, 4, 3), None),
    ],
)
def test_grouped_products_by_hand(a, b, ends, bias):
    a, b = sample(*a), sample(*b, seed=1)
    starts = [0, *(ends or [])]
    spans = list(pairwise(starts))
    if ends is None:
        expected = a @ b
    elif a.ndim == b.ndim == 2:
        expected = torch.stack([a[:, i:j] @ b[i:j] for i, j in spans])
    elif a.ndim == 2:
        expected = torch.cat([*(a[i:j] @ b[k] for k, (i, j) in enumerate(spans)), a.new_zeros(len(a) - ends[-1], 3)])
    else:
        expected = torch.cat([a[k] @ b[:, i:j] for k, (i, j) in enumerate(spans)], -1)
    more = sample(expected.shape[-1], seed=2) if bias else None
    offs = None if ends is None else torch.tensor(ends)
    found = WRITTEN_OUT["_grouped_mm"](a, b, offs, more)
    torch.testing.assert_close(found, expected if more is None else expected + more)
    single = WRITTEN_OUT["_grouped_mm"](a, b, offs, more, torch.float32)
    assert found.dtype == torch.float64 and single.dtype == torch.float32
    torch.testing.assert_close(single, found.float())
