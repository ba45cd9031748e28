"""What is explained of each of N samples, asked again when some of a sample is gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError, TargetError
from ..targets import explained_output, normalized, start


@dataclass(frozen=True)
class FixedTarget:
    """A predicted class stays that class, and start relevance the same weighting of the outputs.

    Attributes
    ----------
    classes
        (N,) on the CPU: the class explained of each sample; None for targets of other kinds.
    slopes
        (N, outputs) float64, on the CPU: start relevance over output, 0 where the output is.
    function
        A callable from the output to one value for each sample.
    """

    classes: Tensor | None = None
    slopes: Tensor | None = None
    function: Callable[[Any], Tensor] | None = None

    @classmethod
    def of(cls, output: Any, target: Any, samples: int) -> FixedTarget:
        """From the model's output for N whole samples, and a target as :func:`sciexplain.explain` takes it.

        Raises
        ------
        TargetError, ModelError
        """
        target = normalized(target)
        begun = start(output, target, samples)
        if len(begun.score) != samples:
            raise ModelError(f"{samples} rows of input give {len(begun.score)} scores; expected one for each row.")
        if callable(target):
            return cls(function=target)
        if begun.target is not None:
            return cls(classes=begun.target.cpu())
        values = explained_output(output).detach().double().reshape(samples, -1).cpu()
        relevance = target.detach().double().reshape(samples, -1).cpu()
        return cls(slopes=torch.where(values == 0, torch.zeros_like(values), relevance / values))

    @classmethod
    def joined(cls, parts: Sequence[FixedTarget], rows: Sequence[Tensor]) -> FixedTarget:
        """Of several groups of samples as one, with the samples' rows in each."""
        order = torch.cat(list(rows)).argsort()
        if parts[0].function is not None:
            return parts[0]
        if parts[0].classes is not None:
            return cls(classes=torch.cat([p.classes for p in parts if p.classes is not None])[order])
        return cls(slopes=torch.cat([p.slopes for p in parts if p.slopes is not None])[order])

    def __call__(self, output: Any, samples: Tensor) -> Tensor:
        """The scores (M,) float64, on the CPU, of an output for M samples, which are those of these numbers."""
        m = len(samples)
        if self.function is not None:
            found = self.function(output)
            if not isinstance(found, Tensor) or found.numel() != m:
                given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
                raise TargetError(f"The target callable returned {given}; expected one value for each of {m} samples.")
            return found.detach().reshape(-1).double().cpu()
        values = explained_output(output).detach()
        if self.classes is not None:
            values = values.reshape(m, 1) if values.ndim < 2 else values
            index = self.classes[samples.cpu()].to(values.device)
            chosen = values[torch.arange(m, device=values.device), index].double()
            return (chosen.flatten(1).sum(1) if chosen.ndim > 1 else chosen).cpu()
        assert self.slopes is not None
        return (values.double().cpu().reshape(m, -1) * self.slopes[samples.cpu()]).sum(1)
