"""Threads of torch, which other libraries set to numbers of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def threads_kept() -> Iterator[None]:
    """As many threads for torch afterwards as before: numba's OpenMP is torch's too, and numba sets it."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
