"""An operation whose multipliers are known once both passes are: an autograd node with a backward pass of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..call import Call

if TYPE_CHECKING:
    from ..reference import DeepLift

Multiply = Callable[[Tensor], Sequence[Tensor | None]]
"""From the multiplier of an operation's output to those of its inputs."""


class _Node(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, multiply: Multiply, box: list[Tensor], *inputs: Tensor) -> Tensor:
        ctx.multiply = multiply
        ctx.set_materialize_grads(False)
        return box.pop()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, m: Tensor | None) -> Any:
        if m is None:
            return (None,) * len(ctx.needs_input_grad)
        return None, None, *ctx.multiply(m)


def joined(value: Tensor, inputs: Sequence[Tensor], multiply: Multiply) -> Tensor:
    """``value`` as a function of ``inputs`` whose backward pass is ``multiply``."""
    # detached, since a view made here could not be changed in place
    result: Tensor = _Node.apply(multiply, [value.detach()], *inputs)
    return result


class Operation(Call):
    """One operation on its way through the DeepLIFT engine."""

    @property
    def engine(self) -> DeepLift:
        engine: Any = self.lrp
        return engine

    def inputs(self) -> list[Tensor]:
        """The distinct active arguments."""
        return list({id(t): t for t in self.active}.values())

    def value(self) -> Any:
        """The operation as torch does it, outside the graph."""
        with torch.no_grad():
            return self.run()

    def dimension(self) -> Any:
        """The ``dim`` of an operation along one dimension, with torch's default."""
        dim = self.argument(2 if self.name in ("topk", "kthvalue") else 1, "dim")
        if dim is None and self.name in ("softmax", "softmin", "log_softmax"):
            return 0 if self.active[0].ndim in (0, 1, 3) else 1  # torch's choice where none is given
        if dim is None and self.name in ("topk", "kthvalue", "sort", "mode"):
            return -1
        return 0 if self.name == "msort" else dim

    def freeze(self, which: Callable[[Tensor], bool]) -> None:
        """What carries no gradient but follows the input: as it was for the sample."""

        def frozen(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value.detach() if not value.requires_grad and which(value) else value
            if type(value) in (tuple, list):
                return type(value)(frozen(v) for v in value)
            return {k: frozen(v) for k, v in value.items()} if type(value) is dict else value

        self.args, self.kwargs = frozen(self.args), frozen(self.kwargs)

    def at(self, points: Sequence[Tensor], values: Sequence[Tensor]) -> Any:
        """The operation with ``values`` in the place of ``points``."""
        again = Operation(self.lrp, self.func, self.name, self.args, self.kwargs, list(points))
        by_id = {id(p): v for p, v in zip(points, values, strict=True)}
        again.replace(lambda t: by_id[id(t)])
        return again.run()

    def record(self, result: Any) -> Any:
        """Put the operation on the tape."""
        self.engine.tape.record(self.func, self.args, self.kwargs, result, follows=is_followed)
        return result


def is_followed(tensor: Tensor) -> bool:
    """Integers that the sample led to (indices, classes) hold for the reference too."""
    return tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool


def pulled_back(
    operation: Callable[[Sequence[Tensor]], Tensor], points: Sequence[Tensor], m: Tensor
) -> Sequence[Tensor | None]:
    """``m`` times the derivative of ``operation`` at ``points``."""
    with torch.enable_grad():
        leaves = [p.detach().requires_grad_() for p in points]
        value = operation(leaves)
    return torch.autograd.grad(value, leaves, m, allow_unused=True)
