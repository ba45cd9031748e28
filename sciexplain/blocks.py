"""Elementwise work in blocks that stay in the cache.

A chain of elementwise operations on a large tensor reads and writes memory once per operation. Cut into blocks, the
chain runs in the processor's cache and memory is touched once.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

BLOCK = 1 << 18
"""Elements; a handful of float32 blocks of this size fit a processor's last-level cache, and calls stay few."""


def blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Corresponding flat pieces of tensors with one shape and memory layout; the whole tensors where they differ.

    Pieces share memory with the tensors. On an accelerator, where launches cost more than memory traffic, the tensors
    come whole.
    """
    first = tensors[0]
    n = first.numel()
    same = all(t.shape == first.shape and t.stride() == first.stride() for t in tensors)
    if n <= BLOCK or not same or first.device.type != "cpu" or not _is_dense(first):
        yield tensors
        return
    flat = [t.as_strided((n,), (1,)) for t in tensors]
    for begin in range(0, n, BLOCK):
        yield tuple(t[begin : begin + BLOCK] for t in flat)


def _is_dense(tensor: Tensor) -> bool:
    """Whether the elements fill their memory without gaps or overlap, in whatever order of dimensions."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if stride != expected:
                return False
            expected *= size
    return True
