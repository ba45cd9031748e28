"""Genes ranked by their relevance for patients, against the same with permuted labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.genomics.expression.cross_validation import CrossValidation
from sciexplain.domains.genomics.expression.explanation import ExpressionExplanation
from sciexplain.domains.genomics.expression.train import columns_of
from sciexplain.domains.genomics.statistics import benjamini_hochberg, empirical_p
from sciexplain.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GeneRanking:
    """Genes by how much they speak for the class that patients have.

    Attributes
    ----------
    genes
        G names, in the order of the table.
    score
        (G,): mean over classes of the mean relevance over patients of a class, in the unit of the explained output.
    by_class
        The same for each class alone, (G,).
    higher_in
        The class in which each gene's mean expression is highest.
    p, q
        (G,): empirical p-value and Benjamini–Hochberg q-value; None without a null.
    family_p
        (G,): chance that any gene at all reaches this under permuted labels (Westfall and Young 1993); None without a
        null.
    accuracy
        Of the model on held-out patients; None where explanations were given.
    null_accuracy
        (permutations,): the same for models trained and tested on permuted labels.
    """

    genes: tuple[str, ...]
    score: Floats
    by_class: dict[str, Floats]
    higher_in: tuple[str, ...]
    p: Floats | None = None
    q: Floats | None = None
    family_p: Floats | None = None
    accuracy: float | None = None
    null_accuracy: Floats | None = None

    def __len__(self) -> int:
        return len(self.genes)

    @property
    def order(self) -> NDArray[np.int64]:
        """(G,): places of the genes, by score, best first."""
        return np.argsort(-self.score, kind="stable")

    @property
    def ranks(self) -> dict[str, int]:
        """The rank of each gene, from 1."""
        return {self.genes[i]: rank for rank, i in enumerate(self.order.tolist(), 1)}

    @property
    def values(self) -> dict[str, float]:
        """The score of each gene, best first; what enrichment takes."""
        return {self.genes[i]: float(self.score[i]) for i in self.order.tolist()}

    def signed(self, towards: str) -> dict[str, float]:
        """The score of each gene, its sign turned where expression is highest in another class than ``towards``.

        Raises
        ------
        InputError
            There is no such class.
        """
        if towards not in self.by_class:
            raise InputError(f"There is no class {towards!r}; there are {', '.join(self.by_class)}.")
        return {
            gene: float(score) if higher == towards else -float(score)
            for gene, score, higher in zip(self.genes, self.score, self.higher_in, strict=True)
        }

    def significant(self, fdr: float = 0.05) -> tuple[str, ...]:
        """Genes with q ≤ ``fdr``, best first.

        Raises
        ------
        InputError
            There is no null.
        """
        q = self.q
        if q is None:
            raise InputError("There is no null; rank a cross-validation with permutations=.")
        return tuple(self.genes[i] for i in self.order.tolist() if q[i] <= fdr)

    def top(self, k: int = 20) -> tuple[str, ...]:
        """The k best genes."""
        return tuple(self.genes[i] for i in self.order[:k].tolist())

    def __repr__(self) -> str:
        null = "" if self.q is None else f", {int((self.q <= 0.05).sum())} with q ≤ 0.05"
        return f"GeneRanking({len(self)} genes{null}: {', '.join(self.top(5))}, …)"

    def to_pandas(self) -> Any:
        """A ``DataFrame``, best first: ``gene``, ``score``, ``higher_in``, one column for each class, ``p``, ``q``,
        ``family_p``."""
        pandas: Any = require("pandas", extra="genomics")
        columns: dict[str, Any] = {"gene": self.genes, "score": self.score, "higher_in": self.higher_in}
        columns |= {f"score_{name}": values for name, values in self.by_class.items()}
        for name in ("p", "q", "family_p"):
            if (values := getattr(self, name)) is not None:
                columns[name] = values
        return pandas.DataFrame(columns).iloc[self.order].reset_index(drop=True)

    def to_parquet(self, path: PathName) -> Path:
        """Write the table of :meth:`to_pandas`.

        Raises
        ------
        DataError
            The folder does not exist, or the file cannot be written.
        """
        return written(path, lambda file: self.to_pandas().to_parquet(file))


def rank_genes(
    given: CrossValidation | ExpressionExplanation | Sequence[ExpressionExplanation],
    *,
    permutations: int | None = None,
    seed: int = 0,
) -> GeneRanking:
    """Rank genes by their relevance for patients.

    Parameters
    ----------
    given
        A cross-validation, whose held-out patients count; or explanations over the same genes, of patients with labels.
    permutations
        How often labels are permuted and everything is done anew, training and division into folds included. None: 20
        for a cross-validation; explanations have no null.
    seed
        Of the permutations.

    Returns
    -------
    GeneRanking

    Raises
    ------
    InputError
        Explanations with ``permutations``, of different genes, or of patients without labels.

    Notes
    -----
    Genes differ in how much relevance they get by chance. Each gene's score is therefore taken in units of its own
    null: its distance from the mean of the permuted runs over their standard deviation, to which the median of these is
    added, and each permuted run likewise against the rest of the runs and the observed one. Under the null all of
    these are exchangeable; p is the share of the permuted ones, of all genes, that reach the observed one (Tusher et
    al. 2001, PNAS 98:5116). So a few permutations tell small p-values apart, as far as the nulls of genes are shaped
    alike. ``family_p`` needs no such assumption, nor independence of genes.

    Examples
    --------
    >>> from sciexplain.domains.genomics.expression.networks import mlp
    >>> from sciexplain.domains.genomics.expression.cross_validation import cross_validate
    >>> values = np.random.default_rng(0).normal(size=(20, 30))
    >>> values[::2, 3] += 4
    >>> build = lambda part: mlp(part.genes, part.classes, (8,))
    >>> cv = cross_validate(values, ["sick", "well"] * 10, build=build, folds=2)
    >>> ranking = rank_genes(cv, permutations=9)
    >>> ranking.top(1), ranking.higher_in[3]
    (('gene_3',), 'sick')
    """
    if not isinstance(given, CrossValidation):
        return _of_explanations(given, permutations)
    table, classes = given.table, given.classes
    columns = columns_of(table)
    by_class = class_means(given.relevance.mean(0), columns, len(classes))
    score = by_class.mean(0)
    count = 20 if permutations is None else permutations
    if count < 0 or count == 1:
        raise InputError(f"permutations={count}: expected 0 or at least 2.")
    rng = np.random.default_rng(seed)
    null, accuracy = [], []
    for _ in range(count):
        shuffled = rng.permutation(columns)
        run = given.with_labels([classes[c] for c in shuffled])
        null.append(class_means(run.relevance.mean(0), shuffled, len(classes)).mean(0))
        accuracy.append(run.mean("accuracy"))
    p = q = family_p = None
    if null:
        p, family_p = p_values(score, np.stack(null))
        q = benjamini_hochberg(p)
    return GeneRanking(
        table.genes,
        score,
        dict(zip(classes, by_class, strict=True)),
        _higher(table.values, columns, classes),
        p,
        q,
        family_p,
        given.mean("accuracy"),
        np.array(accuracy) if accuracy else None,
    )


def p_values(score: Floats, null: Floats) -> tuple[Floats, Floats]:
    """From scores (G,) and those of permuted runs (P, G): p of each gene over the pooled null, and over the family."""
    runs = np.concatenate([score[None], null])
    n = len(runs)
    total, squares = runs.sum(0), (runs**2).sum(0)
    mean = (total - runs) / (n - 1)
    variance = np.maximum((squares - runs**2) / (n - 1) - mean**2, 0) * (n - 1) / (n - 2)
    # The median spread is added to that of each gene, so that none stands out by a small spread alone.
    scale = np.sqrt(variance)
    constant = np.median(scale[scale > 0]) if scale.any() else 1.0
    studentized = (runs - mean) / (scale + constant)
    p = empirical_p(studentized[0], studentized[1:].ravel())
    family = empirical_p(studentized[0], studentized[1:].max(1))
    return p, family


def class_means(relevance: NDArray[Any], columns: NDArray[np.int64], classes: int) -> Floats:
    """(classes, G)."""
    return np.stack([relevance[columns == c].mean(0, dtype=np.float64) for c in range(classes)])


def _higher(values: Floats, columns: NDArray[np.int64], classes: Sequence[str]) -> tuple[str, ...]:
    return tuple(classes[c] for c in class_means(values, columns, len(classes)).argmax(0))


def _of_explanations(
    given: ExpressionExplanation | Sequence[ExpressionExplanation], permutations: int | None
) -> GeneRanking:
    if permutations:
        raise InputError(
            f"permutations={permutations}: models are trained anew on permuted labels, for which cross_validate is "
            "needed; explanations alone have no null."
        )
    parts = [given] if isinstance(given, ExpressionExplanation) else list(given)
    if not parts or any(part.genes != parts[0].genes for part in parts):
        raise InputError(f"{len(parts)} explanations; expected at least one, all over the same genes in one order.")
    if any(part.labels is None for part in parts):
        raise InputError("The explained patients have no labels; give labels= to explain.")
    labels = [label for part in parts for label in part.labels or ()]
    classes = tuple(sorted(set(labels)))
    columns = np.array([classes.index(label) for label in labels])
    relevance = np.concatenate([part.relevance.double().numpy() for part in parts])
    by_class = class_means(relevance, columns, len(classes))
    values = np.concatenate([part.values.double().numpy() for part in parts])
    return GeneRanking(
        parts[0].genes,
        by_class.mean(0),
        dict(zip(classes, by_class, strict=True)),
        _higher(values, columns, classes),
    )
