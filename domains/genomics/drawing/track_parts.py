"""The tracks of a figure, one painter each, and the page that stacks them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.captions import number
from sciexplain.domains.colormap import relevance_colours
from sciexplain.domains.genomics.alphabet import Alphabet
from sciexplain.domains.genomics.drawing.lanes import lanes, shortened, text_width
from sciexplain.domains.genomics.drawing.letter_colours import Colours
from sciexplain.domains.genomics.drawing.logo import draw_logo
from sciexplain.domains.genomics.drawing.ruler import Ruler

Floats = NDArray[np.float64]
Span = tuple[float, float]

INK, FAINT, _GREY = "#222222", "#777777", "#8A8F98"
TEXT, SMALL = 8.0, 7.0
LINE = 0.19
"""Height of a row of bars or genes, in inches."""
MOST_ROWS = 12

_LEFT, _RIGHT, _MARGIN, _GAP = 1.40, 0.75, 0.15, 0.12
_AXIS, _HEAD, _ZOOM = 0.42, 0.40, 1.0
_FINEST = 1 / 80
"""Inches: narrower bars fade on a screen."""
_PLAIN: dict[str, Any] = {"color": INK, "parse_math": False}


@dataclass(frozen=True)
class Frame:
    """What all tracks share.

    Attributes
    ----------
    ruler
        Of the letters from the left edge to the right.
    width
        Of the page, in inches.
    """

    ruler: Ruler
    width: float

    @property
    def inches(self) -> float:
        """Of the tracks."""
        return self.width - _LEFT - _RIGHT

    @property
    def letter(self) -> float:
        """Inches that a letter takes."""
        return self.inches / self.ruler.length

    @property
    def limits(self) -> Span:
        """Left and right end of the axis."""
        return -0.5, self.ruler.length - 0.5


@dataclass(frozen=True)
class Track:
    """A strip of the figure: its name, its height in inches, and what paints it on axes."""

    name: str
    height: float
    paint: Callable[[Any], None]


@dataclass(frozen=True)
class Bar:
    """A stretch in the letters' coordinates, its words, its colour, and where it points: ``+`` to the right."""

    left: float
    right: float
    text: str
    colour: Any
    strand: str = "."


def sign_colour(value: float) -> tuple[float, float, float]:
    """Red for above zero, blue for below."""
    red, green, blue = relevance_colours()[-20 if value >= 0 else 19].tolist()
    return red, green, blue


def logo_track(
    contributions: Floats,
    alphabet: Alphabet,
    colours: Colours,
    shade: Sequence[Span],
) -> Track:
    """Relevance as letters; contributions (L, letters)."""

    def paint(ax: Any) -> None:
        draw_logo(contributions, ax=ax, alphabet=alphabet, colours=colours)
        _shaded(ax, shade)

    return Track("relevance", 1.35, paint)


def signed_track(frame: Frame, values: Floats, shade: Sequence[Span]) -> Track:
    """Relevance (L,) as bars from zero, red above and blue below it."""
    return Track("relevance", 1.35, _bars(frame, values, shade, sign_colour(1), sign_colour(-1)))


def signal_track(frame: Frame, name: str, values: Floats, shade: Sequence[Span]) -> Track:
    """Any values (L,) as grey bars from zero, so that nobody takes them for relevance."""
    return Track(name, 0.7, _bars(frame, values, shade, _GREY, _GREY))


def _bars(frame: Frame, values: Floats, shade: Sequence[Span], above: Any, below: Any) -> Callable[[Any], None]:

    def paint(ax: Any) -> None:
        step = max(1, round(_FINEST / frame.letter))
        edges = np.arange(0, len(values), step)
        stairs = np.append(edges, len(values)) - 0.5
        for part, colour in (
            (np.maximum.reduceat(np.maximum(values, 0), edges), above),
            (np.minimum.reduceat(np.minimum(values, 0), edges), below),
        ):
            ax.stairs(part, stairs, baseline=0, fill=True, facecolor=colour, linewidth=0)
        ax.axhline(0, color="black", linewidth=0.5, zorder=0.5)
        low, high = min(values.min(), 0), max(values.max(), 0)
        room = 0.04 * ((high - low) or 1.0)
        ax.set_ylim(low - room if low < 0 else 0, high + room)
        _shaded(ax, shade)

    return paint


def heat_track(frame: Frame, name: str, values: Floats, there: Floats, letters: str) -> Track:
    """(letters, L) as colours about zero with a bar of their own; ``there`` marks the letters of the sequence."""

    def paint(ax: Any) -> None:
        from matplotlib.colors import ListedColormap

        limit = float(np.abs(values).max()) or 1.0
        step = max(1, round(_FINEST / frame.letter))
        edges = np.arange(0, values.shape[1], step)
        high, low = np.maximum.reduceat(values, edges, axis=1), np.minimum.reduceat(values, edges, axis=1)
        cells = np.where(high >= -low, high, low)
        mesh = ax.pcolormesh(
            np.append(edges, values.shape[1]) - 0.5,
            np.arange(len(letters) + 1) - 0.5,
            cells,
            cmap=ListedColormap(relevance_colours()),
            vmin=-limit,
            vmax=limit,
            rasterized=True,
        )
        ax.set_ylim(len(letters) - 0.5, -0.5)
        ax.set_yticks(range(len(letters)), list(letters))
        ax.tick_params(axis="y", length=0)
        if frame.letter > 0.03:
            row, column = np.nonzero(there > 0.5)
            ax.plot(column, row, ".", color=INK, markersize=min(3.0, 25 * frame.letter), linestyle="none")
        beside = ax.inset_axes((1 + 0.1 / frame.inches, 0, 0.1 / frame.inches, 1))
        beside.set_label("colour bar")
        ax.figure.colorbar(mesh, cax=beside, ticks=[-limit, 0, limit])
        beside.set_yticklabels([number(-limit), "0", number(limit)], size=SMALL)
        for label, along in zip(beside.get_yticklabels(), ("bottom", "center", "top"), strict=True):
            label.set_verticalalignment(along)
        beside.tick_params(length=0)
        beside.spines[:].set_linewidth(0.5)

    return Track(name, max(0.75, 0.11 * len(letters)), paint)


def bar_track(frame: Frame, name: str, bars: Sequence[Bar], nothing: str) -> Track:
    """Bars with their words beside them, in as many rows as they need; what no row is left for is counted."""
    low, high = frame.limits
    cut = [(max(bar.left, low), min(bar.right, high)) for bar in bars]
    texts = [shortened(bar.text, 0.45 * frame.inches, SMALL) for bar in bars]
    places = [_beside(frame, span, text) for span, text in zip(cut, texts, strict=True)]
    rows = lanes([whole for whole, _ in places])
    if rows and max(rows) >= MOST_ROWS:
        # Without words more of them fit.
        texts = [""] * len(bars)
        rows = lanes(cut)
    count = min(max(rows, default=0) + 1, MOST_ROWS)
    hidden = sum(row >= MOST_ROWS for row in rows)

    def paint(ax: Any) -> None:
        _rows(ax, count)
        for bar, span, text, (_, at), row in zip(bars, cut, texts, places, rows, strict=True):
            if row >= MOST_ROWS:
                continue
            ax.fill(*_pointed(frame, span, bar, row), facecolor=bar.colour, linewidth=0, zorder=2)
            if text:
                side = "left" if at >= span[1] else "right"
                ax.text(at, row, text, size=SMALL, ha=side, va="center_baseline", **_PLAIN)
        if not bars:
            ax.text(low, 0, nothing, size=SMALL, va="center", **(_PLAIN | {"color": FAINT}))
        if hidden:
            words = f"and {hidden}\nmore"
            ax.text(1.01, 0, words, size=SMALL, transform=ax.transAxes, va="bottom", **(_PLAIN | {"color": FAINT}))

    return Track(name, count * LINE, paint)


def draw_page(frame: Frame, tracks: Sequence[Track], head: Sequence[str], zooms: int) -> tuple[Any, list[Any]]:
    """A figure with its tracks above one axis, and the axes of so many logos below it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    below = _ZOOM + 0.62 if zooms else 0.0
    height = 2 * _MARGIN + _HEAD + sum(t.height + _GAP for t in tracks) + _AXIS + below
    figure = Figure(figsize=(frame.width, height), facecolor="white")
    FigureCanvasAgg(figure)

    def axes(left: float, top: float, width: float, tall: float, label: str) -> Any:
        box = (left / frame.width, 1 - (top + tall) / height, width / frame.width, tall / height)
        return figure.add_axes(box, label=label)

    room = frame.width - 2 * _MARGIN
    for line, (text, size, colour) in enumerate(zip(head, (10.0, TEXT), (INK, FAINT), strict=True)):
        y = 1 - (_MARGIN + line * 0.2) / height
        figure.text(
            _MARGIN / frame.width, y, shortened(text, room, size), size=size, va="top", color=colour, parse_math=False
        )
    top = _MARGIN + _HEAD
    for track in tracks:
        ax = axes(_LEFT, top, frame.inches, track.height, track.name)
        track.paint(ax)
        ax.set_xlim(frame.limits)
        ax.set_xticks([])
        ax.set_ylabel("")
        ax.set_xlabel("")
        ax.spines[["top", "right", "bottom"]].set_visible(False)
        ax.spines["left"].set_linewidth(0.6)
        ax.tick_params(labelsize=SMALL, width=0.6, length=2)
        _few_numbers(ax, track.height)
        name = shortened(track.name, _LEFT - 0.55, TEXT)
        y = 1 - (top + track.height / 2) / height
        figure.text(_MARGIN / frame.width, y, name, size=TEXT, va="center", **_PLAIN)
        top += track.height + _GAP
    _axis(axes(_LEFT, top - _GAP / 2, frame.inches, 0.02, "axis"), frame)
    top += _AXIS + 0.30
    wide = (room - 0.75 - 0.3 * (zooms - 1)) / zooms if zooms else 0.0
    below_axes = [axes(_MARGIN + 0.75 + i * (wide + 0.3), top, wide, _ZOOM, f"zoom {i + 1}") for i in range(zooms)]
    return figure, below_axes


def _shaded(ax: Any, spans: Sequence[Span]) -> None:
    for left, right in spans:
        ax.axvspan(left, right, facecolor="0.92", linewidth=0, zorder=0)


def _rows(ax: Any, count: int) -> None:
    """Rows counted from the top."""
    ax.set_ylim(count - 0.5, -0.5)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)


def _beside(frame: Frame, span: Span, text: str) -> tuple[Span, float]:
    """What a bar and its words take in all, and where the words start (right of it) or end (left of it)."""
    gap, wide = 0.04 / frame.letter, text_width(text, SMALL) / frame.letter if text else 0.0
    if span[1] + gap + wide + gap <= frame.limits[1] or not text:
        return (span[0], span[1] + (2 * gap + wide if text else gap)), span[1] + gap
    return (span[0] - gap - wide, span[1] + gap), span[0] - gap


def _pointed(frame: Frame, span: Span, bar: Bar, row: int) -> tuple[list[float], list[float]]:
    """A bar's outline, with a tip where it has a strand; at least a hair wide."""
    left, right = span
    least = 0.03 / frame.letter
    if right - left < least:
        left, right = (left + right - least) / 2, (left + right + least) / 2
    tip = min(0.05 / frame.letter, (right - left) / 2) if bar.strand in ("+", "-") else 0.0
    top, bottom = row - 0.3, row + 0.3
    if bar.strand == "-":
        return [left, left + tip, right, right, left + tip], [row, top, top, bottom, bottom]
    return [left, right - tip, right, right - tip, left], [top, top, row, bottom, bottom]


def _few_numbers(ax: Any, height: float) -> None:
    """At most three numbers on a low track, and none that would meet those of the next."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    if isinstance(ax.yaxis.get_major_locator(), FixedLocator):
        return
    ax.yaxis.set_major_locator(MaxNLocator(max(2, int(height / 0.3)), prune=None))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.5g}".replace("-", "−")))


def _axis(ax: Any, frame: Frame) -> None:
    ruler = frame.ruler
    widest = max(text_width(f"{ruler.number(i):,}", TEXT) for i in (0, ruler.length - 1)) + 0.25
    ax.set_xlim(frame.limits)
    ax.set_xticks(*ruler.ticks(max(2, int(frame.inches / max(widest, 0.7)))))
    ax.set_yticks([])
    ax.spines[["top", "left", "right"]].set_visible(False)
    ax.tick_params(labelsize=TEXT)
    ax.set_xlabel(ruler.label, size=TEXT, labelpad=2)
