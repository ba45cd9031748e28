"""Which dimension of a layer's output has its channels."""

from __future__ import annotations

from torch import Tensor, nn

from ..errors import InputError

_FIRST = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.PReLU),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)
_LAST = (
    *(nn.Linear, nn.LayerNorm, nn.Embedding, nn.RNNBase, nn.MultiheadAttention),
    *(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer),
)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def own_axis(module: nn.Module | None, output: Tensor) -> int | None:
    """Where the channels of a module's output are by its kind, or None."""
    if isinstance(module, _CONVOLUTIONS):
        return max(output.ndim - len(module.kernel_size) - 1, 0)
    if isinstance(module, _FIRST):
        return 1
    if isinstance(module, nn.LayerNorm) and type(module) is not nn.LayerNorm:  # such as those for (N, channels, H, W)
        as_many = [i for i in range(1, output.ndim) if output.shape[i] == module.normalized_shape[-1]]
        return as_many[0] if as_many else None
    return output.ndim - 1 if isinstance(module, _LAST) else None


def unknown_axis(name: str, output: Tensor) -> InputError:
    """That nothing tells it of the module called ``name``."""
    return InputError(
        f"Which dimension of the output of {name!r}, {tuple(output.shape)}, has the channels? Say with channel_axis=, "
        "1 for (N, channels, …) and -1 for (N, …, channels)."
    )


def by_channel(values: Tensor, axis: int) -> Tensor:
    """(rows, channels, positions): with one position for what has rows and channels only."""
    moved = values.movedim(axis, 1)
    return moved.flatten(2) if moved.ndim > 2 else moved[..., None]
