"""Operations that move values about: permutations, reshapes, slices, padding, concatenation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sciexplain.domains.genomics.reach.calls import Call, Result, one
from sciexplain.domains.genomics.reach.pointwise import hidden, relabelled
from sciexplain.domains.genomics.reach.windows import Dims, Local, aligned, moved_size, placed


def _view(call: Call, x: Local, dims: Dims, delta: Tensor | None = None) -> Local:
    return replace(x, base=call.base, dims=dims, delta=x.delta if delta is None else delta, fresh=x.writable)


def permute(call: Call) -> Result:
    x = call.args[0]
    order = call.kwargs.get("dims") or (call.args[1] if isinstance(call.args[1], tuple | list) else call.args[1:])
    return _view(call, x, tuple(x.dims[i] for i in order))


def move(call: Call) -> Result:
    given = call.bound("input source destination")
    x, source, destination = given["input"], one(given["source"]), one(given["destination"])
    count = len(x.dims)
    moved = {d % count: s % count for s, d in zip(source, destination, strict=True)}
    rest = iter(i for i in range(count) if i not in moved.values())
    return _view(call, x, tuple(x.dims[moved[i] if i in moved else next(rest)] for i in range(count)))


def transpose(call: Call) -> Result:
    x = call.args[0]
    order = list(range(len(x.dims)))
    a, b = (0, 1) if call.name == "t" else (-2, -1) if call.name in ("mT", "adjoint") else _pair(call)
    order[a], order[b] = order[b], order[a]
    return _view(call, x, tuple(x.dims[i] for i in order))


def _pair(call: Call) -> tuple[int, int]:
    given = call.bound("input dim0 dim1")
    return given["dim0"] if "dim0" in given else given["axis0"], given["dim1"] if "dim1" in given else given["axis1"]


def reshape(call: Call) -> Result:
    """Dimensions merged or taken apart, the rows left alone."""
    x = call.args[0]
    sizes = [moved_size(group, x.whole()[None]) for group in x.dims]
    wanted = list(call.output.shape)
    if x.dims[0] != (0,) or not wanted or wanted[0] != 1:
        return NotImplemented
    groups: list[tuple[int, ...]] = [(0,)]
    split: tuple[int, list[int]] | None = None
    i, j = 1, 1
    while i < len(sizes) or j < len(wanted):
        old, new = [i], [j]
        a = sizes[i] if i < len(sizes) else 1
        b = wanted[j] if j < len(wanted) else 1
        while a != b:
            if a < b:
                i += 1
                if i >= len(sizes):
                    return NotImplemented
                old, a = [*old, i], a * sizes[i]
            else:
                j += 1
                if j >= len(wanted):
                    return NotImplemented
                new, b = [*new, j], b * wanted[j]
        i, j = i + 1, j + 1
        if new[0] >= len(wanted):  # dimensions of one at the end, merged with what is before them
            groups[-1] += tuple(d for k in old for d in x.dims[k])
        elif len(new) == 1:
            groups.append(tuple(d for k in old if k < len(sizes) for d in x.dims[k]))
        elif len(old) == 1 and len(x.dims[old[0]]) == 1 and split is None:
            split = x.dims[old[0]][0], [wanted[k] for k in new]
            groups += [(-k,) for k in range(1, len(new) + 1)]
        else:
            return NotImplemented
    if any(not group for group in groups) or any(len(g) > 1 and g[0] < 0 for g in groups):
        return NotImplemented
    if split is None:
        return _view(call, x, tuple(groups))
    return _split(call, x, groups, *split)


def _split(call: Call, x: Local, groups: list[tuple[int, ...]], place: int, parts: list[int]) -> Result:
    """One dimension of the data taken apart: channels, or positions into positions and places within them."""
    if place == 0:
        return NotImplemented
    if place > 1:
        shift = len(parts) - 1
        delta = x.delta.unflatten(place, parts)

        def number(d: int) -> int:
            return place - d - 1 if d < 0 else d + shift if d > place else d

        return _view(call, x, tuple(tuple(number(d) for d in g) for g in groups), delta)
    if len(parts) != 2 or parts[0] == 1:
        return NotImplemented
    step = parts[1]
    start = torch.div(x.start, step, rounding_mode="floor") if isinstance(x.start, Tensor) else x.start // step
    offset = x.start - start * step
    most = step - 1 if isinstance(offset, Tensor) else offset
    width = -(-(x.width + most) // step)
    delta = placed(x.delta, offset, width * step).unflatten(1, (width, step)).movedim(2, -1)
    last = delta.ndim - 1
    dims = tuple(tuple(1 if d == -1 else last if d == -2 else d for d in g) for g in groups)
    return Local(call.base, start, delta, dims, parts[0], fresh=True).settled()


def unsqueeze(call: Call) -> Result:
    x, dim = call.args[0], call.bound("input dim")["dim"]
    new = x.delta.ndim
    dims = list(x.dims)
    dims.insert(dim % (len(dims) + 1), (new,))
    return _view(call, x, tuple(dims), x.delta.unsqueeze(-1))


def squeeze(call: Call) -> Result:
    x = call.args[0]
    dim = call.bound("input dim").get("dim")
    if not x.plain:
        return NotImplemented
    asked = (
        range(len(x.dims)) if dim is None else [d % len(x.dims) for d in (dim if isinstance(dim, tuple) else (dim,))]
    )
    if dim is None and x.length == 1:
        return NotImplemented
    gone = [i for i in asked if x.dims[i][0] > 1 and x.delta.shape[x.dims[i][0]] == 1]
    if any(x.dims[i] == (0,) or (x.dims[i] == (1,) and x.length == 1) for i in asked) and dim is not None:
        return NotImplemented
    return _without(call, x, gone)


def _without(call: Call, x: Local, gone: list[int]) -> Local:
    places = {x.dims[i][0] for i in gone}
    kept = [i for i in range(x.delta.ndim) if i not in places]
    delta = x.delta.permute(*kept, *sorted(places)).flatten(len(kept) - 1) if places else x.delta
    left = [g for i, g in enumerate(x.dims) if i not in gone]
    return _view(call, x, relabelled(left), delta.reshape([x.delta.shape[i] for i in kept]))


def getitem(call: Call) -> Result:
    """Slices, integers, None and at most one list, which picks channels; not of the rows."""
    x, index = call.args
    if not x.plain:
        return NotImplemented
    entries = list(index) if isinstance(index, tuple) else [index]
    lists = [
        e for e in entries if isinstance(e, list) or (isinstance(e, Tensor) and e.ndim == 1 and e.dtype == torch.long)
    ]
    simple = [e for e in entries if e is None or e is Ellipsis or isinstance(e, slice) or type(e) is int]
    if len(lists) + len(simple) < len(entries) or len(lists) > 1 or (lists and any(type(e) is int for e in simple)):
        return NotImplemented
    taken = sum(e is not None and e is not Ellipsis for e in entries)
    at = next((i for i, e in enumerate(entries) if e is Ellipsis), len(entries))
    entries[at : at + 1] = [slice(None)] * (len(x.dims) - taken)
    data: list[Any] = [slice(None)] * x.delta.ndim
    groups: list[tuple[int, ...]] = []
    added, dim, crop = 0, 0, slice(None)
    for entry in entries:
        if entry is None:
            groups.append((x.delta.ndim + added,))
            added += 1
            continue
        place = x.dims[dim][0]
        dim += 1
        partly = not isinstance(entry, slice) or entry != slice(None)
        if place == 0 and partly:
            return NotImplemented
        if place == 1 and partly:
            if not isinstance(entry, slice) or entry.step not in (None, 1):
                return NotImplemented
            crop = entry
        else:
            data[place] = entry
        if type(entry) is not int:
            groups.append((place,))
    delta = x.delta[(*data, *(None,) * added)]
    low, high, _ = crop.indices(x.length)
    if high <= low:
        return NotImplemented
    found = _view(call, x, relabelled(groups), delta)
    return found if crop == slice(None) else _cropped(found, low, high - low)


def _cropped(x: Local, low: int, length: int) -> Local:
    return replace(x, start=x.start - low, length=length).settled()


def narrow(call: Call) -> Result:
    given = call.bound("input dim start length")
    x, dim, start, length = given["input"], given["dim"], given["start"], given["length"]
    index: list[Any] = [slice(None)] * len(x.dims)
    index[dim] = slice(start, start + length)
    return getitem(replace_args(call, x, tuple(index)))


def replace_args(call: Call, *args: Any) -> Call:
    return replace(call, args=args, kwargs={})


def unbind(call: Call) -> Result:
    """Along channels, each a tensor of its own."""
    x = call.args[0]
    dim = call.bound("input dim", dim=0)["dim"] % len(x.dims)
    if not x.plain or x.dims[dim][0] < 2:
        return NotImplemented
    left = relabelled([group for i, group in enumerate(x.dims) if i != dim])
    parts = x.delta.unbind(x.dims[dim][0])
    return tuple(
        replace(x, base=b, delta=p, dims=left, fresh=x.writable) for b, p in zip(call.bases, parts, strict=True)
    )


def split(call: Call) -> Result:
    """Chunks along channels."""
    x = call.args[0]
    given = call.bound("input parts dim", dim=0)
    dim = given["dim"] % len(x.dims)
    if not x.plain or x.dims[dim][0] < 2:
        return NotImplemented
    sizes = [b.tensor.shape[dim] for b in call.bases]
    parts = x.delta.split(sizes, x.dims[dim][0])
    return tuple(replace(x, base=b, delta=p, fresh=x.writable) for b, p in zip(call.bases, parts, strict=True))


def pad(call: Call) -> Result:
    """With a constant: positions move, and further channels do not change."""
    given = call.bound("input pad mode value", mode="constant")
    x, amounts = given["input"], list(given["pad"])
    if given["mode"] != "constant" or not x.plain:
        return NotImplemented
    before_after = {len(x.dims) - 1 - i // 2: (amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)}
    before, after = before_after.pop(x.position_dim, (0, 0))
    if any(pair != (0, 0) for pair in before_after.values()):
        return NotImplemented
    found = _view(call, x, x.dims)
    return _cropped(found, -before, x.length + before + after)


def flip(call: Call) -> Result:
    x = call.args[0]
    dims = call.kwargs.get("dims") or (call.args[1] if isinstance(call.args[1], tuple | list) else call.args[1:])
    places = [x.dims[d % len(x.dims)][0] for d in dims]
    if not x.plain or 0 in places:
        return NotImplemented
    found = replace(x, base=call.base, delta=x.delta.flip(places), fresh=True)
    return replace(found, start=x.length - x.start - x.width) if 1 in places else found


def concatenate(call: Call) -> Result:
    """Along channels; what does not depend on the substitution has no change."""
    given = call.bound("tensors dim", dim=0)
    parts, dim = list(given["tensors"]), given.get("axis", given["dim"])
    windows = [p for p in parts if isinstance(p, Local)]
    like = windows[0]
    dim %= len(like.dims)
    if any(not w.plain or w.dims != like.dims or w.length != like.length for w in windows) or like.dims[dim][0] < 2:
        return NotImplemented
    if any(hidden(p) for p in parts):
        return NotImplemented
    windows = aligned(windows)
    like, lined_up = windows[0], iter(windows)
    place, deltas = like.dims[dim][0], []
    for part in parts:
        if isinstance(part, Local):
            deltas.append(next(lined_up).delta)
        else:
            shape = list(like.delta.shape)
            shape[place] = part.shape[dim]
            deltas.append(like.delta.new_zeros(shape))
    return Local(call.base, like.start, torch.cat(deltas, place), like.dims, like.length, fresh=True)
