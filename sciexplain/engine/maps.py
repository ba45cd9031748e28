"""Linear maps ``x ⋆ weight`` without bias: forward, transpose, and how weights scale with their channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import RuleError


class LinearMap(Protocol):
    @property
    def kind(self) -> str: ...

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor: ...

    def transpose(self, values: Tensor, weight: Tensor, shape: torch.Size) -> Tensor: ...

    def expand_input(self, value: float | Tensor, like: Tensor, shape: torch.Size) -> Tensor:
        """``value`` broadcast to an input of ``shape``, with the smallest batch that will do."""
        ...


def weight_gradient(linear_map: LinearMap, x: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    r""":math:`\sum x_i\, \text{values}_j` for every weight, over all places where it is used."""
    with torch.enable_grad():
        leaf = torch.zeros_like(weight, requires_grad=True)
        z = linear_map.forward(x, leaf)
    (result,) = torch.autograd.grad(z, leaf, values)
    return result


def _as_input(value: float | Tensor, like: Tensor, shape: torch.Size, channel: int) -> Tensor:
    tensor = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    if tensor.ndim == 1 and tensor.numel() > 1:
        tensor = tensor.reshape(-1, *(1,) * (-channel - 1))
    try:
        return torch.broadcast_to(tensor, torch.broadcast_shapes(tensor.shape, shape))
    except RuntimeError:
        given = tuple(torch.as_tensor(value).shape)
        raise RuleError(
            f"Bounds of shape {given} do not broadcast to a layer input of shape {tuple(shape)}; expected a number, "
            "one value per channel, or a tensor that broadcasts to the input."
        ) from None


@dataclass(frozen=True)
class Dense:
    """``F.linear``: weight ``(out, in)``, any leading dimensions."""

    kind: ClassVar[str] = "linear"

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.linear(x, weight, bias)

    def transpose(self, values: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        return values @ weight

    def expand_input(self, value: float | Tensor, like: Tensor, shape: torch.Size) -> Tensor:
        return _as_input(value, like, shape[-1:], -1)

    def output_channel(self, z: Tensor) -> int:
        return z.ndim - 1

    def input_channel(self, ndim: int) -> int:
        return ndim - 1

    def scale_output(self, weight: Tensor, scale: Tensor) -> Tensor:
        return weight * scale[:, None]

    def scale_input(self, weight: Tensor, scale: Tensor) -> Tensor:
        return weight * scale


@dataclass(frozen=True)
class Convolution:
    """A convolution, or a transposed one, in 1 to 3 dimensions.

    ``extra`` is the asymmetric part of ``padding="same"``, in the order of ``F.pad``.
    """

    dims: int
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    transposed: bool = False
    output_padding: tuple[int, ...] = ()
    extra: tuple[int, ...] = ()

    kind: ClassVar[str] = "convolution"

    @property
    def _options(self) -> tuple[object, ...]:
        return (
            list(self.stride),
            list(self.padding),
            list(self.dilation),
            self.transposed,
            list(self.output_padding or (0,) * self.dims),
            self.groups,
        )

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if x.ndim == self.dims + 1:
            return self.forward(x[None], weight, bias)[0]
        if self.extra:
            x = F.pad(x, self.extra)
        per_channel = bias is not None and bias.numel() == bias.shape[-self.dims - 1]
        z: Tensor = torch.ops.aten.convolution(
            x, weight, bias.reshape(-1) if bias is not None and per_channel else None, *self._options
        )
        return z if bias is None or per_channel else z + bias

    def transpose(self, values: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        if len(shape) == self.dims + 1:
            return self.transpose(values[None], weight, torch.Size((1, *shape)))[0]
        padded = list(shape)
        for axis in range(len(self.extra) // 2):
            padded[-1 - axis] += self.extra[2 * axis] + self.extra[2 * axis + 1]
        # only the shape of the input is read
        stand_in = values.new_empty(()).expand(padded)
        result: Tensor = torch.ops.aten.convolution_backward(
            values, stand_in, weight, None, *self._options, [True, False, False]
        )[0]
        for axis in range(len(self.extra) // 2):
            result = result.narrow(-1 - axis, self.extra[2 * axis], shape[-1 - axis])
        return result

    def expand_input(self, value: float | Tensor, like: Tensor, shape: torch.Size) -> Tensor:
        inner = shape[-self.dims - 1 :]
        unbatched = len(shape) == self.dims + 1
        return _as_input(value, like, inner if unbatched else torch.Size((1, *inner)), -self.dims - 1)

    def output_channel(self, z: Tensor) -> int:
        return z.ndim - self.dims - 1

    def input_channel(self, ndim: int) -> int:
        return ndim - self.dims - 1

    def scale_output(self, weight: Tensor, scale: Tensor) -> Tensor:
        if not self.transposed:
            return weight * scale.reshape(-1, *(1,) * (self.dims + 1))
        grouped = weight.unflatten(0, (self.groups, -1)) * scale.reshape(self.groups, 1, -1, *(1,) * self.dims)
        return grouped.flatten(0, 1)

    def scale_input(self, weight: Tensor, scale: Tensor) -> Tensor:
        if self.transposed:
            return weight * scale.reshape(-1, *(1,) * (self.dims + 1))
        grouped = weight.unflatten(0, (self.groups, -1)) * scale.reshape(self.groups, 1, -1, *(1,) * self.dims)
        return grouped.flatten(0, 1)


@dataclass(frozen=True)
class Diagonal:
    """One factor per channel: a BatchNorm that stands alone. ``weight`` broadcasts to the input."""

    kind: str

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return x * weight if bias is None else x * weight + bias

    def transpose(self, values: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        return values * weight

    def expand_input(self, value: float | Tensor, like: Tensor, shape: torch.Size) -> Tensor:
        return _as_input(value, like, torch.Size((1, *shape[1:])), 1 - len(shape))


@dataclass(frozen=True)
class Contraction:
    """Any product that is linear in ``x`` and in ``weight``: ``matmul``, ``einsum``, a bilinear form in one input."""

    product: Callable[[Tensor, Tensor], Tensor]
    kind: ClassVar[str] = "linear"

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        z = self.product(x, weight)
        return z if bias is None else z + bias

    def transpose(self, values: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        recorded = torch.is_grad_enabled()
        with torch.enable_grad():
            x = values.new_zeros(shape, requires_grad=True)
            z = self.product(x, weight if recorded else weight.detach())
        (result,) = torch.autograd.grad(z, x, values, create_graph=recorded)
        return result

    def expand_input(self, value: float | Tensor, like: Tensor, shape: torch.Size) -> Tensor:
        return _as_input(value, like, shape, -1)
