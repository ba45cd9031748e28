"""LRP as a ``TorchFunctionMode``: sees every operation of the model's own forward pass, asks the composite, hands over.

Only tensors that depend on the explained input are *active*: parameters enter every operation detached, so that
``requires_grad`` says it. Nothing of the model is changed, and nothing has to be restored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from weakref import ref

import torch
from torch import Tensor

from .. import composites
from ..composites import Composite
from ..errors import RuleError
from . import gates, names, tags
from .base import Engine, OnUnknown
from .call import Call, local, swapped, tensors_in, with_slope
from .capture import Captures
from .casts import in_full_precision
from .credit import Credits
from .handlers import FUSED, HANDLERS, WRITTEN_OUT
from .handlers.activation import AtZero
from .handlers.product import bias_target
from .hops import Hops
from .layer import layer_of
from .ledger import Row
from .operation import ORDINARY, functional, opened, operation
from .tokens import Tokens
from .twins import Twins
from .waypoints import Waypoint, Waypoints, held


class DescribedOperation(NamedTuple):
    """One operation on a tensor that depends on the input, and what is done with it."""

    module: str
    operation: str
    kind: str
    output: tuple[int, ...]
    treatment: str


class LRP(Engine):
    """The engine as a context: inside it, gradients are relevance over activation.

    Parameters
    ----------
    composite : Composite or str
        Which rule each operation gets; a name is looked up with :func:`sciexplain.composites.get`.
    on_unknown : "warn", "error" or "gradient"
        What to do about operations without a rule; they are listed in ``unknown`` either way.

    Attributes
    ----------
    yields_relevance : bool
        Whether the gradient at the input is relevance itself (the composite has a first-layer rule such as z^B, w² or
        flat) rather than relevance over activation.
    unknown : list of UnknownOperation

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> _ = torch.manual_seed(0)
    >>> linear = torch.nn.Linear
    >>> model = torch.nn.Sequential(linear(3, 4, bias=False), torch.nn.ReLU(), linear(4, 1, bias=False))
    >>> x = torch.ones(1, 3, requires_grad=True)
    >>> with sx.LRP("epsilon") as lrp:
    ...     y = model(x)
    >>> (c,) = torch.autograd.grad(y.sum(), x)
    >>> bool(torch.isclose((x * c).sum(), y.sum(), rtol=1e-4))
    True
    """

    def __init__(
        self,
        composite: Composite | str = "epsilon",
        *,
        on_unknown: OnUnknown = "warn",
        ledger: bool = False,
        layers: Sequence[str] = (),
        roots: Iterable[Tensor] | None = None,
        trace: bool = False,
        credits: Credits | None = None,
        hops: Hops | None = None,
        twins: Twins | None = None,
        waypoints: Sequence[Waypoint] = (),
    ) -> None:
        self.composite = composites.get(composite) if isinstance(composite, str) else composite
        if not isinstance(self.composite, Composite):
            raise RuleError(f"composite={composite!r}: expected a Composite or the name of a preset.")
        self.yields_relevance = self.composite.yields_relevance
        self.captures = Captures(layers, self.yields_relevance)
        self.waypoints = Waypoints(waypoints, self.yields_relevance)
        told = _both(self.captures.on_output, self.waypoints.on_output) if waypoints else self.captures.on_output
        super().__init__(on_unknown, roots, told if layers or waypoints else None)
        self.waypoints.running = ref(self.modules)
        self.layer_count = 0
        self.at_zero: dict[Any, AtZero] = {}
        self.rows: list[Row] | None = [] if ledger else None
        self.trace: list[tuple[str, str, tuple[int, ...], str, Any]] | None = [] if trace else None
        self.tokens = Tokens()
        self.credits = credits
        self.hops = hops
        self.twins = twins
        if twins is not None:
            self.keeper = twins.keeper()

    # -- operations ------------------------------------------------------------------------------------------------

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if self._suspended:  # an explanation inside this one
            return func(*args, **kwargs)
        name, inplace = operation(func, args, kwargs)
        if name in names.CONSTANT:
            return self.constant(func, name, args, kwargs)
        args, kwargs = self._without_parameters(args), self._without_parameters(kwargs)
        active = [t for t in tensors_in((args, kwargs)) if t.requires_grad]
        if not torch.is_grad_enabled():
            result = func(*args, **kwargs)
            self.note_cut(name, args, active, result)
            return result
        if not active:
            run = func if self.twins is None else self.twins.beside(func, inplace)
            result = self.tokens.follow(self, run, name, args, kwargs)
            if self.credits is not None:
                self.credits.made(self, func, name, args, kwargs, result)
            return result
        if any(t.dtype is torch.float64 for t in active):
            before = args, kwargs
            func, args, kwargs = in_full_precision(func, name, inplace, args, kwargs)
            self._same_values(before, (args, kwargs))
            active = [t for t in tensors_in((args, kwargs)) if t.requires_grad]
        written_out = self._written_out(func, name, inplace)
        if written_out is not None and not (name in FUSED and FUSED[name](self, args, kwargs)):
            with self:
                if not inplace:
                    return written_out(*args, **kwargs)
                before = args, kwargs
                args, kwargs = swapped(before, {id(args[0]): args[0].clone()})
                self._same_values(before, (args, kwargs))
                return before[0][0].copy_(written_out(*args, **kwargs))
        call = Call(self, func, name, args, kwargs, active)
        if inplace and name not in names.DROPOUT:  # which changes nothing
            return self._in_place(call)
        return self._out_of_place(call)

    def _written_out(self, func: Callable[..., Any], name: str, inplace: bool) -> Callable[..., Any] | None:
        if inplace and name in ORDINARY:
            return None
        return WRITTEN_OUT.get(name) or opened(func, name)

    def _in_place(self, call: Call) -> Any:
        target: Tensor = call.argument(0, "input", call.kwargs.get("self"))
        base = target if target._base is None else target._base
        stage = max([tags.tag_of(t).stage for t in (base, *call.active) if t.requires_grad], default=tags.DEEP)
        layer = layer_of(target) if call.name == "relu" and target.requires_grad else None
        # every operation is looked at by itself
        apart = self.rows is not None or self.hops is not None or self.twins is not None
        if layer is not None and layer.uses == 0 and not apart and not held(layer):
            # a ReLU on its layer's fresh output: the values below zero may go
            call.layer = layer.rectify()
            call.layer.emit_in_place(target)
            tags.put(target, tags.Tag(stage))
            self._note_trace(call, target)
            return target
        shifts = call.name in names.AFFINE | {"mul", "div"} and len(call.active) == 1
        stays_raw = stage == tags.RAW and (call.name in names.MOVEMENT or shifts)
        if base.requires_grad and self.carries_relevance(base) and not stays_raw:
            stage = max(stage, tags.SHALLOW)
            self._enter_in_place(base, target)
        own_slope = call.name in names.AFFINE and (
            bias_target(call) is not None or any(self.carries_relevance(t) for t in call.active)
        )
        if not apart and self.credits is None and call.name in ORDINARY and not own_slope:
            call.native = True
            self.keeper.before_change(target)
            result = self._apply(call)
        else:
            call.func, call.args, call.kwargs = functional(call)
            # what torch keeps for its own backward pass must not be the memory that is about to be overwritten
            if target.requires_grad:
                call.replace(_copied, only=lambda t: t is target)
            else:
                before = call.args
                call.args = tuple(a.clone() if a is target else a for a in call.args)
                self._same_values(before, call.args)
            out_of_place = self._out_of_place(call)
            self.keeper.before_change(target)
            self._overwritten(target, out_of_place)
            tags.put(target, replace(tags.tag_of(out_of_place), made_by=out_of_place.grad_fn), [out_of_place])
            result = None if call.name == "__setitem__" else target
            stage = max(stage, tags.tag_of(out_of_place).stage)
        for changed in (base, target):
            if changed.grad_fn is not None and (changed is not target or not tags.is_tagged(changed.grad_fn)):
                tags.put(changed, tags.Tag(stage), call.active)
        return result

    def _enter_in_place(self, base: Tensor, target: Tensor) -> None:
        """From here on ``base``, the input's own values, is an ordinary tensor: c comes back, R = x c goes on."""
        values = self.values_of(base).clone()
        self.keeper.before_change(base)
        self._overwritten(base, self.local(base, values, lambda c: c * values))
        for tensor in (base, target):
            tags.put(tensor, tags.Tag(tags.SHALLOW))

    def _out_of_place(self, call: Call) -> Any:
        if self.hops is not None:
            return self.hops.observed(call, self._apply)
        if self.rows is None:
            return self._apply(call)
        row = Row(call.name, self.modules.name, "")
        self.rows.append(row)

        def measured(tensor: Tensor) -> Tensor:
            alias = with_slope(tensor, lambda c: c)
            row.measure(alias, "passed", self.carries_relevance(alias))
            return alias

        call.source = call.active[0]
        call.replace(measured)
        result = self._apply(call)
        row.treatment, row.remainder = call.treatment, call.remainder
        if call.layer is not None:
            if call.layer.row is None:
                call.layer.row = row
            else:  # merged into a layer that has its row
                self.rows.remove(row)
                row = call.layer.row
        results = _distinct(t for t in tensors_in(result) if t.requires_grad)
        if not results and row in self.rows:
            self.rows.remove(row)
        for tensor in results:
            row.measure(tensor, "received", self.carries_relevance(tensor))
        return result

    def _overwritten(self, target: Tensor, new: Tensor) -> None:
        if self.twins is None:
            target.copy_(new)
            return
        changes = self.twins.changes(target, self.twins.of(new))
        target.copy_(new)
        self.twins.change(changes)

    # -- values ----------------------------------------------------------------------------------------------------

    def values_of(self, value: Any) -> Any:
        """A tensor's values for use in a slope: constant, or as parameters make them where that is recorded."""
        if not isinstance(value, Tensor):
            return value
        if self.twins is not None:
            return self.twins.of(value)
        return value.detach() if value.requires_grad else value

    def local(self, x: Tensor, value: Tensor, slope: Callable[[Tensor], Tensor]) -> Tensor:
        """``value`` as a function of ``x`` whose backward pass is ``slope(c)``."""
        return self.joined(lambda values: local(x, values, slope), value)

    def joined(self, join: Callable[[Tensor], Tensor], value: Tensor) -> Tensor:
        """What ``join`` makes of ``value``, that it is joined to the graph with."""
        return join(value) if self.twins is None else self.twins.joined(join, value)

    def alias(self, tensor: Tensor) -> Tensor:
        same = tensor.view_as(tensor)
        if self.twins is not None:
            self.twins.put(same, self.twins.of(tensor))
        return same

    def detached(self, parameter: Tensor) -> Tensor:
        constant = parameter.detach()
        if self.twins is not None:
            self.twins.put(constant, parameter)
        return constant

    def _same_values(self, before: Any, after: Any) -> None:
        """Tensors in the place of others, with their values in whatever precision."""
        if self.twins is not None:
            for old, new in zip(tensors_in(before), tensors_in(after), strict=True):
                if old is not new:
                    self.twins.put(new, self.twins.of(old).to(new.dtype))

    def carries_relevance(self, tensor: Tensor) -> bool:
        return self.yields_relevance and tags.tag_of(tensor).stage == tags.RAW

    def _apply(self, call: Call) -> Any:
        """Run the operation with its rule and tag the result."""
        name, source = call.name, call.active[0] if call.source is None else call.source
        consumed = [layer for t in call.active if (layer := layer_of(t)) is not None]
        inputs = [tags.tag_of(t) for t in call.active]
        stage = max(tag.stage for tag in inputs)
        logits, squash = None, ""
        handler = None if call.native else HANDLERS.get(name)
        if name in names.MOVEMENT and handler is None:
            call.treatment, call.stage = "moves", stage
            call.gate, call.hint = gates.together(inputs)
            if stage > tags.RAW:
                call.replace(self.entering, only=self.carries_relevance)
            result = call.run()
            if inputs[0].logits is not None and len(inputs) == 1:
                moved = list(tensors_in(self._replay(call, inputs[0].logits)))
                logits, squash = (moved[0] if len(moved) == 1 else None), inputs[0].squash
        elif handler is not None:
            result = handler(call)
            call.stage = max(call.stage, stage)
            if call.squash:
                logits, squash = source, name
            elif name in names.DROPOUT:
                logits, squash = inputs[0].logits, inputs[0].squash
        elif name in ORDINARY:
            call.stage = max(call.stage, stage)
            call.gate, call.hint = gates.together(inputs)
            call.replace(self.entering, only=self.carries_relevance)
            result = call.run()
        else:
            call.treatment, call.remainder, call.stage = "no rule", "unruled", max(call.stage, stage)
            call.replace(self.entering, only=self.carries_relevance)
            result = call.run()
            if any(t.requires_grad for t in tensors_in(result)):
                self.note_unknown(name)
        if name in names.PICKING and len(inputs) == 1:
            call.gate, call.hint = gates.picked(inputs[0], name, call.gate, call.hint)
        if name in names.ADDS_CONSTANTS and call.remainder is None and call.layer is None:
            call.remainder = "bias"
        for layer in consumed:
            layer.uses += 1
        for tensor in tensors_in(result):
            if tensor.requires_grad:
                tags.put(tensor, tags.Tag(call.stage, call.gate, call.hint, logits, squash), call.active)
                if self.twins is not None:
                    self.twins.expect(tensor)
        if self.credits is not None and call.layer is None:
            self.credits.used(call, result)
        self._note_trace(call, result)
        return result

    def entering(self, raw: Tensor) -> Tensor:
        """A use of the input's own values by an ordinary operation, where relevance R = x c is what goes back."""
        values = self.keeper.keep(raw)
        return with_slope(raw, lambda c: c * values.get())

    def _replay(self, call: Call, logits: Tensor) -> Any:
        """The same rearrangement, applied to what stood before a final softmax or sigmoid."""
        args, kwargs = swapped((call.args, call.kwargs), {id(call.active[0]): logits})
        with self:
            return call.func(*args, **kwargs)

    def described(self) -> tuple[DescribedOperation, ...]:
        """What was done with each operation, in order; to be asked once."""
        trace, self.trace = self.trace or [], None
        return tuple(
            DescribedOperation(
                module, name, layer.map.kind if own else "", shape, str(layer.rule) if own else treatment
            )
            for module, name, shape, treatment, layer in trace
            for own in [layer is not None and layer.op == name]
        )

    def _note_trace(self, call: Call, result: Any) -> None:
        if self.trace is None:
            return
        shape = next((tuple(t.shape) for t in tensors_in(result)), ())
        self.trace.append((self.modules.name, call.name, shape, call.treatment, call.layer))


def _both(one: Callable[[str, Any], None], other: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    def told(name: str, output: Any) -> None:
        one(name, output)
        other(name, output)

    return told


def _copied(tensor: Tensor) -> Tensor:
    copy = tensor.clone()
    tags.put(copy, replace(tags.tag_of(tensor), made_by=tensor.grad_fn), [tensor])
    return copy


def _distinct(tensors: Iterable[Tensor]) -> list[Tensor]:
    return list({id(t): t for t in tensors}.values())
