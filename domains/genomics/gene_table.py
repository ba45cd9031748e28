"""Genes and the sites behind them, as rows and files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.genomics.formats.feature_files import Feature, write_bed
from sciexplain.domains.genomics.gene import Gene
from sciexplain.domains.genomics.gene_relation import Relation
from sciexplain.domains.genomics.interval import Interval, Strand


@dataclass(frozen=True)
class GeneLink:
    """A site and a gene.

    Attributes
    ----------
    site
        Index of the site.
    gene, name
        Id and name of the gene.
    relation
        What the site overlaps, the first that holds of ``cds``, ``five_prime_utr``, ``three_prime_utr``, ``exon`` (of
        transcripts without CDS), ``promoter``, ``intron``, ``gene`` (its body otherwise, as where no exons are known);
        else it lies ``upstream`` or ``downstream`` of the start of transcription, or ``near`` a gene whose strand is
        not known.
    distance
        In bp, from the gene's nearest transcription start to the nearest base of the site: 0 within the site, below 0
        upstream. Of a gene without a strand: to the nearer of its ends, not below 0.
    """

    site: int
    gene: str
    name: str
    relation: Relation
    distance: int


@dataclass(frozen=True)
class GeneRow:
    """A gene and the sites linked to it.

    Attributes
    ----------
    id, name, chrom, start, end, strand
        Of the gene; 0-based and half-open.
    sites
        Indices of its sites.
    relevance, score
        Sum over its sites of the magnitude of their scores, and of the scores.
    relation, distance
        Of the link that tells most: the first relation in the order of :class:`GeneLink`, and the nearest.
    p, q
        Chance of as much relevance if the sites lay anywhere in the regions; q over all genes within reach of these
        (Benjamini and Hochberg).
    """

    id: str
    name: str
    chrom: str
    start: int
    end: int
    strand: Strand
    sites: tuple[int, ...]
    relevance: float
    score: float
    relation: Relation
    distance: int
    p: float
    q: float

    @property
    def n_sites(self) -> int:
        """Number of ``sites``."""
        return len(self.sites)


@dataclass(frozen=True, eq=False)
class GeneTable(Sequence[GeneRow]):
    """Genes that have a site, the least likely by chance first.

    Attributes
    ----------
    rows
    links
        By site, then gene.
    unlinked
        ``{index of the site: why no gene has it}``.
    background
        Genes within reach of the regions: a site somewhere in them could have been linked to these.
    regions
        What was searched for sites, merged where regions overlap.
    permutations
        How often sites were placed at random.
    met
        (permutations, ⌈genes in the background / 8⌉): which of these had a site then; see :meth:`placements`.
    """

    rows: tuple[GeneRow, ...]
    links: tuple[GeneLink, ...]
    unlinked: dict[int, str]
    background: tuple[Gene, ...] = field(repr=False)
    regions: tuple[Interval, ...] = field(repr=False)
    permutations: int
    met: NDArray[np.uint8] = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i):  # type: ignore[no-untyped-def]
        return self.rows[i]

    def __iter__(self) -> Iterator[GeneRow]:
        return iter(self.rows)

    def placements(self) -> NDArray[np.bool_]:
        """(permutations, genes in the background): which genes had a site when the sites were placed at random."""
        return np.unpackbits(self.met, axis=1, count=len(self.background)).astype(bool)

    def to_pandas(self) -> Any:
        """A row for each gene; ``sites`` holds tuples."""
        return require("pandas", extra="genomics").DataFrame(self._columns())

    def to_parquet(self, path: PathName) -> Path:
        """Write the table; ``sites`` holds lists.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        arrow, parquet = require("pyarrow", extra="genomics"), require("pyarrow.parquet", extra="genomics")
        columns = self._columns()
        kinds = {"sites": arrow.list_(arrow.int64())}
        kinds |= dict.fromkeys(("start", "end", "distance", "n_sites"), arrow.int64())
        kinds |= dict.fromkeys(("relevance", "score", "p", "q"), arrow.float64())
        table = arrow.table({k: arrow.array(v, kinds.get(k, arrow.string())) for k, v in columns.items()})
        return written(path, lambda file: parquet.write_table(table, str(file)))

    def to_bed(self, path: PathName) -> Path:
        """Write the genes as BED with nine columns; red where the sites speak for the target, blue against it.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        rows = [Feature(Interval(r.chrom, r.start, r.end, r.strand), r.name or r.id, r.score) for r in self]
        return write_bed(path, rows)

    def _columns(self) -> dict[str, list[Any]]:
        names = [f.name for f in fields(GeneRow)]
        names.insert(names.index("sites") + 1, "n_sites")
        return {name: [getattr(row, name) for row in self.rows] for name in names}
