"""Attention, written out so that its softmax and products come by."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(q kᵀ / √d + mask) v``, as torch defines it."""
    if enable_gqa:
        key, value = repeated_heads(key, query), repeated_heads(value, query)
    if is_causal:
        attn_mask = causal_mask(query, key)
    attention = weights(query, key, attn_mask, scale)
    if dropout_p:
        attention = F.dropout(attention, dropout_p)
    return torch.matmul(attention, value)


def weights(query: Tensor, key: Tensor, mask: Tensor | None, scale: float | None) -> Tensor:
    """``softmax(q kᵀ / √d + mask)``; a query that may look at nothing gets zeros, as in torch."""
    scores = torch.matmul(query, key.transpose(-2, -1)) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if mask is None:
        return torch.softmax(scores, -1)
    scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    blind = (scores == -math.inf).all(-1, keepdim=True)
    if not bool(blind.any()):
        return torch.softmax(scores, -1)
    return torch.softmax(scores.masked_fill(blind, 0), -1).masked_fill(blind, 0)


def causal_mask(query: Tensor, key: Tensor) -> Tensor:
    return torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()


def repeated_heads(tensor: Tensor, query: Tensor) -> Tensor:
    """Grouped heads, each as often as it is asked."""
    return tensor.repeat_interleave(query.shape[-3] // tensor.shape[-3], -3)


WRITTEN_OUT: dict[str, Callable[..., Any]] = {"scaled_dot_product_attention": scaled_dot_product_attention}
