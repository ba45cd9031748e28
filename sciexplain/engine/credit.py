"""Relevance of parameters: the messages that went through each weight, and what each bias absorbed.

A parameter is known by its memory, so that views of it (chunks, transposes, slices, expansions) are credited to it.
Copies that rearrange it (rows of an embedding, concatenations, casts) or are linear in it (multiples, means) hand their
credit on; what is computed from it in another way (weight normalisation) cannot, and is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from . import names
from .call import Call, tensors_in
from .precision import fine_dtype

if TYPE_CHECKING:
    from .mode import LRP

_REARRANGED = names.MOVEMENT | {"embedding"}

_LINEAR = (
    names.MOVEMENT
    | names.AFFINE
    | names.LINEAR
    | {"mul", "prelu", "bilinear", "linear", "matmul", "bmm"}
    | {"layer_norm", "rms_norm", "group_norm", "instance_norm"}
)
"""Operations in whose parameters, taken one by one, the result is linear: the credit is parameter × gradient."""


class Uncredited(NamedTuple):
    """Parameters that took part in a computed form, so that no element of them can be credited.

    ``relevance`` is what met that form: the sum of the messages through it, or the relevance at the operation's result.
    """

    module: str
    operation: str
    parameters: tuple[str, ...]
    relevance: float


@dataclass(eq=False)
class _Memory:
    """What lies in one storage: parameters, or a tensor made from them."""

    holder: Tensor
    """Keeps the memory from being used for something else."""
    parameters: tuple[str, ...]
    place: tuple[str, str] = ("", "")
    """Module and operation, for what is made."""
    hand_on: Callable[[Tensor], None] | None = None
    credit: Tensor = field(init=False)

    def __post_init__(self) -> None:
        size = self.holder.untyped_storage().nbytes() // self.holder.element_size()
        self.credit = torch.zeros(size, dtype=fine_dtype(self.holder.dtype), device=self.holder.device)

    def add(self, view: Tensor, relevance: Tensor) -> None:
        with torch.enable_grad():
            storage = torch.zeros_like(self.credit, requires_grad=True)
            same = storage.as_strided(view.shape, view.stride(), view.storage_offset())
        # torch's own gradient of the view, which may use one element several times
        (on_storage,) = torch.autograd.grad(same, storage, relevance.to(storage.dtype))
        self.credit += on_storage

    def of(self, view: Tensor) -> Tensor:
        return self.credit.as_strided(view.shape, view.stride(), view.storage_offset())


class Credits:
    """The account of every parameter; filled by the backward pass.

    Parameters
    ----------
    parameters : mapping from name to Tensor
    """

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self._parameters = {name: p.detach() for name, p in parameters.items()}
        self._memory: dict[int, _Memory] = {}
        for name, p in self._parameters.items():
            place = p.untyped_storage().data_ptr()
            known = self._memory.get(place)
            self._memory[place] = _Memory(p, (*known.parameters, name) if known else (name,))
        self._uncredited: dict[tuple[str, str, tuple[str, ...]], float] = {}

    def results(self) -> tuple[dict[str, Tensor], tuple[Uncredited, ...]]:
        """Relevance by parameter, and what could not be credited."""
        found = {name: self._at(p).of(p).clone() for name, p in self._parameters.items()}
        return found, tuple(Uncredited(*key, amount) for key, amount in self._uncredited.items())

    def knows(self, tensor: Tensor) -> bool:
        return tensor.layout == torch.strided and tensor.untyped_storage().data_ptr() in self._memory

    def _at(self, tensor: Tensor) -> _Memory:
        return self._memory[tensor.untyped_storage().data_ptr()]

    def _names(self, sources: Sequence[Tensor]) -> tuple[str, ...]:
        """Of the parameters in ``sources``, in the model's order."""
        found = {name for source in sources for name in self._at(source).parameters}
        return tuple(name for name in self._parameters if name in found)

    def add(self, tensor: Tensor, relevance: Tensor) -> None:
        """Credit what lies in ``tensor``; nothing happens for what is no parameter and was not made from one."""
        if not self.knows(tensor):
            return
        memory = self._at(tensor)
        if memory.hand_on is not None:
            memory.credit.zero_()
            memory.add(tensor, relevance)
            memory.hand_on(memory.of(memory.holder))
        elif any(memory.place):
            self._list(memory.place, memory.parameters, relevance)
        else:
            memory.add(tensor, relevance)

    def _list(self, place: tuple[str, str], parameters: tuple[str, ...], relevance: Tensor) -> None:
        key = (*place, parameters)
        self._uncredited[key] = self._uncredited.get(key, 0.0) + relevance.sum(dtype=torch.float64).item()

    # -- what the engine tells ---------------------------------------------------------------------------------------

    def made(self, lrp: LRP, func: Callable[..., Any], name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation on constants: its result is made from the parameters among them."""
        sources = [t for t in tensors_in((args, kwargs)) if self.knows(t)]
        if not sources:
            return
        place, parameters = (lrp.modules.name, name), self._names(sources)
        for position, tensor in enumerate(tensors_in(result)):
            if not tensor.is_floating_point():
                continue
            if self.knows(tensor):  # a view, or a change of the constant's own memory
                if self._at(tensor).hand_on is not None and name not in names.MOVEMENT:
                    self._at(tensor).hand_on = None
                continue
            call = Call(lrp, func, name, args, kwargs, sources)
            linear = name in _REARRANGED or name in _LINEAR
            hand_on = self._handing_on(call, position, tensor.detach()) if linear else None
            memory = _Memory(tensor.detach(), parameters, place, hand_on)
            self._memory[tensor.untyped_storage().data_ptr()] = memory

    def _handing_on(self, call: Call, position: int, values: Tensor) -> Callable[[Tensor], None]:
        def hand_on(relevance: Tensor) -> None:
            if call.name in _REARRANGED:
                for source, gradient in _gradients(call, position, relevance):
                    self.add(source, gradient)
                return
            c = torch.where(values == 0, 0, relevance / values)
            for source, gradient in _gradients(call, position, c):
                self.add(source, source * gradient)

        return hand_on

    def used(self, call: Call, result: Any) -> None:
        """An operation of active tensors with parameters, other than a linear layer."""
        sources = [t for t in tensors_in((call.args, call.kwargs)) if not t.requires_grad and self.knows(t)]
        if not sources:
            return
        again = Call(call.lrp, call.func, call.name, call.args, call.kwargs, call.active)
        for position, tensor in enumerate(tensors_in(result)):
            if tensor.requires_grad and not call.lrp.carries_relevance(tensor):
                linear = call.name in _LINEAR
                tensor.register_hook(
                    self._crediting(again, sources, position) if linear else self._listing(again, sources, tensor)
                )

    def _crediting(self, call: Call, sources: list[Tensor], position: int) -> Callable[[Tensor | None], None]:
        values = {id(t): call.lrp.keeper.keep(t) for t in call.active}

        def credit(c: Tensor | None) -> None:
            if c is None:
                return
            again = Call(call.lrp, call.func, call.name, call.args, call.kwargs, call.active)
            again.replace(lambda t: values[id(t)].get())
            again.active = sources
            for source, gradient in _gradients(again, position, c):
                self.add(source, source * gradient)

        return credit

    def _listing(self, call: Call, sources: list[Tensor], output: Tensor) -> Callable[[Tensor | None], None]:
        place, parameters, values = (call.lrp.modules.name, call.name), self._names(sources), output.detach().clone()
        return lambda c: None if c is None else self._list(place, parameters, c * values)


def _gradients(call: Call, position: int, c: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The gradient of one result to each of the call's ``active`` tensors."""
    again = Call(call.lrp, call.func, call.name, call.args, call.kwargs, call.active)
    with torch.enable_grad():
        again.replace(lambda t: t.detach().requires_grad_())
        result = list(tensors_in(again.run()))[position]
    found = torch.autograd.grad(result, again.active, c.to(result.dtype), allow_unused=True)
    return [(t, g) for t, g in zip(call.active, found, strict=True) if g is not None]
