"""The relevance of each nucleotide as a long table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sciexplain._files import PathName, written
from sciexplain._optional import require

if TYPE_CHECKING:
    from sciexplain.domains.genomics.explanation import SequenceExplanation

_LINES_AT_ONCE = 1 << 20


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
    step = max(1, _LINES_AT_ONCE // explanation.sequences.length)

    def write(file: Path) -> None:
        # The first piece, which may be empty, gives the columns' types.
        first = _lines(arrow, explanation[:step], 0)
        with parquet.ParquetWriter(file, first.schema) as writer:
            writer.write_table(first)
            for start in range(step, len(explanation), step):
                writer.write_table(_lines(arrow, explanation[start : start + step], start))

    return written(path, write)


def _lines(arrow: Any, e: SequenceExplanation, start: int) -> Any:
    sequences, length, count = e.sequences, e.sequences.length, len(e)
    index = np.tile(np.arange(length, dtype=np.int32), count)
    row = np.repeat(np.arange(count, dtype=np.int32), length)
    placed = [i is not None for i in sequences.intervals]
    origin = np.array(
        [0 if i is None else i.end - 1 if i.strand == "-" else i.start for i in sequences.intervals], dtype=np.int64
    )
    step = np.array([-1 if i is not None and i.strand == "-" else 1 for i in sequences.intervals], dtype=np.int64)
    position = origin[row] + step[row] * index
    takes = arrow.array(row)

    def repeated(words: list[str | None]) -> Any:
        return arrow.array(words, arrow.string()).dictionary_encode().take(takes)

    columns = {
        "row": arrow.array(row + np.int32(start)),
        "name": repeated(list(sequences.names)),
        "index": arrow.array(index),
        "chrom": repeated([None if i is None else i.chrom for i in sequences.intervals]),
        "position": arrow.array(position, mask=~np.array(placed, dtype=bool)[row]),
        "strand": repeated([None if i is None else i.strand for i in sequences.intervals]),
        "letter": arrow.array(list("".join(sequences.texts)), arrow.string()).dictionary_encode(),
        "relevance": arrow.array(_flat(e.nucleotides)),
    }
    if e.has_hypothetical:
        for channel, letter in enumerate(sequences.alphabet.letters):
            columns[f"hypothetical_{letter}"] = arrow.array(_flat(e.hypothetical[:, channel]))
    metadata = {"method": e.method, "explained_strand": e.strand, "alphabet": sequences.alphabet.name}
    return arrow.table(columns).replace_schema_metadata(metadata)


def _flat(values: Any) -> Any:
    return values.detach().cpu().reshape(-1).numpy()
