"""The part of a gene network that a decision about one patient rests on."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._csv import text_cell
from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.genomics.expression.gene_network import GeneNetwork
from sciexplain.errors import InputError


@dataclass(frozen=True, eq=False)
class Subnetwork:
    """The links among the most relevant genes of a patient.

    Attributes
    ----------
    network
        The genes, the most relevant first, and their links.
    relevance
        (k,) of each gene.
    values
        (k,): expression as the model saw it.
    patient
        Name.
    score
        The explained output.

    References
    ----------
    Chereda et al. 2021, Genome Medicine 13:42.
    """

    network: GeneNetwork
    relevance: NDArray[np.float64]
    values: NDArray[np.float64]
    patient: str
    score: float

    def __post_init__(self) -> None:
        k = len(self.network)
        if self.relevance.shape != (k,) or self.values.shape != (k,):
            raise InputError(
                f"{k} genes with relevance of shape {self.relevance.shape} and values of shape {self.values.shape}."
            )

    def __len__(self) -> int:
        return len(self.network)

    def __repr__(self) -> str:
        parts = self.components
        linked = sum(len(part) > 1 for part in parts)
        return (
            f"Subnetwork({self.patient}, {len(self)} genes, {len(self.network.edges)} links, {linked} connected parts, "
            f"the largest of {len(parts[0])})"
        )

    @property
    def genes(self) -> tuple[str, ...]:
        """The most relevant first."""
        return self.network.genes

    @property
    def components(self) -> tuple[tuple[str, ...], ...]:
        """The genes of each connected part, the largest part first; genes without a link are parts of their own."""
        return tuple(tuple(self.genes[i] for i in part) for part in self.network.components())

    def to_networkx(self) -> Any:
        """A ``networkx.Graph``; genes have ``relevance``, ``value`` and ``component``, links have ``weight``."""
        networkx: Any = require("networkx", extra="genomics")
        graph = networkx.Graph(patient=self.patient, score=self.score)
        part = {gene: i for i, genes in enumerate(self.components) for gene in genes}
        for gene, relevance, value in zip(self.genes, self.relevance.tolist(), self.values.tolist(), strict=True):
            graph.add_node(gene, relevance=relevance, value=value, component=part[gene])
        for (i, j), weight in zip(self.network.edges.tolist(), self.network.weights.tolist(), strict=True):
            graph.add_edge(self.genes[i], self.genes[j], weight=weight)
        return graph

    def to_graphml(self, path: PathName) -> Path:
        """Write GraphML, which Cytoscape, Gephi and yEd open.

        Raises
        ------
        DataError
            The folder does not exist, or the file cannot be written.
        """
        networkx: Any = require("networkx", extra="genomics")
        return written(path, lambda file: networkx.write_graphml(self.to_networkx(), file))

    def to_csv(self, path: PathName) -> list[Path]:
        """Write two tables: ``x.csv`` gives ``x.nodes.csv`` and ``x.edges.csv``, as Cytoscape imports them.

        Raises
        ------
        DataError
            The folder does not exist, or a file cannot be written.
        """
        path = Path(path)
        stem = path.with_suffix("") if path.suffix == ".csv" else path
        graph = self.to_networkx()
        nodes: list[list[Any]] = [["gene", "relevance", "value", "component"]]
        nodes += [[gene, *kept.values()] for gene, kept in graph.nodes(data=True)]
        edges: list[list[Any]] = [["source", "target", "weight"], *map(list, graph.edges(data="weight"))]

        def put(table: list[list[Any]], file: Path) -> None:
            with file.open("w", newline="", encoding="utf-8") as handle:
                cells = ([text_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in table)
                csv.writer(handle, lineterminator="\n").writerows(cells)

        return [
            written(f"{stem}.{kind}.csv", partial(put, table)) for kind, table in (("nodes", nodes), ("edges", edges))
        ]
