"""Which samples belong to a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from .errors import InputError, TargetError
from .targets import normalized

Members = Literal["predicted", "positive", "labelled", "all"] | Tensor
"""Those the model says the class of, those with an explained output above 0, those labelled so, every sample, or those
given, (N,) bool."""

ClassTarget = int | Callable[[Any], Tensor] | None


def class_target(target: Any) -> ClassTarget:
    """A target that means the same for every sample.

    Raises
    ------
    TargetError
    """
    target = normalized(target)
    if isinstance(target, Tensor) and target.numel() == 1 and not target.is_floating_point():
        target = int(target)
    if isinstance(target, int) and target < 0:
        raise TargetError(f"target={target}: expected a class, counted from 0.")
    if target is None or callable(target) or (isinstance(target, int) and not isinstance(target, bool)):
        return target
    given = f"a tensor {tuple(target.shape)} of {target.dtype}" if isinstance(target, Tensor) else repr(target)
    raise TargetError(
        f"target is {given}; expected one class for all samples, None for the only output, or a callable."
    )


def belonging(
    members: Members,
    target: ClassTarget,
    scores: Tensor,
    predicted: Tensor | None,
    labels: Tensor | None,
    index: Tensor,
) -> Tensor:
    """(n,) bool, for the samples ``index`` (n,) of the data.

    Parameters
    ----------
    scores
        (n,): the explained output.
    predicted
        (n,): classes; None where the model has a single output, of which all samples are members.
    labels
        (n,), or None.

    Raises
    ------
    InputError, TargetError
    """
    everyone = torch.ones(len(index), dtype=torch.bool)
    if target is None and predicted is not None:
        raise TargetError("target=None: the model has several outputs; say which class, such as target=3.")
    if not isinstance(members, str):
        members = torch.as_tensor(members)
        if members.dtype != torch.bool or members.ndim != 1 or (len(index) and len(members) <= int(index[-1])):
            raise InputError(
                f"members is a tensor {tuple(members.shape)} of {members.dtype}; expected booleans (N,), one for each "
                "sample."
            )
        return members.cpu()[index]
    if members not in ("predicted", "positive", "labelled", "all"):
        raise InputError(f'members={members!r}: expected "predicted", "positive", "labelled", "all" or booleans (N,).')
    if members == "positive":
        return scores.cpu() > 0
    if members == "labelled":
        if labels is None or not isinstance(target, int):
            what = "the target is no class" if labels is not None else "the data has no labels"
            raise InputError(f'members="labelled", but {what}; expected batches (inputs, labels) and target=3, say.')
        return labels.cpu().reshape(-1) == target
    if members == "all" or predicted is None or not isinstance(target, int):
        return everyone
    return predicted == target


def named(members: Members) -> str:
    """In messages."""
    return f'members="{members}"' if isinstance(members, str) else "members as given"
