"""Sequences of FASTA files, and the places that their headers name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from sciexplain.domains.genomics.formats.attempts import Bookmarks, Entries, NumberedLines, attempted, counted
from sciexplain.domains.genomics.formats.limits import LONGEST_NAME, LONGEST_SEQUENCE, shown
from sciexplain.domains.genomics.formats.lines import LongLine, OnError, without_errors
from sciexplain.domains.genomics.interval import Interval, Strand
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError

_JOINED = 1 << 16


class _Entry(NamedTuple):
    """A record's text: its header without the ``>``, and its lines."""

    header: str
    lines: list[str]


def read_fasta(path: Path, *, on_error: OnError | None = None) -> Iterator[tuple[str, Record]]:
    """Each record with the place of its header, such as ``"peaks.fa:3"``.

    A record's name is the header up to the first space, and its interval what that name says: see :func:`place_of`.
    Comments (``#`` or ``;``) before the first header are left out, and of a file that is cut off its last record.

    Raises
    ------
    DataError
        As :func:`report` does: a header without a name or a sequence, one that is too long, text before the first
        header, a damaged file.

    Examples
    --------
    >>> _ = Path("peaks.fa").write_text(">chr1:10-14(-) first\\nAAc\\nG\\n")
    >>> list(read_fasta(Path("peaks.fa")))
    [('peaks.fa:1', Record(name='chr1:10-14(-)', sequence='AAcG', interval=Interval(chrom='chr1', start=10, end=14,
    strand='-'), labels=()))]
    """
    return without_errors(fasta_attempts(path), on_error)


def fasta_attempts(
    path: Path, numbers: Iterable[int] | None = None, bookmarks: Bookmarks | None = None
) -> Iterator[tuple[str, Record | DataError]]:
    """Each record, or what is wrong with it; see :func:`~.attempts.attempted`."""
    return attempted(path, _entries, _record, numbers, bookmarks, LONGEST_SEQUENCE)


def count_fasta(path: Path, bookmarks: Bookmarks | None = None) -> int:
    """How many of them there are."""
    return counted(path, _entries, bookmarks, LONGEST_SEQUENCE)


def _entries(lines: NumberedLines) -> Entries[_Entry]:
    """The line of each header, and its record as it stands."""
    start, entry, size, joined = 0, _Entry("", []), 0, 0
    for number, line in lines:
        if isinstance(line, str):
            text, here = line, len(line)
        elif isinstance(line, LongLine):
            text, here = line.begin, LONGEST_SEQUENCE + 1
        else:  # the file is cut off: its last record may not be whole
            yield 0, line
            return
        if text.startswith(">"):
            if start:
                yield start, _checked(entry, size)
            start, entry, joined = number, _Entry(text[1:], []), 0
            size = 0 if here <= LONGEST_SEQUENCE else here
        elif start:
            size += here
            if text and size <= LONGEST_SEQUENCE:
                entry.lines.append(text)
                if len(entry.lines) - joined == _JOINED:  # short lines would take more room than their letters
                    entry.lines[joined:] = ["".join(entry.lines[joined:])]
                    joined += 1
        elif text.strip() and text[0] not in "#;":
            yield 0, DataError(f"line {number} is {text[:40]!r}; expected a header, which begins with >")
            return
    if start:
        yield start, _checked(entry, size)
    else:
        yield 0, DataError("there are no sequences in it; expected headers with > and sequences")


def _checked(entry: _Entry, size: int) -> _Entry | DataError:
    if size <= LONGEST_SEQUENCE:
        return entry
    return DataError(
        f"{shown(entry.header)} is longer than {LONGEST_SEQUENCE} letters; expected less, as regions of a BED file "
        "with a genome have"
    )


def _record(entry: _Entry, place: str) -> Record:
    words = entry.header.split(None, 1)
    if not words:
        raise DataError("the header has no name; expected > and a name")
    name, sequence = words[0], "".join(entry.lines)
    if len(name) > LONGEST_NAME:
        raise too_long(name)
    if not sequence.isalpha():
        sequence = "".join(sequence.split())
    if not sequence:
        raise DataError(f"{name} has no sequence")
    return Record(name, sequence, place_of(name, len(sequence)))


def too_long(name: str) -> DataError:
    """What is said of a name that is longer than names may be."""
    return DataError(f"the name {shown(name)} has {len(name)} characters; expected at most {LONGEST_NAME}")


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
    if ":" not in name:
        return None
    try:
        written = Interval.parse(name.rpartition("::")[2])
    except DataError:
        return None
    if len(written) == letters:
        return written
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
