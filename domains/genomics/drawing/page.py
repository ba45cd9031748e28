"""Motifs as one HTML page: logos, known motifs like them, and the genes at their sites."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from numpy.typing import ArrayLike

from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.genomics.drawing.logo import Kind, information
from sciexplain.domains.genomics.drawing.logo_svg import letter_shapes, logo_svg
from sciexplain.domains.genomics.formats.meme import read_motifs
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from sciexplain.domains.genomics.genes import GeneRow, GeneTable
    from sciexplain.domains.genomics.hits import Hit
    from sciexplain.domains.genomics.match import Match
    from sciexplain.domains.genomics.motif import Motif
    from sciexplain.domains.genomics.sites import Site

_LEGEND = (
    "Relevance is in units of the explained output, the mean over a motif’s seqlets: what stands on the line speaks "
    "for the target, what hangs from it against. Bits are what the letters’ shares in the seqlets tell against the "
    "background. A seqlet is a relevant stretch that went into a motif, a hit an instance found by scanning; q is the "
    "false discovery rate at which a finding is called."
)


_NAMES: dict[Kind, str] = {"contributions": "Contributions", "information": "Information"}
_WHERE = {"cds": "coding", "five_prime_utr": "5′ UTR", "three_prime_utr": "3′ UTR"}


def write_page(
    path: PathName,
    motifs: Sequence[Motif],
    *,
    matches: Sequence[Match] | None = None,
    database: PathName | Sequence[Motif] | None = None,
    hits: Sequence[Hit] | None = None,
    genes: GeneTable | None = None,
    sites: Sequence[Site] | None = None,
    title: str = "Motifs",
    notes: Sequence[str] = (),
    run: Mapping[str, object] | None = None,
    failed: Sequence[tuple[str, object]] = (),
    links: Mapping[str, PathName] | None = None,
    background: ArrayLike | None = None,
    most_matches: int = 3,
    most_genes: int = 8,
) -> Path:
    """Write a page that needs no other file and no network: a table of motifs, then a section for each.

    A section has the motif's contributions and its information as logos, both strands, the known motifs most like it
    with their logos lined up, and the genes linked to sites that its seqlets overlap.

    Parameters
    ----------
    path
        An existing file is replaced only when the new one is complete.
    motifs
        Such as :func:`~sciexplain.domains.genomics.motifs.discover_motifs` gives, in the page's order.
    matches, database
        Of :func:`~sciexplain.domains.genomics.match.match_motifs`, and what it compared with, for the logos of known
        motifs; None: names only.
    hits
        Of :func:`~sciexplain.domains.genomics.hits.scan_hits`; only their number is shown.
    genes, sites
        Of :func:`~sciexplain.domains.genomics.genes.link_genes`, and the sites that it was given: both or none.
    title, notes
        Head of the page, and paragraphs below it; those of the motifs follow.
    run
        What was run, by name: model, data, numbers.
    failed
        Rows that are not in the results, and why.
    links
        Tables by name, as paths relative to the page.
    background
        (4,): shares of the letters that information is measured against; None: even.
    most_matches, most_genes
        How many of them a section lists; further genes are counted.

    Raises
    ------
    DataError
        The file cannot be written.
    InputError
        ``genes`` without ``sites``, a match or hit of a motif that is not there, a known motif that is not in
        ``database``, or two motifs of one name.

    Examples
    --------
    >>> page = write_page("motifs.html", [], run={"model": "CTCF net"})
    >>> "No motifs were found." in page.read_text()
    True
    """
    jinja2: Any = require("jinja2", extra="genomics")
    names = [motif.name for motif in motifs]
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise InputError(f"{twice[0]} is the name of several motifs; expected one name each")
    if genes is not None and sites is None:
        raise InputError("genes without sites; expected also the sites that link_genes was given")
    for what, found in (("match", matches), ("hit", hits)):
        if strange := {f.motif for f in found or ()} - set(names):
            raise InputError(f"There is a {what} of {sorted(strange)[0]!r}, which is none of the motifs")

    targets = read_motifs(database) if isinstance(database, str | os.PathLike) else database or ()
    known = {target.name: target for target in reversed(targets)}
    by_motif: dict[str, list[Match]] = defaultdict(list)
    for match in matches or ():
        by_motif[match.motif].append(match)
    counts = Counter(hit.motif for hit in hits or ())
    cards = []
    for i, motif in enumerate(motifs, 1):
        best = sorted(by_motif[motif.name], key=lambda match: match.p)[:most_matches]
        linked = [] if genes is None or sites is None else genes_of(motif, sites, genes)
        card = _card(motif, best, known, None if hits is None else counts[motif.name], background)
        cards.append(
            card
            | {
                "anchor": f"motif-{i}",
                "genes": [_gene_cells(row, n) for row, n in linked[:most_genes]],
                "more_genes": max(0, len(linked) - most_genes),
            }
        )
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_printable
    )
    text = environment.from_string(_template("motifs.html")).render(
        title=title,
        notes=[*notes, *getattr(motifs, "notes", ())],
        run=[(name, str(value)) for name, value in (run or {}).items()],
        failed=[(name, str(reason)) for name, reason in failed],
        links=[(name, _address(target)) for name, target in (links or {}).items()],
        cards=cards,
        has={
            "matches": matches is not None,
            "hits": hits is not None,
            "genes": genes is not None,
            "known": bool(known),
        },
        style=_safe(_template("motifs.css")),
        shapes=_safe(letter_shapes()),
        legend=_LEGEND,
    )

    def write(file: Path) -> None:
        file.write_text(text, encoding="utf-8", newline="\n")

    return written(path, write)


def genes_of(motif: Motif, sites: Sequence[Site], genes: GeneTable) -> list[tuple[GeneRow, int]]:
    """Genes linked to sites that the motif's seqlets overlap, in the table's order, with the number of such sites."""
    seqlets = defaultdict(list)
    for seqlet in motif.seqlets:
        seqlets[seqlet.row].append((seqlet.start, seqlet.end))
    touched = {
        i
        for i, site in enumerate(sites)
        if any(start < site.end and end > site.start for start, end in seqlets[site.row])
    }
    found = [(row, len(touched.intersection(row.sites))) for row in genes]
    return [(row, n) for row, n in found if n]


def _card(
    motif: Motif,
    matches: Sequence[Match],
    known: Mapping[str, Motif],
    hits: int | None,
    background: ArrayLike | None,
) -> dict[str, Any]:
    rows = {seqlet.row for seqlet in motif.seqlets}
    bits = information(motif.ppm, background=background).sum()
    facts = [f"{len(motif.seqlets):,} seqlets in {len(rows):,} sequences", f"{len(motif)} bp", f"{bits:.1f} bits"]
    if hits is not None:
        facts.insert(1, f"{hits:,} hits")
    turned = motif.reverse_complement()
    figures = []
    for kind in _kinds(motif):
        for shown, strand in ((motif, "as found"), (turned, "reverse complement")):
            caption = f"{_NAMES[kind]}, {strand}"
            figures.append({"caption": caption, "logo": _logo(shown, kind, background, f"{motif.name}: {caption}")})
    return {
        "name": motif.name,
        "sign": motif.sign,
        "facts": ", ".join(facts),
        "seqlets": f"{len(motif.seqlets):,}",
        "hits": "" if hits is None else f"{hits:,}",
        "thumbnail": _logo(motif, _kinds(motif)[0], background, motif.consensus, scale=0.5, axis=False),
        "figures": figures,
        "best": {"name": matches[0].target, "q": _small(matches[0].q)} if matches else {"name": "none", "q": ""},
        "matches": _match_rows(motif, matches, known, background),
    }


def _kinds(motif: Motif) -> list[Kind]:
    return ["information"] if motif.contributions is None else ["contributions", "information"]


def _logo(motif: Motif, kind: Kind, background: ArrayLike | None, description: str, **look: Any) -> Any:
    matrix = motif.ppm if kind == "information" or motif.contributions is None else motif.contributions
    against = background if kind == "information" else None
    return _safe(logo_svg(matrix, kind=kind, background=against, description=_printable(description), **look))


def _match_rows(
    motif: Motif, matches: Sequence[Match], known: Mapping[str, Motif], background: ArrayLike | None
) -> list[dict[str, Any]]:
    """A row for each match; where known motifs are given, the motif first, and logos that line up with it."""
    rows: list[dict[str, Any]] = [
        {"name": m.target, "p": _small(m.p), "q": _small(m.q), "strand": m.strand.replace("-", "−")} for m in matches
    ]
    if not known or not matches:
        return rows
    lined = [(motif, 0)]
    for match in matches:
        if match.target not in known:
            raise InputError(
                f"database has no motif {match.target!r}, which {motif.name} matches; expected the one used"
            )
        target = known[match.target]
        lined.append((target.reverse_complement() if match.strand == "-" else target, -match.offset))
    left = min(offset for _, offset in lined)
    columns = max(offset + len(shown) for shown, offset in lined) - left
    rows.insert(0, {"name": "this motif", "p": "", "q": "", "strand": ""})
    for row, (shown, offset) in zip(rows, lined, strict=True):
        look = {"columns": columns, "offset": offset - left, "scale": 0.6, "axis": False}
        row["logo"] = _logo(shown, "information", background, row["name"], **look)
    return rows


def _gene_cells(row: GeneRow, n: int) -> dict[str, str]:
    return {
        "name": row.name or row.id,
        "sites": f"{n:,}",
        "relation": _WHERE.get(row.relation, row.relation),
        "distance": f"{row.distance:,}".replace("-", "−"),
        "relevance": f"{row.relevance:.3g}",
        "q": _small(row.q),
    }


def _small(value: float) -> str:
    """Two digits; as a power of ten below a thousandth."""
    return f"{value:.2g}" if value >= 1e-3 or value == 0 else f"{value:.1e}".replace("e-0", "e-").replace("-", "−")


def _address(path: PathName) -> str:
    """A relative path as an address: a name with a colon is no scheme."""
    text = PurePath(path).as_posix()
    if PurePath(path).is_absolute():
        raise InputError(f"{text} as a link; expected a path relative to the page, which then can be moved with it")
    return quote(text)


def _printable(value: Any) -> Any:
    """Control characters become spaces: no page can hold them."""
    if not isinstance(value, str) or value.isprintable() or hasattr(value, "__html__"):
        return value
    return "".join(c if c.isprintable() else " " for c in value)


def _safe(markup: str) -> Any:
    return require("markupsafe", extra="genomics").Markup(markup)


def _template(name: str) -> str:
    return files("sciexplain.domains.genomics.drawing").joinpath("templates", name).read_text(encoding="utf-8")
