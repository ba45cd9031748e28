"""The model's own differentiable graph beside the engine's, for relevance that can itself be differentiated.

Slopes of the engine's graph are no derivatives, so that a second derivative through them would mean nothing. Where one
is wanted, every tensor that depends on the input or on a parameter has a *twin*: the same values in torch's ordinary
graph, parameters included. Operations run on the twins; what rules and slopes read of a value is its twin, and a slope
that is torch's own gradient is taken at the twins. The backward pass of the engine, recorded, is then a function of
twins only, and differentiates as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from ..errors import ModelError
from . import names, tags
from .call import on_its_own, swapped, tensors_in
from .keep import Keeper, Kept

if TYPE_CHECKING:
    from .call import Call

_VALUES_UNREAD = names.MOVEMENT | names.AFFINE
"""Operations of whose gradient no value is a part: the engine's own graph will do, and views stay views."""


class Twins:
    """Twins by tensor. The engine's memory is never theirs, so that a model may work in place."""

    def __init__(self) -> None:
        self._known: Any = WeakIdKeyDictionary()

    def put(self, tensor: Tensor, twin: Tensor) -> None:
        self._known[tensor] = twin, tensor._version

    def _registered(self, tensor: Tensor) -> Tensor | None:
        twin, version = self._known.get(tensor, (None, -1))
        return twin if version == tensor._version else None

    def knows(self, tensor: Tensor) -> bool:
        base = tensor._base
        return self._registered(tensor) is not None or (base is not None and self._registered(base) is not None)

    def of(self, tensor: Tensor) -> Tensor:
        """The twin of one of the engine's tensors; constants and twins are their own."""
        if (twin := self._registered(tensor)) is not None:
            return twin
        base = tensor._base
        if base is not None and (twin := self._registered(base)) is not None:
            return _view_like(tensor, base, twin)
        self.expect(tensor)
        return tensor

    def expect(self, tensor: Tensor) -> None:
        """Refuse one of the engine's tensors that has no twin."""
        if tensor.grad_fn is not None and tags.is_tagged(tensor.grad_fn) and not self.knows(tensor):
            raise ModelError(
                f"Relevance cannot be differentiated here: {tensor.grad_fn.name()} made a tensor of shape "
                f"{tuple(tensor.shape)} in a way that the engine does not follow."
            )

    def arguments(self, value: Any, instead: Mapping[int, Tensor] = {}) -> Any:
        """Nested arguments with twins in the place of tensors, ``instead`` by identity."""
        return swapped(value, {id(t): instead[id(t)] if id(t) in instead else self.of(t) for t in tensors_in(value)})

    def keeper(self) -> Keeper:
        return _TwinKeeper(self)

    # -- operations ------------------------------------------------------------------------------------------------

    def evaluated(self, call: Call) -> Any:
        """The call's result in the twins' graph."""
        return call.func(*self.arguments(call.args), **self.arguments(call.kwargs))

    def run(self, call: Call) -> Any:
        """The call's result in the engine's graph, where its slope is the gradient at the twins."""
        aliases = {id(t): _alias(self.of(t)) for t in call.active}
        args, kwargs = self.arguments((call.args, call.kwargs), aliases)
        true = call.func(*args, **kwargs)
        made = list(tensors_in(true))
        bases = {id(a if a._base is None else a._base) for a in aliases.values()}
        if call.name in _VALUES_UNREAD or any(id(t._base) in bases for t in made):
            result = call.func(*call.args, **call.kwargs)
            for tensor, twin in zip(tensors_in(result), made, strict=True):
                self.put(tensor, twin)
            return result
        active, ends = list({id(t): t for t in call.active}.values()), list(aliases.values())
        where = f"{call.name!r}" + (f" in module {call.lrp.modules.name!r}" if call.lrp.modules.name else "")
        signals = [t for t in made if t.requires_grad]

        def slope(*cs: Tensor | None) -> tuple[Tensor | None, ...]:
            pairs = [(t, c) for t, c in zip(signals, cs, strict=True) if c is not None]
            found = torch.autograd.grad(
                [t for t, _ in pairs], ends, [c for _, c in pairs], create_graph=True, allow_unused=True
            )
            _refuse_without_derivative(found, [*tensors_in((args, kwargs)), *(t for p in pairs for t in p)], where)
            return found

        joined = iter(_Chained.apply(slope, [on_its_own(t.detach().clone()) for t in signals], *active))
        replaced = {id(t): next(joined) if t.requires_grad else t.detach() for t in made}
        for twin in signals:
            self.put(replaced[id(twin)], twin)
        return swapped(true, replaced)

    def joined(self, join: Callable[[Tensor], Tensor], twin: Tensor) -> Tensor:
        """What ``join`` makes of the values of ``twin``, which it takes over."""
        result = join(twin.detach().clone())
        self.put(result, twin)
        return result

    def beside(self, func: Callable[..., Any], inplace: bool) -> Callable[..., Any]:
        """``func`` for tensors that do not depend on the input, but may on parameters."""

        def run(*args: Any, **kwargs: Any) -> Any:
            if not any(self.knows(t) for t in tensors_in((args, kwargs))):
                return func(*args, **kwargs)
            if inplace:
                copy = self.of(args[0]).clone()
                func(*self.arguments(args, {id(args[0]): copy}), **self.arguments(kwargs))
                changes = self.changes(args[0], copy)
                result = func(*args, **kwargs)
                self.change(changes)
                return result
            made = tensors_in(func(*self.arguments(args), **self.arguments(kwargs)))
            result = func(*args, **kwargs)
            for tensor, twin in zip(tensors_in(result), made, strict=True):
                if twin.requires_grad:
                    self.put(tensor, twin)
            return result

        return run

    # -- in place --------------------------------------------------------------------------------------------------

    def changes(self, target: Tensor, twin: Tensor) -> list[tuple[Tensor, Tensor]]:
        """What will be the twins once ``target``, and with it what it is a view of, has the values of ``twin``."""
        changed, base = [(target, twin)], target._base
        if base is not None:
            before = self.of(base)
            if before is base:  # a constant, which is about to be one no longer
                before = base.detach().clone()
            places = _places(target, base).flatten()
            after = before.flatten().scatter(0, places, twin.to(before.dtype).flatten())
            changed.append((base, after.view(base.shape)))
        return changed

    def change(self, changes: list[tuple[Tensor, Tensor]]) -> None:
        for tensor, twin in changes:
            self.put(tensor, twin)


class _TwinKeeper(Keeper):
    """Keeps twins, which no operation of the model's changes."""

    def __init__(self, twins: Twins) -> None:
        super().__init__()
        self._twins = twins

    def keep(self, tensor: Tensor) -> Kept:
        return _KeptTwin(self._twins.of(tensor))


class _KeptTwin(Kept):
    __slots__ = ()

    def __init__(self, twin: Tensor) -> None:
        self._tensor, self._version = twin, twin._version


class _Chained(torch.autograd.Function):
    """Values as a function of several tensors whose backward pass is ``slope``."""

    @staticmethod
    def forward(ctx: Any, slope: Callable[..., Any], values: list[Tensor], *active: Tensor) -> tuple[Tensor, ...]:
        ctx.slope = slope
        ctx.set_materialize_grads(False)
        return tuple(values)

    @staticmethod
    def backward(ctx: Any, *cs: Tensor | None) -> Any:
        found = (None,) * (len(ctx.needs_input_grad) - 2) if all(c is None for c in cs) else ctx.slope(*cs)
        return None, None, *found


def _alias(twin: Tensor) -> Tensor:
    """The same values, to take the gradient to this use of them."""
    return twin.view_as(twin) if twin.requires_grad else twin.detach().requires_grad_()


def _places(view: Tensor, base: Tensor) -> Tensor:
    """Which elements of ``base``, counted in the order of its dimensions, ``view`` has."""
    numbers = torch.arange(base.numel(), device=base.device).reshape(base.shape)
    numbers = torch.empty_strided(base.shape, base.stride(), dtype=torch.long, device=base.device).copy_(numbers)
    return numbers.as_strided(view.shape, view.stride(), view.storage_offset() - base.storage_offset())


def _view_like(view: Tensor, base: Tensor, twin: Tensor) -> Tensor:
    if view.shape == base.shape and view.stride() == base.stride() and view.storage_offset() == base.storage_offset():
        return twin
    return twin.flatten()[_places(view, base)]


def _refuse_without_derivative(found: tuple[Tensor | None, ...], given: list[Tensor], where: str) -> None:
    """Name an operation whose gradient torch cannot differentiate."""
    border = {t.grad_fn for t in given}
    if any(node.name().endswith("NotImplemented") for node in _nodes(found, border)):
        raise ModelError(
            f"Relevance cannot be differentiated through {where}: torch has no second derivative of it. Write the "
            "operation with others, or penalise the gradient of another model."
        )


def _nodes(found: tuple[Tensor | None, ...], border: set[Any]) -> Iterator[Any]:
    stack, seen = [t.grad_fn for t in found if t is not None], set(border)
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        stack.extend(n for n, _ in node.next_functions)
