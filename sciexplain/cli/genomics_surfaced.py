"""What surfaces from all explanations of a run together: sites, motifs and genes, written into its folder."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._files import written
from sciexplain.cli.genomics_gathered import Gathered
from sciexplain.domains import genomics
from sciexplain.domains.genomics import Annotation, Genome, Motif
from sciexplain.domains.genomics.formats.frames import write_frame
from sciexplain.errors import SciExplainError
from sciexplain.runs import Finding

_LINKED = (".bed", ".bw", ".gff3", ".h5", ".meme", ".parquet")


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
    failed
        Samples that are not in the results, and why, for the page.
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
    failed: Sequence[tuple[str, str]] = ()


def surfaced(
    gathered: Gathered,
    folder: Path,
    asked: Asked,
    *,
    genome: Genome | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> Finding:
    """Write what the explanations show: relevance along the genome, sites, motifs, their instances, genes, gene sets.

    A step that cannot be done, such as motifs from too few sites, is noted in ``run.json`` and on the page; the others
    are. Each file is there whole or not at all, and all can be written again.

    Returns
    -------
    What came out, and the notes, line by line; counts for ``run.json``.
    """
    found, known = gathered.explanation, asked.known
    steps = _Steps(say, (*known.notes, *gathered.notes))
    if genome is not None and any(found.sequences.intervals):
        steps.do("relevance along the genome", lambda: found.to_bigwig(folder / "relevance.bw", genome.chroms))
    if found.has_hypothetical and len(found.sequences.alphabet) == 4:
        steps.do("files for TF-MoDISco", lambda: genomics.write_modisco_h5(folder / "modisco.h5", found))
    sites = steps.do(
        "sites",
        lambda: genomics.call_sites(found, asked.fdr, sign=asked.sign, shuffles=asked.shuffles, seed=asked.seed),
    )
    if sites is not None:
        _write_table(folder / "sites.parquet", sites, gathered.numbers)
        steps.do("sites as BED and GFF3", lambda: _write_sites(folder, sites, genome))
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
        _write_table(folder / "hits.parquet", hits, gathered.numbers)
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
    _draw(gathered, folder / "pictures", asked.pictures, sites=sites, hits=hits, genes=known.genes)
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
            failed=asked.failed,
            links={name: name for name in sorted({"errors.parquet", *_linked(folder)})},
        ),
    )
    counts = {
        name: None if listed is None else len(listed)
        for name, listed in (("sites", sites), ("motifs", motifs), ("hits", hits), ("genes", genes))
    }
    notes = steps.notes + list(motifs.notes if motifs is not None else ())
    told = ", ".join(f"{name}: {count}" for name, count in counts.items() if count is not None)
    return Finding(
        [f"{told}; open {folder / 'motifs.html'}", *notes],
        {
            "surfaced": {
                "sequences": len(found),
                **counts,
                "genes_at_fdr": None if genes is None else sum(row.q <= asked.fdr for row in genes),
                "gene_sets_at_fdr": None if sets is None else sum(row.q <= asked.fdr for row in sets),
                "notes": notes,
            }
        },
    )


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


def _write_table(path: Path, listed: Any, numbers: NDArray[np.int64]) -> None:
    """Sites or instances, with the numbers of the attempts that they lie in."""
    table = listed.to_pandas()
    table.insert(0, "number", numbers[table["row"].to_numpy()])
    write_frame(path, table)


def _write_sites(folder: Path, sites: Any, genome: Genome | None) -> None:
    if any(site.interval is not None for site in sites):
        sites.to_bed(folder / "sites.bed")
        sites.to_gff3(folder / "sites.gff3", chrom_sizes=None if genome is None else genome.chroms)


def _linked(folder: Path) -> Iterator[str]:
    for file in folder.iterdir():
        if file.suffix in _LINKED and not file.name.startswith("."):
            yield file.name


def _draw(gathered: Gathered, folder: Path, pictures: int, **tracks: Any) -> None:
    """The sequences with the most significant sites, or else the first ones."""
    import matplotlib.pyplot as plt

    found = gathered.explanation
    order = [site.row for site in tracks["sites"] or ()] + list(range(len(found)))
    for row in islice(dict.fromkeys(order), pictures):
        figure = genomics.draw_tracks(found, row, **tracks)
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", found.sequences.names[row])[:60]
        path = folder / f"{gathered.numbers[row]:06d}_{name}.png"
        written(path, partial(figure.savefig, dpi=150))
        plt.close(figure)
