"""Pooling, and sums, means and maxima over positions or channels."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sciexplain.domains.genomics.reach.calls import Call, Result, one
from sciexplain.domains.genomics.reach.layers import reached
from sciexplain.domains.genomics.reach.pointwise import reduced_channels
from sciexplain.domains.genomics.reach.windows import Local, picked, placed


def pool(call: Call) -> Result:
    """Maximum or average in sliding windows."""
    average = "avg" in call.name
    names = "input kernel_size stride padding " + (
        "ceil_mode count_include_pad divisor_override" if average else "dilation ceil_mode return_indices"
    )
    given = call.bound(
        names, stride=None, padding=0, dilation=1, count_include_pad=True, return_indices=False, divisor_override=None
    )
    x = given["input"]
    if not isinstance(x, Local) or not x.plain or x.dims[0] != (0,) or x.position_dim < 2 or given["return_indices"]:
        return NotImplemented
    if given["divisor_override"] is not None:
        return NotImplemented
    spatial = len(x.dims) - 2
    along = x.position_dim - 2
    kernel = one(given["kernel_size"], spatial)
    stride = kernel if given["stride"] in (None, (), []) else one(given["stride"], spatial)
    padding, dilation = one(given["padding"], spatial), one(given["dilation"], spatial)
    if any((kernel[i], padding[i], stride[i]) != (1, 0, 1) for i in range(spatial) if i != along):
        return NotImplemented
    length = call.output.shape[x.position_dim]
    work = _average if average else _maximum
    extra = {"count_include_pad": given["count_include_pad"]} if average else {"dilation": dilation[along]}
    return work(call, x, length, kernel[along], stride[along], padding[along], **extra)


def _maximum(call: Call, x: Local, length: int, kernel: int, stride: int, padding: int, dilation: int) -> Local:
    reach = (kernel - 1) * dilation
    start, offset, width = reached(x, stride, padding, reach)
    begin = start * stride - padding
    wide = placed(x.delta, offset, (width - 1) * stride + reach + 1)
    index = torch.as_tensor(begin).reshape(-1, 1) + torch.arange(wide.shape[1])
    outside = ((index < 0) | (index >= x.length)).to(wide.device)
    values = picked(x.whole(), index.clamp(0, x.length - 1).to(wide.device)) + wide
    if bool(outside.any()):
        values.masked_fill_(outside.view(*outside.shape, *(1,) * (values.ndim - 2)), -math.inf)
    flat = values.flatten(2) if values.ndim > 2 else values.unsqueeze(2)
    image = flat.permute(0, 2, 1).unsqueeze(2)
    best = F.max_pool2d(image, (1, kernel), (1, stride), dilation=(1, dilation)).squeeze(2).permute(0, 2, 1)
    best = best.reshape(*best.shape[:2], *values.shape[2:])
    found = Local(call.base, start, best, x.dims, length, fresh=True)
    if isinstance(start, int):
        low, high = max(start, 0), min(start + width, length)
        found = replace(found, start=low, delta=best[:, low - start : high - start])
    return replace(found, delta=found.delta - found.original()).settled()


def _average(
    call: Call, x: Local, length: int, kernel: int, stride: int, padding: int, count_include_pad: bool
) -> Local:
    start, offset, width = reached(x, stride, padding, kernel - 1)
    wide = placed(x.delta, offset, (width - 1) * stride + kernel)
    total = wide.unfold(1, kernel, stride).sum(-1)
    index = torch.as_tensor(start).reshape(-1, 1) + torch.arange(width)
    low, high = index * stride - padding, index * stride - padding + kernel
    end = x.length + padding if count_include_pad else x.length
    begin = -padding if count_include_pad else 0
    count = (high.clamp(max=end) - low.clamp(min=begin)).clamp(min=1).to(total)
    total = total / count.view(*count.shape, *(1,) * (total.ndim - 2))
    return Local(call.base, start, total, x.dims, length, fresh=True).settled()


def adaptive(call: Call) -> Result:
    """To one value, or to a divisor of the length."""
    given = call.bound("input output_size return_indices", return_indices=False)
    x = given["input"]
    if not isinstance(x, Local) or not x.plain or given["return_indices"] or len(x.dims) != 3:
        return NotImplemented
    (size,) = one(given["output_size"])
    size = x.length if size is None else size
    if x.position_dim != 2 or x.length % size:
        return NotImplemented
    average = "avg" in call.name
    if size == 1:
        return _reduced(replace(call, name="mean" if average else "amax", args=(x, (2,), True), kwargs={}))
    step = x.length // size
    if average:
        return _average(call, x, size, step, step, 0, True)
    return _maximum(call, x, size, step, step, 0, 1)


def reduction(call: Call) -> Result:
    """A sum, mean, maximum or the like over some dimensions."""
    return _reduced(call)


def _reduced(call: Call) -> Result:
    given = call.bound("input dim keepdim", dim=None, keepdim=False)
    x, dim, keep = given["input"], given.get("axis", given["dim"]), given["keepdim"]
    if not isinstance(x, Local) or not x.plain or dim is None or isinstance(dim, Tensor | Local):
        return NotImplemented
    dims = {d % len(x.dims) for d in one(dim)}
    if x.row_dim in dims:
        return NotImplemented
    if x.position_dim not in dims:
        if len(call.bases) > 1:
            return NotImplemented
        return reduced_channels(call, dims, bool(keep))
    if call.name in ("sum", "mean"):
        return _total(call, x, dims, bool(keep))
    if call.name in ("amax", "max") and dims == {x.position_dim}:
        return _highest(call, x, bool(keep))
    return NotImplemented


def _total(call: Call, x: Local, dims: set[int], keep: bool) -> Tensor:
    total = x.seen(x.delta).sum(sorted(dims), keepdim=keep)
    if call.name == "mean":
        total = total / math.prod(x.sizes(1)[x.dims[d][0]] for d in dims)
    return call.output + total


def _highest(call: Call, x: Local, keep: bool) -> Any:
    """The highest of the window and of what lies before and after it."""
    if len(call.bases) > 1 and call.needed[1]:
        return NotImplemented
    whole = x.whole()
    for name, values in (("before", whole), ("after", whole.flip(0))):
        if (name, x.dims) not in x.base.derived:
            x.base.derived[name, x.dims] = values.cummax(0).values
    before, after = x.base.derived["before", x.dims], x.base.derived["after", x.dims]
    values = x.values()
    if isinstance(x.start, Tensor):
        index = x.start[:, None] + torch.arange(x.width)
        outside = ((index < 0) | (index >= x.length)).to(values.device)
        if bool(outside.any()):
            values = values.masked_fill(outside.view(*outside.shape, *(1,) * (values.ndim - 2)), -math.inf)
    best = values.amax(1)
    for rows, start in x.runs():
        if start > 0:
            best[rows] = torch.maximum(best[rows], before[min(start, x.length) - 1])
        if (end := start + x.width) < x.length:
            best[rows] = torch.maximum(best[rows], after[x.length - max(end, 0) - 1])
    seen = x.seen(best.unsqueeze(1))
    seen = seen if keep else seen.squeeze(x.position_dim)
    return seen if len(call.bases) == 1 else (seen, None)
