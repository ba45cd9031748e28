"""Explaining every sequence of a file into a run folder, and what surfaces from all of them together."""

import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor

from sciexplain.cli.genomics_question import Question, read_records
from sciexplain.domains import genomics
from sciexplain.domains.genomics import Annotation, Genome, Motif, Record, SequenceExplanation, Sequences
from sciexplain.errors import NonFiniteOutputError, SciExplainError
from sciexplain.runs import Failure, Row, RunWriter, decisions

_LINKED = (".bed", ".bw", ".gff3", ".h5", ".meme", ".parquet")


def explain_sequences(
    question: Question,
    data: Path,
    run: RunWriter,
    *,
    genome: Genome | None = None,
    length: int | None = None,
    pad: bool = False,
    sequence: str | None = None,
    name: str | None = None,
    batch_size: int = 64,
    limit: int | None = None,
    advance: Callable[[int], object] = lambda count: None,
) -> SequenceExplanation | None:
    """Add one row, or one failure, for every sequence in ``data``.

    Parameters
    ----------
    question
        What to explain.
    data
        A file of sequences or of regions.
    run
        Where the rows go.
    genome
        Where the regions lie.
    length
        Letters of each sequence; None: as many as the first has.
    pad
        Fill shorter sequences up with N.
    sequence, name
        Columns of a table.
    batch_size
        Sequences explained at a time.
    limit
        Stop after this many sequences, failed ones included.
    advance
        Told how many sequences are done after each batch.

    Returns
    -------
    All explanations as one; None where every sequence failed.

    Raises
    ------
    SciExplainError
        The question cannot be answered for any sequence: no such layout, no such output, no such rule.
    """
    attempts = read_records(
        data, question.alphabet, genome=genome, length=length, pad=pad, sequence=sequence, name=name
    )
    records = _usable(islice(attempts, limit), run, advance)
    unknown: Counter[tuple[str, str]] = Counter()
    parts: list[SequenceExplanation] = []
    while batch := list(islice(records, batch_size)):
        sequences = question.encoded(batch)
        if not parts:
            question = question.with_layout(sequences)
        for part in _explained(question, sequences, run):
            unknown.update({(u.operation, u.module): u.count for e in part.explanations for u in e.unknown})
            parts.append(part)
        advance(len(batch))
    run.record(
        "operations_without_a_rule",
        [{"operation": name, "module": module, "count": n} for (name, module), n in unknown.items()],
    )
    return genomics.joined(parts) if parts else None


def _usable(attempts: Iterator[Record | Failure], run: RunWriter, advance: Callable[[int], object]) -> Iterator[Record]:
    """The records; failures are recorded."""
    for attempt in attempts:
        if isinstance(attempt, Record):
            yield attempt
        else:
            run.fail(attempt)
            advance(1)


def _explained(question: Question, sequences: Sequences, run: RunWriter) -> Iterator[SequenceExplanation]:
    """A batch, or, where it fails, its sequences one by one; what fails alone is recorded."""
    begun = time.perf_counter()
    try:
        found = question.answer(sequences)
    except Exception as error:  # the user's model may raise anything
        if isinstance(error, SciExplainError) and not isinstance(error, NonFiniteOutputError):
            raise
        if len(sequences) > 1:
            for i in range(len(sequences)):
                yield from _explained(question, sequences[i], run)
        else:
            name = sequences.names[0]
            run.fail(Failure(name, name, f"{type(error).__name__}: {error}", "explain"))
        return
    seconds = (time.perf_counter() - begun) / len(sequences)
    for row in _rows(found, seconds):
        run.add(row)
    yield found


def _rows(found: SequenceExplanation, seconds: float) -> Iterator[Row]:
    outputs = found.explanations[0].output if found.explanations else found.score[:, None]
    over = found.explanations[0].stepped_over if found.explanations else None
    made = (
        decisions(outputs, independent=over == "sigmoid") if isinstance(outputs, Tensor) and outputs.ndim == 2 else None
    )
    relevance = found.nucleotides.float().cpu().numpy()
    for i, (name, interval) in enumerate(zip(found.sequences.names, found.sequences.intervals, strict=True)):
        decision = made[i] if made is not None and len(made) == len(found) else None
        yield Row(
            id=name,
            input=str(interval) if interval is not None else name,
            prediction=None if decision is None else decision.prediction,
            probability=None if decision is None else decision.probability,
            target=None if found.target is None else int(found.target[i]),
            runner_up=None if decision is None else decision.runner_up,
            score=float(found.score[i]),
            relevance=relevance[i],
            shape=relevance[i].shape,
            gap=None,
            picture=None,
            seconds=seconds,
        )


@dataclass(frozen=True)
class Known:
    """Genes, motifs and gene sets of the user's files; None for the steps that are left out.

    They are read before anything is explained, so that a wrong file is told at once.
    """

    genes: Annotation | None
    motifs: tuple[Motif, ...] | None
    gene_sets: Mapping[str, tuple[str, ...]] | None
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, genes: Path | None, motifs: Path | None, gene_sets: Path | None) -> "Known":
        """Read the files; rows that cannot be read become notes.

        Raises
        ------
        DataError
            A file is of another kind, or nothing in it can be read.
        """
        notes: list[str] = []

        def note(place: str, error: SciExplainError) -> None:
            notes.append(str(error) if str(error).startswith(place) else f"{place}: {error}")

        return cls(
            None if genes is None else genomics.read_genes(genes, on_error=note),
            None if motifs is None else genomics.read_motifs(motifs, on_error=note),
            None if gene_sets is None else genomics.read_gmt(gene_sets, on_error=note),
            tuple(notes),
        )


@dataclass(frozen=True)
class Asked:
    """What to look for in all explanations together.

    Attributes
    ----------
    fdr
        Of sites; genes and gene sets are counted at it.
    sign, shuffles
        Of sites, as :func:`~sciexplain.domains.genomics.call_sites` takes them.
    distance
        From a site to the nearest start of a gene, at most, in bp.
    hits
        p-value of a motif's instances.
    min_seqlets
        Fewer make no motif.
    known
        What the sites and motifs are held against.
    pictures
        Sequences to draw.
    seed
        Of shuffles, samples and permutations.
    run
        What the page says was run.
    """

    fdr: float
    sign: Any
    shuffles: int | None
    distance: int
    hits: float
    min_seqlets: int
    known: Known
    pictures: int
    seed: int
    run: Mapping[str, object]


def surfaced(
    found: SequenceExplanation | None,
    run: RunWriter,
    asked: Asked,
    *,
    genome: Genome | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> list[str]:
    """Write what the explanations show: relevance along the genome, sites, motifs, their instances, genes, gene sets.

    A step that cannot be done, such as motifs from too few sites, is noted in ``run.json`` and on the page; the others
    are.

    Returns
    -------
    What came out, and the notes, line by line.
    """
    if found is None:
        return []
    steps, known = _Steps(say, asked.known.notes), asked.known
    folder = run.path
    found.to_parquet(folder / "nucleotides.parquet")
    if genome is not None and any(found.sequences.intervals):
        steps.do("relevance along the genome", lambda: found.to_bigwig(folder / "relevance.bw", genome.chroms))
    if found.has_hypothetical and len(found.sequences.alphabet) == 4:
        steps.do("files for TF-MoDISco", lambda: genomics.write_modisco_h5(folder / "modisco.h5", found))
    sites = steps.do(
        "sites",
        lambda: genomics.call_sites(found, asked.fdr, sign=asked.sign, shuffles=asked.shuffles, seed=asked.seed),
    )
    if sites is not None:
        _write_sites(folder, sites, genome)
    seqlets = sites if sites is not None and len(sites) >= asked.min_seqlets else None  # else TF-MoDISco's own
    motifs = steps.do(
        "motifs",
        lambda: genomics.discover_motifs(found.centred(), seqlets, min_seqlets=asked.min_seqlets, seed=asked.seed),
    )
    if motifs is not None and seqlets is None:
        steps.notes.append(f"motifs: from TF-MoDISco's own seqlets, as there are fewer than {asked.min_seqlets} sites")
    matches = hits = genes = sets = None
    if motifs:
        motifs.to_meme(folder / "motifs.meme")
        if (motifs_known := known.motifs) is not None:
            matches = steps.do("matches", lambda: genomics.match_motifs(motifs, motifs_known))
        hits = steps.do("instances", lambda: genomics.scan_hits(found, motifs, p=asked.hits))
    if hits is not None:
        hits.to_parquet(folder / "hits.parquet")
        steps.do("instances as BED", lambda: hits.to_bed(folder / "hits.bed"))
    if matches is not None:
        matches.to_parquet(folder / "matches.parquet")
    if (annotation := known.genes) is not None and sites:
        genes = steps.do(
            "genes",
            lambda: genomics.link_genes(
                sites, annotation, distance=asked.distance, regions=found.sequences.intervals, seed=asked.seed
            ),
        )
    if genes is not None:
        genes.to_parquet(folder / "genes.parquet")
        genes.to_bed(folder / "genes.bed")
        if (sets_known := known.gene_sets) is not None:
            sets = steps.do("gene sets", lambda: genomics.enrich(genes, sets_known, seed=asked.seed))
    if sets is not None:
        sets.to_parquet(folder / "gene_sets.parquet")
    say("drawing")
    _draw(found, run, asked.pictures, sites=sites, hits=hits, genes=known.genes)
    steps.do(
        "page",
        lambda: genomics.write_page(
            folder / "motifs.html",
            motifs or (),
            matches=matches,
            database=known.motifs if matches is not None else None,
            hits=hits,
            sites=sites if genes is not None else None,
            genes=genes,
            title=f"Motifs in {asked.run['data']}",
            notes=steps.notes,
            run=asked.run,
            failed=[(failure.id, failure.reason) for failure in run.failures],
            links={file.name: file.name for file in sorted(folder.iterdir()) if file.suffix in _LINKED},
        ),
    )
    counts = {
        name: None if listed is None else len(listed)
        for name, listed in (("sites", sites), ("motifs", motifs), ("hits", hits), ("genes", genes))
    }
    notes = steps.notes + list(motifs.notes if motifs is not None else ())
    run.record(
        "surfaced",
        {
            **counts,
            "genes_at_fdr": None if genes is None else sum(row.q <= asked.fdr for row in genes),
            "gene_sets_at_fdr": None if sets is None else sum(row.q <= asked.fdr for row in sets),
            "notes": notes,
        },
    )
    told = ", ".join(f"{name}: {count}" for name, count in counts.items() if count is not None)
    return [f"{told}; open {folder / 'motifs.html'}", *notes]


class _Steps:
    """Steps that may fail without taking the others along."""

    def __init__(self, say: Callable[[str], object], notes: Sequence[str]) -> None:
        self._say = say
        self.notes = list(notes)

    def do(self, name: str, step: Callable[[], Any]) -> Any:
        """What the step returns; None, and a note, where it cannot be done. What it warns of is noted too."""
        self._say(name)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                return step()
            except SciExplainError as error:
                self.notes.append(f"{name}: {error}")
                return None
            finally:
                self.notes += [f"{name}: {w.message}" for w in caught if issubclass(w.category, UserWarning)]


def _write_sites(folder: Path, sites: Any, genome: Genome | None) -> None:
    sites.to_parquet(folder / "sites.parquet")
    if any(site.interval is not None for site in sites):
        sites.to_bed(folder / "sites.bed")
        sites.to_gff3(folder / "sites.gff3", chrom_sizes=None if genome is None else genome.chroms)


def _draw(found: SequenceExplanation, run: RunWriter, pictures: int, **tracks: Any) -> None:
    """The sequences with the most significant sites, or else the first ones."""
    import matplotlib.pyplot as plt

    order = [site.row for site in tracks["sites"] or ()] + list(range(len(found)))
    for row in list(dict.fromkeys(order))[:pictures]:
        figure = genomics.draw_tracks(found, row, **tracks)
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", found.sequences.names[row])[:60]
        figure.savefig(run.pictures / f"{row:06d}_{name}.png", dpi=150)
        plt.close(figure)
