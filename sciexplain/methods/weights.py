"""Which parameters carried a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from ..composites import Composite
from ..engine.base import OnUnknown, UnknownOperation, engines_suspended
from ..engine.credit import Credits, Uncredited
from ..engine.programs import as_written, never_compiled, original
from ..errors import InputError, ModelError
from ..inputs import Inputs
from ..targets import Target, normalized
from .lrp import Propagation

__all__ = ["WeightRelevance", "weight_relevance"]


@dataclass(frozen=True)
class WeightRelevance:
    """Relevance of a model's parameters for the scores of one batch.

    Attributes
    ----------
    relevance : dict of Tensor
        By name, in the shape of the parameter; in the unit of the output, summed over the batch.
    score : Tensor, shape (N,)
        The relevance that started.
    target : Tensor, shape (N,), or None
        The explained class of each sample.
    uncredited : tuple of Uncredited
        Parameters that took part in a computed form that is not linear in them (weight normalisation), by module
        and operation, with the relevance that met it; none of it is in ``relevance``.
    unknown : tuple of UnknownOperation
        Operations without a rule: name, module, count.
    """

    relevance: Mapping[str, Tensor]
    score: Tensor
    target: Tensor | None
    uncredited: tuple[Uncredited, ...] = ()
    unknown: tuple[UnknownOperation, ...] = ()

    def __repr__(self) -> str:
        uncredited = f", {len(self.uncredited)} uncredited" if self.uncredited else ""
        return f"WeightRelevance({len(self.relevance)} parameters, {len(self.score)} samples{uncredited})"


@never_compiled
def weight_relevance(
    model: nn.Module,
    inputs: Tensor | tuple[Any, ...] | dict[str, Any],
    target: Target = None,
    *,
    composite: Composite | str | None = None,
    parameters: str | Sequence[str] = "*",
    on_unknown: OnUnknown = "warn",
) -> WeightRelevance:
    r"""Which parameters carried the decision: the relevance that went through each of them.

    Layer-wise relevance propagation sends messages from outputs to inputs of a layer; summed over the outputs they are
    the relevance of an input. Summed over the places and samples that use a weight instead, they are the weight's:

    .. math::
        R_{w_{ij}} = \sum_{n, \text{places}} R_{i \leftarrow j}, \qquad
        R_{b_j} = \sum_{n, \text{places}} \text{what } b_j \text{ absorbed of } R_j

    Weights and bias of a layer together have the relevance at its output (less what the stabilizer took, and for w²,
    flat and :math:`z^B`, where the bias takes no part, the weights alone). An embedding's rows get the relevance of
    their tokens. A parameter that scales or shifts activations, such as that of a normalisation, gets what went
    through the product, or stayed in the sum. A BatchNorm merged into the layer before it leaves the messages to that
    layer's weight; its own weight is at 0 and its bias has what it absorbed. ``Pass()`` sends nothing through weights.

    Parameters
    ----------
    model : Module
        As for :func:`sciexplain.explain`, but no bare function.
    inputs : Tensor, or tuple or dict of Tensors, first dimension N
    target : None, int, LongTensor (N,), Tensor shaped like the output, or callable
        As for :func:`sciexplain.explain`.
    composite : Composite or str
        Which rule each operation gets. Default ``"epsilon"``.
    parameters : str or sequence of str
        Names of parameters (shell wildcards allowed).
    on_unknown : "warn", "error" or "gradient"
        What to do about operations without a rule.

    Returns
    -------
    WeightRelevance

    Raises
    ------
    InputError
        When no parameter has such a name.
    ModelError, TargetError, RuleError, UnknownOperationError
        As :func:`sciexplain.explain`.

    References
    ----------
    Bach et al. 2015, *On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
    propagation*, PLoS ONE 10(7) (messages). Becking et al. 2022, *ECQˣ: explainability-driven quantization for low-bit
    and sparse DNNs*, xxAI (their sum over the places of a weight as its relevance).

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> found = sx.weight_relevance(model, torch.randn(5, 4), target=1, parameters="2.*")
    >>> {name: tuple(r.shape) for name, r in found.relevance.items()}
    {'2.weight': (3, 8), '2.bias': (3,)}
    >>> total = sum(r.sum() for r in found.relevance.values())
    >>> bool(torch.isclose(total, found.score.sum(), rtol=1e-4))
    True
    """
    model = original(model)
    if not isinstance(model, nn.Module):
        raise ModelError(f"model is {type(model).__name__}; expected a torch module, whose parameters have names.")
    patterns = (parameters,) if isinstance(parameters, str) else tuple(parameters)
    credits = Credits(_chosen(model, patterns))
    given, target = Inputs.of(inputs), normalized(target)
    with engines_suspended(), as_written, torch.inference_mode(False), torch.enable_grad():
        run = Propagation(given, composite, on_unknown=on_unknown, credits=credits)
        part = run.explained(model, target)
    relevance, uncredited = credits.results()
    return WeightRelevance(relevance, part.score, part.target, uncredited, part.unknown)


def _chosen(model: nn.Module, patterns: Sequence[str]) -> dict[str, Tensor]:
    everything: dict[str, Tensor] = dict(model.named_parameters())
    chosen = {n: p for n, p in everything.items() if any(fnmatchcase(n, pattern) for pattern in patterns)}
    if not chosen:
        names = ", ".join([*everything][:10])
        raise InputError(f"parameters={patterns}: no parameter has such a name; there are {names or 'none'}.")
    return chosen
