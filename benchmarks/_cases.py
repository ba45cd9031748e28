"""What a case of the zoo is: a model with random weights, a small input, a target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Case(NamedTuple):
    """A model, its inputs, and the target to explain."""

    model: Callable[..., Any]
    inputs: Any
    target: Any


@dataclass(frozen=True)
class Architecture:
    family: str
    build: Callable[[], Case]


def randomize(model: nn.Module, inputs: Any) -> None:
    """Move biases, scales, statistics and whatever starts at a constant away from the trivial."""
    with torch.no_grad():
        for parameter in model.parameters():
            gain = float(parameter.std()) * parameter[:1].numel() ** 0.5 if parameter.ndim > 1 else 0.0
            if gain == 0:
                parameter.add_(torch.randn_like(parameter) * 0.1)
            elif gain < 0.5:  # the signal would vanish behind the biases
                parameter.div_(gain)
        norms = [m for m in model.modules() if getattr(m, "running_var", None) is not None]
        if isinstance(inputs, Tensor) and inputs.is_floating_point():
            for norm in norms:
                norm.momentum = 1.0
                norm.train()
            model(torch.cat([inputs, *(torch.randn_like(inputs) for _ in range(3))]))
        for norm in norms:
            norm.eval()
            norm.running_mean.add_(0.2 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean))
            norm.running_var.mul_(torch.empty_like(norm.running_var).uniform_(0.5, 1.5)).add_(1e-3)


def call(model: Callable[..., Any], inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def last(output: Any) -> Tensor:
    """The logit of class 1 at the last position, or the first feature there, of whatever a model returns."""
    if not isinstance(output, Tensor):
        output = next((getattr(output, n) for n in _OUTPUTS if getattr(output, n, None) is not None), None)
    assert output is not None
    return output.reshape(len(output), -1, output.shape[-1])[:, -1, 1]


_OUTPUTS = ("logits", "prediction_logits", "last_hidden_state", "prediction_outputs", "image_embeds", "text_embeds")


def image(size: int = 64, *, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, size, size)


def tokens(length: int = 9, vocabulary: int = 50, name: str = "input_ids") -> dict[str, Tensor]:
    return {name: torch.randint(4, vocabulary, (1, length)), "attention_mask": torch.ones(1, length, dtype=torch.long)}


def sequence(length: int = 7, width: int = 5) -> Tensor:
    return torch.randn(1, length, width)


def dna(length: int) -> Tensor:
    return nn.functional.one_hot(torch.randint(4, (1, length)), 4).to(torch.get_default_dtype()).mT.contiguous()


def molecule() -> tuple[Tensor, Tensor, Tensor]:
    """Atoms (8, 5), bonds (2, 18) in both directions, bond features (18, 4)."""
    ring = torch.tensor([[0, 1, 2, 3, 4, 5, 0, 1, 3], [1, 2, 3, 4, 5, 0, 6, 7, 7]])
    return torch.randn(8, 5), torch.cat([ring, ring.flip(0)], 1), torch.rand(18, 4)
