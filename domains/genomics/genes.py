"""From binding sites to genes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sciexplain._files import PathName
from sciexplain.domains.genomics.annotation import Annotation, Gene, read_genes
from sciexplain.domains.genomics.formats.lines import OnError
from sciexplain.domains.genomics.gene import joined
from sciexplain.domains.genomics.gene_relation import RELATIONS, relation, starts_of, zone_of
from sciexplain.domains.genomics.gene_table import GeneLink, GeneRow, GeneTable
from sciexplain.domains.genomics.gene_zones import GeneZones, Integers, Line
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.placement import Placement, relevance_at_random
from sciexplain.domains.genomics.statistics import benjamini_hochberg
from sciexplain.errors import DataError, InputError

__all__ = ["GeneLink", "GeneRow", "GeneTable", "PlacedSite", "link_genes"]

_LEVEL = 0.05
_FEWEST = 1000
_AFFORDABLE = 10_000_000  # sites, or genes, times permutations


class PlacedSite(Protocol):
    """What can be linked: a :class:`~sciexplain.domains.genomics.sites.Site`, or anything with these two."""

    @property
    def interval(self) -> Interval | None: ...
    @property
    def score(self) -> float: ...


def link_genes(
    sites: Iterable[PlacedSite | Interval],
    annotation: PathName | Annotation,
    *,
    promoter: tuple[int, int] = (1000, 100),
    distance: int = 100_000,
    regions: Iterable[Interval | None] | None = None,
    chrom_sizes: Mapping[str, int] | None = None,
    permutations: int | None = None,
    seed: int = 0,
    on_error: OnError | None = None,
) -> GeneTable:
    """Link sites to the genes they overlap, else to the gene whose transcription starts nearest.

    A site that overlaps several genes, each with its promoters, is linked to all of them, and so is one that overlaps
    none and lies as near to several starts.

    Parameters
    ----------
    sites
        With ``interval`` and ``score``, as :func:`~sciexplain.domains.genomics.sites.call_sites` returns them, or plain
        intervals, which score 1. Their strand does not matter.
    annotation
        GFF3, GTF or BED file, or what was read from one.
    promoter
        In bp upstream and downstream of each transcript's start, whose first base is downstream. Genes without a
        strand have none.
    distance
        In bp: how far a site may be from the nearest start.
    regions
        What was searched for sites, such as ``explanation.sequences.intervals``. None: whole chromosomes, of those that
        have a site. It decides the p-values: if only promoters were explained, say so here.
    chrom_sizes
        In bp; where ``regions`` is None. A chromosome that is not in it ends with its last gene or site.
    permutations, seed
        How often the sites are placed at random, and from which seed. None: as often as one gene alone needs to reach
        q = 0.05, but at least 1000 times, and beyond that no more than some seconds allow.
    on_error
        For rows of the file that cannot be read, see :func:`~sciexplain.domains.genomics.annotation.read_genes`.

    Raises
    ------
    DataError
        The annotation cannot be read or has no genes; no site has a place on the genome, or none on a chromosome with
        genes.
    InputError
        A score is not finite, a site lies outside the regions, or an option is out of its range.

    Notes
    -----
    Each permutation puts every site anywhere within the regions, all places equally likely, with its width and score;
    sites that overlap move as one. The p-value of a gene is (1 + permutations in which it got as much relevance) /
    (1 + permutations): genes that are long, or far from others, catch more sites and are held to more. Of m genes in
    the background, one alone can reach q ≤ α only where permutations ≥ m / α.

    Examples
    --------
    >>> from sciexplain.domains.genomics.annotation import Annotation, Gene
    >>> abc = Gene("g1", "ABC1", Interval("chr1", 5000, 6000, "+"))
    >>> xyz = Gene("g2", "XYZ2", Interval("chr1", 9000, 9900, "-"))
    >>> sites = [Interval("chr1", 4200, 4210), Interval("chr1", 12000, 12010)]
    >>> table = link_genes(sites, Annotation.of([abc, xyz]))
    >>> [(link.name, link.relation, link.distance) for link in table.links]
    [('ABC1', 'promoter', -791), ('XYZ2', 'upstream', -2101)]
    """
    _check(promoter, distance, permutations)
    genes = (annotation if isinstance(annotation, Annotation) else read_genes(annotation, on_error=on_error)).genes
    if not genes:
        raise DataError("the annotation has no genes")
    places, scores = _placed(sites)
    unlinked = _without_genes(places, genes)
    on = np.array([i for i in range(len(places)) if i not in unlinked], dtype=np.int64)
    placed = [place for i, place in enumerate(places) if place is not None and i not in unlinked]
    relevance = np.abs(scores[on])
    starts = [starts_of(gene) for gene in genes]
    zones = [zone_of(gene, at, promoter) for gene, at in zip(genes, starts, strict=True)]
    searched = _searched(regions, placed, zones, chrom_sizes)
    line = Line.of([*zones, *searched], gap=distance + 1)
    here, there = line.spans(placed), line.spans(searched)
    _check_inside(placed, here, there)
    near = GeneZones.of(
        *line.spans(zones),
        line.positions((gene.interval.chrom, start) for gene, at in zip(genes, starts, strict=True) for start, _ in at),
        np.array([i for i, at in enumerate(starts) for _ in at], dtype=np.int64),
        distance,
    )
    site, gene, _ = near.links(*here)
    known = near.within(*there)
    column = np.searchsorted(known, gene)
    observed = np.bincount(column, weights=relevance[site], minlength=len(known))
    if permutations is None:
        enough, affordable = round(len(known) / _LEVEL), _AFFORDABLE // max(len(known), len(placed), 1)
        permutations = max(_FEWEST, min(enough, affordable))
    placement = Placement.of(*here, there)
    as_much, met = relevance_at_random(
        near, placement, relevance, known, observed, permutations=permutations, seed=seed
    )
    p = (1 + as_much) / (1 + permutations)
    q = benjamini_hochberg(p)
    found: dict[int, list[GeneLink]] = {}
    for s, g in sorted(zip(site.tolist(), gene.tolist(), strict=True)):
        how = relation(genes[g], placed[s].start, placed[s].end, promoter)
        found.setdefault(g, []).append(GeneLink(int(on[s]), genes[g].id, genes[g].name, *how))
    chance = dict(zip(known.tolist(), zip(p.tolist(), q.tolist(), strict=True), strict=True))
    rows = [_row(genes[g], of_gene, scores, *chance[g]) for g, of_gene in found.items()]
    for s in set(range(len(placed))) - set(site.tolist()):
        unlinked[int(on[s])] = f"{placed[s]} overlaps no gene, and none starts within {distance} bp"
    return GeneTable(
        tuple(sorted(rows, key=lambda row: (row.p, -row.relevance, row.chrom, row.start, row.id))),
        tuple(
            sorted((link for of_gene in found.values() for link in of_gene), key=lambda link: (link.site, link.gene))
        ),
        dict(sorted(unlinked.items())),
        tuple(genes[g] for g in known.tolist()),
        searched,
        permutations,
        met,
    )


def _row(gene: Gene, links: Sequence[GeneLink], scores: NDArray[np.float64], p: float, q: float) -> GeneRow:
    sites = tuple(link.site for link in links)
    own = scores[list(sites)]
    best = min(links, key=lambda link: (RELATIONS.index(link.relation), abs(link.distance)))
    place = gene.interval
    return GeneRow(
        gene.id,
        gene.name,
        place.chrom,
        place.start,
        place.end,
        place.strand,
        sites,
        float(np.abs(own).sum()),
        float(own.sum()),
        best.relation,
        best.distance,
        p,
        q,
    )


def _check(promoter: tuple[int, int], distance: int, permutations: int | None) -> None:
    if len(promoter) != 2 or min(promoter) < 0:
        raise InputError(f"promoter={promoter}; expected bp upstream and downstream, both 0 or above.")
    if distance < 0:
        raise InputError(f"distance={distance}; expected bp, 0 or above.")
    if permutations is not None and permutations < 1:
        raise InputError(f"permutations={permutations}; expected at least 1.")


def _placed(sites: Iterable[PlacedSite | Interval]) -> tuple[list[Interval | None], NDArray[np.float64]]:
    places: list[Interval | None] = []
    scores = []
    for i, site in enumerate(sites):
        try:
            place, score = (site, 1.0) if isinstance(site, Interval) else (site.interval, float(site.score))
        except AttributeError as error:
            raise InputError(f"site {i} is {site!r}; expected an Interval, or interval and score.") from error
        if not np.isfinite(score):
            raise InputError(f"site {i}, at {place}, has the score {score}; expected a finite one.")
        places.append(place)
        scores.append(score)
    return places, np.array(scores, dtype=np.float64)


def _without_genes(places: Sequence[Interval | None], genes: Sequence[Gene]) -> dict[int, str]:
    chroms = dict.fromkeys(gene.interval.chrom for gene in genes)
    reasons = {}
    for i, place in enumerate(places):
        if place is None:
            reasons[i] = "its sequence has no place on the genome"
        elif place.chrom not in chroms:
            reasons[i] = f"no gene is on {place.chrom}"
    if places and len(reasons) == len(places):
        raise DataError(
            f"none of the {len(places)} sites can be linked to a gene; of the first, {reasons[0]}, and genes are on "
            f"{', '.join(list(chroms)[:5])}: do both name chromosomes alike?"
        )
    return reasons


def _searched(
    regions: Iterable[Interval | None] | None,
    sites: Sequence[Interval],
    zones: Sequence[Interval],
    chrom_sizes: Mapping[str, int] | None,
) -> tuple[Interval, ...]:
    """Regions on chromosomes with genes, apart from each other."""
    with_genes = dict.fromkeys(zone.chrom for zone in zones)
    spans: dict[str, list[tuple[int, int]]] = {}
    if regions is None:
        ends = Counter({site.chrom: 0 for site in sites})
        for place in (*zones, *sites):
            if place.chrom in ends:
                ends[place.chrom] = max(ends[place.chrom], place.end)
        spans = {chrom: [(0, (chrom_sizes or {}).get(chrom, end))] for chrom, end in ends.items()}
    else:
        for region in regions:
            if region is not None and region.chrom in with_genes:
                spans.setdefault(region.chrom, []).append((region.start, region.end))
    return tuple(Interval(chrom, a, b) for chrom in with_genes if chrom in spans for a, b in joined(spans[chrom]))


def _check_inside(sites: Sequence[Interval], here: tuple[Integers, Integers], there: tuple[Integers, Integers]) -> None:
    (begin, end), (low, high) = here, there
    region = np.searchsorted(low, begin, side="right") - 1
    outside = region < 0
    outside[~outside] |= end[~outside] > high[region[~outside]]
    if outside.any():
        raise InputError(
            f"{outside.sum()} of {len(sites)} sites lie outside the regions, first {sites[int(outside.argmax())]}; "
            "expected regions= to hold all that was searched for sites, and chrom_sizes= those of the same assembly."
        )
