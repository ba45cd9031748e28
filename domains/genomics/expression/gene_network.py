"""A network of genes: which genes are linked, and how strongly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._files import PathName
from sciexplain._optional import require
from sciexplain.domains.genomics.expression.frames import existing, is_frame, shortened
from sciexplain.domains.genomics.expression.table import Expression
from sciexplain.errors import DataError, InputError

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class GeneNetwork:
    """Undirected links between genes, each pair once.

    Attributes
    ----------
    genes
        G names; those without any link too.
    edges
        (E, 2): places of the linked genes, the smaller first, in ascending order.
    weights
        (E,), above 0.
    """

    genes: tuple[str, ...]
    edges: NDArray[np.int64]
    weights: NDArray[np.float64]

    def __post_init__(self) -> None:
        genes, edges = tuple(map(str, self.genes)), np.asarray(self.edges, np.int64).reshape(-1, 2)
        weights = np.asarray(self.weights, np.float64)
        if len(set(genes)) != len(genes):
            raise InputError("A gene of the network has its name more than once.")
        if weights.shape != (len(edges),) or not (np.isfinite(weights).all() and (weights > 0).all()):
            raise InputError(f"{len(edges)} links with weights of shape {weights.shape}; each needs one above 0.")
        if len(edges) and (edges.min() < 0 or edges.max() >= len(genes) or (edges[:, 0] == edges[:, 1]).any()):
            raise InputError(f"Links must be between two different genes among the {len(genes)} of the network.")
        keys = edges.min(1) * len(genes) + edges.max(1)
        found, first = np.unique(keys, return_index=True)
        if len(found) != len(keys):
            raise InputError("A pair of genes is linked more than once; GeneNetwork.of keeps the largest weight.")
        for name, value in (("genes", genes), ("edges", np.sort(edges, 1)[first]), ("weights", weights[first])):
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, links: Any, genes: Sequence[str] | None = None) -> GeneNetwork:
        """From pairs of names, a table, a file or a graph of networkx.

        A pair that is given twice, or in both directions, has the larger weight; links of a gene to itself are left
        out.

        Parameters
        ----------
        links
            Pairs ``(gene, gene)`` or ``(gene, gene, weight)``; a ``DataFrame`` whose first two or three columns have
            these; a file ``.tsv``, ``.txt``, ``.sif`` (tabs) or ``.csv``, with or without a first line of names; a
            graph of networkx, with ``weight`` where edges have it; or :class:`GeneNetwork`.
        genes
            The genes of the network, in this order; links to others are left out. None: all that are linked.

        Raises
        ------
        DataError
            A file that cannot be read, or a row that is no link.
        InputError
            None of the links is between two of ``genes``.

        Examples
        --------
        >>> network = GeneNetwork.of([("CD79A", "CD79B", 0.9), ("CD79B", "CD19", 0.7), ("CD19", "CD79B", 0.4)])
        >>> network.genes, network.edges.tolist(), network.weights.tolist()
        (('CD79A', 'CD79B', 'CD19'), [[0, 1], [1, 2]], [0.9, 0.7])
        """
        if isinstance(links, GeneNetwork):
            return links if genes is None else links.restricted(genes)
        rows = list(_rows(links))
        names = list(map(str, genes)) if genes is not None else _nodes(links, rows)
        place = {name: i for i, name in enumerate(names)}
        best: dict[tuple[int, int], float] = {}
        for a, b, weight in rows:
            if a != b and a in place and b in place:
                i, j = sorted((place[a], place[b]))
                best[i, j] = max(weight, best.get((i, j), 0.0))
        if rows and not best:
            raise InputError(
                f"None of the {len(rows)} links is between two different ones of the {len(names)} genes; links are "
                f"between {shortened([rows[0][0], rows[0][1]])}, …; genes are {shortened(names)}."
            )
        return cls(tuple(names), np.array(list(best), np.int64).reshape(-1, 2), np.array(list(best.values())))

    @classmethod
    def from_correlation(cls, table: Expression, neighbours: int = 5) -> GeneNetwork:
        """Each gene linked to those whose expression correlates most with its own; the weight is Pearson's |r|.

        A stand-in where no network of interactions is at hand. It is learned from the patients: within a
        cross-validation, build it from the training part.

        Raises
        ------
        InputError
            ``neighbours`` does not fit the number of genes, or there are fewer than 3 patients.

        Examples
        --------
        >>> import numpy as np
        >>> values = np.array([[1.0, 2.1, 0.0], [2.0, 3.9, 1.0], [3.0, 6.0, 0.5], [4.0, 8.2, 0.0]])
        >>> network = GeneNetwork.from_correlation(Expression(values, ("a", "b", "c"), ("w", "x", "y", "z")), 1)
        >>> network.edges.tolist()
        [[0, 1], [1, 2]]
        """
        n, g = table.values.shape
        if not 0 < neighbours < g or n < 3:
            raise InputError(f"{neighbours} neighbours among {g} genes in {n} patients; expected fewer, and 3 or more.")
        centred = (table.values - table.values.mean(0)).astype(np.float32)
        norm = np.sqrt((centred**2).sum(0))
        unit = (centred / np.where(norm > 0, norm, 1)).T
        best: list[NDArray[np.int64]] = []
        strength: list[NDArray[np.float64]] = []
        for begin in range(0, g, _ROWS_AT_ONCE):
            r = np.abs(unit[begin : begin + _ROWS_AT_ONCE] @ unit.T)
            own = np.arange(begin, min(begin + _ROWS_AT_ONCE, g))
            r[own - begin, own] = -1
            near = np.argpartition(-r, neighbours - 1, axis=1)[:, :neighbours]
            best.append(np.stack([np.repeat(own, neighbours), near.ravel()], 1))
            strength.append(np.take_along_axis(r, near, 1).ravel().astype(np.float64))
        edges, weights = np.sort(np.concatenate(best), 1), np.concatenate(strength)
        linked = weights > 0
        _, first = np.unique(edges[:, 0] * g + edges[:, 1], return_index=True)
        first = first[linked[first]]
        return cls(table.genes, edges[first], np.minimum(weights[first], 1))

    @classmethod
    def from_gene_sets(cls, sets: Mapping[str, Iterable[str]], genes: Sequence[str] | None = None) -> GeneNetwork:
        """Genes linked that share a set, such as a pathway; the weight is the number of sets that they share.

        Raises
        ------
        InputError
            No two of ``genes`` share a set.

        Examples
        --------
        >>> GeneNetwork.from_gene_sets({"one": ["a", "b"], "two": ["a", "b", "c"]}).weights.tolist()
        [2.0, 1.0, 1.0]
        """
        members = [list(dict.fromkeys(map(str, own))) for own in sets.values()]
        names = list(map(str, genes)) if genes is not None else list(dict.fromkeys(g for own in members for g in own))
        place = {name: i for i, name in enumerate(names)}
        keys = []
        for own in members:
            i = np.sort([place[gene] for gene in own if gene in place]).astype(np.int64)
            a, b = np.triu_indices(len(i), 1)
            keys.append(i[a] * len(names) + i[b])
        found, shared = np.unique(np.concatenate(keys) if keys else [], return_counts=True)
        if not len(found):
            raise InputError(f"No two of the {len(names)} genes share one of the {len(members)} sets.")
        found = found.astype(np.int64)
        return cls(tuple(names), np.stack([found // len(names), found % len(names)], 1), shared.astype(np.float64))

    def __len__(self) -> int:
        return len(self.genes)

    def __repr__(self) -> str:
        return f"GeneNetwork({len(self)} genes, {len(self.edges)} links)"

    def restricted(self, genes: Sequence[str]) -> GeneNetwork:
        """The network of these genes, in this order; those that it does not have have no links."""
        place = {gene: i for i, gene in enumerate(genes)}
        new = np.array([place.get(gene, -1) for gene in self.genes], np.int64)
        edges = new[self.edges]
        inside = (edges >= 0).all(1)
        return GeneNetwork(tuple(genes), edges[inside], self.weights[inside])

    def components(self) -> list[tuple[int, ...]]:
        """Places of the genes of each connected part, the largest part first."""
        parent = list(range(len(self)))

        def root(i: int) -> int:
            while parent[i] != i:
                parent[i] = parent[parent[i]]
                i = parent[i]
            return i

        for a, b in self.edges.tolist():
            parent[root(b)] = root(a)
        parts: dict[int, list[int]] = {}
        for i in range(len(self)):
            parts.setdefault(root(i), []).append(i)
        return sorted(map(tuple, parts.values()), key=lambda part: (-len(part), part))


def _rows(links: Any) -> Iterable[tuple[str, str, float]]:
    if isinstance(links, str | PathLike):
        yield from _rows_of_file(links)
        return
    if is_frame(links):
        links = links.iloc[:, :3].itertuples(index=False, name=None)
    elif hasattr(links, "edges") and hasattr(links, "nodes"):
        links = ((a, b, 1.0 if weight is None else weight) for a, b, weight in links.edges(data="weight"))
    for i, row in enumerate(links):
        yield _link(row, f"Link {i}")


def _link(row: Any, where: str) -> tuple[str, str, float]:
    cells = [row] if isinstance(row, str) else list(row)
    if len(cells) not in (2, 3) or any(cell is None or cell != cell or cell == "" for cell in cells):
        raise DataError(f"{where} is {row!r}; expected (gene, gene) or (gene, gene, weight).")
    try:
        weight = float(cells[2]) if len(cells) == 3 else 1.0
    except (TypeError, ValueError):
        weight = np.nan
    if not 0 < weight < np.inf:
        raise DataError(f"{where} has weight {cells[2]!r}; expected a number above 0.")
    return str(cells[0]), str(cells[1]), weight


def _rows_of_file(path: PathName) -> Iterable[tuple[str, str, float]]:
    pandas: Any = require("pandas", extra="genomics")
    path = existing(path)
    separator = "," if ".csv" in path.suffixes else "\t"
    try:
        cells = pandas.read_csv(path, sep=separator, header=None, dtype=str, keep_default_na=False, comment="#")
    except (ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read as a table of links: {error}") from None
    rows = cells.to_numpy().tolist()
    if ".sif" in path.suffixes:  # Cytoscape: gene, kind of link, gene
        rows = [[row[0], row[-1]] for row in rows]
    elif rows and _is_header(rows[0]):
        rows = rows[1:]
    for i, row in enumerate(rows):
        yield _link(row, f"{path}, link {i}")


def _is_header(row: list[str]) -> bool:
    """Whether the weight is a word, or the first two are words for a link's ends."""
    if len(row) == 3:
        try:
            float(row[2])
        except ValueError:
            return True
    ends = {cell.strip("12_ ").lower() for cell in row[:2]}
    return ends <= {"gene", "protein", "node", "source", "target", "from", "to", "symbol"}


def _nodes(links: Any, rows: list[tuple[str, str, float]]) -> list[str]:
    """A graph's nodes, which need not have links; otherwise the linked genes in order of appearance."""
    isolated = hasattr(links, "edges") and hasattr(links, "nodes")
    return list(map(str, links.nodes)) if isolated else list(dict.fromkeys(g for a, b, _ in rows for g in (a, b)))
