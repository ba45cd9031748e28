"""A gene and its transcripts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from sciexplain.domains.genomics.interval import Interval

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Transcript:
    """One transcript of a gene; spans are (start, end) on the chromosome, 0-based and half-open, in its order.

    Attributes
    ----------
    id
        As in its file.
    interval
        Where it lies.
    exons
        Joined where they touch.
    cds
        What is translated, with the stop codon; empty if nothing is.

    Examples
    --------
    >>> t = Transcript("t", Interval("chr1", 10, 90, "-"), ((10, 40), (60, 90)), ((30, 40), (60, 80)))
    >>> t.tss, t.introns, t.utr5, t.utr3
    (89, ((40, 60),), ((80, 90),), ((10, 30),))
    """

    id: str
    interval: Interval
    exons: Spans
    cds: Spans = ()

    @property
    def tss(self) -> int:
        """The first base that is transcribed, 0-based; without a strand as on the plus strand."""
        return _first_base(self.interval)

    @property
    def introns(self) -> Spans:
        """Between the exons."""
        return tuple((left, right) for (_, left), (right, _) in pairwise(self.exons))

    @property
    def utr5(self) -> Spans:
        """Of the exons what is before the first codon; empty where nothing is translated."""
        return self._after_cds() if self.interval.strand == "-" else self._before_cds()

    @property
    def utr3(self) -> Spans:
        """Of the exons what is behind the stop codon; empty where nothing is translated."""
        return self._before_cds() if self.interval.strand == "-" else self._after_cds()

    def _before_cds(self) -> Spans:
        bound = self.cds[0][0] if self.cds else -1
        return tuple((start, min(end, bound)) for start, end in self.exons if start < bound)

    def _after_cds(self) -> Spans:
        bound = self.cds[-1][1] if self.cds else self.interval.end
        return tuple((max(start, bound), end) for start, end in self.exons if end > bound)


@dataclass(frozen=True)
class Gene:
    """One gene.

    Attributes
    ----------
    id
        As in its file; unique in an annotation.
    name
        Its symbol, or the id.
    interval
        Where it lies.
    biotype
        Such as ``"protein_coding"`` or ``"tRNA"``; "" where the file does not tell.
    transcripts
        In the order of the file; none where it has only the gene.
    """

    id: str
    name: str
    interval: Interval
    biotype: str = ""
    transcripts: tuple[Transcript, ...] = ()

    @property
    def tss(self) -> int:
        """The first base that is transcribed, 0-based: the gene's 5' end.

        A gene without a strand (``interval.strand == "."``) is read as one on the plus strand.
        """
        return _first_base(self.interval)


def _first_base(interval: Interval) -> int:
    return interval.end - 1 if interval.strand == "-" else interval.start


def joined(spans: list[tuple[int, int]]) -> Spans:
    """Spans in their order, those that touch or overlap as one.

    Examples
    --------
    >>> joined([(5, 8), (0, 3), (3, 4)])
    ((0, 4), (5, 8))
    """
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return tuple(found)
