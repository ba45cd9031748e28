"""Linear layers, of the change alone: what they give for a sum is the sum of what they give."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sciexplain.domains.genomics.reach.calls import Call, Result, one
from sciexplain.domains.genomics.reach.windows import Local, placed

#: Below so many channels in or out, a product per tap is faster than a convolution.
FEW = 8


def convolution(call: Call) -> Result:
    """One along positions; a second dimension of the kernel must cover its input's or be one."""
    given = call.bound(
        "input weight bias stride padding dilation groups", bias=None, stride=1, padding=0, dilation=1, groups=1
    )
    x, weight, groups = given["input"], given["weight"], given["groups"]
    spatial = weight.ndim - 2
    if not isinstance(x, Local) or not x.plain or x.dims[0] != (0,) or spatial > 2 or len(x.dims) != spatial + 2:
        return NotImplemented
    along = x.position_dim - 2
    if along < 0:
        return NotImplemented
    stride, dilation = one(given["stride"], spatial), one(given["dilation"], spatial)
    padding = _padding(given["padding"], weight.shape[2:], dilation)
    if padding is None:
        return NotImplemented
    delta = x.delta.permute(0, 1, *(x.dims[d][0] for d in range(1, len(x.dims)) if d != x.position_dim))
    dims: tuple[tuple[int, ...], ...] = ((0,), (2,), (1,))
    if spatial == 2:
        other = 1 - along
        if padding[other] or weight.shape[2 + other] != delta.shape[3]:
            if weight[0, 0].numel() == 1 and stride == (1, 1) and not any(padding):
                return _pointwise_convolution(call, x, weight, groups)
            return NotImplemented
        if groups > 1 and delta.shape[3] > 1:
            return NotImplemented
        delta = delta.flatten(2)
        weight = weight.movedim(2 + other, 2).flatten(1, 2)
        dims = ((0,), (2,), (3,), (1,)) if other == 0 else ((0,), (2,), (1,), (3,))
    length = call.output.shape[x.position_dim]
    start, changed = _convolved(call, x, delta, weight, stride[along], padding[along], dilation[along], groups)
    if spatial == 2:
        changed = changed.unsqueeze(-1)
    return Local(call.base, start, changed, dims, length, fresh=True).settled()


def _padding(given: Any, kernel: torch.Size, dilation: tuple[int, ...]) -> tuple[int, ...] | None:
    """At each side; None where it is uneven."""
    if given == "valid":
        return (0,) * len(kernel)
    if given == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return None if any(t % 2 for t in total) else tuple(t // 2 for t in total)
    return one(given, len(kernel))


def _pointwise_convolution(call: Call, x: Local, weight: Tensor, groups: int) -> Result:
    seen = F.conv2d(x.seen(x.delta), weight, groups=groups)
    return Local(call.base, x.start, x.unseen(seen), x.dims, x.length, fresh=True)


def _convolved(
    call: Call, x: Local, delta: Tensor, weight: Tensor, stride: int, padding: int, dilation: int, groups: int
) -> tuple[Tensor | int, Tensor]:
    """First output position that is reached, and the changes (M, W', channels) from there on."""
    reach = (weight.shape[2] - 1) * dilation
    if stride > 1:
        start, offset, width = reached(x, stride, padding, reach)
        wide = placed(delta, offset, (width - 1) * stride + reach + 1)
        return start, _channels_last(wide, weight, 0, dilation, groups, stride)
    start = x.start + padding - reach
    few = groups == 1 and min(delta.shape[2], weight.shape[0]) < FEW
    if few and delta.dtype == weight.dtype:
        return start, _per_tap(call, delta, weight, dilation)
    return start, _channels_last(delta, weight, reach, dilation, groups)


def reached(x: Local, stride: int, padding: int, reach: int) -> tuple[Tensor | int, Tensor | int, int]:
    """Outputs of a sliding window over ``reach`` + 1 positions that meet those of ``x``.

    Returns
    -------
    First of them; where the window of ``x`` begins, counted from the first input position of the first output; their
    number.
    """
    first = x.start + padding - reach
    start = -torch.div(-first, stride, rounding_mode="floor") if isinstance(first, Tensor) else -(-first // stride)
    width = (x.width - 1 + reach) // stride + 1
    return start, x.start - (start * stride - padding), width


def _channels_last(delta: Tensor, weight: Tensor, padding: int, dilation: int, groups: int, stride: int = 1) -> Tensor:
    """As a convolution of images of height one, whose kernels for channels in the last place skip the padding."""
    image = delta.contiguous().permute(0, 2, 1).unsqueeze(2)
    out = F.conv2d(
        image, weight.unsqueeze(2), padding=(0, padding), dilation=(1, dilation), groups=groups, stride=(1, stride)
    )
    return out.squeeze(2).permute(0, 2, 1)


def _per_tap(call: Call, delta: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """Every tap's product at every changed position, added up where they belong; of one letter, columns of weights."""
    outputs, inputs, taps = weight.shape
    matrix = call.kept("taps", weight, lambda: weight.permute(1, 2, 0).reshape(inputs, -1).contiguous())
    products = (delta.reshape(-1, inputs) @ matrix).view(*delta.shape[:2], taps, outputs)
    if delta.shape[1] == 1 and dilation == 1:
        return products[:, 0].flip(1)
    found = delta.new_zeros(delta.shape[0], delta.shape[1] + (taps - 1) * dilation, outputs)
    for k in range(taps):
        begin = (taps - 1 - k) * dilation
        found[:, begin : begin + delta.shape[1]] += products[:, :, k]
    return found


def linear(call: Call) -> Result:
    """A dense layer over channels, or over the flattened sequence by the columns that are touched."""
    if call.name == "linear":
        given = call.bound("input weight bias", bias=None)
        x, weight = given["input"], given["weight"]
    else:
        given = call.bound("input other")
        x, weight = given["input"], given["other"]
        if isinstance(weight, Local) or weight.ndim != 2:
            return NotImplemented
    if not isinstance(x, Local) or isinstance(weight, Local):
        return NotImplemented
    group = x.dims[-1]
    transposed = call.name != "linear"
    if len(group) == 1 and group[0] > 1 and x.plain:
        matrix = weight.t() if transposed else weight
        delta = F.linear(x.delta.movedim(group[0], -1), matrix).movedim(-1, group[0])
        return Local(call.base, x.start, delta, x.dims, x.length, fresh=True)
    if 1 not in group or x.dims[:-1] != ((0,),):
        return NotImplemented
    columns = call.kept(("columns", transposed, group), weight, lambda: _columns(weight, x, transposed))
    if x.width * 8 > x.length:
        x = x.common()
    found = call.output.expand(x.rows, -1).clone()
    for rows, start in x.runs():
        low, high = max(start, 0), min(start + x.width, x.length)
        if low < high:
            part = x.delta[rows, low - start : high - start].flatten(1)
            found[rows] += part @ columns[low:high].flatten(0, 1)
    return found


def _columns(weight: Tensor, x: Local, transposed: bool) -> Tensor:
    """(L, *rest flattened, outputs): a dense layer's weights by the position that they read."""
    group = x.dims[-1]
    sizes = x.sizes(1)
    apart = (weight.t() if transposed else weight).reshape(-1, *(sizes[i] for i in group))
    order = sorted(range(len(group)), key=lambda k: group[k])
    return apart.permute(*(k + 1 for k in order), 0).reshape(x.length, -1, apart.shape[0]).contiguous()
