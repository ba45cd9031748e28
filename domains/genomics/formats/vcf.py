"""Variants of VCF files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sciexplain._files import PathName
from sciexplain.domains.genomics.formats.fasta import too_long
from sciexplain.domains.genomics.formats.limits import LONGEST_NAME, MOST_ALLELES, shown
from sciexplain.domains.genomics.formats.lines import OnError, cells_of, report, reported_lines, whole_number
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import DataError

_LETTERS = re.compile("[ACGTN]+")
_QUOTED = 40


@dataclass(frozen=True)
class Variant:
    """One alternative allele.

    Attributes
    ----------
    chrom
        Name of the chromosome.
    position
        Of the first letter of ``ref``, 0-based.
    ref, alt
        Upper case; insertions and deletions begin with the base before them, as in the file.
    id
        As in the file; ``chrom:position:ref>alt``, the position 1-based, where it has none.

    Examples
    --------
    >>> variant = Variant("chr1", 99, "AT", "A", "rs1")
    >>> str(variant), str(variant.interval)
    ('chr1:100:AT>A', 'chr1:99-101')
    """

    chrom: str
    position: int
    ref: str
    alt: str
    id: str

    def __str__(self) -> str:
        """As variants are written by hand: ``chrom:position:ref>alt``, 1-based."""
        return f"{self.chrom}:{self.position + 1}:{self.ref}>{self.alt}"

    @property
    def interval(self) -> Interval:
        """Where ``ref`` lies."""
        return Interval(self.chrom, self.position, self.position + len(self.ref))


def read_vcf(path: PathName, *, on_error: OnError | None = None) -> Iterator[Variant]:
    """Variants one at a time, one for each alternative allele, plain or compressed by gzip or bgzip.

    Header lines are not needed. Genotypes, filters and information are not read.

    Parameters
    ----------
    on_error
        Called with the place, such as ``"a.vcf:12"``, and the error for each row or allele that cannot be read; without
        it the first raises.

    Raises
    ------
    DataError
        Fewer than five columns, a position that is no number or below 1, alleles that are no letters: symbolic ones
        (``<DEL>``), breakends, ``*``, none (``.``); an allele that is the reference; a file that is cut off.

    Examples
    --------
    >>> _ = Path("a.vcf").write_text("chr1\\t5\\trs1\\tA\\tG,<DEL>,AT\\n")
    >>> for variant in read_vcf("a.vcf", on_error=lambda place, error: print(error)):
    ...     print(variant)
    chr1:5:A>G
    a.vcf:1: the allele <DEL> is symbolic; expected letters
    chr1:5:A>AT
    """
    path = Path(path)
    empty = True
    for number, line in reported_lines(path, on_error):
        empty = empty and not line.startswith("#")
        if not line.strip() or line.startswith("#"):
            continue
        empty, place = False, f"{path.name}:{number}"
        try:
            chrom, position, name, ref, alts = _row(cells_of(line, 5))
        except DataError as error:
            report(place, error, on_error)
            continue
        for alt in alts:
            if wrong := _what_is_wrong(ref, alt):
                report(place, DataError(wrong), on_error)
            else:
                variant = Variant(chrom, position, ref, alt, name)
                yield variant if name else replace(variant, id=str(variant))
    if empty:
        wrong = "there is nothing in it; expected rows of chrom, position, id, ref and alt"
        report(path.name, DataError(wrong), on_error)


def _row(cells: list[str]) -> tuple[str, int, str, str, list[str]]:
    if len(cells) < 5:
        raise DataError(f"the row has {len(cells)} columns; expected at least 5: chrom, position, id, ref, alt")
    chrom, position, name, ref, alts = cells[:5]
    for text in (chrom, name):
        if len(text) > LONGEST_NAME:
            raise too_long(text)
    if alts.count(",") >= MOST_ALLELES:
        raise DataError(f"the row has {alts.count(',') + 1} alternative alleles; expected at most {MOST_ALLELES}")
    start = whole_number(position, "the position") - 1
    if start < 0:
        raise DataError(f"the position is {position}; expected 1 or more")
    if not _LETTERS.fullmatch(ref.upper()):
        raise DataError(f"the reference allele is {shown(ref)}; expected letters A, C, G, T or N")
    return chrom, start, "" if name == "." else name, ref.upper(), [alt.upper() for alt in alts.split(",")]


def _what_is_wrong(ref: str, alt: str) -> str:
    short = alt if len(alt) <= _QUOTED else f"{alt[:_QUOTED]}…"
    if _LETTERS.fullmatch(alt):
        return f"the allele {short} is the reference allele itself" if alt == ref else ""
    if alt in (".", ""):
        return "there is no alternative allele"
    if alt == "*":
        return "the allele * is missing because of a deletion upstream; expected letters"
    if alt.startswith("<"):
        return f"the allele {short} is symbolic; expected letters"
    if "[" in alt or "]" in alt or alt.startswith(".") or alt.endswith("."):
        return f"the allele {short} is a breakend; expected letters"
    return f"the allele is {shown(alt)}; expected letters A, C, G, T or N"
