"""Right for the right reasons: fine-tuning with a penalty on relevance where there should be none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..composites import Composite
from ..errors import InputError
from ..inputs import Inputs
from ..maximization.observe import observe
from ..targets import explained_output, logits_of
from .differentiable import relevance
from .fine_tuning import Batch, Batches, Epoch, Loss, Mended, masks_by_name, trained

__all__ = ["right_reasons"]


def right_reasons(
    model: nn.Module,
    inputs: Any,
    labels: Tensor | None = None,
    masks: Any = None,
    *,
    weight: float = 1.0,
    penalty: Literal["relevance", "gradient"] = "relevance",
    composite: Composite | str | None = None,
    target: Callable[[Any], Tensor] | None = None,
    sample_weights: Tensor | None = None,
    loss: Loss | None = None,
    epochs: int = 5,
    lr: float = 1e-3,
    batch_size: int = 64,
    seed: int = 0,
    callback: Callable[[Epoch], object] | None = None,
) -> Mended:
    r"""Fine-tune a copy of a model so that it stops using what a mask covers.

    .. math::
        \mathcal{L}(\theta) = \frac{1}{N} \sum_n \Big[ \ell\big(f_\theta(x_n), y_n\big)
            + \lambda \sum_k \sum_i \big( M_{ni} R_i^{(k)}(x_n; \theta) \big)^2 \Big]

    with :math:`M` over the confirmed artefact and :math:`R^{(k)}` the relevance for output :math:`k`: of every output,
    since what speaks against the other classes gives one away just as well. The sum over outputs takes one pass, not
    one each: relevance is linear in where it starts, so that for random signs :math:`s_k` (drawn anew in every step)
    the expectation of :math:`\big( M_{ni} \sum_k s_k R_i^{(k)} \big)^2` is that sum.

    This is the loss of Ross et al. 2017 with LRP in the place of the gradient: relevance is what an input contributed,
    so that the model may still react to other things in the same place. ``penalty="gradient"`` is theirs,
    :math:`\big( M_{ni} \, \partial_{x_{ni}} \sum_k \log p_k \big)^2`.

    Parameters
    ----------
    model : nn.Module
        Returns logits; a final softmax or sigmoid is stepped over. Left as it is; of its copy, the parameters that
        require gradients change, or all, where none does. Outputs and relevance are those of evaluation mode: BatchNorm
        keeps its statistics.
    inputs : Tensor (N, \*shape), tuple or dict of them, or an iterable of batches
        Without ``labels``: a list or ``DataLoader`` of ``(inputs, labels, masks)``. A batch of graphs is one of those,
        with all that the model's forward takes as inputs.
    labels : (N,) whole numbers, or Tensor shaped like the output
        Classes, or for each output whether it applies, as a float or truth value.
    masks : Tensor
        True, or a positive weight, where the model must not look: broadcasts to the inputs, one per sample or one for
        all; or (N, \*spatial), for all channels. For several inputs the first one's, or a tuple or dict like the
        inputs, with None where nothing is masked.
    weight : float
        λ.
    penalty : "relevance" or "gradient"
    composite : Composite or str
        For relevance; default ``"epsilon"``.
    target : callable
        From outputs to (N,): whose relevance is penalised, instead of every output's.
    sample_weights, loss, epochs, lr, batch_size, seed, callback
        As for :func:`fine_tuned`.

    Returns
    -------
    Mended

    Raises
    ------
    InputError, ModelError, RuleError

    References
    ----------
    Ross, Hughes & Doshi-Velez 2017, *Right for the right reasons: training differentiable models by constraining their
    explanations*, IJCAI. Schramowski et al. 2020, *Making deep neural networks right for the right scientific reasons
    by interacting with their explanations*, Nat. Mach. Intell. 2. Weber et al. 2023, *Beyond explaining: opportunities
    and challenges of XAI-based model improvement*, Information Fusion 92.

    Examples
    --------
    The second feature gives the label away in training:

    >>> import torch, sciexplain as sx
    >>> from sciexplain import mend
    >>> draw = torch.Generator().manual_seed(0)
    >>> x = torch.randn(200, 3, generator=draw)
    >>> y = (x[:, 0] > 0).long()
    >>> x[:, 1] = 2.0 * y
    >>> model = mend.fine_tuned(torch.nn.Linear(3, 2), x, y, epochs=30, lr=0.05).model
    >>> mask = torch.tensor([False, True, False])
    >>> mended = mend.right_reasons(model, x, y, mask, weight=10.0, epochs=30, lr=0.05)
    >>> share = [sx.explain(m, x, y).relevance.abs()[:, 1].mean() for m in (model, mended.model)]
    >>> bool(share[1] < 0.1 * share[0])
    True
    """
    if penalty not in ("relevance", "gradient"):
        raise InputError(f'penalty={penalty!r}: expected "relevance" or "gradient".')
    if labels is not None and masks is None:
        raise InputError("right_reasons needs masks: True where the model must not look.")

    draw = torch.Generator().manual_seed(seed)

    def all_outputs(output: Any) -> Tensor:
        logits = explained_output(output)
        signs = torch.randint(0, 2, logits.shape, generator=draw).to(logits) * 2 - 1
        return (logits * signs).reshape(len(logits), -1).sum(1)

    def by_relevance(copied: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        given = Inputs.of(batch.inputs, copied)
        found = relevance(copied, batch.inputs, target or all_outputs, composite=composite, on_unknown="gradient")
        return found.output, _inside(given, given.named(found.relevance), batch)

    def by_gradient(copied: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        given = Inputs.of(batch.inputs, copied)
        leaves = given.leaves()
        copies = given.replaced({k: v.clone() for k, v in leaves.items()})
        output = explained_output(observe(copied, copies.rebuild(copies.values)).output)
        logits = logits_of(output)
        log_p = F.log_softmax(logits, 1) if logits.shape[1] > 1 else F.logsigmoid(torch.cat([logits, -logits], 1))
        found = torch.autograd.grad(log_p.sum(), list(leaves.values()), create_graph=True, allow_unused=True)
        return output, _inside(given, dict(zip(leaves, found, strict=True)), batch)

    batches = Batches(inputs, labels, masks, sample_weights, batch_size, seed)
    penalized = by_relevance if penalty == "relevance" else by_gradient
    return trained(model, batches, penalized, loss=loss, weight=weight, epochs=epochs, lr=lr, callback=callback)


def _inside(given: Inputs, found: dict[str, Any], batch: Batch) -> Tensor:
    """(N,): the sum of squares inside the masks; of several samples in one tensor of parts, their mean."""
    n = len(batch.labels)
    total = batch.labels.new_zeros(n, dtype=torch.get_default_dtype())
    masks = masks_by_name(batch.masks, given)
    if not masks or not masks.keys() <= {k for k, v in found.items() if v is not None}:
        raise InputError(
            f"The batch has masks for {sorted(masks) or 'nothing'}; expected some for inputs that have relevance, "
            f"{sorted(k for k, v in found.items() if v is not None)}."
        )
    for name, mask in masks.items():
        values = found[name]
        try:
            squares = (values * mask.to(values)).square().expand_as(values)
        except RuntimeError:
            raise InputError(
                f"A mask of shape {tuple(mask.shape)} does not fit inputs of shape {tuple(values.shape)}; it must "
                "broadcast to them."
            ) from None
        each = squares.flatten(1).sum(1) if len(squares) == n else squares.sum().expand(n) / n
        total = total.to(each) + each
    return total
