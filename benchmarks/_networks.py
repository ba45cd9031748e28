"""Networks that no model library has: recurrent, genomic and graph networks, each in its author's manner."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Recurrent(nn.Module):
    """A recurrent network over (N, T, C) and a dense head on the last step."""

    def __init__(self, cell: type[nn.RNNBase], width: int, hidden: int, **options: Any) -> None:
        super().__init__()
        self.rnn = cell(width, hidden, batch_first=True, **options)
        out = options.get("proj_size") or hidden
        self.head = nn.Linear(out * (1 + options.get("bidirectional", False)), 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class PackedTagger(nn.Module):
    """Tokens of different lengths: embedding, packed bidirectional LSTM, mean over the real tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8, padding_idx=0)
        self.rnn = nn.LSTM(8, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(12, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = (tokens != 0).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(tokens), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        out, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return self.head(out.sum(1) / lengths[:, None])


class CellLoop(nn.Module):
    """A GRU cell and an LSTM cell stepped by hand."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gru, self.lstm = nn.GRUCell(width, hidden), nn.LSTMCell(hidden, hidden)
        self.head = nn.Linear(hidden, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), self.gru.hidden_size)
        state = None
        for step in x.unbind(1):
            h = self.gru(step, h)
            state = self.lstm(h, state)
        return self.head(state[0])


class ConvolutionalRecurrent(nn.Module):
    """Convolutions, a recurrent network over positions, attention pooling."""

    def __init__(self, channels: int, cell: type[nn.RNNBase]) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(channels, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ELU(), nn.MaxPool1d(2), nn.Conv1d(8, 8, 3)
        )
        self.rnn = cell(8, 6, bidirectional=True, batch_first=True)
        self.score, self.head = nn.Linear(12, 1), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.rnn(self.features(x).transpose(1, 2))
        weights = torch.softmax(self.score(torch.tanh(h)), 1)
        return self.head((weights * h).sum(1))


class BPNet(nn.Module):
    """Dilated residual convolutions on DNA, a profile and a count head (Avsec et al. 2021)."""

    def __init__(self, channels: int = 12, depth: int = 5) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, channels, 21, padding=10)
        self.dilated = nn.ModuleList(
            nn.Conv1d(channels, channels, 3, padding=2**i, dilation=2**i) for i in range(1, depth)
        )
        self.profile, self.counts = nn.Conv1d(channels, 2, 25, padding=12), nn.Linear(channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.first(x))
        for layer in self.dilated:
            x = x + F.relu(layer(x))
        return self.profile(x), self.counts(x.mean(2))


class Basset(nn.Module):
    """Convolution, batch normalisation, pooling (Kelley et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, width, pool in ((4, 16, 19, 3), (16, 20, 11, 4), (20, 20, 7, 4)):
            layers += [nn.Conv1d(before, after, width), nn.BatchNorm1d(after), nn.ReLU(), nn.MaxPool1d(pool)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.LazyLinear(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 5), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


class DanQ(nn.Module):
    """Convolution and a bidirectional LSTM (Quang & Xie 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 16, 26)
        self.rnn = nn.LSTM(16, 8, bidirectional=True, batch_first=True)
        self.head = nn.Sequential(nn.LazyLinear(20), nn.ReLU(), nn.Linear(20, 5), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool1d(F.relu(self.conv(x)), 13)
        return self.head(self.rnn(x.transpose(1, 2))[0].flatten(1))


class AttentionPool(nn.Module):
    """Softmax-weighted pooling with learned logits (Avsec et al. 2021, Enformer)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_logits = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(-1, (-1, 2))
        return (x * self.to_logits(x).softmax(-1)).sum(-1)


class Enformer(nn.Module):
    """A convolutional stem, attention with relative positions, a softplus head."""

    def __init__(self, width: int = 16, heads: int = 2, length: int = 64) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, width, 15, padding=7)
        self.block = nn.Sequential(nn.BatchNorm1d(width), nn.GELU(), nn.Conv1d(width, width, 1))
        self.pool, self.heads = AttentionPool(width), heads
        self.norm, self.qkv, self.out = (
            nn.LayerNorm(width),
            nn.Linear(width, 3 * width, bias=False),
            nn.Linear(width, width),
        )
        self.u, self.v = (nn.Parameter(torch.randn(1, heads, 1, width // heads) * 0.1) for _ in range(2))
        self.position = nn.Parameter(torch.randn(heads, 2 * (length // 2) - 1, width // heads) * 0.1)
        self.ff = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )
        self.head = nn.Sequential(nn.Linear(width, 3), nn.Softplus())

    def attend(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q = q / math.sqrt(q.shape[-1])
        content = torch.einsum("bhid,bhjd->bhij", q + self.u, k)
        relative = self._shift(torch.einsum("bhid,hjd->bhij", q + self.v, self.position))
        return self.out(((content + relative).softmax(-1) @ v).transpose(1, 2).flatten(2))

    @staticmethod
    def _shift(x: Tensor) -> Tensor:
        """Column j of row i moves to the key at that distance (Dai et al. 2019)."""
        b, h, n, m = x.shape
        x = torch.cat([torch.zeros_like(x[..., :1]), x], -1).reshape(b, h, m + 1, n)[:, :, 1:]
        return x.reshape(b, h, n, m)[..., : (m + 1) // 2]

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.pool(x + self.block(x)).transpose(1, 2)
        x = x + self.attend(self.norm(x))
        return self.head((x + self.ff(x)).mean(1))


class UNet(nn.Module):
    """Down, up, skip connections (Ronneberger et al. 2015)."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            [self._block(3, width), self._block(width, 2 * width), self._block(2 * width, 4 * width)]
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(k * width, k * width // 2, 2, stride=2) for k in (4, 2))
        self.merge = nn.ModuleList([self._block(4 * width, 2 * width), self._block(2 * width, width)])
        self.head = nn.Conv2d(width, 2, 1)

    @staticmethod
    def _block(before: int, after: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, padding=1),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.down:
            x = block(x if not skips else F.max_pool2d(x, 2))
            skips.append(x)
        for up, merge, skip in zip(self.up, self.merge, skips[-2::-1], strict=True):
            x = merge(torch.cat([skip, up(x)], 1))
        return self.head(x)


class VAE(nn.Module):
    """Encoder, exp(logvar / 2), decoder; the score is the reconstruction."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.mean, self.logvar = nn.Linear(10, 8), nn.Linear(8, 4), nn.Linear(8, 4)
        self.decoder = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 10))
        self.register_buffer("noise", torch.linspace(-1, 1, 4))

    def forward(self, x: Tensor) -> Tensor:
        h = F.softplus(self.encoder(x))
        return self.decoder(self.mean(h) + torch.exp(self.logvar(h) / 2) * self.noise)


class MixtureOfExperts(nn.Module):
    """Top-k routing with an einsum over all experts and a shared one (Shazeer et al. 2017)."""

    def __init__(self, width: int = 8, experts: int = 4, chosen: int = 2) -> None:
        super().__init__()
        self.router = nn.Linear(width, experts)
        self.up = nn.Parameter(torch.randn(experts, width, 12) * 0.3)
        self.down = nn.Parameter(torch.randn(experts, 12, width) * 0.3)
        self.chosen, self.head = chosen, nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        weights, index = torch.topk(torch.softmax(self.router(x), -1), self.chosen)
        weights = weights / weights.sum(-1, keepdim=True)
        routed = torch.zeros_like(self.router(x)).scatter(-1, index, weights)
        out = torch.einsum("neh,ehd->ned", F.silu(torch.einsum("nd,edh->neh", x, self.up)), self.down)
        return self.head(x + torch.einsum("ned,ne->nd", out, routed))


class GraphNetwork(nn.Module):
    """Three graph convolutions with residuals and a readout; (x, edge_index, edge_attr) of one graph."""

    def __init__(self, convolutions: list[nn.Module], edges: str | None, readout: str = "add") -> None:
        super().__init__()
        self.convolutions, self.edges, self.readout = nn.ModuleList(convolutions), edges, readout
        self.head = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        from torch_geometric.nn import global_add_pool, global_max_pool, global_mean_pool

        extra = {} if self.edges is None else {self.edges: edge_attr if self.edges == "edge_attr" else edge_attr[:, 0]}
        for convolution in self.convolutions:
            x = F.elu(convolution(x, edge_index, **extra))
        pool = {"add": global_add_pool, "mean": global_mean_pool, "max": global_max_pool}[self.readout]
        return self.head(pool(x, torch.zeros(len(x), dtype=torch.long)))


class MessagePassing(nn.Module):
    """A graph network by hand: gather, message, ``index_add``, GRU update (Gilmer et al. 2017)."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.lift, self.message, self.update = (
            nn.Linear(5, width),
            nn.Linear(2 * width + 4, width),
            nn.GRUCell(width, width),
        )
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        h = torch.tanh(self.lift(x))
        source, target = edge_index
        for _ in range(3):
            messages = F.relu(self.message(torch.cat([h[source], h[target], edge_attr], 1)))
            h = self.update(torch.zeros_like(h).index_add(0, target, messages), h)
        return self.head(h.sum(0, keepdim=True))
