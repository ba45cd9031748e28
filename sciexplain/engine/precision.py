"""Half precision: what a model computes coarsely, rules compute in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

_HALF = (torch.float16, torch.bfloat16)


def fine_dtype(dtype: torch.dtype) -> torch.dtype:
    """In half precision sums of both signs lose their digits, and the stabilizers vanish."""
    return torch.float32 if dtype in _HALF else dtype


def fine(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in _HALF else tensor


def fitting(values: Tensor, dtype: torch.dtype) -> Tensor:
    """``values`` in ``dtype``, the largest number in the place of what is beyond it."""
    if values.dtype == dtype:
        return values
    limit = torch.finfo(dtype).max
    return values.clamp(-limit, limit).to(dtype)


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """The precision of the arguments also where the caller's autocast would lower it."""
    if not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
