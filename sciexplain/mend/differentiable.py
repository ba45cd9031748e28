r"""Relevance as a differentiable function of a model's parameters.

The relevance of an input is made of the model's weights and of the values in its forward pass, so that it has a
gradient to both: what is needed to teach a model where to look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._evaluation import evaluation_mode
from ..composites import Composite
from ..engine.base import OnUnknown, engines_suspended
from ..engine.programs import as_written, never_compiled, original
from ..engine.twins import Twins
from ..errors import ModelError
from ..inputs import Inputs
from ..methods.lrp import Propagation
from ..targets import Target, explained_output, normalized

__all__ = ["Relevance", "relevance"]


class Relevance(NamedTuple):
    """Relevance and score, each with a graph to the model's parameters and to the inputs.

    Attributes
    ----------
    relevance : Tensor, or tuple or dict of Tensors
        In the structure and shapes of the inputs.
    score : Tensor, shape (N,)
        The explained output, before a final softmax or sigmoid.
    output : Tensor
        All outputs, before a final softmax or sigmoid.
    """

    relevance: Any
    score: Tensor
    output: Tensor


@never_compiled
def relevance(
    model: Callable[..., Any],
    inputs: Tensor | tuple[Any, ...] | dict[str, Any],
    target: Target = None,
    *,
    composite: Composite | str | None = None,
    on_unknown: OnUnknown = "warn",
) -> Relevance:
    r"""The relevance of :func:`sciexplain.explain`, to be differentiated once more.

    A gradient such as :math:`\partial \lVert M \odot R(x, \theta) \rVert^2 / \partial \theta` goes through every value
    that a rule reads: activations, weights, gates, statistics. What the rules take as constant where they share
    relevance (a gate, a norm's standard deviation) does depend on the parameters, and is differentiated as such; only
    what the model's author detached is a constant here too, as in training.

    Parameters
    ----------
    model : callable
        Explained as in evaluation mode; left exactly as it is.
    inputs : Tensor, or tuple or dict of Tensors, first dimension N
        As for :func:`sciexplain.explain`. Those that require gradients get them.
    target : None, int, LongTensor (N,), Tensor shaped like the output, or callable
        As for :func:`sciexplain.explain`.
    composite : Composite or str
        Which rule each operation gets. Default ``"epsilon"``.
    on_unknown : "warn", "error" or "gradient"
        What to do about operations without a rule.

    Returns
    -------
    Relevance

    Raises
    ------
    ModelError
        Naming what cannot be differentiated: an operation hidden from the engine or under ``no_grad``, or one whose
        gradient torch cannot differentiate.
    InputError, TargetError, RuleError, UnknownOperationError

    References
    ----------
    Ross, Hughes & Doshi-Velez 2017, *Right for the right reasons*, IJCAI. Rieger et al. 2020, *Interpretations are
    useful: penalizing explanations to align neural networks with prior knowledge*, ICML.

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> from sciexplain import mend
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> found = mend.relevance(model, torch.ones(2, 4), target=1, composite="epsilon")
    >>> found.relevance[:, 0].square().sum().backward()  # the first feature should not matter
    >>> model[0].weight.grad.shape
    torch.Size([8, 4])
    """
    if not callable(model):
        raise ModelError(f"model is {type(model).__name__}; expected a torch module or another callable.")
    model, target, twins = original(model), normalized(target), Twins()
    given = Inputs.of(inputs, model)
    with (
        engines_suspended(),
        as_written,
        torch.inference_mode(False),
        torch.enable_grad(),
        evaluation_mode(model),
    ):
        given = given.replaced({k: v.clone() for k, v in given.tensors() if v.is_inference()})
        run = Propagation(given, composite, twins=twins, on_unknown=on_unknown)
        scores: list[Tensor] = []
        explained, _, begin = run.begin(model, _remembered(target, scores) if callable(target) else target)
        run.engine.report_unknown()
        _refuse_hidden(run)
        objective, start, logits = begin.objective, torch.ones_like(begin.objective), explained_output(explained)
        output = twins.of(logits)
        if scores:
            score = twins.of(scores[0]).reshape(-1)
        elif isinstance(target, Tensor) and target.is_floating_point():
            zero = output == 0  # no input caused it
            started, objective = target.to(output).masked_fill(zero, 0), logits
            start, score = started / output.masked_fill(zero, 1), _summed(started)
        else:
            assert begin.target is not None
            classes = output[..., None] if output.ndim < 2 else output
            score = _summed(classes.reshape(-1, *classes.shape[1:])[torch.arange(len(begin.target)), begin.target])
        start = start if start.requires_grad else start.requires_grad_()  # so that every c is recorded
        found = run.multipliers(objective, start=start)
        return Relevance(given.rebuild(run.as_relevance(found, objective.dtype)), score, output)


def _remembered(target: Callable[[Any], Tensor], scores: list[Tensor]) -> Callable[[Any], Tensor]:
    def score(output: Any) -> Tensor:
        scores.append(target(output))
        return scores[-1]

    return score


def _summed(values: Tensor) -> Tensor:
    """To one value per sample."""
    return values.flatten(1).sum(1) if values.ndim > 1 else values.reshape(-1)


def _refuse_hidden(run: Propagation) -> None:
    """The gradient of what the engine did not see goes by unseen, and would be wrong."""
    unseen = [u for u in run.engine.unknown if u.operation.startswith("hidden ") or u.operation.endswith("no_grad")]
    if unseen:
        listing = ", ".join(f"{u.operation} ({u.module or 'model'}, {u.count}×)" for u in unseen)
        raise ModelError(
            f"Relevance cannot be differentiated through {listing}: the engine does not see what happens there. Write "
            "the operation with torch's own, outside torch.no_grad()."
        )
