"""One operation of a model, as its handler is asked to do it on windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from sciexplain.domains.genomics.reach.windows import Base, Local

Result = Any
"""A :class:`Local`, a tensor with all values, a tuple of these, or NotImplemented: give the operation all values."""


@dataclass(frozen=True, eq=False)
class Call:
    """An operation, its arguments and what it gave on the original sequence.

    Attributes
    ----------
    name, func
        Of the operation.
    args, kwargs
        As the model gave them, with :class:`Local` where they depend on the substitution.
    bases
        Recorded outputs.
    needed
        For each of them, whether anything reads it.
    rows
        M.
    store
        Of the model, for weights rearranged once.
    """

    name: str
    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    bases: Sequence[Base]
    needed: Sequence[bool]
    rows: int
    store: dict[Any, Tensor]

    @property
    def base(self) -> Base:
        return self.bases[0]

    @property
    def output(self) -> Tensor:
        return self.base.tensor

    def locals(self) -> Iterator[Local]:
        for value in (*self.args, *self.kwargs.values()):
            if isinstance(value, Local):
                yield value
            elif isinstance(value, tuple | list):
                yield from (item for item in value if isinstance(item, Local))

    def bound(self, names: str, **defaults: Any) -> dict[str, Any]:
        """Arguments by name; ``names`` are those of the signature in its order, ``self`` or ``input`` first."""
        found = dict(defaults)
        found.update(zip(names.split(), self.args, strict=False))
        found.update(self.kwargs)
        return found

    def kept(self, key: Any, weight: Tensor, make: Callable[[], Tensor]) -> Tensor:
        """A parameter rearranged, once; what is worked out anew in each pass is rearranged anew."""
        if not isinstance(weight, nn.Parameter):
            return make()
        key = (key, id(weight))
        if key not in self.store:
            self.store[key] = make()
        return self.store[key]


def one(value: Any, count: int = 1) -> tuple[int, ...]:
    """An int, or a tuple of them, as a tuple of ``count``."""
    found = tuple(value) if isinstance(value, tuple | list) else (value,)
    return found * count if len(found) == 1 else found
