"""Attention as the one operation that it is in torch: the model's own fused kernel, and memory linear in the length.

Written out piece by piece, attention keeps its weights, a number for every pair of positions. Where nobody asks what
happens inside, the same slopes come from the fused operation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import tags
from ..call import Call, local, with_slope
from .attention import causal_mask, repeated_heads, scaled_dot_product_attention, weights

if TYPE_CHECKING:
    from ..mode import LRP

_AT_ONCE = 1 << 22
"""Attention weights that exist at a time in the backward pass."""

_arguments = inspect.signature(scaled_dot_product_attention).bind


def fits(lrp: LRP, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether query, key and value are signals, the mask is none, and nobody looks inside."""
    if lrp.rows is not None or lrp.credits is not None or lrp.twins is not None:
        return False
    given = _arguments(*args, **kwargs).arguments
    signals, mask = [given[n] for n in ("query", "key", "value")], given.get("attn_mask")
    return (mask is None or not mask.requires_grad) and all(
        t.requires_grad and t.layout == torch.strided and not tags.tag_of(t).gate for t in signals
    )


def _attention(call: Call) -> Any:
    """Weights are constant; in AttnLRP half to the values, a quarter each to queries and keys, through the softmax."""
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    given = _arguments(*call.args, **call.kwargs).arguments
    query, key, value = (given.pop(n) for n in ("query", "key", "value"))
    if given.pop("dropout_p", 0.0):
        call.lrp.note_training(call.name)
    if call.lrp.composite.attention == "constant":
        return _constant_weights(call, query, key, value, given)
    call.treatment = "½ to value, ¼ to query and key"
    query, key = (with_slope(t, lambda c: c / 4) for t in (query, key))
    return F.scaled_dot_product_attention(query, key, with_slope(value, lambda c: c / 2), **given)


def _constant_weights(call: Call, query: Tensor, key: Tensor, value: Tensor, options: dict[str, Any]) -> Tensor:
    """Only the values are signals: back flows ``weightsᵀ c``, a few queries at a time."""
    call.treatment = "weights are constant"
    query, key = query.detach(), key.detach()
    with torch.no_grad():
        output = F.scaled_dot_product_attention(query, key, value.detach(), **options)
    keep, mask, shape = call.lrp.keeper.keep, options.get("attn_mask"), value.shape
    kept_query, kept_key, kept_mask = keep(query), keep(key), None if mask is None else keep(mask)
    causal, grouped, scale = options.get("is_causal"), options.get("enable_gqa"), options.get("scale")

    def slope(c: Tensor) -> Tensor:
        query, key = kept_query.get(), kept_key.get()
        if grouped:
            key = repeated_heads(key, query)
        mask = causal_mask(query, key) if causal else None if kept_mask is None else kept_mask.get()
        if mask is not None:
            mask = mask.expand(*mask.shape[:-2], query.shape[-2], key.shape[-2])
        step = max(1, _AT_ONCE * query.shape[-2] // (c[..., 0].numel() * key.shape[-2]))

        def from_queries(begin: int) -> Tensor:
            rows = slice(begin, begin + step)
            part = None if mask is None else mask[..., rows, :]
            return weights(query[..., rows, :], key, part, scale).mT @ c[..., rows, :]

        result = from_queries(0)
        for begin in range(step, query.shape[-2], step):
            result += from_queries(begin)
        if grouped:
            result = result.unflatten(-3, (shape[-3], -1)).sum(-3)
        return result.sum_to_size(shape)

    return local(value, output, slope)


HANDLERS: dict[str, Callable[[Call], Any]] = {"scaled_dot_product_attention": _attention}

FUSED: dict[str, Callable[[LRP, tuple[Any, ...], dict[str, Any]], bool]] = {"scaled_dot_product_attention": fits}
"""Written-out operations that are taken whole where this holds."""
