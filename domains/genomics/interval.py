"""Where a sequence lies on a chromosome."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, cast

from sciexplain.errors import DataError

Strand = Literal["+", "-", "."]

_WRITTEN = re.compile(r"(?P<chrom>\S+):(?P<start>[0-9][0-9,]*)-(?P<end>[0-9][0-9,]*)(?:\((?P<strand>[+.-])\))?")
_MOST_DIGITS = 18  # more do not fit into 64 bits


@dataclass(frozen=True, order=True)
class Interval:
    """A stretch of a chromosome, 0-based and half-open as in BED.

    Attributes
    ----------
    chrom
        Name of the chromosome.
    start, end
        In bp; ``start`` is in, ``end`` is not, whatever the strand.
    strand
        ``"+"``, ``"-"`` or ``"."`` where it has none, which is read as ``"+"``.

    Raises
    ------
    DataError
        ``start`` is below 0 or not below ``end``, or another strand.

    Examples
    --------
    >>> Interval.parse("chr1:1,000-1,020(-)")
    Interval(chrom='chr1', start=1000, end=1020, strand='-')
    >>> str(Interval("chr2", 7, 9)), len(Interval("chr2", 7, 9))
    ('chr2:7-9', 2)
    """

    chrom: str
    start: int
    end: int
    strand: Strand = "."

    def __post_init__(self) -> None:
        if self.strand not in ("+", "-", "."):
            raise DataError(f"strand {self.strand!r} of {self.chrom}:{self.start}-{self.end}; expected +, - or .")
        if self.start < 0:
            raise DataError(f"{self}: starts before the chromosome does; the first base is 0")
        if self.start >= self.end:
            raise DataError(f"{self}: ends at or before its start; expected start < end, 0-based and half-open")

    def __len__(self) -> int:
        return self.end - self.start

    def __str__(self) -> str:
        """As ``bedtools getfasta`` names it: ``chrom:start-end(strand)``, 0-based and half-open."""
        return f"{self.chrom}:{self.start}-{self.end}" + (f"({self.strand})" if self.strand != "." else "")

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read what ``str`` writes; thousands may be apart by commas.

        Raises
        ------
        DataError
            It is none.
        """
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise DataError(f"{text[:80]!r} is no interval; expected chrom:start-end or chrom:start-end(strand)")
        chrom, start, end, strand = found.groups()
        start, end = start.replace(",", ""), end.replace(",", "")
        if max(len(start), len(end)) > _MOST_DIGITS:
            raise DataError(f"{text[:80]!r} is no interval; expected numbers of at most {_MOST_DIGITS} digits")
        return cls(chrom, int(start), int(end), cast(Strand, strand or "."))

    def part(self, start: int, end: int) -> Interval:
        """Letters ``start`` to ``end`` of the sequence that lies here; on the minus strand these count from its end.

        Examples
        --------
        >>> str(Interval("chr1", 100, 200, "-").part(0, 10))
        'chr1:190-200(-)'
        """
        begin, stop = (
            (self.end - end, self.end - start) if self.strand == "-" else (self.start + start, self.start + end)
        )
        return replace(self, start=begin, end=stop)
