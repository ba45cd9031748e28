"""What other libraries leave to the explainer: evaluation mode, and the module's own dtype and device."""

from __future__ import annotations

from torch import Tensor, nn


def like_parameters(values: Tensor, model: nn.Module) -> Tensor:
    """Where the model's parameters are; floats in their dtype, and integers too unless the model embeds them."""
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    if parameter is None:
        return values
    embeds = any(isinstance(m, nn.Embedding | nn.EmbeddingBag) for m in model.modules())
    is_tokens = embeds and not values.is_floating_point()
    return values.to(parameter.device, values.dtype if is_tokens else parameter.dtype)
