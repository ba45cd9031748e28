"""One pass of a model as it is: its logits, and what chosen layers put out, on the graph of the plain gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..engine import names
from ..engine.base import Engine
from ..engine.call import tensors_in
from ..engine.operation import operation
from ..engine.programs import original
from ..errors import InputError
from ..inputs import Inputs

_SQUASHES = frozenset(["softmax", "log_softmax", "sigmoid"])


class Seen(NamedTuple):
    """What a model did with a batch.

    Attributes
    ----------
    output
        Its output, logits in the place of a final softmax, log-softmax or sigmoid.
    layers
        Outputs of the layers asked for, by name; of a module that ran several times, the last.
    stepped_over
        The name of that softmax, log-softmax or sigmoid, if there is one.
    """

    output: Any
    layers: Mapping[str, Tensor]
    stepped_over: str | None

    def rows(self, rows: slice) -> Seen:
        """Of some samples."""
        layers = {name: value[rows] for name, value in self.layers.items()}
        return Seen(_rows_of(self.output, rows), layers, self.stepped_over)


def observe(model: Callable[..., Any], inputs: Any, layers: Iterable[str] = ()) -> Seen:
    """Run a model on a tensor, or on a tuple or dict of tensors as its forward takes them.

    Raises
    ------
    InputError
        No module of a name in ``layers`` ran, or it put out no tensor.
    """
    model, wanted = original(model), frozenset(layers)
    with _Observer(wanted) as observer:
        output = Inputs.of(inputs).call(model)
        seen, stepped_over = observer.stepped_over(output)
    if missing := sorted(wanted - observer.outputs.keys()):
        known = [name for name, _ in model.named_modules() if name] if isinstance(model, nn.Module) else []
        there = f"; the modules are {', '.join(known[:20])}{', …' if len(known) > 20 else ''}" if known else ""
        raise InputError(f"layer {missing[0]!r}: no module of that name put out a tensor{there}.")
    return Seen(seen, observer.outputs, stepped_over)


class _Before(NamedTuple):
    """A squashed tensor as it was made, and the same before the squash."""

    squashed: Tensor
    version: int
    logits: Tensor
    name: str


class _Observer(Engine):
    """Changes nothing; notes what stood before every softmax and sigmoid, and the outputs of modules."""

    def __init__(self, layers: frozenset[str]) -> None:
        super().__init__("gradient", on_output=self._keep if layers else None)
        self.outputs: dict[str, Tensor] = {}
        self._layers = layers
        self._before: dict[int, _Before] = {}  # the tensors are kept too, so that no other gets the same id

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name, inplace = operation(func, args, kwargs)
        source = args[0] if args else kwargs.get("input", kwargs.get("self"))
        if self._suspended or not isinstance(source, Tensor):
            return func(*args, **kwargs)
        if name in _SQUASHES:
            logits = source.clone() if inplace else source
            return self._note(func(*args, **kwargs), logits, name)
        result = func(*args, **kwargs)
        moves = name in names.MOVEMENT and isinstance(result, Tensor) and not inplace and bool(args)
        if moves and (before := self._of(source)) is not None and not _other_values(name, args[1:], kwargs):
            self._note(result, func(before.logits, *args[1:], **kwargs), before.name)
        return result

    def _note(self, squashed: Tensor, logits: Tensor, name: str) -> Tensor:
        self._before[id(squashed)] = _Before(squashed, squashed._version, logits, name)
        return squashed

    def _of(self, tensor: Tensor) -> _Before | None:
        found = self._before.get(id(tensor))
        return found if found is not None and found.version == tensor._version else None

    def _keep(self, name: str, output: Any) -> None:
        if name in self._layers and (found := next(tensors_in(output), None)) is not None:
            self.outputs[name] = found.clone()  # the next operation may work in place

    def stepped_over(self, output: Any) -> tuple[Any, str | None]:
        """The output with logits where they were squashed, and by what first."""
        if isinstance(output, Tensor):
            found = self._of(output)
            return (output, None) if found is None else (found.logits, found.name)
        if isinstance(output, tuple | list):
            pairs = [self.stepped_over(o) for o in output]
            items, over = [o for o, _ in pairs], next((s for _, s in pairs if s), None)
            return (type(output)(*items) if hasattr(output, "_fields") else type(output)(items)), over
        if type(output) is dict:
            named = {k: self.stepped_over(v) for k, v in output.items()}
            return {k: o for k, (o, _) in named.items()}, next((s for _, s in named.values() if s), None)
        return output, None


def _other_values(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether something else's values come among the squashed ones."""
    return name not in names.LIKE and any(t.is_floating_point() for t in tensors_in((args, kwargs)))


def _rows_of(output: Any, rows: slice) -> Any:
    if isinstance(output, Tensor):
        return output[rows] if output.ndim else output
    if isinstance(output, tuple | list):
        items = [_rows_of(o, rows) for o in output]
        return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
    if isinstance(output, Mapping):
        return {key: _rows_of(value, rows) for key, value in output.items()}
    return output


def first_parameter(model: Any) -> Tensor:
    """A floating tensor of the model, for its device and dtype; torch's default where it has none."""
    parameters = model.parameters() if isinstance(model, nn.Module) else iter(())
    return next((p for p in parameters if p.is_floating_point()), torch.empty(0))
