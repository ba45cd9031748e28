"""Explained sequences as a page's script draws them: read from a run one after the other, and packed."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.domains.genomics.annotation import Annotation
from sciexplain.domains.genomics.drawing.gene_track import shown_exons
from sciexplain.domains.genomics.gene import Gene, Spans
from sciexplain.domains.genomics.interval import Interval

_LINES_AT_ONCE = 1 << 17
_HYPOTHETICAL = "hypothetical_"
_PLACE = ("chrom", "position", "strand")


@dataclass(frozen=True, eq=False)
class ExplainedSequence:
    """One sequence of a run's table of nucleotides.

    Attributes
    ----------
    number
        Of the attempt.
    letters
        As explained.
    relevance
        (L,) of its letters.
    interval
        Where it lies; None where that is not known.
    hypothetical
        (letters, L): what each letter would get; None where the method does not tell.
    """

    number: int
    letters: str
    relevance: NDArray[np.float32]
    interval: Interval | None
    hypothetical: NDArray[np.float32] | None


def read_explained(paths: Iterable[Path], numbers: Sequence[int]) -> Iterator[ExplainedSequence]:
    """Sequences of a table of nucleotides, in its order; one is held at a time.

    Parameters
    ----------
    paths
        The table's files, by number.
    numbers
        The attempts that are wanted, ascending.
    """
    wanted = np.asarray(numbers, np.int64)
    if not len(wanted):
        return
    rest: dict[str, NDArray[Any]] = {}
    for path in paths:
        for lines in _batches(path, wanted):
            whole = {name: np.concatenate([rest[name], values]) for name, values in lines.items()} if rest else lines
            edges = np.flatnonzero(np.diff(whole["number"])) + 1
            for start, end in zip([0, *edges], edges, strict=False):
                yield _sequence({name: values[start:end] for name, values in whole.items()})
            last = edges[-1] if len(edges) else 0
            rest = {name: values[last:] for name, values in whole.items()}
    if rest:
        yield _sequence(rest)


def _batches(path: Path, wanted: NDArray[np.int64]) -> Iterator[dict[str, NDArray[Any]]]:
    """Lines of a file that have a wanted number."""
    parquet: Any = require("pyarrow.parquet", extra="genomics")
    with parquet.ParquetFile(path, read_dictionary=["letter", "chrom", "strand"]) as file:
        names = file.schema_arrow.names
        groups = [i for i in range(file.num_row_groups) if _may_have(file.metadata.row_group(i), names, wanted)]
        chosen = ["number", "letter", "relevance", *_PLACE, *(n for n in names if n.startswith(_HYPOTHETICAL))]
        for batch in file.iter_batches(_LINES_AT_ONCE, row_groups=groups, columns=chosen):
            numbers = batch.column("number").to_numpy()
            kept = wanted[np.searchsorted(wanted, numbers).clip(max=len(wanted) - 1)] == numbers
            if kept.any():
                yield {name: _values(batch.column(name))[kept] for name in chosen}


def _may_have(group: Any, names: Sequence[str], wanted: NDArray[np.int64]) -> bool:
    found = group.column(names.index("number")).statistics
    if found is None or not found.has_min_max:
        return True
    return bool(np.searchsorted(wanted, found.max, "right") > np.searchsorted(wanted, found.min, "left"))


def _values(column: Any) -> NDArray[Any]:
    """Texts are objects, of which the many that are alike are one."""
    if hasattr(column, "dictionary"):
        words = np.array([*column.dictionary.to_pylist(), None], object)
        places = column.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
        return np.asarray(words[places])
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _sequence(lines: Mapping[str, NDArray[Any]]) -> ExplainedSequence:
    chrom, strand, interval = lines["chrom"][0], lines["strand"][0], None
    if chrom is not None:
        ends = lines["position"][[0, -1]]
        interval = Interval(chrom, int(ends.min()), int(ends.max()) + 1, strand)
    rows = [values for name, values in lines.items() if name.startswith(_HYPOTHETICAL)]
    return ExplainedSequence(
        int(lines["number"][0]),
        "".join(lines["letter"]),
        lines["relevance"].astype(np.float32),
        interval,
        np.stack(rows).astype(np.float32) if rows else None,
    )


def packed(
    explained: ExplainedSequence, genes: Annotation | None, *, hypothetical_up_to: int | None = None
) -> dict[str, Any]:
    """A sequence as ``templates/report_sequence.js`` takes it.

    Parameters
    ----------
    explained
        The sequence.
    genes
        Of the genome; None where they are not known.
    hypothetical_up_to
        Leave hypothetical contributions of longer sequences out.

    Returns
    -------
    ``letters``; ``relevance``, float32 in base64; ``interval``, as [chrom, start, end, strand], or None;
    ``hypothetical``, None or int16 in base64, letter by letter, and the ``step`` that they count; ``genes`` in the
    interval, each as [name, id, start, end, strand, exons, coding parts] on the chromosome.
    """
    found = explained.interval
    near = () if genes is None or found is None else genes.overlapping(found)
    short = hypothetical_up_to is None or len(explained.letters) <= hypothetical_up_to
    hypothetical = explained.hypothetical if short else None
    return {
        "letters": explained.letters,
        "relevance": _base64(explained.relevance.astype("<f4")),
        "interval": None if found is None else [found.chrom, found.start, found.end, found.strand],
        "hypothetical": None if hypothetical is None else _steps(hypothetical),
        "genes": [_gene(gene, found) for gene in near if found is not None],
    }


def _steps(values: NDArray[np.float32]) -> dict[str, Any]:
    step = float(np.abs(values).max(initial=0)) / 32767 or 1.0
    return {"step": step, "values": _base64(np.round(values / step).astype("<i2"))}


def _gene(gene: Gene, shown: Interval) -> list[Any]:
    exons, coding = shown_exons(gene)
    place = gene.interval
    return [gene.name, gene.id, place.start, place.end, place.strand, _within(exons, shown), _within(coding, shown)]


def _within(spans: Spans, shown: Interval) -> list[list[int]]:
    return [[start, end] for start, end in spans if start < shown.end and end > shown.start]


def _base64(values: NDArray[Any]) -> str:
    return b64encode(values.tobytes()).decode()
