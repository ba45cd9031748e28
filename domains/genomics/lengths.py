"""How many letters a model takes."""

from __future__ import annotations

import re
from typing import Any

import torch

from sciexplain._evaluation import evaluation_mode
from sciexplain.domains.genomics.models import Layout, Model, arranged, like_model
from sciexplain.errors import InputError

ANY = 1_000
"""bp for models that take any length."""

_ATTRIBUTES = ("length", "input_length", "sequence_length", "seq_len", "context_length")
_LONGEST = 2**20


def length_of(model: Model, channels: int = 4, layout: Layout | None = None) -> int:
    """The number of letters that a model takes, in bp.

    What its attribute ``length`` (or ``input_length``, ``seq_len``, …) says; or else found by trying, from what its
    dense layer expects. 1 000 for models that take any length.

    Raises
    ------
    InputError
        It cannot be found.

    Examples
    --------
    >>> from torch import nn
    >>> length_of(nn.Sequential(nn.Conv1d(4, 2, 5), nn.Flatten(), nn.Linear(92, 1)), layout="NCL")
    50
    """
    for name in _ATTRIBUTES:
        value = getattr(model, name, None)
        if isinstance(value, int) and value > 0:
            return value
    if _expects(model, ANY, channels, layout) == 0 and _expects(model, ANY + 37, channels, layout) == 0:
        return ANY
    low, high = 0, 1
    while (wide := _expects(model, high, channels, layout)) is None or wide < 0:
        low, high = high, 2 * high
        if high > _LONGEST:
            raise InputError("How many letters the model takes cannot be found by trying; give length=.")
    while high - low > 1:
        middle = (low + high) // 2
        wide = _expects(model, middle, channels, layout)
        low, high = (middle, high) if wide is None or wide < 0 else (low, middle)
    if _expects(model, high, channels, layout) != 0:
        raise InputError("How many letters the model takes cannot be found by trying; give length=.")
    return high


def _expects(model: Model, length: int, channels: int, layout: Layout | None) -> int | None:
    """0 where the model takes this length; otherwise by how much its dense layer is given too many, None if unknown."""
    inputs: Any = arranged(like_model(model, torch.zeros(2, channels, length)), layout or "NCL")
    try:
        with torch.no_grad(), evaluation_mode(model):
            model(inputs)
    except (RuntimeError, ValueError, IndexError) as error:
        found = re.search(r"\(\d+x(\d+) and (\d+)x\d+\)", str(error))
        return int(found[1]) - int(found[2]) if found else None
    return 0
