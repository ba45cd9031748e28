"""Small sequence networks of the usual kinds: one motif layer, Basset, DeepSEA, DanQ, BPNet, Enformer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from sciexplain.domains.genomics.alphabet import alphabet_of
from sciexplain.errors import ModelError

Kind = Literal["small", "basset", "deepsea", "danq", "bpnet", "enformer"]
Pooling = Literal["max", "mean"]

KERNELS: dict[Kind, int] = {"small": 19, "basset": 19, "deepsea": 8, "danq": 26, "bpnet": 25, "enformer": 15}
"""Letters that the first convolution sees at once: as published; 19 holds the motif of CTCF."""


@dataclass(frozen=True)
class Architecture:
    """What a reference model is built from; the published widths are many times the default.

    Attributes
    ----------
    kind
        See :func:`build`.
    length
        Of the sequences, in letters.
    tasks
        Outputs.
    alphabet
        ``"DNA"``, ``"RNA"`` or ``"protein"``; its letters are the channels of the input.
    channels
        Filters of the first convolution; other widths grow with it.
    layers
        Convolutions of ``small``, dilated ones of ``bpnet``, attention blocks of ``enformer``; None: 1, as many as the
        length has use for (9 at most), 1. The other kinds have a fixed number.
    kernel
        Width of the first convolution; None: :data:`KERNELS`.
    pooling
        Over all positions, of ``small``.
    heads
        Of attention; they share the channels.
    dropout
        Share of features that training leaves out at a time.
    profile
        Whether ``bpnet`` also predicts where along the sequence its counts lie.
    """

    kind: Kind
    length: int
    tasks: int = 1
    alphabet: str = "DNA"
    channels: int = 32
    layers: int | None = None
    kernel: int | None = None
    pooling: Pooling = "max"
    heads: int = 4
    dropout: float = 0.2
    profile: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ModelError(f"model {self.kind!r}: expected {', '.join(get_args(Kind))}")
        if self.pooling not in get_args(Pooling):
            raise ModelError(f"pooling {self.pooling!r}: expected {', '.join(get_args(Pooling))}")
        numbers = {"length": self.length, "tasks": self.tasks, "channels": self.channels, "heads": self.heads}
        numbers |= {"layers": self.depth, "kernel": self.width}
        if small := [f"{name} {value}" for name, value in numbers.items() if value < 1]:
            raise ModelError(f"{', '.join(small)}: expected 1 or more")
        if not 0 <= self.dropout < 1:
            raise ModelError(f"dropout {self.dropout:g}: expected 0 or more, below 1")
        if self.kind == "enformer" and self.channels % self.heads:
            raise ModelError(f"{self.channels} channels: expected a multiple of the {self.heads} heads")
        if self.kind == "bpnet" and self.width % 2 == 0:
            raise ModelError(f"kernel {self.width}: expected an odd one, so that a profile lies where its letters are")
        if self.profile and self.kind != "bpnet":
            raise ModelError(f"model {self.kind!r} has no profile; bpnet does")
        if self.length < self.shortest:
            raise ModelError(f"sequences of {self.length} letters: {self.kind} needs {self.shortest} or more")

    @property
    def letters(self) -> int:
        """Channels of the input."""
        return len(alphabet_of(self.alphabet))

    @property
    def width(self) -> int:
        """Of the first convolution, in letters."""
        return KERNELS[self.kind] if self.kernel is None else self.kernel

    @property
    def depth(self) -> int:
        """What ``layers`` says, or means where it is None."""
        if self.layers is not None:
            return self.layers
        # The last dilation is 2**depth; beyond a quarter of the sequence it would mostly meet padding.
        return max(1, min(9, self.length.bit_length() - 3)) if self.kind == "bpnet" else 1

    @property
    def shortest(self) -> int:
        """Letters that pooling leaves something of."""
        return {"basset": 48, "deepsea": 16, "danq": 13, "enformer": 8}.get(self.kind, 1)


class Heads(NamedTuple):
    """What a BPNet with a profile predicts."""

    profile: Tensor
    """(N, tasks, L): logits of the share of each position."""
    counts: Tensor
    """(N, tasks): log(1 + total)."""


def build(architecture: Architecture) -> nn.Module:
    """A network from (N, letters, L) to (N, tasks), logits for classes, with random weights.

    Convolutions are padded, so that short sequences fit too. The kinds, with C channels:

    - ``"small"``: convolution, ReLU, the largest (or mean) over all positions, two dense layers;
    - ``"basset"``: three times convolution, batch normalization, ReLU, pooling; three dense layers;
    - ``"deepsea"``: three convolutions (C, 3C/2, 3C) and ReLU, two of them pooled; two dense layers;
    - ``"danq"``: convolution, ReLU, pooling by 13, LSTM in both directions, two dense layers;
    - ``"bpnet"``: convolution, then dilated residual ones; the mean over positions gives the counts, and with
      ``profile`` a convolution the profile: :class:`Heads`;
    - ``"enformer"``: convolutions with batch normalization and GELU, each pooled by 2, then attention blocks that know
      the distance of two positions; mean over positions.

    References
    ----------
    Basset: D. R. Kelley et al., Genome Res. 26, 990 (2016). DeepSEA: J. Zhou and O. G. Troyanskaya, Nat. Methods 12,
    931 (2015). DanQ: D. Quang and X. Xie, Nucleic Acids Res. 44, e107 (2016). BPNet: Ž. Avsec et al., Nat. Genet. 53,
    354 (2021). Enformer: Ž. Avsec et al., Nat. Methods 18, 1196 (2021).

    Examples
    --------
    >>> build(Architecture("danq", length=200, tasks=2, channels=8))(torch.zeros(3, 4, 200)).shape
    torch.Size([3, 2])
    >>> build(Architecture("bpnet", length=200, channels=8, profile=True))(torch.zeros(3, 4, 200)).profile.shape
    torch.Size([3, 1, 200])
    """
    return _BUILDERS[architecture.kind](architecture)


def _small(a: Architecture) -> nn.Module:
    layers: list[nn.Module] = [_convolution(a.letters, a.channels, a.width), nn.ReLU()]
    for _ in range(a.depth - 1):
        layers += [_convolution(a.channels, a.channels, 5), nn.ReLU()]
    pool = nn.AdaptiveMaxPool1d(1) if a.pooling == "max" else nn.AdaptiveAvgPool1d(1)
    return nn.Sequential(*layers, pool, nn.Flatten(), *_dense(a.channels, a.channels, a))


def _basset(a: Architecture) -> nn.Module:
    layers: list[nn.Module] = []
    before = a.letters
    for width, pool in ((a.width, 3), (11, 4), (7, 4)):
        layers += [_convolution(before, a.channels, width), nn.BatchNorm1d(a.channels), nn.ReLU(), nn.MaxPool1d(pool)]
        before = a.channels
    inside = 2 * a.channels
    first = [nn.Linear(_flat(layers, a), inside), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), *first, *_dense(inside, inside, a))


def _deepsea(a: Architecture) -> nn.Module:
    c = a.channels
    layers: list[nn.Module] = []
    for before, after, width in ((a.letters, c, a.width), (c, c + c // 2, 8)):
        layers += [_convolution(before, after, width), nn.ReLU(), nn.MaxPool1d(4), nn.Dropout(a.dropout)]
    layers += [_convolution(c + c // 2, 3 * c, 8), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), *_dense(_flat(layers, a), 3 * c, a))


class DanQ(nn.Module):
    """(N, letters, L) → (N, tasks): motifs by a convolution, their grammar by an LSTM."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.motifs = nn.Sequential(
            _convolution(a.letters, a.channels, a.width), nn.ReLU(), nn.MaxPool1d(13), nn.Dropout(a.dropout)
        )
        self.grammar = nn.LSTM(a.channels, a.channels, batch_first=True, bidirectional=True)
        found = 2 * _flat(self.motifs, a)
        self.head = nn.Sequential(nn.Flatten(), *_dense(found, 2 * a.channels, a))

    def forward(self, sequences: Tensor) -> Tensor:
        h, _ = self.grammar(self.motifs(sequences).transpose(1, 2))
        predicted: Tensor = self.head(h)
        return predicted


class BPNet(nn.Module):
    """(N, letters, L) → (N, tasks) counts, or :class:`Heads`: each dilation doubles what a position sees."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        c = a.channels
        self.motifs = _convolution(a.letters, c, a.width)
        self.dilated = nn.ModuleList(
            nn.Conv1d(c, c, 3, padding=2**layer, dilation=2**layer) for layer in range(1, a.depth + 1)
        )
        self.counts = nn.Linear(c, a.tasks)
        self.profile = _convolution(c, a.tasks, a.width) if a.profile else None

    def forward(self, sequences: Tensor) -> Tensor | Heads:
        h = self.motifs(sequences).relu()
        for convolution in self.dilated:
            h = h + convolution(h).relu()
        counts: Tensor = self.counts(h.mean(2))
        return counts if self.profile is None else Heads(self.profile(h), counts)


class Enformer(nn.Module):
    """(N, letters, L) → (N, tasks): convolutions that halve the length, then attention over what is left."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        c = a.channels
        self.stem = nn.Sequential(_convolution(a.letters, c, a.width), _Residual(_normalized(c, 1)), nn.MaxPool1d(2))
        self.tower = nn.Sequential(
            *(nn.Sequential(_normalized(c, 5), _Residual(_normalized(c, 1)), nn.MaxPool1d(2)) for _ in range(2))
        )
        positions = _flat([self.stem, self.tower], a) // c
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    _Residual(nn.Sequential(nn.LayerNorm(c), Attention(c, a.heads, positions), nn.Dropout(a.dropout))),
                    _Residual(nn.Sequential(nn.LayerNorm(c), nn.Linear(c, 2 * c), nn.ReLU(), nn.Linear(2 * c, c))),
                )
                for _ in range(a.depth)
            )
        )
        self.head = nn.Linear(c, a.tasks)

    def forward(self, sequences: Tensor) -> Tensor:
        h = self.tower(self.stem(sequences)).transpose(1, 2)
        predicted: Tensor = self.head(self.blocks(h).mean(1))
        return predicted


class Attention(nn.Module):
    """Self-attention (N, T, C) → (N, T, C) whose weights depend on content, and on how far and which way to look."""

    steps: Tensor

    def __init__(self, channels: int, heads: int, positions: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries, self.keys, self.values = (nn.Linear(channels, channels, bias=False) for _ in range(3))
        self.out = nn.Linear(channels, channels)
        self.distance = nn.Parameter(torch.zeros(heads, 2 * positions - 1))
        place = torch.arange(positions)
        self.register_buffer("steps", place[None] - place[:, None] + positions - 1, persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        n, t, c = h.shape
        q, k, v = (
            layer(h).view(n, t, self.heads, c // self.heads).transpose(1, 2)
            for layer in (self.queries, self.keys, self.values)
        )
        found = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=self.distance[:, self.steps])
        mixed: Tensor = self.out(found.transpose(1, 2).reshape(n, t, c))
        return mixed


class _Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, h: Tensor) -> Tensor:
        added: Tensor = h + self.inner(h)
        return added


def _normalized(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm1d(channels), nn.GELU(), _convolution(channels, channels, width))


def _convolution(before: int, after: int, width: int) -> nn.Conv1d:
    """Padded to keep the length, or for an even width to add one."""
    return nn.Conv1d(before, after, width, padding=width // 2)


def _dense(before: int, inside: int, a: Architecture) -> list[nn.Module]:
    return [nn.Dropout(a.dropout), nn.Linear(before, inside), nn.ReLU(), nn.Linear(inside, a.tasks)]


@torch.no_grad()
def _flat(layers: Iterable[nn.Module], a: Architecture) -> int:
    """How many features layers leave of a sequence, over all positions."""
    h = torch.zeros(2, a.letters, a.length)
    for layer in layers:
        h = copy.deepcopy(layer).eval()(h)
    return h[0].numel()


_BUILDERS: dict[Kind, Callable[[Architecture], nn.Module]] = {
    "small": _small,
    "basset": _basset,
    "deepsea": _deepsea,
    "danq": DanQ,
    "bpnet": BPNet,
    "enformer": Enformer,
}
