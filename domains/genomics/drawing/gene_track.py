"""Genes as browsers draw them: coding exons tall, other exons low, introns as lines that point downstream."""

from __future__ import annotations

from typing import Any

import numpy as np

from sciexplain.domains.genomics.annotation import Annotation
from sciexplain.domains.genomics.drawing.lanes import lanes, shortened, text_width
from sciexplain.domains.genomics.drawing.track_parts import FAINT, INK, MOST_ROWS, SMALL, Frame, Span, Track
from sciexplain.domains.genomics.gene import Gene, Spans

_FILL = "#4C5B8A"
_ROW = 0.31
"""Inches for a gene with its name above it."""
_EVERY = 0.22
"""Inches between the arrows on a line."""


def gene_track(frame: Frame, genes: Annotation) -> Track:
    """The genes in view, each with its name and the transcript that has most exonic bases."""
    ruler = frame.ruler
    near = genes.overlapping(ruler.interval) if ruler.interval is not None else ()
    bodies = [_clipped(frame, gene.interval.start, gene.interval.end) for gene in near]
    # At most half the page, so that two long names may stand side by side.
    names = [shortened(_name(gene, ruler.descending), frame.inches / 2, SMALL) for gene in near]
    starts = []
    for (left, _), name in zip(bodies, names, strict=True):
        starts.append(max(min(left, frame.limits[1] - text_width(name, SMALL) / frame.letter), frame.limits[0]))
    gap = 0.1 / frame.letter
    spans = [
        (min(body[0], at), max(body[1], at + text_width(name, SMALL) / frame.letter) + gap)
        for body, name, at in zip(bodies, names, starts, strict=True)
    ]
    rows = lanes(spans)
    count = min(max(rows, default=0) + 1, MOST_ROWS)
    hidden = sum(row >= MOST_ROWS for row in rows)

    def paint(ax: Any) -> None:
        ax.set_ylim(count - 0.5, -0.5)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        plain: dict[str, Any] = {"size": SMALL, "parse_math": False}
        for gene, body, name, at, row in zip(near, bodies, names, starts, rows, strict=True):
            if row < MOST_ROWS:
                _draw(ax, frame, gene, body, row + 0.2)
                ax.text(at, row - 0.06, name, va="bottom", color=INK, **plain)
        if not near:
            words = "none in view" if ruler.interval is not None else "not known where this sequence lies"
            ax.text(frame.limits[0], 0, words, va="center", color=FAINT, **plain)
        if hidden:
            ax.text(1.01, 0, f"and {hidden}\nmore", va="bottom", color=FAINT, transform=ax.transAxes, **plain)

    return Track("genes", count * _ROW if near else 0.2, paint)


def shown_exons(gene: Gene) -> tuple[Spans, Spans]:
    """Exons and coding parts of the transcript with most exonic bases; a gene without transcripts is one exon."""
    if not gene.transcripts:
        return ((gene.interval.start, gene.interval.end),), ()
    longest = max(gene.transcripts, key=lambda t: sum(end - start for start, end in t.exons))
    return longest.exons or ((longest.interval.start, longest.interval.end),), longest.cds


def _draw(ax: Any, frame: Frame, gene: Gene, body: Span, y: float) -> None:
    exons, coding = shown_exons(gene)
    ax.plot(body, [y, y], color=_FILL, linewidth=0.8, solid_capstyle="butt", zorder=1)
    for spans, half in ((exons, 0.1 if coding else 0.17), (coding, 0.17)):
        for start, end in spans:
            left, right = _clipped(frame, start, end)
            if right > left:
                least = max(right - left, 0.015 / frame.letter)
                ax.fill_between([left, left + least], y - half, y + half, facecolor=_FILL, linewidth=0, zorder=2)
    if gene.interval.strand in ("+", "-"):
        every = _EVERY / frame.letter
        places = np.arange(body[0] + every / 2, body[1], every)
        points = ">" if (gene.interval.strand == "-") == frame.ruler.descending else "<"
        # On the line they are of its colour, on an exon white.
        edges = [_clipped(frame, start, end) for start, end in exons]
        inside = np.array([any(left <= place <= right for left, right in edges) for place in places], dtype=bool)
        for some, colour, level in ((~inside, _FILL, 1.5), (inside, "white", 3)):
            _arrows(ax, frame, places[some], y, points, colour, level)


def _arrows(ax: Any, frame: Frame, places: Any, y: float, points: str, colour: str, level: float) -> None:
    from matplotlib.collections import LineCollection

    deep, tall = 0.03 / frame.letter * (1 if points == ">" else -1), 0.09
    lines = [[(x - deep, y - tall), (x, y), (x - deep, y + tall)] for x in places]
    ax.add_collection(LineCollection(lines, colors=colour, linewidths=0.7, zorder=level), autolim=False)


def _clipped(frame: Frame, start: int, end: int) -> Span:
    left, right = frame.ruler.edges(start, end)
    low, high = frame.limits
    return min(max(left, low), high), min(max(right, low), high)


def _name(gene: Gene, descending: bool) -> str:
    if gene.interval.strand not in ("+", "-"):
        return gene.name
    return f"{gene.name} ←" if (gene.interval.strand == "-") != descending else f"{gene.name} →"
