"""What a classifier's logits say: its prediction, how sure it is, and what comes second."""

from typing import NamedTuple

from torch import Tensor


class Decision(NamedTuple):
    """One sample's decision; None in every place for a model that has no classes.

    Attributes
    ----------
    prediction, runner_up
        The classes of highest and second highest logit.
    probability
        Of ``prediction``, by the softmax of the logits, or by its own sigmoid where classes are independent.
    """

    prediction: int | None
    probability: float | None
    runner_up: int | None


def decisions(logits: Tensor, *, independent: bool = False) -> list[Decision]:
    """Read the decisions from (N, classes) logits; other shapes, or a single output, are no classes.

    Parameters
    ----------
    independent
        A sample may belong to several classes: the model ends in a sigmoid.

    Examples
    --------
    >>> import torch
    >>> decisions(torch.tensor([[0.0, 5.0, 1.0]]))[0]._replace(probability=None)
    Decision(prediction=1, probability=None, runner_up=2)
    """
    if logits.ndim != 2 or logits.shape[1] < 2:
        return [Decision(None, None, None)] * len(logits)
    best = logits.topk(2, dim=1).indices.tolist()
    each = logits.double().sigmoid() if independent else logits.double().softmax(1)
    probabilities = each.max(1).values.tolist()
    return [Decision(first, p, second) for (first, second), p in zip(best, probabilities, strict=True)]
