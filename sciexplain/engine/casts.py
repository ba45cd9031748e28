"""A model explained in float64 is explained in float64 throughout.

Some models compute parts in float32 whatever they are given (norms, softmaxes, rotations). That is a way to compute,
not a part of the function, and relevance would lose half its digits there: the engines leave such casts out. What the
model returns is then what it would return with all of its parts in the precision of its input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .call import tensors_in
from .names import listed

CASTS = listed("to float half bfloat16 type type_as _to_copy")

OF_ONE_TYPE = listed("""
    linear bilinear matmul __matmul__ dot inner vdot tensordot mm bmm mv einsum addmm addmv addbmm baddbmm addr conv1d
    conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution scaled_dot_product_attention
    multi_head_attention_forward batch_norm instance_norm layer_norm native_layer_norm group_norm native_group_norm
    rms_norm lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell prelu grid_sample index_add
    scatter_add scatter scatter_reduce index_copy index_put masked_scatter index_reduce _grouped_mm
""")
"""Operations that do not bring their arguments to one type by themselves."""


def in_full_precision(
    func: Callable[..., Any],
    name: str,
    inplace: bool,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    cast: Callable[[Tensor, torch.dtype], Tensor] = Tensor.to,
) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """The call without casts to a coarser type, for calls with an active tensor in float64.

    ``cast`` makes the one cast that must be, into a coarse buffer of the model's own.
    """
    if name in CASTS:
        return (_moved_only if _coarser(name, args, kwargs) else func), args, kwargs
    if any(isinstance(v, torch.dtype) and _is_coarse(v) for v in (*args, *kwargs.values())):
        args = tuple(None if isinstance(a, torch.dtype) and _is_coarse(a) else a for a in args)
        kwargs = {k: v for k, v in kwargs.items() if not (isinstance(v, torch.dtype) and _is_coarse(v))}
    if name in OF_ONE_TYPE and any(_is_coarse(t.dtype) for t in tensors_in((args, kwargs))):
        target = args[0] if inplace else None
        if isinstance(target, Tensor) and _is_coarse(target.dtype):
            return func, _each(args, lambda t: cast(t, target.dtype) if t.dtype == torch.float64 else t), kwargs
        args, kwargs = (_each(v, lambda t: t.double() if _is_coarse(t.dtype) else t) for v in (args, kwargs))
    return func, args, kwargs


def _is_coarse(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point and dtype != torch.float64


def _coarser(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if args[0].dtype != torch.float64:
        return False
    if name in ("float", "half", "bfloat16"):
        return True
    asked = [v.dtype if isinstance(v, Tensor) else v for v in (*args[1:], *kwargs.values())]
    return any(isinstance(v, torch.dtype) and _is_coarse(v) for v in asked)


def _moved_only(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """``x.to(...)`` as far as it is about the device."""
    asked = [v.device if isinstance(v, Tensor) else v for v in (*args, kwargs.get("device"))]
    device = next((v for v in asked if isinstance(v, str | torch.device)), x.device)
    return x.view_as(x) if torch.device(device) == x.device else x.to(device)


def _each(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if type(value) in (tuple, list):
        return type(value)(_each(v, change) for v in value)
    if type(value) is dict:
        return {k: _each(v, change) for k, v in value.items()}
    return value
