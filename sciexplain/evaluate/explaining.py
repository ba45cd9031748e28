"""Explaining again, for metrics that ask what another input or another network gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .._evaluation import evaluation_mode
from ..errors import InputError
from ..explain import explain as explain_inputs
from ..explanation import Explanation
from ..inputs import Inputs, buffers_restored
from ..methods.randomness import generators
from ..targets import Target, normalized, start
from .conservation import tensors_of

Explain = Callable[[Any, Any, Any], Any]
"""From model, inputs and target to an Explanation, or relevance in the structure of the inputs."""


def explaining(method: str, explain: Explain | None, batch_size: int | None, options: dict[str, Any]) -> Explain:
    """The user's own function, or :func:`sciexplain.explain` with a method and its options, in evaluation mode.

    Raises
    ------
    InputError
        For options beside a function of one's own.
    """
    if explain is not None:
        if options or batch_size is not None:
            given = [*options, *(["batch_size"] if batch_size is not None else [])]
            raise InputError(f"explain= is a function of its own; {', '.join(given)} cannot be handed to it.")
        if not callable(explain):
            raise InputError(f"explain is {type(explain).__name__}; expected a function of model, inputs and target.")

    def run(model: Any, inputs: Any, target: Any) -> Any:
        with evaluation_mode(model):
            if explain is not None:
                return explain(model, inputs, target)
            return explain_inputs(model, inputs, target, method, batch_size=batch_size, **options)

    return run


def decided_target(model: Callable[..., Any], inputs: Inputs, target: Target) -> Target:
    """The predicted class in the place of None, so that it stays the same for other inputs and networks.

    Raises
    ------
    InputError
        No samples.
    """
    if not inputs.batch_size:
        raise InputError("The batch is empty: the first dimension of the input is 0.")
    target = normalized(target)
    if target is not None:
        return target
    with evaluation_mode(model), buffers_restored(model), torch.no_grad():
        return start(inputs.cloned().call(model), None, inputs.batch_size).target


def rows(explained: Any, given: Inputs) -> Tensor:
    """Relevance as (N, V) in float64 on the CPU; (1, V) where samples share the inputs, as in a batch of graphs.

    Raises
    ------
    InputError
        For what is no relevance of these inputs.
    """
    single = isinstance(explained, Explanation) and len(explained.score) == 1
    n, found = given.batch_size, [v.detach().cpu().double() for v in _tensors(explained)]
    if not found:
        raise InputError(
            f"explain returned {type(explained).__name__}; expected an Explanation, or relevance as tensors."
        )
    if single or not all(v.ndim and len(v) == n for v in found):
        return torch.cat([v.flatten() for v in found])[None]
    return torch.cat([v.reshape(n, -1) for v in found], 1)


def shaped(explained: Any, given: Inputs) -> Tensor:
    """Relevance (N, \\*shape) of inputs that are one tensor, for what looks at maps; other inputs' as :func:`rows`."""
    flat, tensors = rows(explained, given), _tensors(explained)
    alone = len(tensors) == 1 and len(flat) == len(tensors[0])
    return flat.view(tensors[0].shape) if alone and tensors[0].ndim > 1 else flat


def _tensors(explained: Any) -> list[Tensor]:
    """Of relevance in the structure of the inputs, or of an array; none of anything else."""
    values = explained.relevance if isinstance(explained, Explanation) else explained
    if isinstance(values, Tensor | tuple | list | dict):
        return tensors_of(values)
    try:
        return [torch.as_tensor(values)]
    except (TypeError, ValueError, RuntimeError):
        return []


class Neighbours:
    """Copies of the inputs with random numbers added, each sample's from a generator of its own.

    Parameters
    ----------
    amount
        A fraction of each sample's range, or a tensor of absolute amounts that broadcasts to the inputs.
    draw
        ``torch.rand`` or ``torch.randn``; the former gives numbers in −1..1.
    """

    def __init__(
        self, given: Inputs, amount: float | Tensor, draws: int, draw: Callable[..., Tensor], seed: int
    ) -> None:
        drawn = hasattr(draws, "__index__") and draws >= 1
        if not drawn or (not isinstance(amount, Tensor) and not 0 < amount < float("inf")):
            raise InputError(
                f"An amount of noise {amount} in {draws} draws: expected a positive amount, 1 draw or more."
            )
        self.given, self.amount, self.draws, self.draw = given, amount, draws, draw
        self.names = [k for k, v in given.tensors() if v.is_floating_point() and k not in given.masks]
        if not self.names:
            raise InputError("The inputs are integers; noise is added to floats only.")
        if isinstance(amount, Tensor) and len(self.names) > 1:
            raise InputError("A tensor of amounts needs a single input tensor; give a fraction of the range.")
        self._seeds = generators(seed, given.batch_size)

    def __iter__(self) -> Any:
        n = self.given.batch_size
        random = [self._seeds(i) for i in range(n)]
        for _ in range(self.draws):
            changed = {}
            for name, x in self.given.tensors():
                if name not in self.names:
                    continue
                if self.given.is_batched(name):
                    drawn = torch.stack([self.draw(x.shape[1:], generator=g, dtype=torch.float64) for g in random])
                else:
                    drawn = self.draw(x.shape, generator=random[0], dtype=torch.float64)
                if self.draw is torch.rand:
                    drawn = 2 * drawn - 1
                changed[name] = x.detach() + drawn.to(x) * self._amount(name, x)
            yield self.given.replaced(changed).rebuild({**dict(self.given.tensors()), **changed})

    def _amount(self, name: str, x: Tensor) -> Tensor | float:
        if isinstance(self.amount, Tensor):
            return self.amount.to(x)
        flat = x.flatten(1) if self.given.is_batched(name) and x.ndim > 1 else x.reshape(1, -1)
        extent = flat.amax(1) - flat.amin(1)
        return self.amount * extent.reshape(-1, *(1,) * (x.ndim - 1))
