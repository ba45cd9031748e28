"""One sequence as a figure: its relevance, the sites and genes in it, and where all of this lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sciexplain.domains.captions import number
from sciexplain.domains.genomics.alphabet import Alphabet
from sciexplain.domains.genomics.annotation import Annotation
from sciexplain.domains.genomics.drawing.gene_track import gene_track
from sciexplain.domains.genomics.drawing.lanes import shortened
from sciexplain.domains.genomics.drawing.letter_colours import Colours
from sciexplain.domains.genomics.drawing.logo import draw_logo
from sciexplain.domains.genomics.drawing.ruler import Ruler
from sciexplain.domains.genomics.drawing.track_parts import (
    SMALL,
    Bar,
    Frame,
    bar_track,
    draw_page,
    heat_track,
    logo_track,
    sign_colour,
    signal_track,
    signed_track,
)
from sciexplain.domains.genomics.encode import reverse_complement_of
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.interval import Interval, Strand
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sciexplain.domains.genomics.hits import Hit
    from sciexplain.domains.genomics.sites import Site

Direction = Literal["genome", "sequence"]
Floats = NDArray[np.float64]

LETTERS_UP_TO = 150
_FLANK, _NARROWEST_ZOOM, _WIDEST_ZOOM, _MOST_ZOOMS = 6, 24, 60, 3


@dataclass(frozen=True)
class View:
    """Which letters of a sequence are drawn, and which way round.

    Attributes
    ----------
    start, end
        Letters of the sequence as explained.
    turned
        Whether they run from right to left and are complemented.
    ruler
        Of the axis.
    """

    start: int
    end: int
    turned: bool
    ruler: Ruler

    @property
    def letters(self) -> int:
        """How many are drawn."""
        return self.end - self.start

    @classmethod
    def of(cls, interval: Interval | None, start: int, end: int, direction: Direction) -> View:
        part = None if interval is None else interval.part(start, end)
        minus = part is not None and part.strand == "-"
        turned = minus and direction == "genome"
        return cls(start, end, turned, Ruler(end - start, part, minus and not turned, start))

    def shown(self, values: Floats, complement: Sequence[int] | None = None) -> Floats:
        """(…, L) as drawn; with the complement's order, (letters, L)."""
        cut = values[..., self.start : self.end]
        if not self.turned:
            return cut
        return cut[..., ::-1] if complement is None else cut[list(complement), ::-1]

    def edges(self, start: int, end: int) -> tuple[float, float]:
        """Left and right edge of letters of the sequence."""
        left, right = start - self.start, end - self.start
        if self.turned:
            left, right = self.letters - right, self.letters - left
        return left - 0.5, right - 0.5

    def arrow(self, strand: str) -> Strand:
        """The strand of something within the sequence, as drawn: ``"+"`` points to the right."""
        if strand not in ("+", "-"):
            return "."
        return "-" if (strand == "-") != self.turned else "+"


def draw_tracks(
    explanation: SequenceExplanation,
    row: int,
    *,
    sites: Sequence[Site] | None = None,
    hits: Sequence[Hit] | None = None,
    genes: Annotation | None = None,
    mutagenesis: ArrayLike | torch.Tensor | None = None,
    signal: Mapping[str, ArrayLike | torch.Tensor] | None = None,
    start: int = 0,
    end: int | None = None,
    direction: Direction = "genome",
    zooms: int | None = None,
    colours: Colours = "safe",
    title: str | None = None,
    width: float = 10.0,
) -> Figure:
    """Draw the relevance of one sequence with what was found in it, all above one axis.

    From top to bottom: ``signal``, relevance, ``mutagenesis``, ``sites``, ``hits``, ``genes``, the axis, and logos of
    the most relevant sites. Up to 150 letters, relevance is a logo; beyond, it is bars, red above and blue below zero,
    and where these would be finer than the picture, each shows the largest and the smallest value of its letters.
    Sites and hits are red where their relevance is positive and blue where it is negative.

    Parameters
    ----------
    explanation, row
        Whose sequence of that index is drawn.
    sites
        Such as :func:`~sciexplain.domains.genomics.sites.call_sites` gives; those of other rows are left out.
    hits
        Such as :func:`~sciexplain.domains.genomics.hits.scan_hits` gives; those of other rows are left out. Tips point
        in the direction in which the motif reads.
    genes
        Of each gene in view, the transcript with most
        exonic bases is drawn: coding exons tall, others lower, arrows in the direction of transcription.
    mutagenesis
        (letters, L) or (N, letters, L): prediction with that letter less the prediction. A dot marks the letter that is
        there.
    signal
        Further curves (L,) or (N, L) by name, such as accessibility.
    start, end
        The letters in view, of the sequence as it was explained, counted from 0 and half-open.
    direction
        Of a sequence on the minus strand: ``"genome"`` turns it, so that coordinates rise from left to right and its
        letters are the plus strand's; ``"sequence"`` shows it as it was explained, so that coordinates fall.
    zooms
        How many sites get a logo of their own, the most relevant; None: 3 where relevance is drawn as bars, else none.
    colours
        Of letters, as in :func:`~sciexplain.domains.genomics.drawing.logo.draw_logo`.
    title
        None: the sequence's name.
    width
        In inches.

    Returns
    -------
    matplotlib.figure.Figure
        ``savefig`` writes PNG, SVG or PDF.

    Raises
    ------
    InputError
        A row that is not there, an empty view, or values of another shape.

    Examples
    --------
    >>> from sciexplain.domains.genomics.sequences import Record, Sequences
    >>> given = Sequences.of([Record("peak", "ACGTGACTCATT", Interval("chr1", 100, 112, "-"))])
    >>> e = SequenceExplanation.of(given, nucleotides=torch.arange(12.0)[None])
    >>> figure = draw_tracks(e, 0)
    >>> [ax.get_label() for ax in figure.axes]
    ['relevance', 'axis']
    """
    view = _view(explanation, row, start, end, direction)
    row %= len(explanation)
    sequences = explanation.sequences
    length, interval = sequences.length, sequences.intervals[row]
    complement = sequences.alphabet.complement_order if view.turned else None
    frame = Frame(view.ruler, width)
    here = _in_view(sites, row, view)
    zoomed = _most_relevant(here, (0 if view.letters <= LETTERS_UP_TO else _MOST_ZOOMS) if zooms is None else zooms)
    shade = [view.edges(site.start, site.end) for site in here]
    contributions = _array(explanation.contributions[row])

    tracks = [
        signal_track(frame, name, view.shown(_row_of(values, row, len(explanation), (length,), name)), shade)
        for name, values in (signal or {}).items()
    ]
    if view.letters <= LETTERS_UP_TO:
        tracks.append(logo_track(view.shown(contributions, complement).T, sequences.alphabet, colours, shade))
    else:
        tracks.append(signed_track(frame, view.shown(_array(explanation.nucleotides[row])), shade))
    if mutagenesis is not None:
        shape = (len(sequences.alphabet), length)
        effects = view.shown(_row_of(mutagenesis, row, len(explanation), shape, "mutagenesis"), complement)
        there = view.shown(_array(sequences.one_hot[row]), complement)
        tracks.append(heat_track(frame, "mutagenesis", effects, there, sequences.alphabet.letters))
    if sites is not None:
        bars = [_site_bar(site, view, zoomed, sequences.alphabet) for site in here]
        tracks.append(bar_track(frame, "sites", bars, "none in view"))
    if hits is not None:
        bars = [_hit_bar(hit, view) for hit in _in_view(hits, row, view)]
        tracks.append(bar_track(frame, "motif hits", bars, "none in view"))
    if genes is not None:
        tracks.append(gene_track(frame, genes))

    head = (sequences.names[row] if title is None else title, _said(explanation, row, view))
    figure, panels = draw_page(frame, tracks, head, len(zoomed))
    for place, (ax, site) in enumerate(zip(panels, zoomed, strict=True)):
        near = View.of(interval, *_around(site, length), direction)
        left, right = near.edges(site.start, site.end)
        draw_logo(
            near.shown(contributions, complement).T,
            ax=ax,
            alphabet=sequences.alphabet,
            colours=colours,
            highlight=[(round(left + 0.5), round(right + 0.5))],
        )
        _finish_zoom(ax, near.ruler, f"{place + 1}   {_words(site)}", first=place == 0)
    _share_scale(panels)
    return figure


def _view(explanation: SequenceExplanation, row: int, start: int, end: int | None, direction: Direction) -> View:
    count, length = len(explanation), explanation.sequences.length
    if not -count <= row < count:
        raise InputError(f"row={row}; expected one of {count} sequences, counted from 0")
    end = length if end is None else end
    if not 0 <= start < end <= length:
        raise InputError(f"start={start}, end={end}; expected 0 ≤ start < end ≤ {length}, the sequence's letters")
    if direction not in ("genome", "sequence"):
        raise InputError(f'direction={direction!r}; expected "genome" or "sequence"')
    return View.of(explanation.sequences.intervals[row], start, end, direction)


def _array(values: Any) -> Floats:
    tensor = values.detach().double().cpu() if isinstance(values, torch.Tensor) else values
    return np.asarray(tensor, dtype=np.float64)


def _row_of(values: Any, row: int, count: int, shape: tuple[int, ...], name: str) -> Floats:
    found = _array(values)
    if found.shape == (count, *shape):
        found = found[row]
    if found.shape != shape:
        raise InputError(f"{name} has shape {found.shape}; expected {shape}, or {(count, *shape)} for all sequences")
    if not np.isfinite(found).all():
        raise InputError(f"{name} has values that are not finite")
    return found


def _in_view(found: Sequence[Any] | None, row: int, view: View) -> list[Any]:
    """What lies in this sequence and in view, from left to right."""
    own = [f for f in found or () if f.row == row and f.start < view.end and f.end > view.start]
    return sorted(own, key=lambda f: view.edges(f.start, f.end))


def _most_relevant(sites: list[Site], count: int) -> list[Site]:
    """Of so many, from left to right."""
    chosen = sorted(sites, key=lambda site: -abs(site.score))[:count]
    return [site for site in sites if site in chosen]


def _around(site: Site, length: int) -> tuple[int, int]:
    """A site with what is beside it, as far as the sequence goes."""
    middle = (site.start + site.end) // 2
    half = max(min(site.end - site.start + 2 * _FLANK, _WIDEST_ZOOM), _NARROWEST_ZOOM) // 2
    start = max(0, min(middle - half, length - 2 * half))
    return start, min(length, start + 2 * half)


def _site_bar(site: Site, view: View, zoomed: list[Site], alphabet: Alphabet) -> Bar:
    mark = f"{zoomed.index(site) + 1}   " if site in zoomed else ""
    consensus = reverse_complement_of(site.consensus, alphabet) if view.turned else site.consensus
    words = f"{mark}{consensus}  q {number(site.q)}"
    return Bar(*view.edges(site.start, site.end), words, sign_colour(site.score))


def _hit_bar(hit: Hit, view: View) -> Bar:
    return Bar(*view.edges(hit.start, hit.end), hit.motif, sign_colour(hit.contribution), view.arrow(hit.strand))


def _words(site: Site) -> str:
    return f"relevance {number(site.score)}, q {number(site.q)}"


def _said(explanation: SequenceExplanation, row: int, view: View) -> str:
    """What was explained, and which way round it is drawn."""
    of = "" if explanation.target is None else f" of target {int(explanation.target[row])}"
    parts = [f"{explanation.method}, output{of} is {number(float(explanation.score[row]))}"]
    if explanation.strand != "+":
        parts[0] += ", mean of both strands" if explanation.strand == "both" else ", reverse complement explained"
    place = view.ruler.interval
    if place is not None:
        parts.append(f"{place.chrom}:{place.start + 1:,}–{place.end:,}")
        if place.strand == "-":
            turned = "drawn along the + strand" if view.turned else "drawn as explained, coordinates fall"
            parts.append(f"− strand explained, {turned}")
    return "   ·   ".join(parts)


def _finish_zoom(ax: Any, ruler: Ruler, title: str, *, first: bool) -> None:
    inches = ax.get_window_extent().width / ax.figure.dpi
    ax.set_xticks(*ruler.ticks(max(2, int(inches / 0.85))))
    ax.tick_params(labelsize=SMALL, width=0.6, length=2)
    ax.set_xlabel("")
    ax.set_ylabel("relevance" if first else "", size=SMALL)
    ax.set_title(shortened(title, inches, SMALL + 1), size=SMALL + 1, loc="left", parse_math=False)


def _share_scale(panels: Sequence[Any]) -> None:
    """One scale for all, or a weak site would look strong."""
    limits = [ax.get_ylim() for ax in panels]
    for ax in panels:
        ax.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
