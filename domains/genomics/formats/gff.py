"""Genes of GFF3 and GTF files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sciexplain.domains.genomics.formats.gff_rows import Row, read_rows
from sciexplain.domains.genomics.formats.lines import OnError, report
from sciexplain.domains.genomics.gene import Gene, Transcript, joined
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import DataError

Key = tuple[str, str]
"""A chromosome and an id on it: some files have both pseudoautosomal regions under one id."""


@dataclass
class _Parts:
    """The exons and coding parts of one parent, gathered row by row."""

    row: Row
    rows: int = 0
    exon: list[tuple[int, int]] = field(default_factory=list)
    cds: list[tuple[int, int]] = field(default_factory=list)
    utr: list[tuple[int, int]] = field(default_factory=list)

    def add(self, row: Row) -> None:
        self.rows += 1
        spans = self.exon if row.kind == "exon" else self.cds if row.kind == "cds" else self.utr
        spans.append((row.interval.start, row.interval.end))

    def transcript(self, name: str, interval: Interval | None = None) -> Transcript:
        exons = joined(self.exon or self.cds + self.utr)
        place = interval or Interval(self.row.interval.chrom, exons[0][0], exons[-1][1], self.row.interval.strand)
        return Transcript(name, place, exons, joined(self.cds))


def read_gff(path: Path, *, on_error: OnError | None = None) -> list[Gene]:
    """Genes with their transcripts; the file's rows may be in any order.

    A gene is a row of a type that ends in "gene", and also a transcript (a type that ends in "RNA" or "transcript") or
    a CDS without a parent, as SGD's tRNAs and Prokka's genes are. Exons and CDS may belong to a transcript, or to a
    gene, which then is its transcript as well. Rows of one CDS make one; stop codons belong to it, also in GTF, where
    they have rows apart. A gene whose own row is missing spans its transcripts, and in GTF a transcript its exons.
    Other features, such as telomeres, are no genes.

    The id is ``gene_id`` or ``ID``; the name ``gene_name``, ``gene`` or ``Name``; the biotype ``gene_type``,
    ``gene_biotype`` or ``biotype``, otherwise the row's type, or "protein_coding" of a plain gene or mRNA with a CDS.

    Raises
    ------
    DataError
        As :func:`report` does: rows that are no features, a second gene or transcript with an id on a chromosome,
        exons and CDS whose parent is not in the file (once for each parent), no genes, a file that is cut off.
    """
    genes: dict[Key, Row] = {}
    transcripts: dict[Key, Row] = {}
    parts: dict[Key, _Parts] = {}
    alone: dict[Key, _Parts] = {}
    for row in read_rows(path, on_error=on_error):
        chrom = row.interval.chrom
        if row.kind in ("gene", "transcript"):
            first = (genes if row.kind == "gene" else transcripts).setdefault((chrom, row.id), row)
            if first is not row:
                error = DataError(f"a second {row.type} {row.id} on {chrom}; the first is on line {first.line}")
                report(f"{path.name}:{row.line}", error, on_error)
        elif row.parents or row.kind == "cds":
            for key in [(chrom, parent) for parent in row.parents] or [(chrom, row.id)]:
                gathered = parts if row.parents else alone
                if key not in gathered:
                    gathered[key] = _Parts(row)
                gathered[key].add(row)
        else:
            error = DataError(f"the {row.type} {row.id} has no Parent; expected the id of its gene or transcript")
            report(f"{path.name}:{row.line}", error, on_error)
    children: dict[Key, list[Transcript]] = {key: [] for key in genes}
    described = dict(genes)
    for key, row in transcripts.items():
        own = parts.pop(key, None)
        place = row.interval
        transcript = Transcript(row.first("transcript_id") or row.id, place, ((place.start, place.end),))
        if own is not None:
            transcript = own.transcript(transcript.id, place)
        for gene in _genes_of(key, genes, transcripts):
            children.setdefault(gene, []).append(transcript)
            described.setdefault(gene, row)
    for key, own in parts.items():
        gene = key if key in genes else (key[0], own.row.gene)
        if not gene[1]:
            error = DataError(
                f"Parent={key[1]} of the {own.row.type} is no gene or transcript on {key[0]} in the file; {own.rows} "
                f"row{'s' * (own.rows > 1)} with this parent left out"
            )
            report(f"{path.name}:{own.row.line}", error, on_error)
            continue
        children.setdefault(gene, []).append(own.transcript(key[1]))
        described.setdefault(gene, own.row)
    for key, own in alone.items():
        children[key] = [own.transcript(key[1])]
        described[key] = own.row
    made = [_gene(key, described[key], found) for key, found in children.items()]
    if not made:
        report(path.name, DataError("there are no genes in it; expected rows of GFF3 or GTF"), on_error)
    return made


def _genes_of(key: Key, genes: Mapping[Key, Row], transcripts: Mapping[Key, Row]) -> list[Key]:
    """Upwards from a transcript: the genes that have it, also those missing in the file; itself if it has no parent."""
    found, seen, left = dict[Key, None](), {key}, [key]
    while left:
        at = left.pop()
        parents = [(at[0], parent) for parent in transcripts[at].parents]
        if not parents:
            found[at] = None
        for parent in parents:
            # some GTF files call a gene and its transcript the same
            if parent == at or parent in genes or parent not in transcripts:
                found[parent] = None
            elif parent not in seen:
                seen.add(parent)
                left.append(parent)
    return list(found) or [key]  # where they go round in a circle


def _gene(key: Key, row: Row, transcripts: list[Transcript]) -> Gene:
    """From its own row, or from the first of a transcript or part if it has none."""
    is_own = row.id == key[1] and not (row.kind == "transcript" and row.parents)
    coding = "protein_coding" if any(transcript.cds for transcript in transcripts) else ""
    type_ = row.type if is_own and row.type.lower() not in ("gene", "mrna", "transcript", "cds") else coding
    name = row.first("gene_name", "gene", *(["Name"] if is_own else []))
    interval = row.interval
    if not is_own or row.kind == "cds":
        start, end = min(t.interval.start for t in transcripts), max(t.interval.end for t in transcripts)
        interval = Interval(key[0], start, end, transcripts[0].interval.strand)
    gene_id = row.first("gene_id") or key[1]
    biotype = row.first("gene_type", "gene_biotype", *(["biotype"] if is_own else [])) or type_
    return Gene(gene_id, name or gene_id, interval, biotype, tuple(transcripts))
