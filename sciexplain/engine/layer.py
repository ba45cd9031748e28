"""A linear layer met in the forward pass, and the autograd node that applies its rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..linear_layer import Account, Messages
from ..rules import Rule
from . import tags
from .call import differentiable_once, on_its_own, slopes_fixed
from .keep import Kept
from .ledger import Row
from .maps import Contraction, Convolution, Dense, Diagonal, LinearMap, weight_gradient
from .precision import fitting, without_autocast

if TYPE_CHECKING:
    from .mode import LRP


@dataclass
class Layer:
    """``z = x ⋆ weight + bias``: what a rule reads (:class:`sciexplain.rules.LinearLayer`), and where it stands.

    BatchNorm and bias that follow are merged by making a new ``Layer`` from the same ``port``: the autograd stand-in
    for the input, which holds no memory.
    """

    lrp: LRP
    index: int
    op: str
    map: LinearMap
    rules: tuple[Rule, Rule]
    """The rule, and the rule if this turns out to be the last layer."""
    port: Tensor
    stage: int
    raw_weight: Tensor
    """As the model has it; BatchNorm's factors are multiplied in when the rule asks for ``weight``."""
    bias: Tensor | None
    kept_x: Kept | None
    dtype: torch.dtype
    """That the rule computes in."""
    parameter: Tensor | None = None
    """In the shape of the weight: what is credited for it."""
    bias_credits: tuple[Callable[[Tensor], None], ...] = ()
    """Each credits the parameters of one part of the bias with what ``factor * bias`` is to them."""
    takes_bias: bool = False
    """Without a bias of its own: a constant added next becomes one."""
    input_scale: Tensor | None = None
    output_scale: Tensor | None = None
    kept_z: Kept | None = None
    rectified: bool = False
    uses: int = 0
    row: Row | None = None
    captures: list[Any] = field(default_factory=list)

    @property
    def rule(self) -> Rule:
        return self.rules[self.index == self.lrp.layer_count - 1]

    @cached_property
    def weight(self) -> Tensor:
        weight = self._weight_without_output_scale()
        if self.output_scale is None:
            return weight
        assert isinstance(self.map, Dense | Convolution)
        return self.map.scale_output(weight, self.output_scale)

    def _weight_without_output_scale(self) -> Tensor:
        weight = self.raw_weight.to(self.dtype)
        if self.input_scale is None:
            return weight
        assert isinstance(self.map, Dense | Convolution)
        return self.map.scale_input(weight, self.input_scale)

    @cached_property
    def positive_weight(self) -> Tensor:
        return self.weight.clamp(min=0)

    @cached_property
    def negative_weight(self) -> Tensor:
        return self.weight.clamp(max=0)

    @cached_property
    def z(self) -> Tensor:
        assert self.kept_z is not None
        z = self.kept_z.get()
        if z.dtype == self.dtype or self.kept_x is None:
            return z.to(self.dtype)
        # rounded to half precision, it is no longer the sum of its contributions
        z = self.forward(self.x, self.weight, self.bias)
        return z.clamp_(min=0) if self.rectified else z

    @property
    def x(self) -> Tensor:
        assert self.kept_x is not None
        return self.kept_x.get().to(self.dtype)

    @property
    def input_shape(self) -> torch.Size:
        return self.port.shape

    @cached_property
    def nonnegative_input(self) -> bool:
        return self.kept_x is not None and bool((self.kept_x.get() >= 0).all())  # true of no rows, too

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return self.map.forward(x, weight, bias)

    def transpose(self, values: Tensor, weight: Tensor) -> Tensor:
        return self.map.transpose(values, weight, self.port.shape)

    def transpose_ones(self, values: Tensor) -> Tensor:
        """:meth:`transpose` with weights of 1; of a plain convolution on one channel, since all are alike."""
        linear_map = self.map
        if not isinstance(linear_map, Convolution) or linear_map.transposed or linear_map.groups > 1:
            return self.transpose(values, torch.ones_like(self.weight))
        axis, shape = linear_map.input_channel(self.port.ndim), list(self.port.shape)
        shape[axis] = 1
        ones = values.new_ones(1, 1, *self.raw_weight.shape[2:])
        one = linear_map.transpose(values.sum(axis, keepdim=True), ones, torch.Size(shape))
        return one.expand(self.port.shape).contiguous()

    def pull_back(self, values: Tensor) -> Tensor:
        """``transpose(values, weight)``, with BatchNorm's scale where it is less work; ``values`` are used up."""
        if self.output_scale is None or self.raw_weight.numel() < values.numel():
            return self.transpose(values, self.weight)
        assert isinstance(self.map, Dense | Convolution)
        shape = [1] * values.ndim
        shape[self.map.output_channel(values)] = -1
        return self.transpose(values.mul_(self.output_scale.reshape(shape)), self._weight_without_output_scale())

    def transpose_all(self, values: Tensor, weights: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """:meth:`transpose` with several weights; of a plain convolution as one with more channels."""
        linear_map = self.map
        if isinstance(linear_map, Convolution) and linear_map.groups == 1 and not linear_map.transposed:
            axis = linear_map.input_channel(len(self.port.shape))
            shape = list(self.port.shape)
            shape[axis] *= len(weights)
            together = linear_map.transpose(values, torch.cat(weights, 1), torch.Size(shape))
            return together.chunk(len(weights), axis)
        return tuple(self.transpose(values, weight) for weight in weights)

    def expand_input(self, value: float | Tensor) -> Tensor:
        return self.map.expand_input(value, self.raw_weight.to(self.dtype), self.port.shape)

    def absorb(self, account: Account, amount: Callable[[], Tensor]) -> None:
        if self.row is not None:
            self.row.absorb(account, amount())

    def absorb_in_bias(self, factor: Callable[[Tensor], Tensor]) -> None:
        bias = self.bias
        if bias is None:
            return
        self.absorb("bias", lambda: factor(bias) * bias)
        for credit in self.bias_credits:
            credit(factor(bias))

    def credit(self, messages: Callable[[], Iterable[Messages]]) -> None:
        credits = self.lrp.credits
        if credits is None or self.parameter is None:
            return
        for inputs, outputs, weight in messages():
            gradient = weight_gradient(self.map, inputs.expand(self.port.shape), outputs, weight)
            credits.add(self.parameter, weight * gradient)

    def credits_bias(self, bias: Tensor, factor: float | Tensor = 1.0) -> tuple[Callable[[Tensor], None], ...]:
        """For ``bias * factor`` as a part of this layer's bias."""
        credits = self.lrp.credits
        if credits is None:
            return ()
        return (lambda f: credits.add(bias, bias * (f * factor).sum_to_size(bias.shape)),)

    def behind_affine(
        self, scale: Tensor, shift: Tensor, column: tuple[int, ...], parameter: Tensor | None = None
    ) -> Layer:
        """This layer followed by ``scale * z + shift``, per output channel, as one layer.

        ``column`` is the shape in which a value per channel broadcasts to ``z``; ``parameter`` is the learned part of
        the shift.
        """
        bias, factor = shift.reshape(column), scale.reshape(column)
        if self.bias is not None:
            bias = self.bias * factor + bias
        credits = tuple(_scaled(credit, factor) for credit in self.bias_credits)
        if parameter is not None:
            credits += self.credits_bias(parameter.reshape(column))
        return self._copy(
            output_scale=scale if self.output_scale is None else self.output_scale * scale,
            bias=bias,
            bias_credits=credits,
            takes_bias=False,
        )

    def with_bias(self, bias: Tensor, sign: float) -> Layer:
        """This layer followed by ``z + sign * bias``."""
        signed = (self.lrp.values_of(bias) * sign).to(self.dtype)
        return self._copy(
            bias=signed if self.bias is None else self.bias + signed,
            bias_credits=self.bias_credits + self.credits_bias(bias, sign),
            takes_bias=False,
        )

    def rectify(self) -> Layer:
        return self._copy(rectified=True)

    def _copy(self, **changes: Any) -> Layer:
        return replace(self, kept_z=None, uses=0, captures=list(self.captures), **changes)

    def emit(self, value: Tensor) -> Tensor:
        """The layer's output ``value``, joined to the graph so that the rule applies."""
        output = self.lrp.joined(lambda values: _Emit.apply(self.port, self, [on_its_own(values)]), value)
        self.kept_z = self.lrp.keeper.keep(output)
        for capture in self.captures:
            capture.watch(output)
        return output

    def emit_in_place(self, output: Tensor) -> Tensor:
        """The layer's output for a ReLU that overwrites ``output``."""
        _EmitInPlace.apply(self.port, output, self)
        self.kept_z = self.lrp.keeper.keep(output)
        for capture in self.captures:
            capture.watch(output)
        return output

    def propagate(self, c: Tensor) -> Tensor:
        if self.lrp.twins is not None and not c.requires_grad:
            c = c.detach().requires_grad_()  # the zeros of what was overwritten
        with without_autocast(c.device):
            result = self._propagated(c.to(self.dtype))
        for name in ("weight", "positive_weight", "negative_weight", "z"):  # they live only as long as they are used
            self.__dict__.pop(name, None)
        return fitting(result, self.port.dtype)

    def _propagated(self, c: Tensor) -> Tensor:
        rule, relevance_wanted = self.rule, self.lrp.yields_relevance and self.stage == tags.RAW
        result = rule.propagate(self, c)
        if rule.yields_relevance and not relevance_wanted:
            x = self.x
            quotient = torch.where(x == 0, torch.zeros_like(result), result / x)
            self.absorb("stabilizer", lambda: torch.where(x == 0, result, torch.zeros_like(result)))
            return quotient
        if relevance_wanted and not rule.yields_relevance:
            return result * self.x
        return result


def _scaled(credit: Callable[[Tensor], None], scale: Tensor) -> Callable[[Tensor], None]:
    return lambda factor: credit(factor * scale)


def _propagated(ctx: Any, c: Tensor | None) -> Tensor | None:
    if ctx.layer is None:
        raise RuntimeError("Relevance was propagated a second time; keep the graph with retain_graph=True.")
    result = None if c is None else ctx.layer.propagate(c)
    if not keeps_graph():
        ctx.layer = None  # as autograd does with its own saved tensors
    return result


# private, but the only way to know; without it tensors just live until the graph does
keeps_graph: Callable[[], bool] = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)


class _Emit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, port: Tensor, layer: Layer, box: list[Tensor]) -> Tensor:
        ctx.layer, ctx.slopes_fixed = layer, slopes_fixed.get()
        ctx.set_materialize_grads(False)
        return box.pop()

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, c: Tensor | None) -> tuple[Tensor | None, None, None]:
        return _propagated(ctx, c), None, None


class _EmitInPlace(_Emit):
    """``output.relu_()`` and the layer before it as one node; the layer's own node gets nothing."""

    @staticmethod
    def forward(ctx: Any, port: Tensor, output: Tensor, layer: Layer) -> Tensor:  # type: ignore[override]
        ctx.layer, ctx.slopes_fixed = layer, slopes_fixed.get()
        ctx.set_materialize_grads(False)
        ctx.mark_dirty(output)
        return output.relu_()


class _Port(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        return x.new_empty(()).expand(x.shape)

    @staticmethod
    def backward(ctx: Any, c: Tensor | None) -> Tensor | None:
        return c


def port(x: Tensor) -> Tensor:
    """A stand-in for ``x`` in the autograd graph that holds none of its memory and outlives in-place changes of it."""
    result: Tensor = _Port.apply(x)
    return result


def layer_of(tensor: Tensor) -> Layer | None:
    """The layer whose output this tensor is, unchanged."""
    node = tags.producer(tensor)
    layer: Layer | None = getattr(node, "layer", None)  # the context of an _Emit is its node
    return None if layer is None or layer.rectified else layer


def layer_viewed(tensor: Tensor) -> Layer | None:
    """The product with a matrix whose result this tensor is in another shape, with the same last dimension."""
    node = tags.producer(tensor)
    if node is None or not node.name().removesuffix("0").endswith("ViewBackward"):
        return None
    before = tags.origin(node.next_functions[0][0])
    layer: Layer | None = getattr(before, "layer", None)
    if layer is None or layer.rectified or not isinstance(layer.map, Dense | Contraction):
        return None
    return layer if layer.z.shape[-1:] == tensor.shape[-1:] else None


def is_lone_batch_norm(layer: Layer) -> bool:
    return isinstance(layer.map, Diagonal)
