"""What a kind of model is worth on patients that it has not seen, and what it rests on there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import sciexplain as sx
from sciexplain.domains.genomics.expression.explain import evidence, explain
from sciexplain.domains.genomics.expression.explanation import ExpressionExplanation
from sciexplain.domains.genomics.expression.table import Expression, Labels
from sciexplain.domains.genomics.expression.train import Build, columns_of, train
from sciexplain.errors import InputError

Filter = int | Callable[[Expression], Sequence[str]] | None


@dataclass(frozen=True)
class Plan:
    """How a cross-validation is made; the same again for other labels.

    Attributes are the arguments of :func:`cross_validate`.
    """

    build: Build
    folds: int = 5
    seeds: tuple[int, ...] = (0,)
    keep: Filter = None
    standardize: bool = True
    epochs: int = 60
    learning_rate: float = 0.01
    weight_decay: float = 0.1
    method: str = "lrp"
    composite: sx.Composite | str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def run(self, table: Expression) -> CrossValidation:
        """Cross-validate on a table with labels."""
        begin = time.perf_counter()
        folds = tuple(fold for seed in self.seeds for fold in self._folds(table, seed))
        return CrossValidation(table, folds, self, time.perf_counter() - begin)

    def _folds(self, table: Expression, seed: int) -> Iterator[Fold]:
        from sklearn.model_selection import StratifiedKFold

        columns = columns_of(table)
        parts = StratifiedKFold(self.folds, shuffle=True, random_state=seed).split(table.values, columns)
        for number, (train_rows, test_rows) in enumerate(parts):
            learned = table[train_rows]
            learned = learned.with_genes(kept_genes(learned, self.keep))
            model = train(
                self.build, learned, standardize=self.standardize, epochs=self.epochs,
                learning_rate=self.learning_rate, weight_decay=self.weight_decay, seed=1000 * seed + number,
            )  # fmt: skip
            yield Fold(seed, number, train_rows, test_rows, self._explained(table, train_rows, test_rows, model), model)

    def _explained(
        self, table: Expression, train_rows: NDArray[np.int64], test_rows: NDArray[np.int64], model: nn.Module
    ) -> ExpressionExplanation:
        """The held-out patients, compared with the training part where the method compares."""
        options = dict(self.options)
        if self.method == "deepshap":
            options.setdefault("reference", table[train_rows])
        own = columns_of(table)[test_rows]
        return explain(model, table[test_rows], evidence(own), self.method, composite=self.composite, **options)


@dataclass(frozen=True, eq=False)
class Fold:
    """One part of the patients, explained by a model that was trained on the others.

    Attributes
    ----------
    seed, number
        Which division, and which part of it.
    train, test
        Rows of the table.
    explanation
        Of the held-out patients: what speaks for the class that each has, against the others.
    model
        With ``genes``, ``classes`` and ``standardizer``.
    """

    seed: int
    number: int
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    explanation: ExpressionExplanation
    model: nn.Module

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(held out, classes)."""
        output = self.explanation.output.double()
        if output.ndim == 1 or output.shape[1] == 1:
            positive = output.reshape(-1).sigmoid()
            return torch.stack([1 - positive, positive], 1).numpy()
        return output.softmax(1).numpy()


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What a kind of model says of patients that it was not trained on, and why.

    Attributes
    ----------
    table
        All patients, with their labels.
    folds
        Of all seeds.
    plan
        How it was made.
    seconds
        That it took.
    """

    table: Expression
    folds: tuple[Fold, ...]
    plan: Plan
    seconds: float

    @property
    def classes(self) -> tuple[str, ...]:
        """Columns of the probabilities."""
        return self.table.classes

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(seeds, N, classes): of each patient by the model that has not seen it."""
        return self._gathered([fold.probabilities for fold in self.folds])

    @cached_property
    def relevance(self) -> NDArray[np.float32]:
        """(seeds, N, G): of the genes of the table for each held-out patient; 0 for genes that its model had not."""
        place = {gene: i for i, gene in enumerate(self.table.genes)}
        parts = []
        for fold in self.folds:
            whole = np.zeros((len(fold.test), len(place)), np.float32)
            whole[:, [place[gene] for gene in fold.explanation.genes]] = fold.explanation.relevance.numpy()
            parts.append(whole)
        return self._gathered(parts)

    def _gathered(self, parts: list[NDArray[Any]]) -> NDArray[Any]:
        found = np.zeros((len(self.plan.seeds), len(self.table), parts[0].shape[1]), parts[0].dtype)
        for fold, part in zip(self.folds, parts, strict=True):
            found[self.plan.seeds.index(fold.seed), fold.test] = part
        return found

    @cached_property
    def figures(self) -> tuple[dict[str, float], ...]:
        """For each seed, over all held-out patients: ``accuracy``, ``balanced_accuracy``, ``auroc``, and ``baseline``,
        the accuracy of saying the most frequent class of the training part.

        The AUROC of several classes is the mean of one against the rest.
        """
        from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

        truth = columns_of(self.table)
        found = []
        for seed, p in zip(self.plan.seeds, self.probabilities, strict=True):
            baseline = [
                truth[fold.test] == np.bincount(truth[fold.train]).argmax() for fold in self.folds if fold.seed == seed
            ]
            scores = p[:, 1] if len(self.classes) == 2 else p
            found.append(
                {
                    "accuracy": float(accuracy_score(truth, p.argmax(1))),
                    "balanced_accuracy": float(balanced_accuracy_score(truth, p.argmax(1))),
                    "auroc": float(roc_auc_score(truth, scores, multi_class="ovr")),
                    "baseline": float(np.concatenate(baseline).mean()),
                }
            )
        return tuple(found)

    def mean(self, figure: str = "accuracy") -> float:
        """Of a figure over seeds."""
        return float(np.mean([figures[figure] for figures in self.figures]))

    def with_labels(self, labels: Sequence[str]) -> CrossValidation:
        """The same once more with other labels, such as permuted ones: everything is trained anew."""
        return self.plan.run(replace(self.table, labels=tuple(labels)))

    def explained(self, method: str, composite: sx.Composite | str | None = None, **options: Any) -> CrossValidation:
        """The same models with the held-out patients explained by another method, as in :func:`cross_validate`."""
        begin = time.perf_counter()
        plan = replace(self.plan, method=method, composite=composite, options=options)
        folds = tuple(
            replace(fold, explanation=plan._explained(self.table, fold.train, fold.test, fold.model))
            for fold in self.folds
        )
        return replace(self, folds=folds, plan=plan, seconds=time.perf_counter() - begin)

    def __repr__(self) -> str:
        seeds = f", {len(self.plan.seeds)} seeds" if len(self.plan.seeds) > 1 else ""
        return (
            f"CrossValidation({len(self.table)} patients, {self.plan.folds} folds{seeds}: accuracy {self.mean():.3f} "
            f"(majority {self.mean('baseline'):.3f}), balanced {self.mean('balanced_accuracy'):.3f}, AUROC "
            f"{self.mean('auroc'):.3f}; {self.seconds:.1f} s)"
        )


def cross_validate(
    table: Any,
    labels: Labels = None,
    *,
    build: Build,
    folds: int = 5,
    seeds: Sequence[int] = (0,),
    keep: Filter = None,
    standardize: bool = True,
    epochs: int = 60,
    learning_rate: float = 0.01,
    weight_decay: float = 0.1,
    method: str = "lrp",
    composite: sx.Composite | str | None = None,
    **options: Any,
) -> CrossValidation:
    """Train on some patients, test and explain the others, in turns.

    Whatever is learned is learned from the training part of a fold: which genes are kept, their means and scales, a
    network of genes that ``build`` makes, the model, and the patients that DeepSHAP compares with.

    Parameters
    ----------
    table, labels
        What :meth:`Expression.of` takes.
    build
        Gives a new model for a training part, which it sees standardized: its ``genes``, ``classes`` and ``values``.
        The model takes (N, genes) and gives logits (N, classes), or (N, 1) for two classes.
    folds
        Parts of the patients, each with about the same share of every class.
    seeds
        One division of the patients, and one start of training, for each.
    keep
        How many genes are kept, those of the largest variance in the training part; or a function from the training
        part to their names. None: all.
    standardize
        Whether genes are brought to mean 0 and alike scales by :meth:`Standardizer.fit`.
    epochs, learning_rate, weight_decay
        Of gradient descent with momentum, on all patients of the training part at a time, classes weighted alike.
    method, composite, **options
        As in :func:`~sciexplain.domains.genomics.expression.explain.explain`.

    Raises
    ------
    DataError
        As :meth:`Expression.of`.
    InputError
        There are no labels, or a class has fewer patients than there are folds; a setting is out of range.
    ModelError
        The model does not give logits of the classes.

    Examples
    --------
    >>> import numpy as np
    >>> from sciexplain.domains.genomics.expression.networks import mlp
    >>> labels = ["sick", "well"] * 10
    >>> values = np.random.default_rng(0).normal(size=(20, 30))
    >>> values[::2, 0] += 4
    >>> cv = cross_validate(values, labels, build=lambda part: mlp(part.genes, part.classes, (8,)))
    >>> cv.mean("accuracy") > cv.mean("baseline")
    True

    References
    ----------
    Why the choice of genes belongs into the folds: Ambroise and McLachlan 2002, PNAS 99:6562.
    """
    found = Expression.of(table, labels=labels)
    columns_of(found, folds)
    if epochs < 1 or not learning_rate > 0 or weight_decay < 0 or not len(seeds) or len(set(seeds)) != len(seeds):
        raise InputError(
            f"epochs={epochs}, learning_rate={learning_rate:g}, weight_decay={weight_decay:g}, seeds={tuple(seeds)}: "
            "expected at least one pass, a rate above 0, no negative decay, and different seeds."
        )
    plan = Plan(
        build, folds, tuple(seeds), keep, standardize, epochs, learning_rate, weight_decay, method, composite, options
    )
    return plan.run(found)


def kept_genes(learned: Expression, keep: Filter) -> tuple[str, ...]:
    """The genes of a training part that a model is given, in the order of the table."""
    if keep is None:
        return learned.genes
    if callable(keep):
        chosen = set(keep(learned))
    else:
        if not 0 < keep <= len(learned.genes):
            raise InputError(f"keep={keep} of {len(learned.genes)} genes.")
        order = np.argsort(-learned.values.var(0), kind="stable")[:keep]
        chosen = {learned.genes[i] for i in order}
    kept = tuple(gene for gene in learned.genes if gene in chosen)
    if not kept:
        raise InputError("keep= kept none of the genes of the table.")
    return kept
