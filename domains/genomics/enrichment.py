"""Which gene sets are over-represented among genes, or gather at one end of a ranking."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.genomics.formats.gmt import read_gmt
from sciexplain.domains.genomics.gene_lists import Keyed, gene_sets_of, is_ranking, names_of, ranking_of
from sciexplain.domains.genomics.gene_table import GeneTable
from sciexplain.domains.genomics.gsea import Ranking, enrichment_scores, leading_edge, null_scores, significance
from sciexplain.domains.genomics.over_representation import contingency, hypergeometric_p, odds_ratios
from sciexplain.domains.genomics.statistics import benjamini_hochberg, empirical_p
from sciexplain.errors import DataError, InputError

Method = Literal["ora", "gsea"]

__all__ = ["Enrichment", "SetResult", "enrich", "read_gmt"]


@dataclass(frozen=True)
class SetResult:
    """One gene set.

    Attributes
    ----------
    name
        Of the set.
    method
        ``"ora"`` or ``"gsea"``.
    size
        How many of its genes are in the background.
    genes
        Those of them that were chosen; by ``"gsea"`` the leading edge, which makes its score, outermost first.
    odds_ratio
        Odds of a gene of the set to be chosen, over those of other genes; infinite where all of the set or nothing
        else was chosen. NaN by ``"gsea"``.
    es, nes
        Enrichment score, −1 to 1, and the same over its mean under the null. NaN by ``"ora"``.
    p, q
        Of being there by chance; q over all sets of the method (Benjamini and Hochberg).
    """

    name: str
    method: Method
    size: int
    genes: tuple[str, ...]
    odds_ratio: float
    es: float
    nes: float
    p: float
    q: float = np.nan

    @property
    def overlap(self) -> int:
        """Number of ``genes``."""
        return len(self.genes)


@dataclass(frozen=True, eq=False)
class Enrichment(Sequence[SetResult]):
    """Gene sets, the least likely by chance first, and what was compared with what.

    Attributes
    ----------
    results
    background
        Number of genes that could have been chosen, or that are ranked.
    background_of
        Where these come from, in words.
    unmatched
        ``{gene: reason}`` of genes that were given but play no part: in no set, perhaps because a set writes it in
        other case, or not in the background.
    skipped
        ``{set: reason}`` of sets that were not tested.
    """

    results: tuple[SetResult, ...]
    background: int
    background_of: str
    unmatched: dict[str, str]
    skipped: dict[str, str]

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, i):  # type: ignore[no-untyped-def]
        return self.results[i]

    def __iter__(self) -> Iterator[SetResult]:
        return iter(self.results)

    def to_pandas(self) -> Any:
        """A row for each set; ``genes`` holds tuples.

        Examples
        --------
        >>> sets = {"A": ["a", "b", "c"], "B": ["d", "e", "f"]}
        >>> enrich(["a", "b", "c"], sets, min_size=1).to_pandas()[["name", "overlap", "p"]]
          name  overlap     p
        0    A        3  0.05
        1    B        0  1.00
        """
        return require("pandas", extra="genomics").DataFrame(self._columns())

    def to_parquet(self, path: PathName) -> Path:
        """Write the table; what was compared with what goes into the schema's metadata.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        arrow, parquet = require("pyarrow", extra="genomics"), require("pyarrow.parquet", extra="genomics")
        table = arrow.table(self._columns())
        table = table.cast(table.schema.set(4, arrow.field("genes", arrow.list_(arrow.string()))))
        about = {"background": str(self.background), "background_of": self.background_of}
        return written(path, lambda file: parquet.write_table(table.replace_schema_metadata(about), str(file)))

    def _columns(self) -> dict[str, list[Any]]:
        names = [field.name for field in fields(SetResult)]
        names.insert(3, "overlap")
        return {name: [getattr(result, name) for result in self.results] for name in names}


def enrich(
    genes: GeneTable | Iterable[str] | Mapping[str, float],
    gene_sets: PathName | Mapping[str, Iterable[str]],
    *,
    method: Method | Literal["both"] | None = None,
    background: Iterable[str] | None = None,
    min_size: int = 10,
    max_size: int = 500,
    weight: float = 1.0,
    permutations: int = 10_000,
    seed: int = 0,
) -> Enrichment:
    """Test gene sets for over-representation (``"ora"``) or for gathering at one end of a ranking (``"gsea"``).

    Parameters
    ----------
    genes
        What :func:`~sciexplain.domains.genomics.genes.link_genes` returns; or names of the chosen genes; or a ranking,
        ``{name: value}``, a pandas Series, or a DataFrame with names as index or first column and one column of values.
    gene_sets
        GMT file, or ``{name: genes}``. Names are compared as they are, case included.
    method
        None: ``"gsea"`` for a ranking, else ``"ora"``. ``"both"`` for a gene table.
    background
        For names: all genes that could have been chosen, such as all that were measured. None: the genes of all sets.
        It decides the p-values; too wide a background makes everything significant. A gene table and a ranking bring
        their own.
    min_size, max_size
        Only sets with as many genes in the background are tested.
    weight
        Power of \\|value\\| in the running sum; 0 counts ranks alone.
    permutations, seed
        For ``"gsea"``: how many sets are drawn at random for each size, and from which seed.

    Raises
    ------
    DataError
        The file is no GMT file, no gene or no set is left to test.
    InputError
        ``genes`` does not go with the method; a gene is ranked twice or its value is not finite.

    Notes
    -----
    Over-representation of names is the one-sided hypergeometric test (Fisher's exact one). Of a gene table, the
    chosen genes are those with a site, and p is the share of random placements of the sites that meet as many genes of
    the set: the hypergeometric test would take every gene for equally easy to meet, yet long genes, and those alone in
    a desert, catch more sites (McLean et al., Nature Biotechnology 28, 495 (2010)).

    GSEA is the preranked one of Subramanian et al., PNAS 102, 15545 (2005), with p-values that are never 0, and where
    the order of tied genes plays no part. Its null draws genes independently: genes that go together make its p-values
    too small. A gene table is ranked by −log₁₀ p with the sign of the score, genes within reach that have no site at 0.

    Examples
    --------
    >>> sets = {"A": ["a", "b", "c"], "B": ["d", "e", "f"]}
    >>> best = enrich({"a": 3, "b": 2, "c": 2, "d": -1, "e": 1, "f": -1}, sets, min_size=1)[0]
    >>> best.name, best.es, best.genes
    ('A', 1.0, ('a', 'b', 'c'))
    >>> enrich(["a", "b", "x"], sets, min_size=1).unmatched
    {'x': 'in no gene set'}
    """
    sets = read_gmt(gene_sets) if isinstance(gene_sets, str | os.PathLike) else gene_sets_of(gene_sets)
    if not 1 <= min_size <= max_size:
        raise InputError(f"min_size={min_size}, max_size={max_size}; expected 1 ≤ min_size ≤ max_size.")
    if permutations < 1:
        raise InputError(f"permutations={permutations}; expected at least 1.")
    if method not in (None, "ora", "gsea", "both"):
        raise InputError(f'method={method!r}; expected "ora", "gsea", "both" or None.')
    if background is not None and (isinstance(genes, GeneTable) or is_ranking(genes)):
        raise InputError("background= goes with names of genes; a gene table and a ranking bring their own.")
    sizes = (min_size, max_size)
    drawn = (weight, permutations, seed)
    if isinstance(genes, GeneTable):
        table = Keyed.of(genes, sets)
        results = []
        if method != "gsea":
            results.append(_ora(table.chosen, table.keys, sets, sizes, table.placements))
        if method in ("gsea", "both"):
            results.append(_gsea(table.values, sets, sizes, drawn))
        origin = "genes within reach of the regions"
        return _together(results, table.chosen, table.keys, origin, sets)
    if is_ranking(genes):
        if method not in (None, "gsea"):
            raise InputError(f'method="{method}" of a ranking; it chooses no genes: give the names of those chosen.')
        values = ranking_of(genes)
        return _together([_gsea(values, sets, sizes, drawn)], list(values), list(values), "the ranking", sets)
    if method not in (None, "ora"):
        raise InputError(f'method="{method}" needs a ranking, {{name: value}}; got names of genes.')
    chosen = names_of(genes, "genes")
    origin = "genes of all sets" if background is None else "as given"
    universe = names_of((gene for s in sets.values() for gene in s) if background is None else background, "background")
    return _together([_ora(chosen, universe, sets, sizes, None)], chosen, universe, origin, sets)


def _ora(
    chosen: Sequence[str],
    universe: Sequence[str],
    sets: Mapping[str, tuple[str, ...]],
    sizes: tuple[int, int],
    placements: NDArray[np.bool_] | None,
) -> tuple[list[SetResult], dict[str, str]]:
    """``placements`` (m, len(universe)): which genes were chosen under the null; None: each is equally likely."""
    members, skipped = _fitting(sets, universe, sizes)
    taken = np.isin(universe, chosen)
    tables = contingency(taken, list(members.values()))
    if placements is None:
        p = hypergeometric_p(tables)
    else:
        p = empirical_p(tables[:, 0], np.stack([placements[:, m].sum(1) for m in members.values()], 1))
    rows = []
    for (name, m), odds, chance in zip(members.items(), odds_ratios(tables).tolist(), p.tolist(), strict=True):
        genes = tuple(universe[i] for i in m if taken[i])
        rows.append(SetResult(name, "ora", len(m), genes, odds, np.nan, np.nan, chance))
    return rows, skipped


def _gsea(
    values: Mapping[str, float],
    sets: Mapping[str, tuple[str, ...]],
    sizes: tuple[int, int],
    drawn: tuple[float, int, int],
) -> tuple[list[SetResult], dict[str, str]]:
    weight, permutations, seed = drawn
    names = list(values)
    ranking = Ranking.of(np.array(list(values.values()), dtype=np.float64), weight)
    members, skipped = _fitting(sets, names, (sizes[0], min(sizes[1], len(names) - 1)))
    rank = np.argsort(ranking.order)
    hits = [np.sort(rank[m]) for m in members.values()]
    found = [enrichment_scores(ranking, h[None]) for h in hits]
    scores = np.array([score[0] for score, _ in found])
    null = null_scores(ranking, map(len, hits), permutations=permutations, seed=seed)
    nes, p = significance(scores, (null[len(h)] for h in hits))
    rows = []
    for i, name in enumerate(members):
        edge = leading_edge(ranking, hits[i], scores[i], int(found[i][1][0]))
        genes = tuple(names[g] for g in edge)
        rows.append(SetResult(name, "gsea", len(hits[i]), genes, np.nan, float(scores[i]), float(nes[i]), float(p[i])))
    return rows, skipped


def _fitting(
    sets: Mapping[str, tuple[str, ...]], universe: Sequence[str], sizes: tuple[int, int]
) -> tuple[dict[str, NDArray[np.intp]], dict[str, str]]:
    """Indices of the genes of each set within the universe, and why the other sets are not tested."""
    index = {gene: i for i, gene in enumerate(universe)}
    inside = {name: np.array([index[g] for g in genes if g in index], dtype=int) for name, genes in sets.items()}
    fits = {name: m for name, m in inside.items() if sizes[0] <= len(m) <= sizes[1]}
    if not fits:
        largest = max(inside, key=lambda name: len(inside[name]))
        raise DataError(
            f"no set has {sizes[0]} to {sizes[1]} genes among the {len(universe)} of the background; {largest!r} has "
            f"{len(inside[largest])}, of {len(sets[largest])}: do both name genes alike, such as {_some(universe)} "
            f"and {_some(sets[largest])}? Else set min_size= and max_size="
        )
    skipped = {
        name: f"{len(m)} of its {len(sets[name])} genes are in the background; expected {sizes[0]} to {sizes[1]}"
        for name, m in inside.items()
        if name not in fits
    }
    return fits, skipped


def _together(
    parts: Sequence[tuple[list[SetResult], dict[str, str]]],
    given: Sequence[str],
    universe: Sequence[str],
    origin: str,
    sets: Mapping[str, tuple[str, ...]],
) -> Enrichment:
    known = {gene for genes in sets.values() for gene in genes}
    spelt = {gene.upper(): gene for gene in known}
    allowed = set(universe)
    unmatched = {}
    for gene in given:
        if gene not in known:
            other = spelt.get(gene.upper())
            unmatched[gene] = "in no gene set" + (f"; they have {other}" if other else "")
        elif gene not in allowed:
            unmatched[gene] = "not in the background"
    if given and allowed.isdisjoint(given):
        first = unmatched[given[0]]
        raise DataError(f"none of the {len(given)} genes can be compared with the gene sets: {given[0]} is {first}")
    rows: list[SetResult] = []
    for results, _ in parts:
        q = benjamini_hochberg([result.p for result in results])
        rows += [replace(result, q=float(x)) for result, x in zip(results, q, strict=True)]
    rows.sort(key=lambda r: (r.method == "gsea", r.p, -abs(r.nes) if r.method == "gsea" else -r.overlap, r.name))
    skipped = {name: why for _, left in parts for name, why in left.items()}
    return Enrichment(tuple(rows), len(universe), origin, unmatched, skipped)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3])
