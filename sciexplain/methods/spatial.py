"""Which tensors of a forward pass are maps: channels over space."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import prod
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..engine.call import tensors_in
from ..engine.modules import ModuleStack
from ..engine.operation import operation
from ..engine.torchscript import followed

Reshape = Callable[[Tensor], Tensor]

_CHANNELS_FIRST = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.GroupNorm,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
)
_CHANNELS_LAST = (nn.Linear, nn.Embedding, nn.MultiheadAttention, nn.RNNBase)


@dataclass
class Maps:
    """The outputs of modules that may be maps (N, C, \\*spatial), in the order of the forward pass.

    Tokens (N, T, C) and images with channels last have the shape of maps too. The layers that know where their
    channels are tell: an output is taken for a map unless the last such layer with an output of its shape has them
    last.

    Parameters
    ----------
    samples : int
        N.
    layer : str, optional
        Take the outputs of this module only.
    any_layout : bool
        Take outputs of any shape.
    """

    samples: int
    layer: str | None = None
    any_layout: bool = False
    found: list[tuple[str, Tensor]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Of all modules that ran."""
    _channels_last: dict[tuple[int, ...], bool] = field(default_factory=dict)

    def run(self, forward: Callable[[], Any], *, tokens: bool) -> Any:
        """Call ``forward`` and look on; with ``tokens``, gradients reach back to the embeddings."""
        self._stack = ModuleStack(self._on_output)
        with self._stack, followed(self._stack), _Embeddings() if tokens else nullcontext():
            return forward()

    def _on_output(self, name: str, output: Any) -> None:
        self.names.append(name)
        for tensor in tensors_in(output):
            if not tensor.requires_grad or tensor.ndim < 2 or tensor.shape[0] != self.samples:
                continue
            shape = tuple(tensor.shape[1:])
            if (last := _has_channels_last(self._stack.path[0][1], shape)) is not None:
                self._channels_last[shape] = last
            is_map = prod(shape[1:]) > 1 and not self._channels_last.get(shape, False)
            if self.layer in (None, name) and (self.any_layout or is_map):
                self.found.append((name, tensor))


def _has_channels_last(module: nn.Module, shape: tuple[int, ...]) -> bool | None:
    """Where a layer has its channels; None for modules that work on any layout."""
    if isinstance(module, _CHANNELS_FIRST):
        return False
    if isinstance(module, _CHANNELS_LAST):
        return True
    if isinstance(module, nn.LayerNorm):  # or a kin that norms channels first
        return len(module.normalized_shape) == 1 and shape[0] != module.normalized_shape[0]
    return None


class _Embeddings(TorchFunctionMode):
    """What an embedding puts out requires gradients, also where its weights do not."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if operation(func, args, kwargs or {})[0] in ("embedding", "embedding_bag"):
            return result if result.requires_grad else result.requires_grad_()
        return result
