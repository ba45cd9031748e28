"""Relevance of pairs of features for the similarity of two inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..composites import Composite
from ..engine.base import OnUnknown, UnknownOperation, engines_suspended
from ..engine.programs import as_written, never_compiled, original
from ..errors import InputError, ModelError
from ..inputs import Inputs
from ..targets import explained_output
from .lrp import Propagation

__all__ = ["PairRelevance", "bilrp"]


@dataclass(frozen=True)
class PairRelevance:
    """Relevance of pairs of features, one of each input, for the similarity of two batches.

    Attributes
    ----------
    relevance : Tensor, shape (N, *reduced shape of x1, *reduced shape of x2)
    score : Tensor, shape (N,)
        The similarities ⟨φ(x1), φ(x2)⟩.
    unknown : tuple of UnknownOperation
        Operations without a rule: name, module, count.
    """

    relevance: Tensor
    score: Tensor
    unknown: tuple[UnknownOperation, ...] = ()

    def __repr__(self) -> str:
        return f"PairRelevance({tuple(self.relevance.shape)})"


@never_compiled
def bilrp(
    model: Callable[..., Any],
    x1: Tensor | tuple[Any, ...] | dict[str, Any],
    x2: Tensor | tuple[Any, ...] | dict[str, Any],
    *,
    composite: Composite | str | None = None,
    reduce: Callable[[Any], Tensor] | None = None,
    on_unknown: OnUnknown = "warn",
) -> PairRelevance:
    r"""Which features of two inputs make them similar, pair by pair (BiLRP).

    For an embedding :math:`\phi` and the similarity :math:`s = \langle \phi(x), \phi(x') \rangle`,

    .. math::
        R_{ii'} = \sum_m \mathrm{LRP}_i(\phi_m, x)\; \mathrm{LRP}_{i'}(\phi_m, x')

    which sums to :math:`s` where LRP conserves relevance. It takes one forward pass per input and one backward pass
    per input and embedding dimension.

    Parameters
    ----------
    model : callable
        From inputs to embeddings (N, …), flattened to (N, M); as for :func:`sciexplain.explain`. A final softmax or
        sigmoid is part of the embedding.
    x1, x2 : Tensor, or tuple or dict of Tensors, first dimension N
        Sample by sample the pairs; the shapes of the two may differ otherwise. Integer tensors (tokens) get the
        relevance of their embedding.
    composite : Composite or str
        Which rule each operation gets. Default ``"epsilon"``.
    reduce : callable
        Sums the relevance of an input, in the structure of the input, to (N, …) before pairs are formed, of which raw
        pixels have many: ``lambda r: r.sum(1)`` over the channels of an image,
        ``lambda r: F.avg_pool2d(r.sum(1), 8, divisor_override=1)`` over patches. Needed where an input has several
        tensors: ``lambda r: r["tokens"]``.
    on_unknown : "warn", "error" or "gradient"
        What to do about operations without a rule.

    Returns
    -------
    PairRelevance

    Raises
    ------
    InputError
        When the inputs have no equal number of samples, or several tensors and no ``reduce``.
    ModelError
        When the embeddings of the two differ in size.
    RuleError, UnknownOperationError
        As :func:`sciexplain.explain`.

    References
    ----------
    Eberle et al. 2020, *Building and interpreting deep similarity models*, IEEE TPAMI 44(3), sec. 3.

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> _ = torch.manual_seed(0)
    >>> linear = torch.nn.Linear
    >>> embed = torch.nn.Sequential(linear(4, 8, bias=False), torch.nn.ReLU(), linear(8, 3, bias=False))
    >>> pairs = sx.bilrp(embed, torch.randn(2, 4), torch.randn(2, 4))
    >>> pairs.relevance.shape
    torch.Size([2, 4, 4])
    >>> bool(torch.allclose(pairs.relevance.sum((1, 2)), pairs.score, rtol=1e-3))
    True
    """
    model = original(model)
    with engines_suspended(), as_written, torch.inference_mode(False), torch.enable_grad():
        sides = [_Side(model, x, name, composite, reduce, on_unknown) for name, x in (("x1", x1), ("x2", x2))]
        one, other = (side.embedding for side in sides)
        if len(one) != len(other):
            raise InputError(f"x1 has {len(one)} samples, x2 has {len(other)}; expected pairs.")
        if one.shape != other.shape:
            raise ModelError(f"The embeddings of x1 and x2 have {one.shape[1]} and {other.shape[1]} dimensions.")
        total: Tensor | None = None
        for m in range(one.shape[1]):
            r1, r2 = (side.relevance(m) for side in sides)
            pairs = r1.flatten(1)[:, :, None] * r2.flatten(1)[:, None, :]
            total = pairs if total is None else total.add_(pairs)
    assert total is not None
    for side in sides:
        side.run.engine.report_unknown()
    unknown = {u[:2]: u for side in sides for u in side.run.engine.unknown}
    return PairRelevance(
        relevance=total.reshape(*r1.shape, *r2.shape[1:]),
        score=(one * other).sum(1).detach(),
        unknown=tuple(unknown.values()),
    )


class _Side:
    """One of the two inputs: its embedding, and the relevance of each dimension."""

    def __init__(
        self,
        model: Callable[..., Any],
        x: Any,
        name: str,
        composite: Composite | str | None,
        reduce: Callable[[Any], Tensor] | None,
        on_unknown: OnUnknown,
    ) -> None:
        self._inputs, self._reduce = Inputs.of(x), reduce
        if reduce is None and len(names := [n for n, _ in self._inputs.tensors()]) > 1:
            raise InputError(f"{name} has the tensors {names}; say with reduce= which to pair, or how to join them.")
        self.run = Propagation(self._inputs, composite, on_unknown=on_unknown)
        output = explained_output(self.run.forward(model))
        if output.ndim == 0 or not output.is_floating_point():
            raise ModelError(f"The model returned {tuple(output.shape)}, {output.dtype}; expected embeddings (N, …).")
        self.run.engine.find_hidden([output])
        self.embedding = output.flatten(1) if output.ndim > 1 else output[:, None]

    def relevance(self, dimension: int) -> Tensor:
        last = dimension == self.embedding.shape[1] - 1
        found = self.run.relevance(self.embedding[:, dimension].sum(), keep_graph=not last)
        if self._reduce is None:
            return next(iter(found.values()))
        reduced = self._reduce(self._inputs.rebuild(found))
        if not isinstance(reduced, Tensor) or reduced.ndim < 1 or len(reduced) != len(self.embedding):
            given = tuple(reduced.shape) if isinstance(reduced, Tensor) else type(reduced).__name__
            raise InputError(f"reduce returned {given}; expected a tensor (N, …) with N = {len(self.embedding)}.")
        return reduced
