"""Sequences of FASTA files, and the places that their headers name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sciexplain.domains.genomics.formats.lines import OnError, numbered_lines, report
from sciexplain.domains.genomics.interval import Interval, Strand
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError


def read_fasta(path: Path, *, on_error: OnError | None = None) -> Iterator[tuple[str, Record]]:
    """Each record with the place of its header, such as ``"peaks.fa:3"``.

    A record's name is the header up to the first space, and its interval what that name says: see :func:`place_of`.
    Comments (``#`` or ``;``) before the first header are left out, and of a file that is cut off its last record.

    Raises
    ------
    DataError
        As :func:`report` does: a header without a name or a sequence, text before the first header, a damaged file.

    Examples
    --------
    >>> _ = Path("peaks.fa").write_text(">chr1:10-14(-) first\\nAAc\\nG\\n")
    >>> list(read_fasta(Path("peaks.fa")))
    [('peaks.fa:1', Record(name='chr1:10-14(-)', sequence='AAcG', interval=Interval(chrom='chr1', start=10, end=14,
    strand='-'), labels=()))]
    """
    for place, header, sequence in _entries(path, on_error):
        words = header.split()
        if not words:
            report(place, DataError("the header has no name; expected > and a name"), on_error)
        elif not sequence:
            report(place, DataError(f"{words[0]} has no sequence"), on_error)
        else:
            yield place, Record(words[0], sequence, place_of(words[0], len(sequence)))


def _entries(path: Path, on_error: OnError | None) -> Iterator[tuple[str, str, str]]:
    """Place, header and letters of each record."""
    start, header, parts = 0, "", list[str]()
    try:
        for number, line in numbered_lines(path):
            if line.startswith(">"):
                if start:
                    yield f"{path.name}:{start}", header, "".join(parts)
                start, header, parts = number, line[1:], []
            elif start:
                parts.append("".join(line.split()))
            elif line.strip() and line[0] not in "#;":
                raise DataError(f"line {number} is {line[:40]!r}; expected a header, which begins with >")
        if not start:
            raise DataError("there are no sequences in it; expected headers with > and sequences")
        yield f"{path.name}:{start}", header, "".join(parts)
    except DataError as error:
        report(path.name, error, on_error)


def place_of(name: str, letters: int) -> Interval | None:
    """The interval that a sequence of so many letters has by its name; None if there is none or its length disagrees.

    ``chrom:start-end(strand)``, also behind ``name::``, as ``bedtools getfasta`` writes it: 0-based and half-open.
    Where the sequence has a letter more than that, the numbers are as ``samtools faidx`` writes them: 1-based, the end
    included.

    Examples
    --------
    >>> str(place_of("peak7::chr1:10-14(-)", 4)), str(place_of("chr1:11-14", 4)), place_of("chr1:10-14", 9)
    ('chr1:10-14(-)', 'chr1:10-14', None)
    """
    try:
        written = Interval.parse(name.rpartition("::")[2])
    except DataError:
        return None
    return interval_of(written.chrom, written.start, written.end, written.strand, letters)


def interval_of(chrom: str, start: int, end: int, strand: Strand, letters: int) -> Interval | None:
    """The interval of a sequence of so many letters, which tell 0-based and half-open numbers from 1-based ones.

    None where neither fits.
    """
    if start >= 0 and end - start == letters:
        return Interval(chrom, start, end, strand)
    if start >= 1 and end - start + 1 == letters:
        return Interval(chrom, start - 1, end, strand)
    return None
