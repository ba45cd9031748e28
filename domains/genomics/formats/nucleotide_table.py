"""The relevance of each nucleotide as a long table, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.genomics.alphabet import Alphabet
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record

if TYPE_CHECKING:
    from sciexplain.domains.genomics.explanation import SequenceExplanation

_LINES_AT_ONCE = 1 << 20
_HYPOTHETICAL = "hypothetical_"


def schema_of(alphabet: Alphabet, *, hypothetical: bool, **metadata: str) -> Any:
    """Columns of the table, as Arrow has them; see :func:`write_parquet`.

    Parameters
    ----------
    alphabet
        Of the sequences.
    hypothetical
        Whether the method defines hypothetical contributions.
    **metadata
        To go with it, such as ``method``.
    """
    arrow: Any = require("pyarrow", extra="genomics")
    text, number = arrow.string(), arrow.float32()
    fields = {
        "name": text, "index": arrow.int32(), "chrom": text, "position": arrow.int64(), "strand": text, "letter": text,
        "relevance": number,
    }  # fmt: skip
    fields |= dict.fromkeys((f"{_HYPOTHETICAL}{letter}" for letter in alphabet.letters if hypothetical), number)
    return arrow.schema(fields, metadata | {"alphabet": alphabet.name})


def columns_of(explanation: SequenceExplanation, letters: Sequence[str] | None = None) -> dict[str, Any]:
    """The columns of :func:`schema_of`, as arrays of Arrow or NumPy with a line for each nucleotide of each sequence.

    Parameters
    ----------
    explanation
        Of N sequences of length L.
    letters
        As they were given, ambiguous ones too; None: as they were encoded, with N for these.
    """
    arrow: Any = require("pyarrow", extra="genomics")
    e, sequences, length = explanation, explanation.sequences, explanation.sequences.length
    count = len(e)
    row = np.repeat(np.arange(count, dtype=np.int32), length)
    index = np.tile(np.arange(length, dtype=np.int32), count)
    placed = np.array([i is not None for i in sequences.intervals], dtype=bool)
    origin, step = np.zeros(count, np.int64), np.ones(count, np.int64)
    for i, place in enumerate(sequences.intervals):
        if place is not None:
            origin[i], step[i] = (place.end - 1, -1) if place.strand == "-" else (place.start, 1)
    takes = arrow.array(row)

    def repeated(words: Sequence[str | None]) -> Any:
        return arrow.array(words, arrow.string()).take(takes)

    texts = sequences.texts if letters is None else [text.upper() for text in letters]
    bytes_ = np.frombuffer("".join(texts).encode("ascii", "replace"), np.uint8)
    offsets = np.arange(len(bytes_) + 1, dtype=np.int32)
    columns = {
        "name": repeated(sequences.names),
        "index": index,
        "chrom": repeated([None if i is None else i.chrom for i in sequences.intervals]),
        "position": arrow.array(origin[row] + step[row] * index, mask=None if placed.all() else ~placed[row]),
        "strand": repeated([None if i is None else i.strand for i in sequences.intervals]),
        "letter": arrow.StringArray.from_buffers(len(bytes_), arrow.py_buffer(offsets), arrow.py_buffer(bytes_)),
        "relevance": _flat(e.nucleotides),
    }
    if e.has_hypothetical:
        for channel, letter in enumerate(sequences.alphabet.letters):
            columns[f"{_HYPOTHETICAL}{letter}"] = _flat(e.hypothetical[:, channel])
    return columns


def write_parquet(path: PathName, explanation: SequenceExplanation) -> Path:
    """Write a line for each nucleotide of each sequence as Parquet.

    Columns: ``row`` and ``name`` of the sequence; ``index``, the letter's place in it, from 0; ``chrom``,
    ``position`` (0-based) and ``strand`` on the genome, null where that is not known; ``letter``, as explained, so that
    those of the minus strand are complements of the genome's; ``relevance``; and ``hypothetical_A``, … for each letter
    where the method defines it. Method, strand and the sequences' alphabet stand in the file's metadata.

    Parameters
    ----------
    path
        An existing file is replaced only when the new one is complete.
    explanation
        It is written in pieces of about a million lines.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    arrow: Any = require("pyarrow", extra="genomics")
    parquet: Any = require("pyarrow.parquet", extra="genomics")
    e, length = explanation, explanation.sequences.length
    about = {"method": e.method, "explained_strand": e.strand}
    own = schema_of(e.sequences.alphabet, hypothetical=e.has_hypothetical, **about)
    schema = arrow.schema([arrow.field("row", arrow.int32()), *own], own.metadata)
    step = max(1, _LINES_AT_ONCE // length)

    def write(file: Path) -> None:
        with parquet.ParquetWriter(file, schema) as writer:
            for start in range(0, max(len(e), 1), step):
                part = e[start : start + step]
                row = np.repeat(np.arange(start, start + len(part), dtype=np.int32), length)
                writer.write_table(arrow.table({"row": row, **columns_of(part)}, schema))

    return written(path, write)


def records_of(table: Any, length: int) -> list[Record]:
    """The sequences of a table, each of so many lines."""
    arrow: Any = require("pyarrow", extra="genomics")
    first = table.take(arrow.array(np.arange(0, table.num_rows, length)))
    letters = "".join(table["letter"].to_pylist())
    records = []
    columns = (first[name].to_pylist() for name in ("name", "chrom", "position", "strand"))
    for i, (name, chrom, position, strand) in enumerate(zip(*columns, strict=True)):
        place = None
        if chrom is not None:
            start = position - length + 1 if strand == "-" else position
            place = Interval(chrom, start, start + length, strand)
        records.append(Record(name, letters[i * length : (i + 1) * length], place))
    return records


def relevance_of(table: Any, length: int, alphabet: Alphabet) -> tuple[torch.Tensor, torch.Tensor | None]:
    """``nucleotides`` (N, L) and ``hypothetical`` (N, letters, L), or None, of the sequences of a table."""

    def matrix(name: str) -> NDArray[np.float32]:
        return np.array(table[name].to_numpy(), np.float32).reshape(-1, length)

    names = [f"{_HYPOTHETICAL}{letter}" for letter in alphabet.letters]
    nucleotides = torch.from_numpy(matrix("relevance"))
    if not set(names) <= set(table.column_names):
        return nucleotides, None
    return nucleotides, torch.from_numpy(np.stack([matrix(name) for name in names], 1))


def _flat(values: torch.Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.detach().cpu().float().numpy()).reshape(-1)
