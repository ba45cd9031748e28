"""DeepLIFT with the engine: one pass on the sample, one on each reference, gradients that are multipliers.

The sample's forward pass builds an autograd graph whose nodes take their multipliers from both passes, and a tape. Each
reference is one replay of the tape and one backward pass. Shrikumar et al. 2017, *Learning important features through
propagating activation differences*; Lundberg & Lee 2017 for many references (DeepSHAP).
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from . import names, tags
from .base import Engine, OnUnknown
from .call import swapped, tensors_in
from .casts import in_full_precision
from .ledger import Row
from .multipliers import DIVISIONS, KNOWN, MASKABLE, POWERS, WRITTEN_OUT, is_linear, is_reciprocal, multiplied, written
from .multipliers.node import Operation, is_followed, joined
from .names import listed
from .operation import functional, operation, written_in_python
from .tape import Tape
from .tokens import Tokens

Side = Literal["received", "passed"]
COMPARISONS = listed("""
    lt le gt ge eq ne less less_equal greater greater_equal not_equal isclose __lt__ __le__ __gt__ __ge__ __eq__
    __ne__ logical_not logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_not bitwise_xor __and__
    __or__ __invert__ __xor__ __rand__ __ror__ signbit
""")
"""Their results, masks, are followed; those of integer tensors are decisions of the sample's."""

DECISIONS = listed("""
    argmax argmin argsort unique searchsorted bucketize any all equal allclose item tolist numpy __bool__ __int__
    __float__ __index__ detach data
""")
"""They hold for the reference too, as indices do."""


class DeepLift(Engine):
    """The engine as a context: inside it, gradients are DeepLIFT multipliers, once a reference has been replayed.

    Parameters
    ----------
    on_unknown, roots
        As for the LRP engine.
    ledger : bool
        Keep a row for every operation.
    reveal_cancel : bool
        Keep positive and negative contributions apart where a function follows a linear operation.
    """

    def __init__(
        self,
        *,
        on_unknown: OnUnknown = "warn",
        ledger: bool = False,
        reveal_cancel: bool = False,
        roots: Iterable[Tensor] | None = None,
    ) -> None:
        super().__init__(on_unknown, roots)
        self.tape = Tape(self.keeper)
        self.rows: list[Row] | None = [] if ledger else None
        self.tokens = Tokens(self._join)
        self.reveal_cancel = reveal_cancel
        self.contributions: Any = WeakIdKeyDictionary()
        self.reciprocals: Any = WeakIdKeyDictionary()
        self.decisions: set[str] = set()
        """Operations whose outcome for the sample holds for the reference, which might have decided otherwise."""
        self.token_decisions: set[str] = set()
        """The same by integers of the input, which are structure (an edge, an index) where none becomes a number."""
        self._watched: Any = WeakIdKeyDictionary()

    def all_decisions(self) -> set[str]:
        """Also what integers that became numbers decided, and what was hidden: asked once the passes are done."""
        hidden = {u.operation for u in self.unknown if u.operation.startswith("hidden")}
        return self.decisions | hidden | (self.token_decisions if self.tokens.joined else set())

    def watch(self, tensor: Tensor) -> Callable[[], bool]:
        """To ask later whether any operation has used ``tensor``."""
        used: list[bool] = []
        self._watched[tensor] = used
        return lambda: bool(used)

    def seen(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """An operation of a handler's own, run through the engine."""
        with self:
            return func(*args, **kwargs)

    # -- operations ------------------------------------------------------------------------------------------------

    def __torch_function__(
        self,
        func: Callable[..., Any],
        kinds: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if self._suspended:
            return func(*args, **kwargs)
        name, inplace = operation(func, args, kwargs)
        if name in names.CONSTANT and name not in COMPARISONS:
            if name in DECISIONS and any(t.requires_grad or self.tape.knows(t) for t in tensors_in((args, kwargs))):
                self.decisions.add(name)
            return self.constant(func, name, args, kwargs)
        args, kwargs = self._without_parameters(args), self._without_parameters(kwargs)
        tensors = list(tensors_in((args, kwargs)))
        for tensor in tensors:
            if (used := self._watched.get(tensor)) is not None:
                used.append(True)
        active = [t for t in tensors if t.requires_grad]
        if not torch.is_grad_enabled():
            result = func(*args, **kwargs)
            if self.note_cut(name, args, active, result):
                self.decisions.add(f"{name} under no_grad")
            return result
        if not active:
            return self._follow(func, name, inplace, args, kwargs)
        if any(t.dtype is torch.float64 for t in active):
            func, args, kwargs = in_full_precision(func, name, inplace, args, kwargs, self._cast)
            active = [t for t in tensors_in((args, kwargs)) if t.requires_grad]
        if name in COMPARISONS:
            result = func(*args, **kwargs)
            self.tape.record(func, args, kwargs, result, follows=is_followed)
            return result
        if name in names.DROPOUT | {"batch_norm"} and _in_training(name, args, kwargs):
            self.note_training(name)
        if not inplace and (formula := self._formula(name, func, args, kwargs)) is not None:
            return self.seen(formula, *args, **kwargs)
        engine: Any = self
        op = Operation(engine, func, name, args, kwargs, active)
        masked = any(not t.requires_grad and self.tape.knows(t) for t in tensors)
        if masked and name not in MASKABLE:
            op.freeze(self.tape.knows)
            by_tokens = all(self.tokens.known([t]) for t in tensors if not t.requires_grad and self.tape.knows(t))
            (self.token_decisions if by_tokens else self.decisions).add(name)
            masked = False
        return self._in_place(op, masked) if inplace else self._out_of_place(op, masked)

    def _cast(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        result = tensor.to(dtype)
        self.tape.record(Tensor.to, (tensor, dtype), {}, result)
        tags.put(result, tags.Tag())
        return result

    def _formula(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The operation as a formula of others, if it is to be taken apart."""
        if name in DIVISIONS | POWERS:
            first, second = (*args, *kwargs.values())[:2]
            both = all(isinstance(t, Tensor) and t.requires_grad for t in (first, second))
            exact = kwargs.get("rounding_mode") is None
            return (written.quotient if name in DIVISIONS else written.power) if both and exact else None
        if isinstance(func, types.FunctionType) and name in ("batch_norm", "instance_norm"):
            return written_in_python(func)  # the torch function within has its arguments in another order
        if (formula := WRITTEN_OUT.get(name)) is not None:
            return formula
        return None if name in KNOWN else written_in_python(func)

    def _out_of_place(self, op: Operation, masked: bool) -> Any:
        reciprocal = is_reciprocal(op)
        if self.rows is None:
            result = multiplied(op, masked=masked)
        else:
            row = Row(op.name, self.modules.name, "", remainder="unruled")
            op.replace(lambda t: self._measured(row, t))
            result = multiplied(op, masked=masked)
            row.treatment = op.treatment
            results = {id(t): t for t in tensors_in(result) if t.requires_grad}
            for tensor in results.values():
                self._measure(row, tensor, "received")
            if results:
                self.rows.append(row)
        for tensor in tensors_in(result):
            if tensor.requires_grad:
                tags.put(tensor, tags.Tag(), op.active)
                if reciprocal:
                    self.reciprocals[tensor] = True
        return result

    def _measured(self, row: Row, tensor: Tensor) -> Tensor:
        alias = tensor.view_as(tensor)
        self.tape.record(Tensor.view_as, (tensor, tensor), {}, alias)
        tags.put(alias, tags.Tag())
        if tensor in self.reciprocals:
            self.reciprocals[alias] = True
        if (made_of := self.contributions.get(tensor)) is not None:
            self.contributions[alias] = made_of
        self._measure(row, alias, "passed")
        return alias

    def _measure(self, row: Row, tensor: Tensor, side: Side) -> None:
        pair = self.tape.pair(tensor)

        def add(m: Tensor | None) -> None:
            if m is not None:
                row.add(side, torch.where(m == 0, torch.zeros_like(m), m * pair.difference))

        tensor.register_hook(add)

    def _in_place(self, op: Operation, masked: bool) -> Any:
        target: Tensor = op.argument(0, "input", op.kwargs.get("self"))
        linear = is_linear(op, masked)
        if linear and self.rows is None:
            self.keeper.before_change(target)
            self.tape.record_change(op.func, target, op.args, op.kwargs)
            result = op.run()
        else:
            op.func, op.args, op.kwargs = functional(op)
            if not target.requires_grad:  # its values are read again on the way back
                op.args = swapped(op.args, {id(target): target.clone()})
            # for the ledger, since torch does not ask a view's hooks where it changes the view
            changed = self._out_of_place(op, masked) if linear else self.seen(op.func, *op.args, **op.kwargs)
            self.keeper.before_change(target)
            self.tape.record_change(Tensor.copy_, target, (target, changed), {})
            target.copy_(changed)
            result = None if op.name == "__setitem__" else target
        base = target if target._base is None else target._base
        for tensor in (base, target):
            tags.put(tensor, tags.Tag(), op.active)
        return result

    # -- what carries no gradient but follows the input ------------------------------------------------------------

    def _follow(
        self, func: Callable[..., Any], name: str, inplace: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Operations without active tensors: tokens become numbers, masks stay known."""
        tensors = list(tensors_in((args, kwargs)))
        if self.tokens.known(tensors):
            self._current = func, args, kwargs
            engine: Any = self
            if inplace:
                self.keeper.before_change(args[0])
                self.tape.record_change(func, args[0], args, kwargs)
            result = self.tokens.follow(engine, func, name, args, kwargs)
            moved = list(tensors_in(result))
            if not inplace and self.tokens.known(moved) and not self.tape.knows(moved[0]):
                self.tape.record(func, args, kwargs, result)
            return result
        followed = any(self.tape.knows(t) for t in tensors)
        if inplace:
            self.keeper.before_change(args[0])
        if followed and inplace:
            self.tape.record_change(func, args[0], args, kwargs)
        result = func(*args, **kwargs)
        self.tokens.stop_too(name, args, tensors, result)
        if followed and not inplace:
            if any(is_followed(r) for r in tensors_in(result)):
                self.tape.record(func, args, kwargs, result, follows=is_followed)
            else:
                self.decisions.add(name)
        return result

    def _join(self, shadow: Tensor, value: Tensor) -> Tensor:
        """Tokens that have become numbers, as a tensor that depends on the input."""
        extra = value.ndim - shadow.ndim

        def multiply(m: Tensor) -> tuple[Tensor]:
            r = torch.where(m == 0, torch.zeros_like(m), m * pair.difference)
            return ((r.flatten(-extra).sum(-1) if extra else r).to(shadow.dtype),)

        result = joined(value.detach().view_as(value), [shadow], multiply)
        self.tape.record(*self._current, result)
        tags.put(result, tags.Tag())
        pair = self.tape.pair(result)
        return result


def _in_training(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Of a dropout, or of a BatchNorm as torch's own function has its arguments."""
    place = 5 if name == "batch_norm" else 2
    given = args[place] if len(args) > place else kwargs.get("training", kwargs.get("train", False))
    return given is True
