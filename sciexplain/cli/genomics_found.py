"""What a run over sequences found, as its files have it."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet

from sciexplain.domains import genomics
from sciexplain.domains.genomics import Motif
from sciexplain.errors import SciExplainError
from sciexplain.runs import Run

Line = Mapping[str, Any]
"""Of a table."""


class Found:
    """What a run over sequences found, as its files have it.

    Parameters
    ----------
    run
        Over sequences, finished or not.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.options: Mapping[str, Any] = run.info["options"]

    def _lines(self, name: str) -> list[Line] | None:
        path = self._run.path / f"{name}.parquet"
        if not path.is_file():
            return None
        lines: list[Line] = pyarrow.parquet.read_table(path).to_pylist()
        return lines

    @cached_property
    def classes(self) -> bool:
        """Whether the model has classes, and its outputs are their logits."""
        first = self._run.rows.head(1, columns=["prediction"])["prediction"].to_pylist()
        return bool(first) and first[0] is not None

    @property
    def unit(self) -> str:
        """Of the score and all relevance."""
        return "logit" if self.classes else ""

    @cached_property
    def sites(self) -> list[Line] | None:
        """In their order, by q; None where none were sought."""
        return self._lines("sites")

    @cached_property
    def hits(self) -> list[Line]:
        """Instances of motifs."""
        return self._lines("hits") or []

    @cached_property
    def matches(self) -> list[Line]:
        """Known motifs like those found, the best of each first."""
        return self._lines("matches") or []

    @cached_property
    def genes(self) -> list[Line]:
        """Genes that have a site, by q."""
        return self._lines("genes") or []

    @cached_property
    def gene_sets(self) -> list[Line]:
        """By q."""
        return self._lines("gene_sets") or []

    @cached_property
    def motifs(self) -> tuple[Motif, ...]:
        """In their order."""
        path = self._run.path / "motifs.meme"
        return genomics.read_motifs(path) if path.is_file() else ()

    @cached_property
    def known(self) -> Mapping[str, Motif]:
        """The data base that they were compared with, by name; empty where it is not at hand."""
        given = self.options.get("motifs")
        if given is None or not Path(given).is_file():
            return {}
        try:
            read = genomics.read_motifs(Path(given), on_error=lambda place, error: None)
        except SciExplainError:
            return {}
        return {motif.name: motif for motif in reversed(read)}

    def best(self, motif: str) -> str | None:
        """The known motif most like one, at a false discovery rate of 0.05."""
        return next((m["target"] for m in self.matches if m["motif"] == motif and m["q"] <= 0.05), None)

    @cached_property
    def gene_q(self) -> Mapping[str, float]:
        """Of the genes that have a site, by id."""
        return {gene["id"]: gene["q"] for gene in self.genes}

    def sites_of(self, number: int) -> list[list[Any]]:
        """As [start, end, score, q, consensus] in the sequence."""
        return [
            [line["start_in_sequence"], line["end_in_sequence"], line["score"], line["q"], line["consensus"]]
            for line in self._by_number["sites"].get(number, ())
        ]

    def hits_of(self, number: int) -> list[list[Any]]:
        """As [start, end, strand, place among the motifs, contribution, p] in the sequence."""
        place = {motif.name: i for i, motif in enumerate(self.motifs)}
        return [
            [
                *(line[name] for name in ("start_in_sequence", "end_in_sequence", "strand_in_sequence")),
                place[line["motif"]],
                *(line[name] for name in ("contribution", "p")),
            ]
            for line in self._by_number["hits"].get(number, ())
            if line["motif"] in place
        ]

    @cached_property
    def _by_number(self) -> Mapping[str, Mapping[int, list[Line]]]:
        made: dict[str, dict[int, list[Line]]] = {"sites": defaultdict(list), "hits": defaultdict(list)}
        for name, lines in (("sites", self.sites or []), ("hits", self.hits)):
            for line in sorted(lines, key=lambda line: int(line["start_in_sequence"])):
                made[name][line["number"]].append(line)
        return made

    @cached_property
    def motifs_at(self) -> list[list[str]]:
        """For each site the motifs with an instance that overlaps it."""
        hits = defaultdict(list)
        for hit in self.hits:
            hits[hit["number"]].append((hit["start_in_sequence"], hit["end_in_sequence"], hit["motif"]))
        return [
            sorted(
                {
                    motif
                    for start, end, motif in hits[site["number"]]
                    if start < site["end_in_sequence"] and end > site["start_in_sequence"]
                }
            )
            for site in self.sites or ()
        ]

    def genes_of(self, motif: str) -> list[tuple[Line, int]]:
        """Genes linked to sites that overlap its instances, those with most such sites first, and how many."""
        touched = {i for i, motifs in enumerate(self.motifs_at) if motif in motifs}
        counted = [(gene, len(touched.intersection(gene["sites"]))) for gene in self.genes]
        return sorted([pair for pair in counted if pair[1]], key=lambda pair: (-pair[1], pair[0]["q"]))
