"""Sequences of GenBank files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sciexplain._optional import require
from sciexplain.domains.genomics.formats.attempts import Bookmarks, Entries, NumberedLines, attempted, counted
from sciexplain.domains.genomics.formats.fasta import too_long
from sciexplain.domains.genomics.formats.limits import LONGEST_NAME, LONGEST_SEQUENCE
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError

_READ = ("LOCUS", "ACCESSION", "VERSION", "CONTIG", "ORIGIN")
# ORIGIN has numbers and blanks between its letters
_LONGEST, _MOST_LINES = 2 * LONGEST_SEQUENCE, LONGEST_SEQUENCE // 32


def genbank_attempts(
    path: Path, numbers: Iterable[int] | None = None, bookmarks: Bookmarks | None = None
) -> Iterator[tuple[str, Record | DataError]]:
    """Each record, in upper case, or what is wrong with it, with the place of its first line, as ``"plasmid.gb:1"``.

    A record's name is its accession with version, which is also the chromosome of its interval, from 0 to its length.
    Its features and references are not read. Wrong is a record that Biopython does not read or warns of, one without
    letters or with too many, one that does not end in ``//``. See :func:`~.attempts.attempted`.
    """
    return attempted(path, _entries, _record, numbers, bookmarks)


def count_genbank(path: Path, bookmarks: Bookmarks | None = None) -> int:
    """How many of them there are."""
    return counted(path, _entries, bookmarks)


def _entries(text: NumberedLines) -> Entries[list[str]]:
    """Records one by one, since Biopython's reader does not get over one that it cannot read: the lines that matter."""
    start, lines, size, kept = 0, list[str](), 0, True
    wrong: DataError | None = None
    inside = False
    for number, line in text:
        if isinstance(line, DataError):
            if not number:
                yield 0, line
                return
            wrong = wrong or line
            start, inside = start if inside else number, True
            continue
        if not inside and not line.strip():
            continue
        start, inside = start if inside else number, True
        if line.rstrip() == "//":
            yield start, wrong or [*lines, "//"]
            lines, size, kept, wrong, inside = [], 0, True, None, False
            continue
        if line[:1].strip():  # a new section; what belongs to one is indented
            kept = line.startswith(_READ) or not lines
        if kept and not wrong:
            size += len(line)
            lines.append(line)
            if size > _LONGEST or len(lines) > _MOST_LINES:
                wrong = DataError(f"the record is longer than {LONGEST_SEQUENCE} letters; expected less")
                lines = []
    if inside:
        yield 0, DataError(f"the record on line {start} is cut off; expected // as its last line")
    if not start:
        yield 0, DataError("there are no records in it; expected GenBank records, which begin with LOCUS")


def _record(lines: list[str], place: str) -> Record:
    seqio: Any = require("Bio.SeqIO", extra="genomics")
    bio: Any = require("Bio", extra="genomics")
    seq: Any = require("Bio.Seq", extra="genomics")
    with warnings.catch_warnings():
        # such as letters that are more or fewer than its first line says
        warnings.simplefilter("error", bio.BiopythonParserWarning)
        try:
            entry = seqio.read(io.StringIO("\n".join(lines) + "\n"), "genbank")
        except Exception as error:  # Biopython raises whatever it meets in a damaged record
            raise DataError(" ".join(str(error).split())[:1000] or type(error).__name__) from error
    name = str(entry.id)
    if len(name) > LONGEST_NAME:
        raise too_long(name)
    try:
        letters = str(entry.seq)
    except seq.UndefinedSequenceError:
        letters = ""
    if not letters:
        raise DataError(f"{name} has no sequence; expected one under ORIGIN")
    return Record(name, letters, Interval(name, 0, len(letters)))
