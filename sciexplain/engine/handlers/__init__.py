"""What is done with each operation that is more than an ordinary gradient.

A handler takes a :class:`~sciexplain.engine.call.Call` and returns the operation's result, joined to the graph with the
right local slopes. A written-out operation is a plain function that runs through the engine piece by piece, unless it
is fused: then a handler takes it whole where it can.
"""

from collections.abc import Callable
from typing import Any

from ..call import Call
from . import (
    activation,
    attention,
    fused_attention,
    fused_recurrent,
    linear,
    normalization,
    operators,
    product,
    recurrent,
)

HANDLERS: dict[str, Callable[[Call], Any]] = {
    **activation.HANDLERS,
    **fused_attention.HANDLERS,
    **fused_recurrent.HANDLERS,
    **linear.HANDLERS,
    **normalization.HANDLERS,
    **product.HANDLERS,
}

WRITTEN_OUT: dict[str, Callable[..., Any]] = {
    **attention.WRITTEN_OUT,
    **activation.WRITTEN_OUT,
    **product.WRITTEN_OUT,
    **recurrent.WRITTEN_OUT,
    **operators.WRITTEN_OUT,
}

FUSED = {**fused_attention.FUSED, **fused_recurrent.FUSED}

__all__ = ["FUSED", "HANDLERS", "WRITTEN_OUT"]
