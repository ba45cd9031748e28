"""The genes of a genome, from GFF3, GTF and BED, and which of them lie where."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from sciexplain._files import PathName
from sciexplain.domains.genomics.formats.gff import read_gff
from sciexplain.domains.genomics.formats.limits import MOST_ALLELES
from sciexplain.domains.genomics.formats.lines import OnError, report, suffix_of, whole_number
from sciexplain.domains.genomics.formats.regions import bed_rows, interval_and_name
from sciexplain.domains.genomics.gene import Gene, Transcript, joined
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import DataError, InputError

__all__ = ["Annotation", "Gene", "Transcript", "read_genes"]

_QUOTED = 40
_GFF = (".gff3", ".gff", ".gtf", ".gff2")


@dataclass(frozen=True)
class Annotation:
    """The genes of a genome, by chromosome in the order of the file and there by start.

    Examples
    --------
    >>> annotation = Annotation.of([Gene("b", "B", Interval("chr1", 50, 60)), Gene("a", "A", Interval("chr1", 0, 55))])
    >>> [gene.name for gene in annotation], annotation.chroms
    (['A', 'B'], ('chr1',))
    >>> [gene.name for gene in annotation.overlapping(Interval("chr1", 55, 56))]
    ['B']
    """

    genes: tuple[Gene, ...]

    @classmethod
    def of(cls, genes: Iterable[Gene]) -> Annotation:
        """From genes in any order."""
        genes = list(genes)
        order = {chrom: i for i, chrom in enumerate(dict.fromkeys(gene.interval.chrom for gene in genes))}
        return cls(
            tuple(sorted(genes, key=lambda g: (order[g.interval.chrom], g.interval.start, g.interval.end, g.id)))
        )

    def __len__(self) -> int:
        return len(self.genes)

    def __iter__(self) -> Iterator[Gene]:
        return iter(self.genes)

    @property
    def chroms(self) -> tuple[str, ...]:
        """Chromosomes that have genes."""
        return tuple(self._by_chrom)

    def on(self, chrom: str) -> tuple[Gene, ...]:
        """Genes of a chromosome by start; none if it has none."""
        return self._by_chrom.get(chrom, ())

    def overlapping(self, interval: Interval) -> tuple[Gene, ...]:
        """Genes that share a base with an interval, on either strand, by start."""
        genes = self.on(interval.chrom)
        if not genes:
            return ()
        starts, furthest = self._bounds[interval.chrom]
        # Genes may lie within others: behind the first that any gene so far reaches, each is looked at.
        near = genes[bisect_right(furthest, interval.start) : bisect_left(starts, interval.end)]
        return tuple(gene for gene in near if gene.interval.end > interval.start)

    @cached_property
    def _by_chrom(self) -> dict[str, tuple[Gene, ...]]:
        found: dict[str, list[Gene]] = {}
        for gene in self.genes:
            found.setdefault(gene.interval.chrom, []).append(gene)
        return {chrom: tuple(sorted(genes, key=lambda gene: gene.interval.start)) for chrom, genes in found.items()}

    @cached_property
    def _bounds(self) -> dict[str, tuple[list[int], list[int]]]:
        """For each chromosome the starts, and the furthest end so far."""
        return {
            chrom: ([g.interval.start for g in genes], list(accumulate((g.interval.end for g in genes), max)))
            for chrom, genes in self._by_chrom.items()
        }


def read_genes(
    path: PathName, *, biotypes: Collection[str] | None = None, on_error: OnError | None = None
) -> Annotation:
    """The genes of a GFF3, GTF or BED file, plain or compressed by gzip or bgzip.

    GFF3 and GTF: rows in any order, see :func:`~.formats.gff.read_gff`. BED: each row is a gene,
    called by its fourth column (or its fifth, where that is no number and the fourth is "."); of twelve columns the
    blocks are the exons of its one transcript, and what of them is thick is translated. Where an id occurs again, as
    those of both pseudoautosomal regions do, ``@chrom:start-end`` is put behind it.

    Parameters
    ----------
    biotypes
        Keep only genes of these, such as ``["protein_coding"]``.
    on_error
        Called with the place of what cannot be read, such as ``"genes.gff3:12"``, and the error; reading then goes on.
        Without it the first raises.

    Raises
    ------
    InputError
        The file's name ends in something else, or no gene has one of the ``biotypes``.
    DataError
        Rows that are no features; features whose parents are not in the file; no genes; a file that is cut off.

    Examples
    --------
    >>> _ = Path("a.gff3").write_text("chrI\\t.\\tgene\\t11\\t14\\t.\\t-\\t.\\tID=YAL1C;gene=ABC1\\n")
    >>> gene = read_genes("a.gff3").genes[0]
    >>> gene.id, gene.name, str(gene.interval), gene.tss
    ('YAL1C', 'ABC1', 'chrI:10-14(-)', 13)
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix in _GFF:
        genes = read_gff(path, on_error=on_error)
    elif suffix.startswith(".bed"):
        genes = list(_bed_genes(path, on_error))
    else:
        raise InputError(f"{path}: it ends in {path.suffix!r}; expected {', '.join(_GFF)} or .bed (also with .gz)")
    if biotypes is not None:
        if isinstance(biotypes, str):
            raise InputError(f"biotypes={biotypes!r}; expected a list of them")
        found = sorted({gene.biotype for gene in genes})
        genes = [gene for gene in genes if gene.biotype in biotypes]
        if not genes:
            raise InputError(f"biotypes={list(biotypes)}: {path.name} has none of these; it has {found}")
    return Annotation.of(_with_unique_ids(genes))


def _with_unique_ids(genes: Iterable[Gene]) -> Iterator[Gene]:
    seen: set[str] = set()
    for gene in genes:
        place = f"{gene.interval.chrom}:{gene.interval.start}-{gene.interval.end}"
        unique = gene if gene.id not in seen else replace(gene, id=f"{gene.id}@{place}")
        seen.add(unique.id)
        yield unique


def _bed_genes(path: Path, on_error: OnError | None) -> Iterator[Gene]:
    for place, cells in bed_rows(path, on_error):
        try:
            interval, name = interval_and_name(cells)
            if not name:
                raise DataError("the gene has no name; expected one in the fourth column")
            transcripts = (_blocks(cells, Transcript(name, interval, ())),) if len(cells) == 12 else ()
        except DataError as error:
            report(place, error, on_error)
        else:
            yield Gene(name, name, interval, "", transcripts)


def _blocks(cells: Sequence[str], transcript: Transcript) -> Transcript:
    """With the exons and the coding part that twelve columns give."""
    told = f"{cells[9][:_QUOTED]}, {cells[10][:_QUOTED]} and {cells[11][:_QUOTED]}"
    if max(cells[i].count(",") for i in (10, 11)) > MOST_ALLELES:
        raise DataError(f"the blocks (columns 10 to 12) are {told}; expected at most {MOST_ALLELES}")
    lists = ([whole_number(n, "a block") for n in cells[i].rstrip(",").split(",")] for i in (10, 11))
    start, (sizes, starts) = transcript.interval.start, lists
    spans = [(start + begin, start + begin + size) for begin, size in zip(starts, sizes, strict=False)]
    counts = {whole_number(cells[9], "the number of blocks"), len(sizes), len(starts)}
    if len(counts) > 1 or any(not start <= a < b <= transcript.interval.end for a, b in spans):
        raise DataError(
            f"the blocks (columns 10 to 12) are {told}; expected their number, sizes "
            f"and starts within {transcript.interval}"
        )
    first, last = whole_number(cells[6], "thickStart"), whole_number(cells[7], "thickEnd")
    thick = [(max(a, first), min(b, last)) for a, b in spans if max(a, first) < min(b, last)]
    return replace(transcript, exons=joined(spans), cds=joined(thick))
