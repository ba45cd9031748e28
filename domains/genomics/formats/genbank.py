"""Sequences of GenBank files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sciexplain._optional import require
from sciexplain.domains.genomics.formats.lines import OnError, numbered_lines, report
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError


def read_genbank(path: Path, *, on_error: OnError | None = None) -> Iterator[tuple[str, Record]]:
    """Each record, in upper case, with the place of its first line, such as ``"plasmid.gb:1"``.

    A record's name is its accession with version, which is also the chromosome of its interval, from 0 to its length.

    Raises
    ------
    DataError
        As :func:`report` does: a record that Biopython does not read or warns of, one without letters, one that does
        not end in ``//``.
    """
    for place, text in _entries(path, on_error):
        try:
            record = _record(text)
        except Exception as error:  # Biopython raises whatever it meets in a damaged record
            report(place, error, on_error)
        else:
            yield place, record


def _entries(path: Path, on_error: OnError | None) -> Iterator[tuple[str, str]]:
    """Records one by one, since Biopython's reader does not get over one that it cannot read."""
    start, lines = 0, list[str]()
    try:
        for number, line in numbered_lines(path):
            if not lines and not line.strip():
                continue
            start = start if lines else number
            lines.append(line)
            if line.rstrip() == "//":
                yield f"{path.name}:{start}", "\n".join(lines) + "\n"
                lines = []
        if lines:
            raise DataError(f"the record on line {start} is cut off; expected // as its last line")
        if not start:
            raise DataError("there are no records in it; expected GenBank records, which begin with LOCUS")
    except DataError as error:
        report(path.name, error, on_error)


def _record(text: str) -> Record:
    seqio: Any = require("Bio.SeqIO", extra="genomics")
    bio: Any = require("Bio", extra="genomics")
    seq: Any = require("Bio.Seq", extra="genomics")
    with warnings.catch_warnings():
        # such as letters that are more or fewer than its first line says
        warnings.simplefilter("error", bio.BiopythonParserWarning)
        entry = seqio.read(io.StringIO(text), "genbank")
    try:
        letters = str(entry.seq)
    except seq.UndefinedSequenceError:
        letters = ""
    if not letters:
        raise DataError(f"{entry.id} has no sequence; expected one under ORIGIN")
    return Record(entry.id, letters, Interval(entry.id, 0, len(letters)))
