"""Which rule each operation of a model gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..inputs import Inputs, buffers_restored
from . import tags
from .mode import LRP, DescribedOperation
from .programs import original

if TYPE_CHECKING:
    from ..composites import Composite


@dataclass(frozen=True)
class Description:
    """The operations of one forward pass, in order; ``print`` it for a table."""

    operations: tuple[DescribedOperation, ...]

    def __str__(self) -> str:
        lines = [DescribedOperation._fields, *(tuple(map(str, op)) for op in self.operations)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(ln, widths, strict=True)).rstrip() for ln in lines)


def describe(composite: Composite, model: Callable[..., Any], inputs: Any) -> Description:
    """See :meth:`sciexplain.Composite.describe`."""
    model = original(model)
    given = Inputs.of(inputs, model)
    leaves = given.leaves()
    integers = given.integers()
    engine = LRP(composite, on_unknown="gradient", roots=leaves.values(), trace=True)
    shadows = [engine.tokens.add(v) for v in integers.values() if v.dtype != torch.bool]
    with torch.inference_mode(False), torch.enable_grad(), buffers_restored(model):
        copies = {k: tags.as_input(v.clone()) for k, v in leaves.items()}
        with engine:
            given.replaced({**copies, **integers}).call(model)
    del shadows  # the engine holds them weakly
    return Description(engine.described())
