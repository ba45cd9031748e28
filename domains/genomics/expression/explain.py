"""Why a model says this about these patients: relevance per gene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import sciexplain as sx
from sciexplain._evaluation import evaluation_mode
from sciexplain.domains.genomics.expression.explanation import ExpressionExplanation
from sciexplain.domains.genomics.expression.gene_network import GeneNetwork
from sciexplain.domains.genomics.expression.models import Layout, Model, as_called
from sciexplain.domains.genomics.expression.table import Expression, Labels, OnError
from sciexplain.domains.genomics.models import like_model
from sciexplain.errors import InputError, TargetError

Target = int | str | Sequence[int | str] | Tensor | Callable[[Any], Tensor] | None


@dataclass(frozen=True, eq=False)
class Standardizer:
    """(x − mean) / scale of each gene, so that 0 is the average patient of those that it was fitted on.

    Attributes
    ----------
    genes
        G names.
    mean, scale
        (G,), above 0.
    """

    genes: tuple[str, ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, table: Expression, moderation: float = 1.0) -> Standardizer:
        """Mean and moderated standard deviation of the patients of a table.

        The scale is (s + m s₀) / (1 + m) with a gene's standard deviation s (over N), their median s₀, and the
        moderation m. A gene that hardly varies among the patients is not blown up (as in Tusher et al. 2001, PNAS
        98:5116): one new patient in whom it does would otherwise lie dozens of deviations away. 0 scales each gene by
        its own deviation, and one that does not vary not at all.

        Raises
        ------
        InputError
            ``moderation`` is below 0.
        """
        if not moderation >= 0:
            raise InputError(f"moderation={moderation:g}: expected at least 0.")
        spread = table.values.std(0)
        typical = float(np.median(spread))
        scale = (spread + moderation * typical) / (1 + moderation)
        return cls(table.genes, table.values.mean(0), np.where(scale > 1e-12, scale, typical or 1.0))

    def apply(self, table: Expression) -> Expression:
        """The table's values, standardized.

        Raises
        ------
        InputError
            It has other genes.
        """
        table = table.with_genes(self.genes)
        values = (table.values - self.mean) / self.scale
        return Expression(values, table.genes, table.patients, table.labels, table.skipped)


def explain(
    model: Model,
    table: Any,
    target: Target = None,
    method: str = "lrp",
    *,
    composite: sx.Composite | str | None = None,
    standardize: Standardizer | None = None,
    network: Any = None,
    reference: Any = None,
    layout: Layout | None = None,
    labels: Labels = None,
    layer: str | None = None,
    batch_size: int | None = None,
    on_unknown: Any = "warn",
    on_error: OnError = None,
    **options: Any,
) -> ExpressionExplanation:
    """Explain what a model says about patients by the expression of their genes.

    Parameters
    ----------
    model
        Takes (N, genes), (N, genes, 1), or nodes (N · genes, 1) with ``edge_index`` (a graph network of PyTorch
        Geometric). What it carries as attributes is used: ``genes`` (names, in its order), ``standardizer`` and
        ``classes``, as those that :func:`~sciexplain.domains.genomics.expression.train.train` gives have them.
    table
        What :meth:`Expression.of` takes.
    target
        None (the predicted class, or the only output), a column of the output or its name, one for each patient, start
        relevance (N, classes), or a callable from the output to (N,).
    method
        As in :func:`sciexplain.explain`.
    composite
        LRP rules, by name or as a :class:`sciexplain.Composite`; ε where none is given.
    standardize
        Applied before the model; relevance is then that of the difference from the average patient. None: the model's
        own, or none.
    network
        For a model that takes ``edge_index``: what :meth:`GeneNetwork.of` takes.
    reference
        Patients to compare with, as ``table``: all of them for ``"deepshap"``, which needs them; their mean for
        ``"deeplift"`` and ``"integrated_gradients"`` (None: zero, which is the average patient where the table was
        standardized).
    layout
        ``"genes"``, ``"channel"`` or ``"nodes"``; None: what works.
    labels, layer, on_error
        As in :meth:`Expression.of`.
    batch_size
        Patients at a time; the results are the same.
    on_unknown, **options
        As in :func:`sciexplain.explain`.

    Raises
    ------
    DataError, InputError, TargetError, ModelError, RuleError

    Examples
    --------
    >>> import pandas, torch
    >>> frame = pandas.DataFrame([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], ["p1", "p2"], ["CD19", "MPO", "LYZ"])
    >>> model = torch.nn.Linear(3, 1, bias=False).double()
    >>> _ = model.weight.data.copy_(torch.tensor([[1.0, -1.0, 2.0]]))
    >>> e = explain(model, frame, composite=sx.composites.get("epsilon", epsilon=0))
    >>> e.top("p2", 2)
    [('MPO', -3.0), ('LYZ', 2.0)]

    References
    ----------
    Chereda et al. 2021, Genome Medicine 13:42; Bach et al. 2015, PLoS ONE 10(7).
    """
    found = Expression.of(table, labels=labels, layer=layer, on_error=on_error)
    genes = getattr(model, "genes", None)
    found = found if genes is None else found.with_genes(genes)
    scaling = standardize if standardize is not None else getattr(model, "standardizer", None)

    def seen(given: Expression) -> Tensor:
        """What the model sees of a table."""
        given = given if scaling is None else scaling.apply(given).with_genes(found.genes)
        values = torch.from_numpy(given.values)
        has_type = isinstance(model, torch.nn.Module) and any(p.is_floating_point() for p in model.parameters())
        return like_model(model, values if has_type else values.float())

    if scaling is not None:
        found = found.with_genes(scaling.genes) if genes is None else found
    inputs = seen(found)
    links = None if network is None else GeneNetwork.of(network, found.genes)
    options = {**_reference_options(method, reference, found.genes, seen), **options}
    if composite is not None:
        options["composite"] = composite
    classes = tuple(map(str, getattr(model, "classes", ())))
    with evaluation_mode(model):
        e = sx.explain(
            as_called(model, inputs, links, layout),
            inputs,
            _column(target, classes, len(found)),
            method,
            on_unknown=on_unknown,
            batch_size=batch_size,
            **options,
        )
    assert isinstance(e.relevance, Tensor)
    if len(e.score) != len(found):
        raise InputError(f"The model gave {len(e.score)} explained outputs for {len(found)} patients.")
    return ExpressionExplanation(
        relevance=e.relevance.cpu(),
        values=inputs.cpu(),
        score=e.score.cpu(),
        target=None if e.target is None else e.target.cpu(),
        output=e.output.cpu(),
        genes=found.genes,
        patients=found.patients,
        method=method,
        classes=classes,
        labels=found.labels,
        unknown=e.unknown,
    )


def evidence(classes: Sequence[int] | NDArray[np.int64]) -> Callable[[Any], Tensor]:
    """A target: what speaks for a class of each patient against the others, its logit less the mean of theirs.

    A model with one output says 1 where it is positive and 0 where it is negative. For all patients in one batch.

    Parameters
    ----------
    classes
        (N,): the column of each patient's class.

    Examples
    --------
    >>> evidence([1, 0])(torch.tensor([[1.0, 3.0], [1.0, 3.0]]))
    tensor([ 2., -2.])
    """
    own = torch.as_tensor(np.asarray(classes))

    def margin(output: Any) -> Tensor:
        if output.ndim == 1 or output.shape[1] == 1:
            return output.reshape(len(output)) * (2 * own - 1).to(output)
        rest = output.shape[1] - 1
        weights = torch.full(output.shape, -1 / rest, dtype=output.dtype, device=output.device)
        weights[torch.arange(len(output)), own] = 1.0
        return (output * weights).sum(1)

    return margin


def _column(target: Target, classes: tuple[str, ...], n: int) -> Any:
    """A target with names of classes as columns."""
    if target is None or callable(target) or isinstance(target, int | Tensor):
        return target
    names = [target] if isinstance(target, str) else list(np.asarray(target, object))
    if isinstance(target, str) and not classes:
        raise TargetError(f"target={target!r}, but the model does not say what its classes are called; give a column.")
    if unknown := [name for name in names if isinstance(name, str) and name not in classes]:
        raise TargetError(f"There is no class {unknown[0]!r}; there are {', '.join(classes) or 'no names of classes'}.")
    columns = [classes.index(name) if isinstance(name, str) else int(name) for name in names]
    if isinstance(target, str):
        return columns[0]
    if len(columns) != n:
        raise TargetError(f"{len(columns)} targets for {n} patients; expected one, or one for each.")
    return torch.tensor(columns)


def _reference_options(
    method: str, reference: Any, genes: tuple[str, ...], seen: Callable[[Expression], Tensor]
) -> dict[str, Tensor]:
    """The method's own option for patients to compare with."""
    names = {"deepshap": "references", "deeplift": "reference", "integrated_gradients": "baseline"}
    if reference is None:
        if method == "deepshap":
            raise InputError('method="deepshap" compares with other patients; give them as reference=.')
        return {}
    if method not in names:
        raise InputError(f"reference= is for {', '.join(names)}, not for {method!r}.")
    patients = seen(Expression.of(reference).with_genes(genes))
    return {names[method]: patients[None] if method == "deepshap" else patients.mean(0, keepdim=True)}
