"""What is explained: from a model's output and a target to one score per sample.

The explained output is the logit: a final softmax, log-softmax or sigmoid is stepped over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .errors import ModelError, NonFiniteOutputError, TargetError

Target = int | Tensor | Callable[[Any], Tensor] | None


@dataclass(frozen=True)
class Start:
    """Where the backward pass begins.

    Attributes
    ----------
    objective : Tensor, scalar
        Its gradient is the ``c`` of the explained output.
    score : Tensor, shape (N,)
        The relevance that starts; none does on an output that is exactly 0.
    target : Tensor, shape (N,), or None
        The class of each sample, where the target is a class.
    fixed : Target
        The same target for other inputs: a predicted class stays that class, start relevance stays the same
        weighting of the outputs.
    """

    objective: Tensor
    score: Tensor
    target: Tensor | None
    fixed: Target


def explained_output(output: Any) -> Tensor:
    """The tensor that an index target refers to: the output, its first tensor, or its ``logits``.

    Raises
    ------
    ModelError
        When there is none, or it is not clear which.
    """
    if isinstance(output, Tensor):
        return output
    if (logits := getattr(output, "logits", None)) is not None and isinstance(logits, Tensor):
        return logits
    if isinstance(output, Mapping):
        if isinstance(output.get("logits"), Tensor):
            return output["logits"]
        tensors = {k: v for k, v in output.items() if isinstance(v, Tensor)}
        if len(tensors) == 1:
            return next(iter(tensors.values()))
        if tensors:
            raise ModelError(
                f"The model returned a dict with the tensors {sorted(map(str, tensors))}; say which one to explain "
                'with a callable, such as target=lambda output: output["name"][:, 0].'
            )
    if isinstance(output, tuple | list):
        for item in output:
            if isinstance(item, Tensor):
                return item
    raise ModelError(
        f"The model returned {type(output).__name__} without a tensor; expected a tensor, or a tuple or dict with one."
    )


def logits_of(output: Any) -> Tensor:
    """(N, classes, …): :func:`explained_output`, a single output as one column."""
    logits = explained_output(output)
    return logits.reshape(-1, 1) if logits.ndim < 2 else logits


def start(output: Any, target: Target, samples: int) -> Start:
    """Score and objective for a target in any of its forms.

    Parameters
    ----------
    output
        Of the model, logits in the place of a final softmax or sigmoid.
    target
        None: the predicted class, or the only output. int or LongTensor (N,): a class. Float tensor shaped like the
        output: start relevance. Callable: from output to a tensor (N,).
    samples : int
        N of the input, which the output may not show.

    Raises
    ------
    TargetError, ModelError
    """
    if callable(target):
        return _from_callable(output, target, samples)
    y = explained_output(output)
    if not y.is_floating_point():
        raise ModelError(f"The model returned a tensor of {y.dtype}; expected floating point values, such as logits.")
    if y.ndim == 0:
        y = y.reshape(1)
    if isinstance(target, Tensor) and target.is_floating_point():
        begin = _from_relevance(y, target)
    else:
        begin = _from_class(y, target)
    return _finite(begin)


def normalized(target: Any) -> Target:
    """A list, NumPy array or NumPy number as a tensor; other targets as they are."""
    if target is None or callable(target) or isinstance(target, bool | int | Tensor):
        return target
    try:
        return torch.as_tensor(target)
    except (TypeError, ValueError, RuntimeError):
        raise TargetError(
            f"target={target!r}: expected None, a class index, a tensor of class indices (N,), a float tensor shaped "
            "like the output, or a callable."
        ) from None


def rows_of(target: Any, rows: slice | Tensor, samples: int) -> Any:
    """The target of some of N samples: its rows, where it has one for each; what it is of all otherwise."""
    each = isinstance(target, Tensor) and target.ndim > 0 and len(target) == samples
    return target[rows] if each else target


def repeated(fixed: Target, copies: int) -> Target:
    """A target that :func:`start` fixed, for several copies of the batch one after the other.

    A callable sees the output of one copy at a time, as it did when it was fixed.
    """
    if copies == 1:
        return fixed
    if isinstance(fixed, Tensor):
        return fixed.repeat(copies)
    if not callable(fixed):
        return fixed

    def each(output: Any) -> Tensor:
        return torch.cat([fixed(_copy_of(output, i, copies)) for i in range(copies)])

    return each


def _copy_of(output: Any, i: int, copies: int) -> Any:
    """The rows of an output that belong to one of several copies of the batch."""
    if isinstance(output, Tensor):
        return output.chunk(copies)[i] if output.ndim else output
    if isinstance(output, tuple | list):
        items = [_copy_of(o, i, copies) for o in output]
        return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
    if isinstance(output, Mapping):
        part: Any = copy(output)
        for key, value in output.items():
            part[key] = _copy_of(value, i, copies)
        return part
    return output


def _finite(begin: Start) -> Start:
    bad = (~torch.isfinite(begin.score)).nonzero().flatten().tolist()
    if bad:
        raise NonFiniteOutputError(
            f"The explained output is NaN or infinite for the samples {bad[:10]}{' …' if len(bad) > 10 else ''}; "
            "check the model's output on them."
        )
    return begin


def _from_callable(output: Any, target: Callable[[Any], Tensor], samples: int) -> Start:
    score = target(output)
    given = tuple(score.shape) if isinstance(score, Tensor) else type(score).__name__
    expected = {samples} | {t.shape[0] for t in _tensors(output) if t.ndim}
    if not isinstance(score, Tensor) or score.ndim > 1 or score.numel() not in expected:
        raise TargetError(
            f"The target callable returned {given}; expected a tensor of shape (N,) = ({samples},), one value per "
            "sample."
        )
    score = score.reshape(-1)
    return _finite(Start(score.sum(), score.detach(), None, target))


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        output = list(output.values())
    return [t for t in output if isinstance(t, Tensor)] if isinstance(output, tuple | list) else []


def _from_relevance(y: Tensor, target: Tensor) -> Start:
    if target.shape != y.shape:
        raise TargetError(
            f"The target has shape {tuple(target.shape)}, the output {tuple(y.shape)}; a float target is the start "
            "relevance of every output value and must have the output's shape."
        )
    if not bool(torch.isfinite(target).all()):
        raise TargetError(
            "The target has values that are NaN or infinite; a float target is the start relevance of every output."
        )
    relevance, values = target.to(y), y.detach()
    c = torch.where(values == 0, torch.zeros_like(values), relevance / values)  # what is 0, no input caused
    started = torch.where(values == 0, torch.zeros_like(values), relevance)

    def fixed(output: Any) -> Tensor:
        values = explained_output(output) * c
        return values.flatten(1).sum(1) if values.ndim > 1 else values

    return Start((y * c).sum(), started.flatten(1).sum(1) if y.ndim > 1 else started, None, fixed)


def _from_class(y: Tensor, target: int | Tensor | None) -> Start:
    n = y.shape[0]
    if y.ndim == 1:
        y = y[:, None]
    classes = y.shape[1]
    if target is None:
        if y.ndim > 2 and y[0, 0].numel() > 1:
            raise TargetError(
                f"The output has shape {tuple(y.shape)}; for a dense output give a class, a start relevance shaped "
                "like the output, or a callable that sums the region of interest to shape (N,)."
            )
        index = y.detach().flatten(1).argmax(1) if y[0].numel() > 1 else torch.zeros(n, dtype=torch.long)
    elif isinstance(target, Tensor):
        if (target.shape != (n,) and target.numel() != 1) or target.dtype == torch.bool:
            raise TargetError(
                f"The target has shape {tuple(target.shape)} and {target.dtype}; expected class indices of shape "
                f"({n},), one per sample, or a float tensor shaped like the output."
            )
        index = target.reshape(-1).expand(n)
    elif not isinstance(target, bool):
        index = torch.full((n,), target, dtype=torch.long)
    else:
        raise TargetError(f"target={target!r}: expected a class index, not a truth value.")
    index = index.to(y.device, torch.long)
    if bool(((index < -classes) | (index >= classes)).any()):
        worst = int(index[(index < -classes) | (index >= classes)][0])
        raise TargetError(
            f"target {worst} is out of range: the model has {classes} outputs (0 to {classes - 1}), output shape "
            f"{tuple(y.shape)}."
        )
    index = index % classes
    chosen = y[torch.arange(n, device=y.device), index]
    score = chosen.flatten(1).sum(1) if chosen.ndim > 1 else chosen
    return Start(score.sum(), score.detach(), index, index)
