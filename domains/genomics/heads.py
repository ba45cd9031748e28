"""What to explain of models with several outputs: a head's count, or its whole profile as one number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from sciexplain.errors import TargetError

Head = int | str


def profile(head: Head = 0, task: int | None = None) -> Callable[[Any], Tensor]:
    r"""A target for a profile head: the weighted sum of its logits that BPNet's contributions explain.

    :math:`\sum_i p_i (z_i - \bar z)` with :math:`p = \mathrm{softmax}(z)` held constant, over all positions (and
    strands) of the head.

    Parameters
    ----------
    head
        Place of the head in the model's output, or its name; ignored for a model with one output.
    task
        Channel of a head (N, tasks, L); None: all of them together.

    Returns
    -------
    A callable from the model's output to (N,), to give as ``target``.

    References
    ----------
    Avsec et al. 2021, *Base-resolution models of transcription-factor binding reveal soft motif syntax*, Nature
    Genetics 53, Methods ("Contribution scores").

    Examples
    --------
    >>> import torch
    >>> profile()(torch.tensor([[[0.0, 0.0, 9.0]]])).round()
    tensor([6.])
    """

    def weighted(output: Any) -> Tensor:
        z = _chosen(output, head, task)
        z = z.flatten(1) if z.ndim > 1 else z[:, None]
        if z.shape[1] < 2:
            raise TargetError(f"head={head!r}, task={task}: one value for each sequence is no profile; use counts().")
        weights = z.detach().softmax(1)
        return (weights * (z - z.mean(1, keepdim=True))).sum(1)

    return weighted


def counts(head: Head = 1, task: int = 0) -> Callable[[Any], Tensor]:
    """A target for a head of total counts (N, tasks), or (N,).

    Parameters
    ----------
    head, task
        As for :func:`profile`.
    """

    def count(output: Any) -> Tensor:
        chosen = _chosen(output, head, task)
        return chosen if chosen.ndim == 1 else chosen.flatten(1).sum(1)

    return count


def _chosen(output: Any, head: Head, task: int | None) -> Tensor:
    if not isinstance(output, Tensor):
        try:
            if isinstance(head, str) and not isinstance(output, Mapping):
                output = getattr(output, head)
            else:
                output = output[head]
        except (KeyError, IndexError, TypeError, AttributeError):
            heads = list(output) if isinstance(output, Mapping) else f"{len(output)} outputs"
            raise TargetError(f"head={head!r}: the model has {heads}.") from None
    if not isinstance(output, Tensor):
        raise TargetError(f"head={head!r} is {type(output).__name__}; expected a tensor.")
    if output.ndim == 1:
        output = output[:, None]
    if task is None:
        return output
    if not -output.shape[1] <= task < output.shape[1]:
        raise TargetError(f"task={task}: head {head!r} has {output.shape[1]} tasks, shape {tuple(output.shape)}.")
    return output[:, task]
