"""The explanations of a run, gathered from its shards so that all of them can be looked at together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciexplain.cli.genomics_question import Question
from sciexplain.domains import genomics
from sciexplain.domains.genomics import Record, SequenceExplanation
from sciexplain.domains.genomics.formats.nucleotide_table import records_of, relevance_of
from sciexplain.errors import DataError
from sciexplain.runs import Run

_SHARDS = 1000
_LETTERS = 2**26


@dataclass(frozen=True)
class Gathered:
    """What a run found about sequences of one length.

    Attributes
    ----------
    explanation
        Of N of them, to be asked again about others.
    numbers
        N: of their attempts.
    notes
        What was left out, and why.
    """

    explanation: SequenceExplanation
    numbers: NDArray[np.int64]
    notes: tuple[str, ...] = field(default=())


def gathered(run: Run, question: Question, most: int) -> Gathered | None:
    """Rebuild the explanation of all sequences from the rows and the table of nucleotides; None where no rows are.

    Sequences that are longer or shorter than most are left out, since sites and motifs are sought in sequences of one
    length. Of more than ``most``, or of more letters than fit into memory, some are drawn at even distances.

    Raises
    ------
    DataError
        The table of nucleotides does not fit the rows.
    """
    shards = [path for path in run.shards.values() if pq.read_metadata(path).num_rows]
    total = sum(pq.read_metadata(path).num_rows for path in shards)
    if not total:
        return None
    enough = max(_SHARDS, math.ceil(2 * len(shards) * most / total))
    some = shards if len(shards) <= enough else [shards[i] for i in _evenly(len(shards), enough)]
    rows = pq.ParquetDataset(some).read(columns=["number", "score", "target", "shape"])
    lengths = pc.list_element(rows["shape"], 0).to_numpy()
    known, counts = np.unique(lengths, return_counts=True)
    length = int(known[counts == counts.max()].max())
    kept = np.flatnonzero(lengths == length)
    notes = []
    if len(kept) < len(lengths):
        notes.append(
            f"sites and motifs: of the {len(kept)} sequences of {length} letters; {len(lengths) - len(kept)} have "
            "other lengths (--length brings all to one)"
        )
    there, limit = len(kept), max(1, min(most, _LETTERS // length))
    kept = kept if there <= limit else kept[_evenly(there, limit)]
    if len(some) < len(shards) or len(kept) < there:
        notes.append(f"sites and motifs: of {len(kept)} sequences, evenly drawn of {total} (--surface-limit)")
    rows = rows.take(kept)
    numbers, target = rows["number"].to_numpy(), None
    if not rows["target"].null_count:
        target = torch.from_numpy(rows["target"].to_numpy().copy())
    records, nucleotides, hypothetical = _read(
        [run.path / "nucleotides.parquet" / path.name for path in some], numbers, length, question
    )
    explanation = SequenceExplanation.of(
        question.encoded(records),
        nucleotides=nucleotides,
        hypothetical=hypothetical,
        score=torch.from_numpy(rows["score"].to_numpy().astype(np.float32)),
        target=target,
        method=question.method,
        strand=question.strand,
        again=question.about(question.target if target is None else target),
    )
    return Gathered(explanation, numbers, tuple(notes))


def _evenly(there: int, wanted: int) -> NDArray[np.int64]:
    """So many places, in order, at even distances."""
    return np.arange(wanted) * there // wanted


def _read(
    paths: Sequence[Path], numbers: NDArray[np.int64], length: int, question: Question
) -> tuple[list[Record], Tensor, Tensor | None]:
    """The sequences of these attempts and their relevance, from a table of nucleotides."""
    alphabet = genomics.alphabet_of(question.alphabet)
    records: list[Record] = []
    nucleotides, hypothetical = list[Tensor](), list[Tensor | None]()
    for path in paths:
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}: cannot be read: {error}") from error
        own = table["number"].to_numpy()
        wanted = numbers[np.searchsorted(numbers, own).clip(max=len(numbers) - 1)] == own
        if wanted.any():
            table = table if wanted.all() else table.filter(pa.array(wanted))
            found = relevance_of(table, length, alphabet)
            records += records_of(table, length)
            nucleotides.append(found[0])
            hypothetical.append(found[1])
    if len(records) != len(numbers):
        raise DataError(f"{paths[0].parent} has {len(records)} of {len(numbers)} sequences of the rows; run it anew")
    parts = [part for part in hypothetical if part is not None]
    return records, torch.cat(nucleotides), torch.cat(parts) if len(parts) == len(hypothetical) else None
