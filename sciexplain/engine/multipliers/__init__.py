"""DeepLIFT multipliers, operation by operation: what a change of each argument contributes to the change of the result.

Operations not listed are linear in what depends on the input, and their gradient is their multiplier.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import names
from ..call import tensors_in
from ..handlers import WRITTEN_OUT as WRITTEN_OUT_FOR_LRP
from ..names import listed
from . import written
from .elementwise import rectify, rescale
from .node import Operation, is_followed
from .products import SMOOTH, along_line, averaged, divided
from .reveal_cancel import contributing
from .sampling import sampled
from .softmax import softmax
from .winners import chosen, ordered, winner

LINEAR = names.MOVEMENT | names.AFFINE | names.LINEAR
"""Linear in every argument at once: the gradient, whatever takes part."""

BILINEAR = listed("""
    mul multiply matmul __matmul__ dot inner vdot tensordot outer kron cross linalg_cross linalg_vecdot
    linalg_matmul mm bmm mv einsum linear bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d
    conv_transpose3d convolution
""")
"""Linear in one argument while the others are constant; averaged where several depend on the input."""

FUNCTIONS = (
    names.ACTIVATIONS
    | names.NORMALIZERS
    | listed("""
    relu leaky_relu prelu abs absolute log log2 log10 pow __pow__ __rpow__ float_power logit lgamma digamma
    polygamma mvlgamma special_gammaln special_digamma special_log_ndtr special_ndtr special_i0 special_i0e
    special_i1 special_i1e special_entr special_sinc rad2deg deg2rad celu_ threshold erfcx fmod remainder
    __mod__ xlogy special_xlogy special_xlog1py ldexp copysign __rsub__ atan2 arctan2 floor_divide true_divide
    divide div
""")
) - names.AFFINE
"""Of one number, element by element."""

DIVISIONS = frozenset(["div", "divide", "true_divide"])
POWERS = frozenset(["pow", "__pow__", "float_power"])

MASKABLE = frozenset(["where", "masked_fill", "mul", "multiply"]) | DIVISIONS
"""Where a mask made from the input may differ between sample and reference."""

MAXIMA = listed("""
    max amax maximum fmax cummax max_pool1d max_pool2d max_pool3d max_pool1d_with_indices
    max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices
    fractional_max_pool2d fractional_max_pool3d fractional_max_pool2d_with_indices
    fractional_max_pool3d_with_indices
""")
MINIMA = frozenset(["min", "amin", "minimum", "fmin", "cummin"])
ORDER = frozenset(["topk", "sort", "msort", "kthvalue", "median", "nanmedian", "mode"])

HANDLERS: dict[str, Callable[[Operation], Any]] = {
    **dict.fromkeys(FUNCTIONS, rescale),
    **dict.fromkeys(MAXIMA, winner(torch.maximum)),
    **dict.fromkeys(MINIMA, winner(torch.minimum)),
    **dict.fromkeys(ORDER, ordered),
    "relu": rectify,
    "where": chosen,
    "grid_sample": sampled,
    "grid_sampler": sampled,
    "softmax": softmax("softmax"),
    "softmin": softmax("softmin"),
    "log_softmax": softmax("log_softmax"),
    "logsumexp": softmax("logsumexp"),
}

WRITTEN_OUT: dict[str, Callable[..., Any]] = {
    **WRITTEN_OUT_FOR_LRP,
    **written.WRITTEN_OUT,
    **dict.fromkeys(names.DROPOUT, written.dropout),
}


KNOWN = LINEAR | BILINEAR | frozenset(HANDLERS) | {"prod", "scatter_reduce", "index_reduce"}


def is_linear(op: Operation, masked: bool) -> bool:
    """Whether the result is linear in what depends on the input, so that the gradient is the multiplier."""
    name = op.name
    if masked and name in MASKABLE:
        return False
    if name in DIVISIONS:
        return not op.is_active(op.argument(1, "other")) and op.argument(2, "rounding_mode") is None
    if name in ("scatter_reduce", "index_reduce"):
        return _extreme(op) is None
    if name in ("grid_sample", "grid_sampler"):
        return not op.is_active(op.argument(1, "grid"))
    return name in LINEAR or (name in BILINEAR and len(op.active) == 1)


def is_reciprocal(op: Operation) -> bool:
    """Whether the result is a reciprocal of what depends on the input, or one rearranged or scaled."""
    name = op.name
    if name in names.NORMALIZERS or (name in DIVISIONS and not op.is_active(op.argument(0, "input"))):
        return True
    exponent = op.argument(1, "exponent")
    if name in POWERS and isinstance(exponent, int | float):
        return exponent < 0
    alone = len(op.active) == 1 and op.active[0] in op.engine.reciprocals
    return alone and (name in names.MOVEMENT or name in ("mul", "multiply") or name in DIVISIONS)


def multiplied(op: Operation, *, masked: bool) -> Any:
    """The result of ``op`` with its multipliers, on the tape."""
    name, inputs = op.name, op.inputs()
    if is_linear(op, masked):
        kept = contributing(op) if op.engine.reveal_cancel else None
        return op.record(op.run()) if kept is None else kept
    if masked and name != "where":
        op.treatment = "rescale"
        return rescale(op) if len(inputs) == 1 else along_line(op, SMOOTH)
    if name in ("scatter_reduce", "index_reduce"):
        op.treatment = "winner takes all"
        extreme: Any = _extreme(op)
        return winner(extreme)(op)
    if name in ("mul", "multiply") and len(inputs) == 2:
        statistics = [t for t in inputs if t in op.engine.reciprocals]
        if len(statistics) == 1:
            op.treatment = "quotient"
            return divided(op, statistics[0])
    if name in BILINEAR:
        op.treatment = "averaged gradient"
        return averaged(len(op.active))(op)
    if name == "prod":
        dim = op.argument(1, "dim")
        count = inputs[0].numel() if dim is None else inputs[0].shape[dim]
        op.treatment = "averaged gradient"
        return averaged(count)(op)
    if (handler := HANDLERS.get(name)) is not None and not (handler is rescale and len(inputs) > 1):
        op.treatment = "rescale" if handler in (rescale, rectify) else handler.__name__
        return handler(op)
    op.treatment = "no rule"
    result = op.value()
    if not any(is_followed(t) for t in tensors_in(result)):
        op.engine.decisions.add(name)
        return result
    if not isinstance(result, Tensor):
        op.engine.note_unknown(name)
        return op.record(op.run())
    if name not in ("atan2", "arctan2", "xlogy", "cumprod", "logcumsumexp"):
        op.engine.note_unknown(name)
    return along_line(op, SMOOTH)


def _extreme(op: Operation) -> Callable[[Tensor, Tensor], Tensor] | None:
    reduce = next((a for a in (*op.args, *op.kwargs.values()) if isinstance(a, str)), "")
    return {"amax": torch.maximum, "amin": torch.minimum}.get(reduce)
