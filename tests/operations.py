"""Operations between two layers, by name: tables that several tests share."""

import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

MASK = torch.tensor([True, False, True, True, False, True])
INDEX = torch.tensor([[0, 2, 1, 5], [3, 3, 0, 4], [5, 1, 2, 2]])
WEIGHT = sample(6, 6, seed=2)

#: operation between two layers, on a tensor (3, 6); none of them adds a constant
CONSERVING = {
    "view": lambda x: x.view(3, 2, 3),
    "reshape": lambda x: torch.reshape(x, (6, 3)).reshape(3, 6),
    "T": lambda x: x.T.T,
    "mT": lambda x: x.mT.mT,
    "permute": lambda x: x.view(3, 2, 3).permute(0, 2, 1),
    "flatten": lambda x: x.view(3, 2, 3).flatten(1),
    "unflatten": lambda x: x.unflatten(1, (3, 2)),
    "squeeze": lambda x: x.unsqueeze(1).squeeze(1),
    "getitem": lambda x: x[:, [0, 3, 3]],
    "getitem mask": lambda x: x[:, MASK],
    "index_select": lambda x: x.index_select(1, torch.tensor([5, 0, 0])),
    "gather": lambda x: x.gather(1, INDEX),
    "take_along_dim": lambda x: torch.take_along_dim(x, INDEX, 1),
    "scatter": lambda x: torch.zeros(3, 6).double().scatter(1, INDEX.sort(1)[1][:, :3], x[:, :3]),
    "scatter_add": lambda x: torch.zeros(3, 6).double().scatter_add(1, INDEX, x[:, :4]),
    "index_add": lambda x: torch.zeros(3, 6).double().index_add(1, torch.tensor([0, 0, 4]), x[:, :3]),
    "scatter_reduce": lambda x: torch.zeros(3, 6).double().scatter_reduce(1, INDEX, x[:, :4], "sum"),
    "chunk and cat": lambda x: torch.cat(torch.chunk(x, 3, 1)[::-1], 1),
    "split and stack": lambda x: torch.stack(x.split(3, 1), 1),
    "tensor_split": lambda x: torch.cat(torch.tensor_split(x, 4, 1), 1),
    "unbind": lambda x: torch.stack(x.unbind(1)[1:], 1),
    "hstack": lambda x: torch.hstack([x, x * 2]),
    "repeat": lambda x: x.repeat(1, 2),
    "tile": lambda x: torch.tile(x, (1, 2)),
    "expand": lambda x: x.unsqueeze(1).expand(3, 4, 6),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
    "roll and flip": lambda x: x.roll(2, 1).flip(1),
    "tril": lambda x: torch.tril(x),
    "diagonal": lambda x: x.view(3, 2, 3).diagonal(dim1=1, dim2=2),
    "where zero": lambda x: torch.where(MASK, x, 0.0),
    "masked_fill": lambda x: x.masked_fill(MASK, 0.0),
    "pad": lambda x: F.pad(x, (1, 2)),
    "pad reflect": lambda x: F.pad(x[:, None], (2, 1), mode="reflect"),
    "pad circular": lambda x: F.pad(x[:, None], (2, 1), mode="circular"),
    "pad replicate": lambda x: F.pad(x[:, None], (2, 1), mode="replicate"),
    "unfold": lambda x: x.unfold(1, 3, 2),
    "F.unfold": lambda x: F.unfold(x.view(3, 1, 2, 3), 2),
    "F.fold": lambda x: F.fold(x[:, :4, None].repeat(1, 1, 2), (2, 3), 2),
    "pixel_shuffle": lambda x: F.pixel_shuffle(torch.cat([x, -x], 1).view(3, 4, 1, 3), 2),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(torch.cat([x, -x], 1).view(3, 1, 2, 6), 2),
    "channel_shuffle": lambda x: F.channel_shuffle(x.view(3, 6, 1, 1), 2),
    "clone and contiguous": lambda x: x.t().contiguous().t().clone(),
    "neg": lambda x: -x,
    "add signals": lambda x: x + x[:, [0]],
    "sub signals": lambda x: torch.sub(x, x.roll(1, 1), alpha=2),
    "in-place add": lambda x: x.clone().add_(x),
    "in-place residual": lambda x: F.linear(x, WEIGHT).add_(x),
    "times constant": lambda x: 2 * x * WEIGHT[0] / 3,
    "times constant in place": lambda x: x.clone().mul_(WEIGHT[0]).div_(2),
    "product of signals": lambda x: x * x.roll(1, 1),
    "square by product": lambda x: x * x,
    "quotient of signals": lambda x: x / (x.roll(1, 1).abs() + 1),
    "matmul of signals": lambda x: x.view(3, 2, 3) @ x.view(3, 3, 2),
    "bmm of signals": lambda x: torch.bmm(x.view(3, 2, 3), x.view(3, 3, 2)),
    "einsum of signals": lambda x: torch.einsum("ni,nj->nij", x, x),
    "einsum of three": lambda x: torch.einsum("ni,nj,nk->nijk", x, x, x),
    "bilinear of signals": lambda x: F.bilinear(x, x, WEIGHT.view(1, 6, 6).repeat(2, 1, 1)),
    "cosine_similarity": lambda x: F.cosine_similarity(x.view(3, 2, 3), x.view(3, 2, 3).roll(1, 2), dim=1),
    "prod": lambda x: x.view(3, 2, 3).prod(1),
    "sum": lambda x: x.view(3, 2, 3).sum(1),
    "mean": lambda x: x.view(3, 2, 3).mean((2,)),
    "cumsum": lambda x: x.cumsum(1),
    "var": lambda x: x.view(3, 2, 3).var(2),
    "var_mean": lambda x: torch.cat(torch.var_mean(x, 1, keepdim=True), 1),
    "std": lambda x: x.view(3, 2, 3).std(2),
    "norm": lambda x: x.view(3, 2, 3).norm(dim=2),
    "vector_norm": lambda x: torch.linalg.vector_norm(x.view(3, 2, 3), ord=3, dim=2),
    "normalize": lambda x: F.normalize(x, dim=1),
    "max": lambda x: x.view(3, 2, 3).max(2).values,
    "amax": lambda x: x.view(3, 2, 3).amax(2),
    "min": lambda x: torch.min(x.view(3, 2, 3), dim=2)[0],
    "maximum of signals": lambda x: torch.maximum(x, x.roll(1, 1)),
    "sort": lambda x: x.sort(1).values,
    "topk": lambda x: x.topk(3, dim=1).values,
    "median": lambda x: x.view(3, 2, 3).median(2).values,
    "cummax": lambda x: x.cummax(1).values,
    "max_pool1d": lambda x: F.max_pool1d(x[:, None], 3, 1, padding=1),
    "max_pool1d with indices": lambda x: F.max_pool1d(x[:, None], 2, return_indices=True)[0],
    "max_pool2d": lambda x: F.max_pool2d(x.view(3, 1, 2, 3), 2, 1),
    "max_pool3d": lambda x: F.max_pool3d(x.view(3, 1, 1, 2, 3), (1, 2, 2), 1),
    "avg_pool1d": lambda x: F.avg_pool1d(x[:, None], 2),
    "avg_pool2d": lambda x: F.avg_pool2d(x.view(3, 1, 2, 3), 2, 1, padding=1, count_include_pad=False),
    "avg_pool3d": lambda x: F.avg_pool3d(x.view(3, 1, 1, 2, 3), (1, 2, 2), 1),
    "adaptive_avg_pool": lambda x: F.adaptive_avg_pool2d(x.view(3, 1, 2, 3), (1, 2)),
    "adaptive_max_pool": lambda x: F.adaptive_max_pool1d(x[:, None], 4),
    "lp_pool1d": lambda x: F.lp_pool1d(x[:, None], 2, 2),
    "lp_pool2d": lambda x: F.lp_pool2d(x.view(3, 1, 2, 3).abs(), 3, 2, 1),
    "max_unpool": lambda x: F.max_unpool1d(*F.max_pool1d(x[:, None], 2, return_indices=True), 2),
    "interpolate nearest": lambda x: F.interpolate(x[:, None], scale_factor=2),
    "interpolate bilinear": lambda x: F.interpolate(x.view(3, 1, 2, 3), (5, 4), mode="bilinear"),
    "interpolate bicubic": lambda x: F.interpolate(x.view(3, 1, 2, 3), (5, 4), mode="bicubic", align_corners=True),
    "upsample": lambda x: nn.Upsample(scale_factor=2, mode="linear")(x[:, None]),
    "grid_sample": lambda x: F.grid_sample(x.view(3, 1, 2, 3), sample(3, 2, 2, 2).clamp(-1, 1), align_corners=False),
    "grid_sample by the signal": lambda x: F.grid_sample(
        x.view(3, 1, 2, 3), torch.tanh(x.view(3, 1, 3, 2)), align_corners=True
    ),
    "relu": F.relu,
    "relu_": lambda x: x.clone().relu_(),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "prelu": lambda x: F.prelu(x, torch.tensor([0.3]).double()),
    "rrelu": lambda x: F.rrelu(x),
    "abs": torch.abs,
    "clamp at 0": lambda x: x.clamp(min=0),
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "silu in place": lambda x: F.silu(x.clone(), inplace=True),
    "mish": F.mish,
    "elu": F.elu,
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 2.0),
    "hardswish": lambda x: F.hardswish(x.clone(), True),
    "hardtanh": F.hardtanh,
    "relu6": F.relu6,
    "softsign": F.softsign,
    "tanhshrink": F.tanhshrink,
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
    "threshold at 0": lambda x: F.threshold(x, 0.0, 0.0),
    "square": torch.square,
    "power": lambda x: x**3,
    "pow_": lambda x: x.clone().pow_(2),
    "sqrt": lambda x: x.abs().sqrt(),
    "sin": torch.sin,
    "expm1": torch.expm1,
    "log1p": lambda x: torch.log1p(x.abs()),
    "erf": torch.erf,
    "sigmoid gate": lambda x: x * torch.sigmoid(x.roll(1, 1)),
    "softmax gate": lambda x: x * torch.softmax(x.roll(1, 1), 1),
    "glu": lambda x: F.glu(x),
    "gate through views": lambda x: x.view(3, 2, 3) * torch.sigmoid(x[:, :3]).unsqueeze(1).expand(3, 2, 3),
    "one minus gate": lambda x: x * (1 - torch.sigmoid(x.roll(1, 1))),
    "dropout": lambda x: F.dropout(x, 0.5, training=False),
    "dropout in training": lambda x: F.dropout(x, 0.5, training=True),
    "layer_norm": lambda x: F.layer_norm(x, (6,), eps=0.0),
    "layer_norm by hand": lambda x: (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 1e-5).sqrt(),
    "layer_norm by rsqrt": lambda x: (x - x.mean(1, keepdim=True)) * torch.rsqrt(x.var(1, keepdim=True) + 1e-5),
    "rms_norm": lambda x: F.rms_norm(x, (6,)),
    "rms_norm by hand": lambda x: x * x.pow(2).mean(1, keepdim=True).add(1e-6).rsqrt() * WEIGHT[0],
    "group_norm": lambda x: F.group_norm(x.view(3, 6, 1), 2, WEIGHT[0]),
    "instance_norm": lambda x: F.instance_norm(x.view(3, 2, 3)),
    "local_response_norm": lambda x: F.local_response_norm(x[:, :, None], 3),
    "set item": lambda x: _set_item(x),
    "lerp of signals": lambda x: torch.lerp(x, x.roll(1, 1), 0.3),
    "addcmul of signals": lambda x: torch.addcmul(x, x.roll(1, 1), x.roll(2, 1), value=0.5),
    "attention": lambda x: F.scaled_dot_product_attention(x.view(3, 2, 3), x.view(3, 2, 3), x.view(3, 2, 3)),
    "causal attention": lambda x: F.scaled_dot_product_attention(*(x.view(3, 2, 3),) * 3, is_causal=True),
    "zero_": lambda x: _zeroed(x),
}  # fmt: skip

#: these mix a constant in, or have f(0) ≠ 0: its share is booked as bias
ABSORBING = {
    "add constant": lambda x: x + 0.7,
    "constant minus": lambda x: 1.3 - x,
    "add tensor": lambda x: x + WEIGHT[:3],
    "cat constant": lambda x: torch.cat([x, WEIGHT[:3]], 1),
    "where constant": lambda x: torch.where(MASK, x, 2.0),
    "masked_fill constant": lambda x: x.masked_fill(MASK, 1.5),
    "pad constant": lambda x: F.pad(x, (1, 1), value=0.4),
    "maximum constant": lambda x: torch.maximum(x, torch.tensor(0.2)),
    "sigmoid": torch.sigmoid,
    "hardsigmoid": F.hardsigmoid,
    "softplus": F.softplus,
    "logsigmoid": F.logsigmoid,
    "exp": torch.exp,
    "cos": torch.cos,
    "clamp": lambda x: x.clamp(0.3, 0.9),
    "softmax": lambda x: F.softmax(x, 1),
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "logsumexp": lambda x: x.view(3, 2, 3).logsumexp(2),
    "layer_norm with bias": lambda x: F.layer_norm(x, (6,), WEIGHT[0], WEIGHT[1]),
    "group_norm with bias": lambda x: F.group_norm(x.view(3, 6, 1), 3, WEIGHT[0], WEIGHT[1]),
    "full_": lambda x: _filled(x),
}


def _set_item(x):
    y = torch.zeros(3, 8, dtype=x.dtype)
    y[:, 1:7] = x
    y[:, 0] = x[:, 0] * 2
    y[:, 1] += x[:, 5]
    return y


def _zeroed(x):
    y = x.clone()
    y[:, 2:4].zero_()
    return y


def _filled(x):
    y = x.clone()
    y[:, 2:4].fill_(0.5)
    return y


class Net(nn.Module):
    """A layer, the operation, a layer: relevance must come through both ways."""

    def __init__(self, operation, bias):
        super().__init__()
        self.operation = operation
        self.inner = randomize(nn.Linear(5, 6, bias=bias))
        width = operation(self.inner(sample(3, 5))).flatten(1).shape[1]
        self.head = randomize(nn.Linear(width, 2, bias=bias), 1)

    def forward(self, x):
        return self.head(self.operation(self.inner(x)).flatten(1))


def batchwise(operation):
    """The ledger runs samples one by one; an operation written for three samples gets three."""
    return lambda x: operation(x.expand(3, *x.shape[1:]) if len(x) == 1 else x)[:1]


SPELLINGS = {
    "relu": [F.relu, torch.relu, lambda x: x.relu(), nn.ReLU(), lambda x: F.relu(x, True), lambda x: x.relu_(),
             lambda x: torch.relu_(x), torch.ops.aten.relu, torch.ops.aten.relu.default, lambda x: x.clamp(min=0),
             lambda x: torch.clamp_min(x, 0), lambda x: torch.where(x > 0, x, 0.0)],
    "sigmoid": [F.sigmoid, torch.sigmoid, lambda x: x.sigmoid(), nn.Sigmoid(), lambda x: x.sigmoid_(),
                torch.special.expit],
    "silu": [F.silu, nn.SiLU(), nn.SiLU(inplace=True), lambda x: x * torch.sigmoid(x), lambda x: x * x.sigmoid()],
    "softmax": [lambda x: F.softmax(x, 1), lambda x: x.softmax(1), nn.Softmax(1), lambda x: torch.softmax(x, 1)],
    "add": [lambda x: x + 1, lambda x: torch.add(x, 1), lambda x: 1 + x, lambda x: x.add(1), lambda x: x.add_(1)],
    "mul": [lambda x: x * x.roll(1, 1), lambda x: torch.mul(x, x.roll(1, 1)), lambda x: x.mul(x.roll(1, 1)),
            lambda x: torch.einsum("ni,ni->ni", x, x.roll(1, 1)), lambda x: x.mul_(x.roll(1, 1))],
    "div": [lambda x: x / 3, lambda x: torch.true_divide(x, 3), lambda x: x.div_(3), lambda x: x * (1 / 3)],
    "square": [lambda x: x**2, torch.square, lambda x: x.pow(2), lambda x: x * x, lambda x: x.pow_(2)],
}  # fmt: skip
