"""A batch in parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ..errors import InputError
from ..inputs import Inputs


def split(given: Inputs, batch_size: int | None) -> Iterator[slice | None]:
    """The rows of each part; None for all of them."""
    n = given.batch_size
    if n == 0:
        raise InputError("The batch is empty: the first dimension of the input is 0.")
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size={batch_size}: expected a positive number.")
    if batch_size is None or batch_size >= n:
        yield None
        return
    for begin in range(0, n, batch_size):
        yield slice(begin, begin + batch_size)


def rows_of(target: Any, rows: slice | None, given: Inputs) -> Any:
    """The target of a part."""
    each = rows is not None and isinstance(target, Tensor) and target.ndim and len(target) == given.batch_size
    return target[rows] if each else target
