"""A tensor that differs from a recorded one only in a window of positions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

#: How much wider than its own window a row's share of a common window may be.
COMMON = 1.3

Dims = tuple[tuple[int, ...], ...]
"""For each dimension that the model sees, the dimensions of (rows, positions, *rest) that it is made of, in order."""


@dataclass(eq=False)
class Base:
    """What an operation gave on the original sequence, a batch of one.

    Attributes
    ----------
    tensor
        As the model saw it.
    single
        Exactly one operation reads it, so that its windows may be overwritten.
    derived
        What was worked out from it, by name.
    """

    tensor: Tensor
    single: bool = False
    derived: dict[object, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Local:
    """M versions of a recorded tensor, each with a change in a window of W positions.

    Attributes
    ----------
    base
        The recorded tensor.
    start
        First position of the window: (M,) on the CPU, where each row has its own; an int where all share one, which
        then lies within the sequence. Positions of an own window that are not in the sequence have no change.
    delta
        (M, W, *rest): by how much the values differ.
    dims
        How the model sees (rows, positions, *rest).
    length
        Number of positions.
    fresh
        No other tensor has its change in the same memory.
    """

    base: Base
    start: Tensor | int
    delta: Tensor
    dims: Dims
    length: int
    fresh: bool = False

    @property
    def writable(self) -> bool:
        """Nothing else reads ``delta`` again once an operation has."""
        return self.fresh and self.base.single

    @property
    def rows(self) -> int:
        return self.delta.shape[0]

    @property
    def width(self) -> int:
        return self.delta.shape[1]

    @property
    def plain(self) -> bool:
        """No dimension is made of several."""
        return all(len(group) == 1 for group in self.dims)

    @property
    def position_dim(self) -> int:
        """The dimension that the positions are in."""
        return next(i for i, group in enumerate(self.dims) if 1 in group)

    @property
    def row_dim(self) -> int:
        return next(i for i, group in enumerate(self.dims) if 0 in group)

    def sizes(self, rows: int) -> list[int]:
        """Of (rows, positions, *rest), all positions."""
        return [rows, self.length, *self.delta.shape[2:]]

    def positions(self) -> Tensor | slice:
        """The positions of the windows: a slice, or (M, W), clamped to the sequence."""
        if isinstance(self.start, int):
            return slice(self.start, self.start + self.width)
        return (self.start[:, None] + torch.arange(self.width)).clamp_(0, self.length - 1).to(self.delta.device)

    def whole(self) -> Tensor:
        """(L, *rest): the recorded tensor, positions first."""
        key = ("whole", self.dims)
        if key not in self.base.derived:
            order = [i for group in self.dims for i in group]
            sizes = self.sizes(1)
            apart = self.base.tensor.reshape([sizes[i] for i in order])
            self.base.derived[key] = apart.permute([order.index(i) for i in range(len(order))])[0].contiguous()
        return self.base.derived[key]

    def original(self) -> Tensor:
        """(M or 1, W, *rest): the recorded values in the windows."""
        return picked(self.whole(), self.positions())

    def values(self) -> Tensor:
        """(M, W, *rest): the values in the windows."""
        return self.original() + self.delta

    def seen(self, data: Tensor) -> Tensor:
        """(rows, positions, *rest) as the model sees it."""
        order = [i for group in self.dims for i in group]
        moved = data.permute(order)
        return moved if self.plain else moved.reshape([moved_size(group, data) for group in self.dims])

    def unseen(self, seen: Tensor) -> Tensor:
        """The inverse of :meth:`seen`, for plain dimensions."""
        order = [group[0] for group in self.dims]
        return seen.permute([order.index(i) for i in range(len(order))])

    def full(self) -> Tensor:
        """All values of all rows, as the model sees them."""
        found = self.whole().expand(self.rows, *self.whole().shape).clone()
        for rows, start in self.runs():
            low, high = max(start, 0), min(start + self.width, self.length)
            if low < high:
                found[rows, low:high] += self.delta[rows, low - start : high - start]
        return self.seen(found)

    def runs(self) -> Iterator[tuple[slice, int]]:
        """Neighbouring rows that have the same window, and its start."""
        yield from runs(self.start, self.rows)

    def common(self) -> Local:
        """The same change in one window that all rows share."""
        if isinstance(self.start, int):
            return self
        low, high = self.span()
        return replace(self, start=low, delta=placed(self.delta, self.start - low, high - low))

    def span(self) -> tuple[int, int]:
        """First and last position, exclusive, that any row's window has; at least one."""
        if isinstance(self.start, int):
            return self.start, self.start + self.width
        low, high = max(int(self.start.min()), 0), min(int(self.start.max()) + self.width, self.length)
        return (low, high) if low < high else (min(low, self.length - 1), min(low, self.length - 1) + 1)

    def settled(self) -> Local:
        """Without change outside the sequence, in a common window where that is hardly wider."""
        if isinstance(self.start, int):
            low, high = max(self.start, 0), min(self.start + self.width, self.length)
            if low >= high:
                return replace(self, start=0, delta=self.delta.new_zeros(self.rows, 1, *self.delta.shape[2:]))
            return replace(self, start=low, delta=self.delta[:, low - self.start : high - self.start])
        low, high = self.span()
        if high - low <= COMMON * self.width:
            return self.common()
        if int(self.start.min()) >= 0 and int(self.start.max()) + self.width <= self.length:
            return self
        index = self.start[:, None] + torch.arange(self.width)
        outside = ((index < 0) | (index >= self.length)).to(self.delta.device)
        outside = outside.view(*outside.shape, *(1,) * (self.delta.ndim - 2))
        if self.fresh:
            return replace(self, delta=self.delta.masked_fill_(outside, 0))
        return replace(self, delta=self.delta.masked_fill(outside, 0), fresh=True)


def moved_size(group: tuple[int, ...], data: Tensor) -> int:
    size = 1
    for i in group:
        size *= data.shape[i]
    return size


def picked(whole: Tensor, positions: Tensor | slice) -> Tensor:
    """(M or 1, W, *rest) of (L, *rest)."""
    if isinstance(positions, slice):
        return whole[positions][None]
    return whole.index_select(0, positions.flatten()).view(*positions.shape, *whole.shape[1:])


def runs(start: Tensor | int, rows: int) -> Iterator[tuple[slice, int]]:
    """Neighbouring rows with the same number, and the number."""
    if isinstance(start, int):
        yield slice(0, rows), start
        return
    numbers, counts = torch.unique_consecutive(start, return_counts=True)
    begin = 0
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        yield slice(begin, begin + count), number
        begin += count


def placed(delta: Tensor, offsets: Tensor | int, width: int) -> Tensor:
    """(M, width, *rest): windows laid into wider ones, each at its offset; zero beside them, cut off where too wide."""
    if isinstance(offsets, int):
        return F.pad(delta, (0, 0) * (delta.ndim - 2) + (offsets, width - offsets - delta.shape[1]))
    found = delta.new_zeros(delta.shape[0], width, *delta.shape[2:])
    for rows, offset in runs(offsets, delta.shape[0]):
        low, high = max(offset, 0), min(offset + delta.shape[1], width)
        if low < high:
            found[rows, low:high] = delta[rows, low - offset : high - offset]
    return found


def aligned(locals_: Sequence[Local]) -> list[Local]:
    """The same changes, all in the same windows."""
    first = locals_[0]
    if all(same(x.start, first.start) and x.width == first.width for x in locals_):
        return list(locals_)
    own = [x.start for x in locals_ if isinstance(x.start, Tensor)]
    if isinstance(first.start, Tensor) and len(own) == len(locals_):
        steps = [start - first.start for start in own]
        if all(bool((s == s[0]).all()) for s in steps):
            offsets = [int(s[0]) for s in steps]
            low = min(offsets)
            width = max(o + x.width for o, x in zip(offsets, locals_, strict=True)) - low
            start = first.start + low
            return [
                replace(x, start=start, delta=placed(x.delta, o - low, width))
                for o, x in zip(offsets, locals_, strict=True)
            ]
    spans = [x.span() for x in locals_]
    low, high = min(s[0] for s in spans), max(s[1] for s in spans)
    return [replace(x, start=low, delta=placed(x.delta, x.start - low, high - low)) for x in locals_]


def same(a: Tensor | int, b: Tensor | int) -> bool:
    if isinstance(a, int) or isinstance(b, int):
        return isinstance(a, int) and isinstance(b, int) and a == b
    return a is b or bool(torch.equal(a, b))
