"""Rows of GFF3 and GTF files that tell of genes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from sciexplain.domains.genomics.formats.fasta import too_long
from sciexplain.domains.genomics.formats.limits import LONGEST_NAME, MOST_ALLELES
from sciexplain.domains.genomics.formats.lines import OnError, report, reported_lines, strand_of, whole_number
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import DataError

# Possessive and from semicolon to semicolon, as some columns are long: each letter is looked at once.
_GTF_PAIR = re.compile(r'(?:^|(?<=;))\s*+([^\s;="]++)\s++(?:"([^"]*+)"|([^;"\s]++))')
_GENE_ID, _TRANSCRIPT_ID = (
    re.compile(rf'(?:^|;)\s*+{key}\s++(?:"([^"]*+)"|([^;"\s]++))') for key in ("gene_id", "transcript_id")
)
_UTR = ("five_prime_utr", "three_prime_utr", "utr", "5utr", "3utr")

Kind = Literal["gene", "transcript", "exon", "cds", "utr", ""]


@dataclass(frozen=True, slots=True)
class Row:
    """A gene, a transcript or a part of one.

    Attributes
    ----------
    line
        Its number.
    type, kind
        As in the file, and what that is here.
    interval
        Where it lies.
    id, parents
        Its own, "" if it has none, and those that it belongs to.
    gene
        The gene's id, which only GTF has in every row.
    written
        The last column as it stands.
    """

    line: int
    type: str
    kind: Kind
    interval: Interval
    id: str
    parents: tuple[str, ...]
    gene: str
    written: str

    def first(self, *keys: str) -> str:
        """The first of these attributes that is there, or ""."""
        attributes = _gtf_pairs(self.written) if self.gene else _gff3_pairs(self.written)
        return next((unquote(attributes[key]) for key in keys if attributes.get(key)), "")


def read_rows(path: Path, *, on_error: OnError | None = None) -> Iterator[Row]:
    """Genes, transcripts, exons, UTRs, CDS and stop codons up to ``##FASTA``; other features are left out.

    Raises
    ------
    DataError
        As :func:`report` does: rows that are no features, a file that is cut off.
    """
    for number, line in reported_lines(path, on_error):
        if line.startswith(("##FASTA", ">")):
            return
        if not line.strip() or line.startswith("#"):
            continue
        try:
            row = _row(number, line.split("\t", 9))
        except DataError as error:
            report(f"{path.name}:{number}", error, on_error)
        else:
            if row is not None:
                yield row


@lru_cache(maxsize=10_000)
def kind_of(type_: str) -> Kind:
    """What a feature is by its type, a term of the Sequence Ontology; "" for what is no part of a gene.

    Examples
    --------
    >>> [kind_of(t) for t in ("transposable_element_gene", "lnc_RNA", "noncoding_exon", "five_prime_UTR", "telomere")]
    ['gene', 'transcript', 'exon', 'utr', '']
    """
    name = type_.lower()
    if name == "stop_codon" or name.endswith("cds"):
        return "cds"
    if name in _UTR:
        return "utr"
    endings: dict[Kind, tuple[str, ...]] = {
        "exon": ("exon",),
        "gene": ("gene",),
        "transcript": ("rna", "transcript", "gene_segment"),
    }
    return next((kind for kind, ends in endings.items() if name.endswith(ends)), "")


def _row(number: int, cells: list[str]) -> Row | None:
    if len(cells) != 9:
        many = "more than 9" if len(cells) > 9 else f"{len(cells)}"
        raise DataError(f"the row has {many} columns; expected 9, by tabs")
    chrom, _, type_, first, last, _, strand, _, written = cells
    for text in (chrom, type_):
        if len(text) > LONGEST_NAME:
            raise too_long(text)
    start, end = whole_number(first, "the start") - 1, whole_number(last, "the end")
    if not 0 <= start < end:
        raise DataError(f"{chrom}:{first}-{last} is no stretch; expected 1 <= start <= end, 1-based, the end included")
    kind = kind_of(type_)
    if not kind:
        return None
    interval = Interval(unquote(chrom), start, end, strand_of(strand))
    if _GTF_PAIR.match(written):
        gene, transcript = (_gtf_value(pattern, written) for pattern in (_GENE_ID, _TRANSCRIPT_ID))
        if strange := [name for name in (gene, transcript) if len(name) > LONGEST_NAME]:
            raise too_long(strange[0])
        if not gene or not (transcript or kind == "gene"):
            raise DataError(f"the {type_} has no gene_id or no transcript_id; expected both in its last column")
        if kind == "gene":
            return Row(number, type_, kind, interval, gene, (), gene, written)
        if kind == "transcript":
            return Row(number, type_, kind, interval, transcript, (gene,), gene, written)
        return Row(number, type_, kind, interval, "", (transcript,), gene, written)
    pairs = _gff3_pairs(written)
    own = pairs.get("ID", "") or (pairs.get("Name", "") if kind in ("gene", "transcript") else "")
    # Commas are between parents; those within an id are percent-encoded.
    listed = pairs.get("Parent", "")
    if listed.count(",") >= MOST_ALLELES:
        raise DataError(f"the {type_} has {listed.count(',') + 1} parents; expected at most {MOST_ALLELES}")
    parents = tuple(unquote(parent.strip()) for parent in listed.split(",") if parent.strip())
    if strange := [name for name in (own, *parents) if len(name) > LONGEST_NAME]:
        raise too_long(strange[0])
    if not own and not parents:
        raise DataError(f"the {type_} has neither ID nor Parent; expected at least one in its last column")
    return Row(number, type_, kind, interval, unquote(own), parents, "", written)


def _gff3_pairs(written: str) -> dict[str, str]:
    """Still percent-encoded."""
    pairs = (pair.partition("=") for pair in written.split(";"))
    return {key.strip(): value.strip() for key, _, value in pairs if value}


def _gtf_pairs(written: str) -> dict[str, str]:
    return {key: quoted or bare for key, quoted, bare in _GTF_PAIR.findall(written)}


def _gtf_value(pattern: re.Pattern[str], written: str) -> str:
    """One of the two that each row needs; to part all pairs takes five times as long."""
    found = pattern.search(written)
    return (found[1] or found[2] or "") if found else ""
