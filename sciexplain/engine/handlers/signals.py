"""Products of signals and gates, and affine maps of the input itself: what several handlers share."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .. import tags
from ..call import Call, with_slope


def multiply(call: Call, a: Tensor, b: Tensor) -> Any:
    """A product of two active tensors: a gate is constant and the signal takes all, else half to each."""
    gate_a, gate_b = tags.tag_of(a).gate, tags.tag_of(b).gate
    if gate_a != gate_b:
        gate = a if gate_a else b
        call.treatment = "gate is constant"
        call.replace(Tensor.detach, only=lambda t: t is gate)
        call.active = [t for t in call.active if t.requires_grad]
    else:
        call.treatment, call.gate = "½ to each factor", gate_a
    call.replace(call.lrp.entering, only=call.lrp.carries_relevance)
    if gate_a == gate_b:
        call.replace(lambda t: with_slope(t, lambda c: c / 2))
    return call.run()


def passed_on(call: Call, x: Tensor) -> Tensor:
    """An elementwise affine map of the input itself, such as normalisation: the relevance of each element stays."""
    call.treatment, call.stage, shape = "passes", tags.RAW, x.shape
    return call.lrp.local(x, call.evaluated(), lambda relevance: relevance.sum_to_size(shape))
