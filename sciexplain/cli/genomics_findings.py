"""What all sequences of a run show together: motifs, what they match, their instances, sites, genes, gene sets."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from sciexplain.cli.genomics_found import Found, Line
from sciexplain.domains.genomics import Motif
from sciexplain.domains.genomics.drawing.logo_url import logo_url
from sciexplain.report import Column, Table

_MOST = 50_000
"""Lines of a table on the page."""
_TOP_GENES = 5
_MATCHES_WITH_LOGOS = 300
_SCALE = 0.6
_WHERE = {"cds": "coding", "five_prime_utr": "5′ UTR", "three_prime_utr": "3′ UTR"}

Columns = Sequence[tuple[Column, Callable[[Any], Any]]]
"""Each with what it says of a line."""


def findings(found: Found) -> Iterator[Table]:
    """The tables that the run has something for."""
    for make, lines in (
        (_motifs, found.motifs),
        (_matches, found.matches),
        (_hits, found.hits),
        (_sites, found.sites),
        (_genes, found.genes),
        (_gene_sets, found.gene_sets),
    ):
        if lines:
            yield make(found)


def _motifs(found: Found) -> Table:
    hits: dict[str, list[Line]] = defaultdict(list)
    for hit in found.hits:
        hits[hit["motif"]].append(hit)
    best: dict[str, Line] = {}
    for match in found.matches:
        best.setdefault(match["motif"], match)

    def mean(motif: Motif) -> float | None:
        own = [hit["contribution"] for hit in hits[motif.name]]
        return float(np.mean(own)) if own else None

    def genes(motif: Motif) -> str:
        return ", ".join(_gene(gene) for gene, _ in found.genes_of(motif.name)[:_TOP_GENES])

    columns: Columns = (
        (Column("motif"), lambda motif: motif.name),
        (Column("logo", "image"), _logo),
        (Column("best match"), lambda motif: best[motif.name]["target"] if motif.name in best else ""),
        (Column("q", "number"), lambda motif: best[motif.name]["q"] if motif.name in best else None),
        (Column("seqlets", "number"), lambda motif: motif.count),
        (Column("instances", "number"), lambda motif: len(hits[motif.name])),
        (Column("sequences", "number"), lambda motif: len({hit["number"] for hit in hits[motif.name]})),
        (Column("mean relevance", "number", found.unit), mean),
        (Column("strongest in", "sample"), lambda motif: _strongest(hits[motif.name], "contribution")),
        (Column("genes at its sites"), genes),
        (Column("consensus"), lambda motif: motif.consensus),
        (Column("reverse complement", "image"), lambda motif: _logo(motif.reverse_complement())),
    )
    note = (
        "Motifs that relevance shows, by TF-MoDISco. Logos are in bits, 2 at most; a seqlet is a relevant stretch that "
        "went into a motif, an instance a place found by scanning all sequences, with the relevance of its letters. "
        "q: false discovery rate at which the best known motif would be called one."
    )
    return _table("motifs", "Motifs", columns, found.motifs, note)


def _matches(found: Found) -> Table:
    own = {motif.name: motif for motif in found.motifs}
    known = found.known if len(found.matches) <= _MATCHES_WITH_LOGOS else {}

    def logos(match: Line) -> tuple[str, str]:
        mine, theirs = own.get(match["motif"]), known.get(match["target"])
        if mine is None or theirs is None:
            return "", ""
        return _lined_up(mine, theirs.reverse_complement() if match["strand"] == "-" else theirs, match["offset"])

    columns: Columns = (
        (Column("motif"), lambda match: match["motif"]),
        (Column("its logo", "image"), lambda match: logos(match)[0]),
        (Column("known motif"), lambda match: match["target"]),
        (Column("that one's, lined up", "image"), lambda match: logos(match)[1]),
        (Column("p", "number"), lambda match: match["p"]),
        (Column("E", "number"), lambda match: match["e"]),
        (Column("q", "number"), lambda match: match["q"]),
        (Column("strand"), _strand),
        (Column("overlap", "number", "bp"), lambda match: match["overlap"]),
    )
    note = (
        "Known motifs most like those found, by Tomtom. p: chance of a motif of columns drawn from the data base's to "
        "align as well; E: how many such are expected; − strand: it looks like the known one's reverse complement."
    )
    return _table("matches", "Matches", columns, found.matches, note)


def _hits(found: Found) -> Table:
    lines = sorted(found.hits, key=lambda hit: -abs(hit["contribution"]))
    columns: Columns = (
        (Column("motif"), lambda hit: hit["motif"]),
        (Column("known as"), lambda hit: found.best(hit["motif"]) or ""),
        (Column("sample", "sample"), lambda hit: hit["number"]),
        (Column("sequence"), lambda hit: hit["name"]),
        (Column("place"), _place),
        (Column("strand"), _strand),
        (Column("relevance", "number", found.unit), lambda hit: hit["contribution"]),
        (Column("p", "number"), lambda hit: hit["p"]),
        (Column("similarity", "number"), lambda hit: hit["similarity"]),
    )
    note = (
        "Where motifs occur: p, of so good a match in random letters; similarity, of the letters' relevance to the "
        "motif's, 1 at most."
    )
    return _table("hits", "Instances of motifs", columns, lines, note, "the most relevant")


def _sites(found: Found) -> Table:
    linked: dict[int, list[str]] = defaultdict(list)
    for gene in found.genes:
        for place in gene["sites"]:
            linked[place].append(_gene(gene))
    columns: Columns = (
        (Column("sample", "sample"), lambda site: site[1]["number"]),
        (Column("sequence"), lambda site: site[1]["name"]),
        (Column("place"), lambda site: _place(site[1])),
        (Column("strand"), lambda site: _strand(site[1])),
        (Column("letters"), lambda site: site[1]["consensus"]),
        (Column("relevance", "number", found.unit), lambda site: site[1]["score"]),
        (Column("p", "number"), lambda site: site[1]["p"]),
        (Column("q", "number"), lambda site: site[1]["q"]),
        (Column("motifs"), lambda site: ", ".join(found.motifs_at[site[0]])),
        (Column("genes"), lambda site: ", ".join(linked[site[0]])),
    )
    note = (
        "Stretches whose relevance exceeds what shuffled sequences show, at a false discovery rate of "
        f"{found.options.get('fdr')}. In capitals: letters that their place prefers."
    )
    return _table("sites", "Sites", columns, list(enumerate(found.sites or ())), note)


def _genes(found: Found) -> Table:
    sites = found.sites or []

    def strongest(gene: Line) -> int | None:
        return _strongest([sites[i] for i in gene["sites"] if i < len(sites)], "score")

    named = any(gene["name"] not in ("", gene["id"]) for gene in found.genes)
    columns: Columns = (
        (Column("gene"), _gene),
        (Column("id"), lambda gene: gene["id"] if named else ""),
        (Column("place"), _place),
        (Column("strand"), _strand),
        (Column("sites", "number"), lambda gene: len(gene["sites"])),
        (Column("where"), lambda gene: _WHERE.get(gene["relation"], gene["relation"])),
        (Column("to its start", "number", "bp"), lambda gene: gene["distance"]),
        (Column("|relevance|", "number", found.unit), lambda gene: gene["relevance"]),
        (Column("relevance", "number", found.unit), lambda gene: gene["score"]),
        (Column("p", "number"), lambda gene: gene["p"]),
        (Column("q", "number"), lambda gene: gene["q"]),
        (Column("strongest site in", "sample"), strongest),
    )
    note = (
        "Genes with a site within reach. Where: what the nearest site overlaps, or on which side of the start of "
        "transcription it lies; below 0 bp upstream. p: chance of as much relevance if the sites lay anywhere in the "
        "regions; q over all genes within reach."
    )
    return _table("genes", "Genes", columns, found.genes, note)


def _gene_sets(found: Found) -> Table:
    columns: Columns = (
        (Column("set"), lambda one: one["name"]),
        (Column("its genes within reach", "number"), lambda one: one["size"]),
        (Column("with a site", "number"), lambda one: one["overlap"]),
        (Column("odds ratio", "number"), lambda one: one["odds_ratio"]),
        (Column("ES", "number"), lambda one: one["es"]),
        (Column("NES", "number"), lambda one: one["nes"]),
        (Column("p", "number"), lambda one: one["p"]),
        (Column("q", "number"), lambda one: one["q"]),
        (Column("genes"), lambda one: ", ".join(one["genes"])),
    )
    method = found.gene_sets[0]["method"]
    how = {"ora": "over-representation", "gsea": "ranks"}.get(method, method)
    note = f"Gene sets that genes with sites are enriched in, by {how}."
    return _table("gene_sets", "Gene sets", columns, found.gene_sets, note)


def _table(key: str, title: str, columns: Columns, lines: Sequence[Any], note: str, which: str = "the first") -> Table:
    """Without columns that have nothing to say; of very many lines, some."""
    shown = lines[:_MOST]
    filled = [(column, [say(line) for line in shown]) for column, say in columns]
    # what is not a number is not equal to itself
    kept = [(column, values) for column, values in filled if any(v not in ("", None) and v == v for v in values)]
    rows = list(zip(*(values for _, values in kept), strict=True))
    if len(shown) < len(lines):
        note += f" Shown are {which} {len(shown):,} of {len(lines):,}; all are in {key}.parquet."
    return Table(key, title, [column for column, _ in kept], rows, note)


def _place(line: Line) -> str:
    """As genome browsers take it: first and last base, counted from 1; of what lies nowhere, in its sequence."""
    return f"{line['chrom']}:{line['start'] + 1}-{line['end']}"


def _strand(line: Line) -> str:
    return "" if line["strand"] == "." else str(line["strand"]).replace("-", "−")


def _gene(gene: Line) -> str:
    return str(gene["name"] or gene["id"])


def _strongest(lines: Sequence[Line], by: str) -> int | None:
    """The attempt that has the largest of some numbers, of either sign."""
    return max(lines, key=lambda line: abs(line[by]))["number"] if lines else None


def _logo(motif: Motif) -> str:
    return logo_url(motif.ppm, kind="information", axis=False, scale=_SCALE, description=motif.consensus)


def _lined_up(mine: Motif, theirs: Motif, offset: int) -> tuple[str, str]:
    """Logos of equal width, whose columns stand one below the other."""
    left = min(0, -offset)
    look: dict[str, Any] = {"kind": "information", "axis": False, "scale": _SCALE}
    look["columns"] = max(len(mine), len(theirs) - offset) - left
    first = logo_url(mine.ppm, offset=-left, description=mine.consensus, **look)
    return first, logo_url(theirs.ppm, offset=-offset - left, description=theirs.consensus, **look)
