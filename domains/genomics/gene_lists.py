"""Chosen genes, rankings and gene tables in the terms of gene sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.genomics.gene_table import GeneTable
from sciexplain.errors import DataError, InputError


def names_of(genes: Iterable[str], what: str) -> list[str]:
    """Names without repeats; ``what`` they are is for the message.

    Raises
    ------
    InputError
        There are none, or they are no texts.
    """
    if isinstance(genes, str):
        raise InputError(f"{what}: {genes!r} is one text; expected a list of names.")
    names = list(dict.fromkeys(genes))
    wrong = next((gene for gene in names if not isinstance(gene, str)), None)
    if wrong is not None or not names:
        raise InputError(f"{what}: {'nothing' if wrong is None else repr(wrong)} was given; expected names of genes.")
    return names


def gene_sets_of(gene_sets: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Gene sets, each gene once.

    Raises
    ------
    DataError
        There are none.
    InputError
        A set has no genes.
    """
    sets = {name: tuple(names_of(genes, f"set {name!r}")) for name, genes in gene_sets.items()}
    if not sets:
        raise DataError("no gene sets were given; expected {name: genes} or a GMT file")
    return sets


def is_ranking(genes: object) -> bool:
    """Whether it gives values to genes: a mapping, or a Series or DataFrame of pandas."""
    # pandas need not be loaded to know its tables.
    return isinstance(genes, Mapping) or hasattr(genes, "iloc")


def ranking_of(genes: Any) -> dict[str, float]:
    """Values of genes.

    Raises
    ------
    InputError
        A gene comes more than once, a value is no number, or a table has other columns.
    """
    if getattr(genes, "ndim", 1) == 2:
        columns = list(genes.columns)
        if len(columns) == 2:
            genes = genes.set_index(columns[0])
        if genes.shape[1] != 1:
            raise InputError(
                f"a table with the columns {columns}; expected names, as index or first, and one of values."
            )
        genes = genes.iloc[:, 0]
    pairs = list(genes.items())
    times = Counter(name for name, _ in pairs)
    if len(times) < len(pairs):
        name, n = times.most_common(1)[0]
        raise InputError(f"{name!r} is ranked {n} times; keep one value for each gene.")
    names_of(times, "ranking")
    try:
        return {name: float(value) for name, value in pairs}
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"ranking: {error}; expected a number for each gene.") from error


@dataclass(frozen=True, eq=False)
class Keyed:
    """A gene table in the terms of gene sets: each gene by its name, or by its id where only that is in a set."""

    keys: list[str]
    chosen: list[str]
    values: dict[str, float]
    placements: NDArray[np.bool_]

    @classmethod
    def of(cls, table: GeneTable, sets: Mapping[str, tuple[str, ...]]) -> Keyed:
        known = {gene for genes in sets.values() for gene in genes}
        name = {g.id: g.id if g.name not in known and g.id in known else g.name for g in table.background}
        keys, group = np.unique([name[g.id] for g in table.background], return_inverse=True)
        values = dict.fromkeys(keys.tolist(), 0.0)
        for row in table:
            value = float(np.copysign(-np.log10(row.p), row.score))
            # Of genes that share a name, the one with the strongest evidence counts.
            values[name[row.id]] = max(values[name[row.id]], value, key=abs)
        placements = np.zeros((table.permutations, len(keys)), dtype=bool)
        met = table.placements()
        for i, column in enumerate(group):
            placements[:, column] |= met[:, i]
        return cls(keys.tolist(), list(dict.fromkeys(name[row.id] for row in table)), values, placements)
