"""Operations that keep positions apart: activations, arithmetic, whatever mixes channels only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sciexplain.domains.genomics.reach.calls import Call, Result
from sciexplain.domains.genomics.reach.windows import Dims, Local, aligned, picked


def elementwise(call: Call) -> Result:
    """A function of each value; with others of the same place, where it has more tensors."""
    x = call.args[0]
    if not isinstance(x, Local) or any(isinstance(v, Tensor | Local) for v in (*call.args[1:], *call.kwargs.values())):
        return along(call)
    if not call.output.is_floating_point():
        return NotImplemented
    return _changed(call, x, call.func(x.values(), *call.args[1:], **call.kwargs), x.dims)


def along(call: Call) -> Result:
    """The operation itself on the values in the windows, arranged as the model sees them."""
    found = _on_windows(call)
    if found is None:
        return NotImplemented
    outputs, like = found
    if not isinstance(outputs, Tensor) or outputs.ndim != len(like.dims) or not outputs.is_floating_point():
        return NotImplemented
    return _changed(call, like, like.unseen(outputs), like.dims)


def _changed(call: Call, like: Local, values: Tensor, dims: Dims) -> Result:
    found = Local(call.base, like.start, values, dims, like.length, fresh=True)
    original = found.original()
    if original.shape[1:] != values.shape[1:] or values.shape[0] != like.rows:
        return NotImplemented
    return replace(found, delta=values - original)


def _on_windows(call: Call) -> tuple[Any, Local] | None:
    given = list(call.locals())
    if any(not x.plain or x.dims != given[0].dims or x.length != given[0].length for x in given):
        return None
    windows = aligned(given)
    like, lined_up = windows[0], iter(windows)
    arguments: dict[int | str, Any] = {}
    everything: list[tuple[int | str, Any]] = [*enumerate(call.args), *call.kwargs.items()]
    for key, value in everything:
        if isinstance(value, tuple | list) and any(isinstance(item, Local) for item in value):
            return None
        if isinstance(value, Local):
            window = next(lined_up)
            value = window.seen(window.values())
        elif isinstance(value, Tensor):
            value = constant(value, like)
            if value is None:
                return None
        arguments[key] = value
    args = [v for k, v in arguments.items() if isinstance(k, int)]
    return call.func(*args, **{k: v for k, v in arguments.items() if isinstance(k, str)}), like


def constant(value: Tensor, like: Local) -> Tensor | None:
    """The windows of a tensor that broadcasts with what the model sees; None where it cannot be told."""
    dims = len(like.dims)
    from_end = dims - like.position_dim
    if value.ndim < from_end or value.shape[-from_end] == 1:
        return value
    if value.ndim > dims or value.shape[-from_end] != like.length:
        return None
    value = value.view(*(1,) * (dims - value.ndim), *value.shape)
    if value.shape[like.row_dim] != 1:
        return None
    return like.seen(picked(like.unseen(value)[0], like.positions()))


def relu(call: Call) -> Result:
    """In place where nobody else reads the change."""
    x = call.args[0]
    if not (isinstance(x, Local) and x.writable and x.delta.is_floating_point()):
        return elementwise(call)
    found = replace(x, base=call.base)
    found.delta.add_(x.original()).relu_().sub_(found.original())
    return found


def unchanged(call: Call) -> Result:
    """What gives the values on as they are."""
    x = call.args[0]
    return replace(x, base=call.base, fresh=x.writable)


def cast(call: Call) -> Result:
    """To another type or device: of the change, where all arguments are no tensors."""
    x = call.args[0]
    if any(isinstance(a, Local) for a in (*call.args[1:], *call.kwargs.values())):
        return NotImplemented
    if not call.output.is_floating_point():
        return NotImplemented
    return Local(call.base, x.start, x.delta.to(call.output.dtype), x.dims, x.length)


def dropout(call: Call) -> Result:
    if call.bound("input p training inplace", p=0.5, training=True)["training"]:
        return NotImplemented
    return unchanged(call)


def add(call: Call) -> Result:
    """Changes add up; a constant changes nothing."""
    return _sum(call, 1)


def subtract(call: Call) -> Result:
    return _sum(call, -1)


def _sum(call: Call, sign: int) -> Result:
    given = call.bound("input other alpha", alpha=1)
    x, y, factor = given["input"], given["other"], sign * given["alpha"]
    if given.get("out") is not None or not (isinstance(x, Local) and call.output.is_floating_point()):
        return along(call)
    if not isinstance(y, Local):
        if call.output.numel() != x.base.tensor.numel() or call.output.dtype != x.delta.dtype or hidden(y):
            return along(call)
        return unchanged(call)
    alike = x.dims == y.dims and x.length == y.length and x.delta.shape[2:] == y.delta.shape[2:]
    if not (alike and x.delta.dtype == y.delta.dtype):
        return along(call)
    for a, b, scale_a, scale_b in ((x, y, 1, factor), (y, x, factor, 1)):
        offset = _inside(a, b)
        if a.writable and a.base is not b.base and scale_a == 1 and offset is not None:
            a.delta[:, offset : offset + b.width].add_(b.delta, alpha=scale_b)
            return replace(a, base=call.base)
    a, b = aligned([x, y])
    return Local(call.base, a.start, a.delta.add(b.delta, alpha=factor), a.dims, a.length, fresh=True).settled()


def _inside(outer: Local, inner: Local) -> int | None:
    """How far into the outer windows the inner ones begin, where all of them lie within."""
    if isinstance(outer.start, int) and isinstance(inner.start, int):
        offset = inner.start - outer.start
    elif isinstance(outer.start, Tensor) and isinstance(inner.start, Tensor):
        offsets = inner.start - outer.start
        offset = int(offsets[0])
        if not bool((offsets == offset).all()):
            return None
    else:
        return None
    return offset if offset >= 0 and offset + inner.width <= outer.width else None


def scale(call: Call) -> Result:
    """By a constant: the change is scaled."""
    given = call.bound("input other")
    x, y = given["input"], given["other"]
    if isinstance(y, Local) and not isinstance(x, Local) and "mul" in call.name:
        x, y = y, x
    if isinstance(y, Local) or not x.plain or set(given) != {"input", "other"} or not x.delta.is_floating_point():
        return along(call)
    if isinstance(y, Tensor):
        y = constant(y, x)
        if y is None:
            return NotImplemented
    factor = (torch.mul if "mul" in call.name else torch.div)(x.seen(x.delta), y)
    if call.output.numel() != x.base.tensor.numel() or factor.dtype != call.output.dtype:
        return along(call)
    return Local(call.base, x.start, x.unseen(factor), x.dims, x.length, fresh=True)


def hidden(value: Any) -> bool:
    """Whether a tensor that seems not to depend on the substitution was made of one without values, out of sight."""
    return isinstance(value, Tensor) and value.is_floating_point() and bool(value.isnan().any())


def negative(call: Call) -> Result:
    x = call.args[0]
    return Local(call.base, x.start, -x.delta, x.dims, x.length, fresh=True)


def over_channels(call: Call) -> Result:
    """A softmax, a gated unit and the like: along a dimension that is not the positions'."""
    x = call.args[0]
    dim = call.bound("input dim").get("dim", -1 if call.name == "glu" else None)
    if not isinstance(dim, int) or not isinstance(x, Local) or not x.plain:
        return NotImplemented
    return NotImplemented if dim % len(x.dims) in (x.position_dim, x.row_dim) else along(call)


def layer_norm(call: Call) -> Result:
    given = call.bound("input normalized_shape")
    x, last = given["input"], len(given["normalized_shape"])
    if not isinstance(x, Local) or not x.plain or max(x.position_dim, x.row_dim) >= len(x.dims) - last:
        return NotImplemented
    return along(call)


def batch_norm(call: Call) -> Result:
    """With recorded statistics, an affine map of each channel."""
    given = call.bound(
        "input running_mean running_var weight bias training momentum eps", weight=None, training=False, eps=1e-5
    )
    x, variance, weight = given["input"], given["running_var"], given["weight"]
    if given["training"] or variance is None or not isinstance(x, Local) or not x.plain:
        return NotImplemented
    if x.dims[0] != (0,) or x.dims[1] == (1,):
        return NotImplemented
    factor = (variance.to(x.delta.dtype) + given["eps"]).rsqrt()
    factor = factor if weight is None else factor * weight
    place = x.dims[1][0]
    factor = factor.view(*(-1 if i == place else 1 for i in range(x.delta.ndim)))
    if x.writable:
        return replace(x, base=call.base, delta=x.delta.mul_(factor))
    return Local(call.base, x.start, x.delta * factor, x.dims, x.length, fresh=True)


def prelu(call: Call) -> Result:
    x = call.args[0]
    if not isinstance(x, Local) or not x.plain or x.dims[0] != (0,) or x.dims[1] == (1,):
        return NotImplemented
    values = torch.prelu(x.seen(x.values()), call.args[1])
    return _changed(call, x, x.unseen(values), x.dims)


def embedding(call: Call) -> Result:
    """Integers along the positions become vectors."""
    given = call.bound("input weight")
    x = given["input"]
    if not isinstance(x, Local) or not x.plain or x.delta.ndim != 2:
        return NotImplemented
    return _changed(call, x, given["weight"][x.values()], (*x.dims, (2,)))


def reduced_channels(call: Call, dims: set[int], keep: bool) -> Result:
    """A sum, mean or maximum over dimensions that are neither rows nor positions."""
    x = call.args[0]
    found = _on_windows(call)
    if found is None or not isinstance(found[0], Tensor):
        return NotImplemented
    values = found[0]
    if keep:
        return _changed(call, x, x.unseen(values), x.dims)
    left = [group for i, group in enumerate(x.dims) if i not in dims]
    new = relabelled(left)
    return _changed(call, x, replace(x, dims=new).unseen(values), new)


def relabelled(groups: list[tuple[int, ...]]) -> Dims:
    """The same order, numbered without gaps."""
    numbers = sorted(i for group in groups for i in group)
    return tuple(tuple(numbers.index(i) for i in group) for group in groups)
