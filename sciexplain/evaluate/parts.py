"""Parts of a tensor that come and go together: pixels, single values, patches, or numbered regions."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..explanation import Explanation

Parts = int | tuple[int, ...] | str | Tensor | None


@dataclass(frozen=True)
class PartMap:
    """Which part each value of the inputs (N, \\*shape) belongs to.

    Attributes
    ----------
    numbers
        (1 or N, 1 or C, \\*spatial) LongTensor: the part of each value, from 0.
    count
        How many parts every sample has.
    single
        Every number occurs once and in order, so that masks of parts need only be reshaped.
    """

    numbers: Tensor
    count: int
    single: bool

    def values(self, parts: Tensor, samples: Tensor) -> Tensor:
        """Masks of parts (M, count) as masks of values (M, 1 or C, \\*spatial)."""
        shape = (len(parts), *self.numbers.shape[1:])
        if self.single:
            return parts.view(shape)
        numbers = self.numbers if len(self.numbers) == 1 else self.numbers[samples]
        return parts.gather(1, numbers.flatten(1).expand(len(parts), -1)).view(shape)

    def sums(self, values: Tensor) -> Tensor:
        """Sums of values (N, \\*shape) over parts: (N, count), in float64.

        Values for all channels together, (N, 1, \\*spatial), are shared by them where channels are parts of their own.
        """
        values, channels = values.double(), self.numbers.shape[1]
        if values.shape[1] == 1 < channels:
            values = values.expand(-1, channels, *(-1,) * (values.ndim - 2)) / channels
        if self.single:
            return (values if values.shape[1] == channels else values.sum(1)).flatten(1)
        flat = values.flatten(1)
        numbers = self.numbers.expand(values.shape).flatten(1)
        return flat.new_zeros(len(flat), self.count).scatter_add_(1, numbers, flat)

    def any(self, values: Tensor) -> Tensor:
        """Whether a truth value (N, \\*shape) holds anywhere in a part: (N, count)."""
        return self.sums(values) > 0


def part_map(like: Tensor, parts: Parts) -> PartMap:
    """The parts of inputs.

    Parameters
    ----------
    like
        The inputs (N, features), (N, length) or (N, C, \\*spatial).
    parts
        None: single positions with all channels together; single features of a table. ``"features"``: every value for
        itself. int or tuple: patches of that size, cut off at the far border. Integer tensor: the number of the part
        that each value belongs to, (\\*spatial), (N, \\*spatial), (C, \\*spatial) or (N, C, \\*spatial).

    Raises
    ------
    InputError
    """
    n, shape = len(like), tuple(like.shape[1:])
    spatial = shape[1:] or shape
    if isinstance(parts, Tensor):
        return _numbered(like, parts)
    if parts is None or (isinstance(parts, str) and parts == "features"):
        each = shape if parts is not None or len(shape) == 1 else (1, *spatial)
        return PartMap(torch.arange(prod(each), device=like.device).view(1, *each), prod(each), True)
    sizes = (parts,) * len(spatial) if isinstance(parts, int) else parts
    if (
        not isinstance(sizes, tuple)
        or len(sizes) != len(spatial)
        or any(isinstance(s, bool) or not isinstance(s, int) or s < 1 for s in sizes)
    ):
        raise InputError(
            f'parts={parts!r} does not fit inputs of shape {(n, *shape)}; expected None, "features", a patch size for '
            f"the {len(spatial)} spatial dimensions {spatial}, or an integer tensor that numbers the parts."
        )
    numbers = torch.zeros(spatial, dtype=torch.long, device=like.device)
    count = 1
    for axis, (length, size) in enumerate(zip(spatial, sizes, strict=True)):
        along = torch.arange(length, device=like.device) // size
        numbers = numbers * -(-length // size) + along.view(-1, *(1,) * (len(spatial) - axis - 1))
        count *= -(-length // size)
    return PartMap(numbers.view(1, *((1,) if len(shape) > 1 else ()), *spatial), count, False)


def _numbered(like: Tensor, numbers: Tensor) -> PartMap:
    n, shape = len(like), tuple(like.shape[1:])
    if numbers.is_floating_point() or numbers.dtype == torch.bool or not numbers.numel() or int(numbers.min()) < 0:
        raise InputError(
            f"parts is a tensor of {numbers.dtype}, shape {tuple(numbers.shape)}; expected whole numbers from 0, the "
            "part that each value belongs to."
        )
    fitting = {shape: (1, *shape), (n, *shape): (n, *shape)}
    if len(shape) > 1:
        fitting |= {shape[1:]: (1, 1, *shape[1:]), (n, *shape[1:]): (n, 1, *shape[1:])}
        fitting |= {(n, 1, *shape[1:]): (n, 1, *shape[1:])}
    if tuple(numbers.shape) not in fitting:
        raise InputError(
            f"parts has shape {tuple(numbers.shape)}; expected one of {', '.join(map(str, fitting))} for inputs of "
            f"shape {(n, *shape)}."
        )
    numbers = numbers.to(like.device, torch.long).view(fitting[tuple(numbers.shape)])
    return PartMap(numbers, int(numbers.max()) + 1, False)


def relevance_like(relevance: Any, like: Tensor) -> Tensor:
    """Relevance as a tensor of the inputs' shape, or with one channel for all.

    Parameters
    ----------
    relevance
        Explanation, tensor or array: shaped like the inputs (N, \\*shape), or (N, \\*spatial), or (N, 1, \\*spatial);
        or a list with one of each sample.

    Raises
    ------
    InputError
        When the shape does not fit or values are not finite.
    """
    values = relevance.relevance if isinstance(relevance, Explanation) else relevance
    if not isinstance(values, Tensor):
        try:
            several = isinstance(values, list | tuple) and all(hasattr(v, "shape") for v in values)
            values = torch.stack([torch.as_tensor(v) for v in values]) if several else torch.as_tensor(values)
        except (TypeError, ValueError, RuntimeError):
            raise InputError(
                f"relevance is {type(values).__name__}; expected a tensor, array or Explanation."
            ) from None
    values = values.detach().to(like.device)
    shape = tuple(like.shape)
    if tuple(values.shape) == (shape[0], *shape[2:]) and len(shape) > 2:
        values = values.unsqueeze(1)
    elif tuple(values.shape) != shape and (len(shape) < 3 or tuple(values.shape) != (shape[0], 1, *shape[2:])):
        raise InputError(
            f"relevance has shape {tuple(values.shape)}; expected that of the inputs, {shape}, or one value per "
            "position for all channels."
        )
    if not bool(torch.isfinite(values).all()):
        raise InputError("relevance has values that are NaN or infinite; they have no rank.")
    return values
