"""Networks over DNA in the sizes that were published, with random weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Basset(nn.Module):
    """Three convolutions with pooling, two dense layers of 1 000, 164 outputs (Kelley et al. 2016)."""

    def __init__(self, length: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, width, pool in ((4, 300, 19, 3), (300, 200, 11, 4), (200, 200, 7, 4)):
            convolution = nn.Conv1d(before, after, width, padding=width // 2)
            layers += [convolution, nn.BatchNorm1d(after), nn.ReLU(), nn.MaxPool1d(pool)]
            length //= pool
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(200 * length, 1000), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(1000, 1000), nn.ReLU(), nn.Dropout(0.3), nn.Linear(1000, 164),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


class BPNet(nn.Module):
    """Nine dilated residual convolutions, a profile and a count head (Avsec et al. 2021), without cropping."""

    def __init__(self, channels: int = 64, depth: int = 9) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, channels, 21, padding=10)
        self.dilated = nn.ModuleList(
            nn.Conv1d(channels, channels, 3, padding=2**i, dilation=2**i) for i in range(1, depth + 1)
        )
        self.profile, self.counts = nn.Conv1d(channels, 1, 75, padding=37), nn.Linear(channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.first(x))
        for layer in self.dilated:
            x = x + F.relu(layer(x))
        return self.profile(x), self.counts(x.mean(2))


class DeepSEA(nn.Module):
    """Three convolutions, dense layers, 919 outputs (Zhou & Troyanskaya 2015)."""

    def __init__(self, length: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, pool in ((4, 320, 4), (320, 480, 4), (480, 960, 1)):
            layers += [nn.Conv1d(before, after, 8), nn.ReLU(), nn.MaxPool1d(pool), nn.Dropout(0.2)]
            length = (length - 7) // pool
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(960 * length, 925), nn.ReLU(), nn.Linear(925, 919))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


class DanQ(nn.Module):
    """A convolution, a bidirectional LSTM over what is left after pooling, 919 outputs (Quang & Xie 2016)."""

    def __init__(self, length: int = 1000) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 320, 26)
        self.rnn = nn.LSTM(320, 320, bidirectional=True, batch_first=True)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(640 * ((length - 25) // 13), 925), nn.ReLU(), nn.Linear(925, 919)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool1d(F.relu(self.conv(x)), 13)
        return self.head(self.rnn(x.transpose(1, 2))[0])


class Attention(nn.Module):
    """A stem with pooling by 16, two transformer blocks, a dense head on the mean."""

    def __init__(self, width: int = 128, blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(4, width, 15, padding=7), nn.BatchNorm1d(width), nn.GELU(), nn.MaxPool1d(4),
            nn.Conv1d(width, width, 5, padding=2), nn.BatchNorm1d(width), nn.GELU(), nn.MaxPool1d(4),
        )  # fmt: skip
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 2 * width, batch_first=True, norm_first=True) for _ in range(blocks)
        )
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


def one_hot(n: int, length: int, seed: int = 0) -> Tensor:
    """Random sequences (n, 4, length)."""
    letters = torch.randint(4, (n, length), generator=torch.Generator().manual_seed(seed))
    return F.one_hot(letters, 4).transpose(1, 2).float().contiguous()
