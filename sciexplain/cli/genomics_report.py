"""What a run over sequences adds to its report: tracks of relevance with sites, motifs, genes, and tables of these."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow.compute
import pyarrow.parquet

from sciexplain.cli.genomics_findings import findings
from sciexplain.cli.genomics_found import Found
from sciexplain.cli.reopened import Reopened
from sciexplain.domains import genomics
from sciexplain.domains.genomics import Annotation
from sciexplain.domains.genomics.alphabet import Alphabet, alphabet_of
from sciexplain.domains.genomics.drawing.letter_view import letter_view
from sciexplain.domains.genomics.drawing.sequence_view import packed, read_explained
from sciexplain.errors import SciExplainError
from sciexplain.report import Content, Table
from sciexplain.runs import Run

_ASSETS = ("report_sequence.js", "report_sequence_paint.js", "report_sequence_track.js", "report_sequence.css")
_FILES = (
    *("sites.bed", "sites.gff3", "hits.bed", "genes.bed", "relevance.bw", "motifs.meme", "motifs.html", "modisco.h5"),
    *(f"{name}.parquet" for name in ("sites", "hits", "matches", "genes", "gene_sets")),
)
_OF_CLASS = ("speaks for the explained class", "speaks against it")
_OF_OUTPUT = ("raises the output", "lowers it")
_LONGEST, _HYPOTHETICAL_UP_TO = 1_000_000, 50_000
"""Letters of a sequence that is drawn, and with hypothetical contributions: its file takes 6 and 18 bytes for each."""


def content(run: Run, opened: Reopened | None) -> "SequenceContent":
    """What a report of this run shows; of the model only the names of its classes are asked."""
    return SequenceContent(run, None if opened is None else opened.model)


class SequenceContent(Content):
    """See :class:`sciexplain.report.Content`.

    Parameters
    ----------
    run
        Over sequences.
    model
        That it explained; None where it is not at hand.
    """

    view = "sequence"

    def __init__(self, run: Run, model: Any = None) -> None:
        self._run, self._model = run, model

    def assets(self) -> Mapping[str, bytes]:
        templates = files("sciexplain.domains.genomics").joinpath("templates")
        return {name: templates.joinpath(name).read_bytes() for name in _ASSETS}

    def files(self) -> tuple[str, ...]:
        """Files of the run that other programs read."""
        return tuple(name for name in _FILES if (self._run.path / name).is_file())

    def meta(self) -> Mapping[str, Any]:
        found, (genes, note) = self._found, self._genes
        there = {"sites": found.sites is not None, "hits": bool(found.motifs), "genes": genes is not None}
        long = len(self._too_long)
        return {
            "noun": "sequences",
            "unit": found.unit,
            "classes": getattr(self._model, "tasks", None) if found.classes else None,
            "says": _OF_CLASS if found.classes else _OF_OUTPUT,
            "alphabet": self._alphabet.name,
            **letter_view(self._alphabet),
            "tracks": [kind for kind, shown in there.items() if shown],
            "motifs": [{"name": motif.name, "match": found.best(motif.name)} for motif in found.motifs],
            "notes": [
                *([note] if note else []),
                *([f"{long} sequences of more than {_LONGEST:,} letters have no drawing."] if long else []),
            ],
        }

    def samples(self, numbers: Sequence[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        found = self._found
        drawn = numbers if not self._too_long else [n for n in numbers if n not in self._too_long]
        for explained in read_explained(self._nucleotides, drawn):
            made = packed(explained, self._genes[0], hypothetical_up_to=_HYPOTHETICAL_UP_TO)
            for gene in made["genes"]:
                gene.append(found.gene_q.get(gene[1]))
            number = explained.number
            yield number, {**made, "sites": found.sites_of(number), "hits": found.hits_of(number)}

    def tables(self) -> Iterator[Table]:
        return findings(self._found)

    # ---- what the run holds

    @cached_property
    def _found(self) -> Found:
        return Found(self._run)

    @cached_property
    def _nucleotides(self) -> list[Path]:
        """Files of the table of nucleotides."""
        return sorted((self._run.path / "nucleotides.parquet").glob("part-*.parquet"))

    @cached_property
    def _too_long(self) -> frozenset[int]:
        """Attempts whose sequences are not drawn."""
        batches = self._run.rows.to_batches(columns=["number", "shape"])
        lengths = ((batch["number"], pyarrow.compute.list_element(batch["shape"], 0)) for batch in batches)
        long = (numbers.filter(pyarrow.compute.greater(length, _LONGEST)) for numbers, length in lengths)
        return frozenset(number for numbers in long for number in numbers.to_pylist())

    @cached_property
    def _alphabet(self) -> Alphabet:
        for part in self._nucleotides[:1]:
            told = (pyarrow.parquet.read_schema(part).metadata or {}).get(b"alphabet")
            return alphabet_of(told.decode() if told else "DNA")
        return alphabet_of("DNA")

    @cached_property
    def _genes(self) -> tuple[Annotation | None, str]:
        """Those of the file that the run was given, if it is there and as it was; else why they are not drawn."""
        given = self._run.info["options"].get("genes")
        if given is None:
            return None, ""
        path = Path(given)
        if not path.is_file():
            return None, f"Genes are not drawn: {path}, which the run was given, is not there."
        then = {file["path"]: file["sha256"] for file in self._run.info["data"]["files"]}.get(str(given))
        if then is not None and sha256(path.read_bytes()).hexdigest() != then:
            return None, f"Genes are not drawn: {path} is not what it was when the run was made."
        try:
            return genomics.read_genes(path, on_error=lambda place, error: None), ""
        except SciExplainError as error:
            return None, f"Genes are not drawn: {error}"
