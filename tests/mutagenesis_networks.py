"""Small networks of every kind that mutagenesis meets, and every substitution run in full, one at a time."""

import torch
import torch.nn.functional as F
from _networks import DanQ, Enformer
from torch import nn

LENGTH = 60


def sequences(n=1, length=LENGTH, seed=0, channels=4):
    """Random letters; further channels of random numbers."""
    generator = torch.Generator().manual_seed(seed)
    letters = F.one_hot(torch.randint(4, (n, length), generator=generator), 4).transpose(1, 2).double()
    extra = torch.randn(n, channels - 4, length, generator=generator, dtype=torch.double)
    return torch.cat([letters, extra], 1)


def brute_force(model, x, score):
    """(N, 4, L): every substituted sequence in full; ``score`` from the output and the number of the sequence."""
    found = torch.zeros(len(x), 4, x.shape[2], dtype=x.dtype)
    with torch.no_grad():
        for n, one in enumerate(x):
            changed = one.repeat(4, x.shape[2], 1, 1)
            for position in range(x.shape[2]):
                changed[:, position, :4, position] = torch.eye(4, dtype=x.dtype)
            scores = score(model(changed.flatten(0, 1)), n).view(4, -1) - score(model(one[None].clone()), n)
            there = (one[:4] == 1) & ((one[:4] != 0).sum(0) == 1)
            found[n] = torch.where(there, 0, scores)
    return found


def randomized(model):
    """Double precision, statistics and weights that hide no mistake, evaluation mode."""
    generator = torch.Generator().manual_seed(1)
    model = model.double().eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.normal_(std=0.5, generator=generator)
    return model


class Function(nn.Module):
    """A forward pass written out, with the modules that it uses."""

    def __init__(self, forward, **modules):
        super().__init__()
        self.body = forward
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.body(self, x)


def head(channels, *pool):
    return nn.Sequential(*(pool or (nn.AdaptiveAvgPool1d(1),)), nn.Flatten(), nn.Linear(channels, 3))


def conv(*layers, channels=6):
    return nn.Sequential(*layers, nn.ReLU(), head(channels))


def residual(m, x):
    x = F.relu(m.first(x))
    for layer in (m.second, m.third):
        x = x + F.relu(layer(x))
    return m.head(x)


def in_place(m, x):
    y = F.relu(m.first(x), inplace=True)
    z = m.second(y)
    z += y
    z.mul_(0.5).relu_()
    return m.head(z)


def functional(m, x):
    """Normalisation, gating and pooling by hand."""
    x = F.gelu(F.conv1d(x, m.first.weight, stride=2))
    x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 1e-3).sqrt()
    x = x * torch.sigmoid(m.second(x)) * 2 - 1
    x = F.avg_pool1d(F.pad(x, (2, 1)), 3, 2)
    return m.head.flat(torch.cat([x.amax(-1), x.sum(dim=2)], 1))


def dense_skip(m, x):
    y = F.relu(m.first(x))
    z = F.elu(m.second(y))
    return m.head(torch.cat([y, z, torch.ones_like(y[:, :1])], 1)[:, :, 3:-4])


def both_strands(m, x):
    return m.body_(x) + m.body_(x.flip(-1)[:, [3, 2, 1, 0]])


def positional(m, x):
    x = m.first(x).transpose(1, 2)
    x = m.norm(x + m.positions.weight[None])
    return m.last((F.silu(m.mix(x)) @ m.mix.weight.t()).mean(1))


def torch7(m, x):
    """DeepSEA's manner: images (N, 4, 1, L)."""
    x = F.relu(m.first(x.unsqueeze(2)))
    x = F.max_pool2d(x, (1, 4), (1, 4))
    return m.last(F.relu(m.second(x)).reshape(x.shape[0], -1))


def tall(m, x):
    """Images (N, 1, 4, L) whose first kernel is as high as the alphabet."""
    return m.head(F.relu(m.first(x[:, None])).squeeze(2))


def squeeze_excite(m, x):
    x = F.relu(m.first(x))
    return m.head(x * torch.sigmoid(m.gate(x.mean(2)))[:, :, None])


def last_hidden(m, x):
    _, state = m.rnn(m.first(x).permute(2, 0, 1))
    return m.last(torch.cat(list(state[0] if isinstance(state, tuple) else state), 1))


def two_outputs(m, x):
    x = F.relu(m.first(x))
    return {"profile": m.second(x), "counts": m.head(x)}


def attention(m, x):
    x = m.first(x).transpose(1, 2)
    return m.last(F.max_pool1d((x + m.attend(x, x, x)[0]).transpose(1, 2), 4).mean(2))


def tokens(m, x):
    return m.head(m.embed(x[:, :4].argmax(1)).transpose(1, 2))


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


def with_function(m, x):
    return m.head(Doubled.apply(m.first(x)))


def pooled(*layers, channels=8, length=None):
    body = nn.Sequential(nn.Conv1d(4, channels, 5), nn.ReLU(), *layers)
    flat = body.double()(torch.zeros(1, 4, LENGTH).double()).numel()
    return nn.Sequential(body, nn.Flatten(), nn.Linear(flat, 3))


TABLE = {
    "plain": lambda: conv(nn.Conv1d(4, 6, 7)),
    "stride": lambda: conv(nn.Conv1d(4, 6, 7, stride=3, padding=2), nn.ReLU(), nn.Conv1d(6, 6, 4, stride=2)),
    "wide stride": lambda: conv(nn.Conv1d(4, 6, 3, stride=5)),
    "same and dilated": lambda: conv(
        nn.Conv1d(4, 9, 5, padding="same"), nn.Conv1d(9, 6, 3, padding="same", dilation=4)
    ),
    "even same": lambda: conv(nn.Conv1d(4, 6, 4, padding="same")),
    "grouped": lambda: conv(nn.Conv1d(4, 8, 3, groups=2, padding=1), nn.Conv1d(8, 8, 5, groups=8), channels=8),
    "circular": lambda: conv(nn.Conv1d(4, 6, 5, padding=2, padding_mode="circular")),
    "reflect": lambda: conv(nn.Conv1d(4, 6, 5), nn.Conv1d(6, 6, 5, padding=2, padding_mode="reflect")),
    "many channels": lambda: conv(nn.Conv1d(4, 16, 19), nn.ReLU(), nn.Conv1d(16, 12, 11), channels=12),
    "basset": lambda: pooled(nn.BatchNorm1d(8), nn.MaxPool1d(3), nn.Conv1d(8, 8, 5), nn.ReLU(), nn.MaxPool1d(4)),
    "ceiling": lambda: pooled(
        nn.MaxPool1d(5, 3, padding=2, ceil_mode=True), nn.AvgPool1d(4, 3, padding=1, ceil_mode=True)
    ),
    "dilated maximum": lambda: pooled(
        nn.MaxPool1d(3, 2, dilation=2), nn.AvgPool1d(3, padding=1, count_include_pad=False)
    ),
    "adaptive": lambda: pooled(nn.AdaptiveMaxPool1d(14), nn.AdaptiveAvgPool1d(7), nn.AdaptiveMaxPool1d(5)),
    "global maximum": lambda: nn.Sequential(nn.Conv1d(4, 6, 7, padding=3), head(6, nn.AdaptiveMaxPool1d(1))),
    "flat": lambda: pooled(nn.Dropout(0.5), nn.Tanh()),
    "residual": lambda: Function(
        residual, first=nn.Conv1d(4, 9, 9, padding=4), second=nn.Conv1d(9, 9, 3, padding=4, dilation=4),
        third=nn.Conv1d(9, 9, 3, padding=16, dilation=16), head=head(9),
    ),
    "in place": lambda: Function(
        in_place, first=nn.Conv1d(4, 9, 9), second=nn.Conv1d(9, 9, 3, padding=1), head=head(9)
    ),
    "functional": lambda: Function(
        functional, first=nn.Conv1d(4, 9, 8), second=nn.Conv1d(9, 9, 1),
        head=nn.ModuleDict({"flat": nn.Linear(18, 3)}),
    ),
    "concatenated": lambda: Function(
        dense_skip, first=nn.Conv1d(4, 9, 9, padding=4), second=nn.Conv1d(9, 5, 3, padding=1), head=head(15)
    ),
    "both strands": lambda: Function(both_strands, body_=pooled(nn.MaxPool1d(4))),
    "positions": lambda: Function(
        positional, first=nn.Conv1d(4, 9, 9, padding=4), norm=nn.LayerNorm(9), mix=nn.Linear(9, 9),
        positions=nn.Embedding(LENGTH, 9), last=nn.Linear(9, 3),
    ),
    "softmax and gates": lambda: conv(
        nn.Conv1d(4, 12, 5), nn.PReLU(12), nn.GLU(1), nn.Softmax(1), nn.Conv1d(6, 6, 3), nn.Softplus()
    ),
    "statistics of positions": lambda: conv(nn.Conv1d(4, 6, 5), nn.InstanceNorm1d(6), nn.GroupNorm(2, 6)),
    "squeeze and excite": lambda: Function(
        squeeze_excite, first=nn.Conv1d(4, 6, 5), gate=nn.Linear(6, 6), head=head(6)
    ),
    "torch7": lambda: Function(
        torch7, first=nn.Conv2d(4, 9, (1, 8)), second=nn.Conv2d(9, 9, (1, 3)), last=nn.Linear(99, 3)
    ),
    "tall kernel": lambda: Function(tall, first=nn.Conv2d(1, 9, (4, 8)), head=head(9)),
    "two outputs": lambda: Function(
        two_outputs, first=nn.Conv1d(4, 9, 5), second=nn.Conv1d(9, 1, 15), head=head(9)
    ),
    "danq": lambda: DanQ(),
    "gru": lambda: Function(last_hidden, first=nn.Conv1d(4, 6, 5), rnn=nn.GRU(6, 5), last=nn.Linear(5, 3)),
    "two layers, both ways": lambda: Function(
        last_hidden, first=nn.Conv1d(4, 6, 5), rnn=nn.LSTM(6, 5, 2, bidirectional=True), last=nn.Linear(20, 3)
    ),
    "attention": lambda: Function(
        attention, first=nn.Conv1d(4, 8, 5), attend=nn.MultiheadAttention(8, 2, batch_first=True), last=nn.Linear(8, 3)
    ),
    "enformer": lambda: Enformer(length=LENGTH),
    "own gradient": lambda: Function(with_function, first=nn.Conv1d(4, 6, 5), head=head(6)),
    "tokens": lambda: Function(tokens, embed=nn.Embedding(4, 6), head=conv(nn.Conv1d(6, 6, 5))),
}  # fmt: skip


#: Operations that are given all positions, where there are any.
WHOLE = {
    "even same": {"conv1d"},
    "circular": {"pad"},
    "reflect": {"pad"},
    "adaptive": {"adaptive_max_pool1d"},
    "statistics of positions": {"instance_norm"},
    "squeeze and excite": {"mul"},
    "two outputs": {"logsumexp"},
    "attention": {"add", "multi_head_attention_forward"},
    "enformer": {"add", "einsum", "matmul"},
}


def built(name):
    torch.manual_seed(0)
    model = TABLE[name]()
    with torch.no_grad():
        model.double().eval()(sequences())  # shapes of lazy layers
    return randomized(model)


def assert_exact(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10 * float(expected.abs().max()))
