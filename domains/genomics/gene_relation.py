"""How a stretch lies to a gene: in which part of it, or on which side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

from sciexplain.domains.genomics.gene import Gene, Spans, Transcript
from sciexplain.domains.genomics.interval import Interval, Strand

Relation = Literal[
    "cds",
    "five_prime_utr",
    "three_prime_utr",
    "exon",
    "promoter",
    "intron",
    "gene",
    "upstream",
    "downstream",
    "near",
]

Span = tuple[int, int]
Start = tuple[int, Strand]

RELATIONS: tuple[Relation, ...] = get_args(Relation)
"""The most telling first."""


def starts_of(gene: Gene) -> tuple[Start, ...]:
    """Where transcription of its transcripts starts, 0-based, and the strand; both ends of a gene without a strand."""
    places = [t.interval for t in gene.transcripts if t.interval.strand != "."] or [gene.interval]
    if places[0].strand == ".":
        return tuple((at, ".") for at in sorted({gene.interval.start, gene.interval.end - 1}))
    return tuple(sorted({(p.end - 1 if p.strand == "-" else p.start, p.strand) for p in places}))


def promoter_of(start: Start, promoter: tuple[int, int]) -> Span | None:
    """The stretch around a start of transcription, which is the first base downstream."""
    (at, strand), (up, down) = start, promoter
    if strand == "." or up + down == 0:
        return None
    span = (at - down + 1, at + up + 1) if strand == "-" else (at - up, at + down)
    return max(span[0], 0), span[1]


def zone_of(gene: Gene, starts: tuple[Start, ...], promoter: tuple[int, int]) -> Interval:
    """Its body with its promoters, which touch it."""
    spans = [span for start in starts if (span := promoter_of(start, promoter))]
    spans.append((gene.interval.start, gene.interval.end))
    return Interval(gene.interval.chrom, min(a for a, _ in spans), max(b for _, b in spans))


def relation(gene: Gene, start: int, end: int, promoter: tuple[int, int]) -> tuple[Relation, int]:
    """What of the gene the stretch overlaps, the most telling first, or else its side; and how far its start is.

    See :class:`~sciexplain.domains.genomics.genes.GeneLink`.
    """
    distance, strand = min((_distance(at, start, end) for at in starts_of(gene)), key=lambda d: (abs(d[0]), d))
    found = [name for name, (a, b) in _parts(gene, promoter) if start < b and end > a]
    if found:
        return min(found, key=RELATIONS.index), distance
    if strand == ".":
        return "near", distance
    return ("upstream" if distance < 0 else "downstream"), distance


def _distance(at: Start, start: int, end: int) -> tuple[int, Strand]:
    position, strand = at
    gap = start - position if start > position else min(0, end - 1 - position)
    return {"+": gap, "-": -gap, ".": abs(gap)}[strand], strand


def _parts(gene: Gene, promoter: tuple[int, int]) -> Iterator[tuple[Relation, Span]]:
    for transcript in gene.transcripts:
        yield from _transcript(transcript)
    for start in starts_of(gene):
        span = promoter_of(start, promoter)
        if span:
            yield "promoter", span
    yield "gene", (gene.interval.start, gene.interval.end)


def _transcript(transcript: Transcript) -> Iterator[tuple[Relation, Span]]:
    named: list[tuple[Relation, Spans]] = [
        ("exon", transcript.exons),
        ("cds", transcript.cds),
        ("intron", transcript.introns),
    ]
    if transcript.interval.strand != ".":
        named += [("five_prime_utr", transcript.utr5), ("three_prime_utr", transcript.utr3)]
    for name, spans in named:
        for span in spans:
            yield name, span
