"""Sequence logos: letters as tall as what they stand for, drawn as one collection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexplain.domains.genomics.alphabet import DNA, Alphabet, alphabet_of
from sciexplain.domains.genomics.drawing.letter_colours import Colours, palette
from sciexplain.domains.genomics.drawing.ruler import Ruler
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["contributions", "information", "probability"]

LABELS = {"contributions": "relevance", "information": "bits", "probability": "probability"}
_STRETCHED_AT_MOST_LIKE = "E"
_MOST_TICKS = 16


def draw_logo(
    matrix: ArrayLike,
    *,
    ax: Axes | None = None,
    kind: Kind = "contributions",
    alphabet: str | Alphabet = DNA,
    colours: Colours = "safe",
    background: ArrayLike | None = None,
    count: int | None = None,
    start: int = 0,
    interval: Interval | None = None,
    highlight: Sequence[tuple[int, int]] = (),
    flip_below: bool = True,
    shade_below: float = 0.0,
    width: float = 0.95,
    label: str | None = None,
) -> Axes:
    """Draw a logo; what is positive stands on the line, what is negative hangs from it, the tallest outermost.

    Parameters
    ----------
    matrix
        (L, letters): one row for each position, as motifs and MEME files have it. A row of an explanation is
        (letters, L): give its transpose, ``e.contributions[0].T``.
    ax
        Where to draw; its limits are set to the logo. None: on a new figure, the axes' ``.figure``.
    kind
        ``"contributions"``: letters as tall as the numbers, which may be negative. ``"information"``: ``matrix`` has
        probabilities, and letters are as tall as :func:`information` says, in bits. ``"probability"``: as tall as the
        probabilities.
    alphabet
        Whose letters the columns are.
    colours
        ``"safe"``: :data:`~.letter_colours.SAFE` or :data:`~.letter_colours.CHEMISTRY`; ``"classic"``:
        :data:`~.letter_colours.CLASSIC` (nucleotides only); or a colour for each letter.
    background, count
        As in :func:`information`.
    start
        The number under the first letter.
    interval
        Where the letters lie; ticks are then its bases, counted from 1 as browsers do, and fall from left to right
        on the minus strand.
    highlight
        Stretches (start, end) of letters, counted from 0 and half-open, with a grey ground.
    flip_below
        Whether negative letters stand on their heads.
    shade_below
        Between 0 and 1: how much darker negative letters are.
    width
        Of a letter, as a share of its place.
    label
        Of the vertical axis; None: what the letters' height is, ``relevance``, ``bits`` or ``probability``.

    Returns
    -------
    matplotlib.axes.Axes
        With one ``PathCollection`` of all letters; that of position i is drawn from i − ½ to i + ½.

    Raises
    ------
    InputError
        Another shape, numbers that are not finite, probabilities that are none, or no colour for a letter.

    Notes
    -----
    Schneider and Stephens, Nucleic Acids Research 18, 6097 (1990); the look is that of Tareen and Kinney, *Logomaker*,
    Bioinformatics 36, 2272 (2020).

    Examples
    --------
    >>> ax = draw_logo([[0.9, 0, 0, 0], [0, -0.4, 0, 0], [0, 0, 0, 1.2]])
    >>> ax.get_ylabel(), len(ax.collections)
    ('relevance', 1)
    """
    alphabet = alphabet_of(alphabet)
    values = heights_of(matrix, kind, alphabet, background=background, count=count)
    if interval is not None and len(interval) != len(values):
        raise InputError(f"{interval} has {len(interval)} bp; expected as many as the logo has letters, {len(values)}")
    ax = _new_axes(len(values)) if ax is None else ax
    ax.add_collection(
        letters(values, alphabet, colours, flip_below=flip_below, shade_below=shade_below, width=width),
        autolim=False,
    )
    low, high = value_range(values, kind, background)
    # Letters that touch the edge would lose their smoothed rims.
    room = 0.03 * ((high - low) or 1.0)
    ax.set_xlim(-0.5, len(values) - 0.5)
    ax.set_ylim(low - room if low < 0 else 0.0, high + room)
    ax.axhline(0, color="black", linewidth=0.5, zorder=0.5)
    for first, last in highlight:
        ax.axvspan(first - 0.5, last - 0.5, facecolor="0.9", linewidth=0, zorder=0)
    ruler = Ruler(len(values), interval, interval is not None and interval.strand == "-", start)
    inches = ax.get_window_extent().width / ax.figure.dpi
    ax.set_xticks(*ruler.ticks(int(np.clip(inches * (2.5 if interval is None else 1.2), 2, _MOST_TICKS))))
    if interval is not None:
        ax.set_xlabel(ruler.label)
    ax.set_ylabel(LABELS[kind] if label is None else label)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def heights_of(
    matrix: ArrayLike,
    kind: Kind,
    alphabet: Alphabet = DNA,
    *,
    background: ArrayLike | None = None,
    count: int | None = None,
) -> NDArray[np.float64]:
    """How tall the letters of a matrix (L, letters) are; parameters and errors as for :func:`draw_logo`."""
    values = _checked(matrix, alphabet)
    if kind not in LABELS:
        raise InputError(f"kind={kind!r}; expected one of {', '.join(LABELS)}")
    if kind == "information":
        return information(values, background=background, count=count)
    if kind == "probability":
        _probabilities(values)
    return values


def value_range(heights: NDArray[np.float64], kind: Kind, background: ArrayLike | None = None) -> tuple[float, float]:
    """The lowest and the highest end of a column; bits reach to what one letter of an even background tells."""
    low, high = np.minimum(heights, 0).sum(1).min(), np.maximum(heights, 0).sum(1).max()
    if kind == "information" and background is None:
        high = np.log2(heights.shape[1])
    return float(low), float(high)


def information(
    probabilities: ArrayLike, *, background: ArrayLike | None = None, count: int | None = None
) -> NDArray[np.float64]:
    """Heights of a logo's letters in bits: each letter's share of what its position tells.

    A position tells Σ p log₂(p / b), the relative entropy to the background b; for an even background this is
    log₂(letters) less the entropy. Letter a gets p_a of it.

    Parameters
    ----------
    probabilities
        (L, letters); each row sums to 1.
    background
        (letters,); None: even.
    count
        Of how many sequences the probabilities are shares; each position then loses (letters − 1) / (2 ln 2 · count),
        what so few sequences tell by chance, but not more than it has. None: no correction.

    Returns
    -------
    (L, letters)

    Raises
    ------
    InputError
        Numbers that are no probabilities, a background with zeros, or a count below 1.

    Notes
    -----
    Schneider et al., Journal of Molecular Biology 188, 415 (1986), eq. 1 and appendix; Stormo, Bioinformatics 16, 16
    (2000), eq. 2, for the background.

    Examples
    --------
    >>> information([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    array([[2. , 0. , 0. , 0. ],
           [0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0. , 0. ]])
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2:
        raise InputError(f"probabilities of shape {p.shape}; expected (L, letters)")
    _probabilities(p)
    n = p.shape[1]
    b = np.full(n, 1 / n) if background is None else np.asarray(background, dtype=np.float64)
    if b.shape != (n,) or not (b > 0).all() or abs(b.sum() - 1) > 0.01:
        raise InputError(f"background={b.tolist()}; expected {n} numbers above 0 that sum to 1")
    told = np.where(p > 0, p * np.log2(np.where(p > 0, p, 1) / b), 0).sum(1, keepdims=True)
    if count is not None:
        if count < 1:
            raise InputError(f"count={count}; expected the number of sequences behind the probabilities")
        told = told - (n - 1) / (2 * np.log(2) * count)
    return p * np.maximum(told, 0)


def letters(
    heights: NDArray[np.float64],
    alphabet: Alphabet = DNA,
    colours: Colours = "safe",
    *,
    flip_below: bool = True,
    shade_below: float = 0.0,
    width: float = 0.95,
) -> Any:
    """The letters of a logo (L, letters) as one ``PathCollection`` with a path for each letter and sign."""
    from matplotlib.collections import PathCollection
    from matplotlib.colors import to_rgb
    from matplotlib.path import Path

    chosen = palette(colours, alphabet)
    floors = bottoms(heights)
    paths, fills = [], []
    for sign in (1, -1):
        for column, letter in enumerate(alphabet.letters):
            (where,) = np.nonzero(sign * heights[:, column] > 0)
            if not len(where):
                continue
            outline, codes, share = glyph(letter)
            shape = outline * (1, -1) + (0, 1) if sign < 0 and flip_below else outline
            corner = np.stack([where - width * share / 2, floors[where, column]], 1)
            size = np.stack([np.full(len(where), width * share), np.abs(heights[where, column])], 1)
            places = corner[:, None] + shape * size[:, None]
            paths.append(Path(places.reshape(-1, 2), np.tile(codes, len(where))))
            fills.append([c * (1 - shade_below) for c in to_rgb(chosen[letter])] if sign < 0 else chosen[letter])
    drawn = PathCollection(paths, facecolors=fills, edgecolors="none", linewidths=0, zorder=2)
    drawn.set_snap(False)  # or narrow letters jump to whole pixels
    return drawn


def bottoms(heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where each letter begins: the tallest farthest from the line."""
    size = np.abs(heights)
    order = np.argsort(size, axis=1, kind="stable")
    floors = np.zeros_like(heights)
    for sign in (1, -1):
        there = np.where(sign * heights > 0, size, 0)
        sorted_sizes = np.take_along_axis(there, order, 1)
        before = np.cumsum(sorted_sizes, axis=1) - (sorted_sizes if sign > 0 else 0)
        stacked = np.empty_like(heights)
        np.put_along_axis(stacked, order, sign * before, 1)
        floors = np.where(sign * heights > 0, stacked, floors)
    return floors


@cache
def glyph(letter: str) -> tuple[NDArray[np.float64], NDArray[np.uint8], float]:
    """A letter's outline in the unit square, its codes, and how much of the width it may fill.

    The font comes with matplotlib, so that logos are the same everywhere. An I as wide as an M would be no I.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(family="DejaVu Sans", weight="bold")
    path = TextPath((0, 0), letter, size=100, prop=font)
    widest = TextPath((0, 0), _STRETCHED_AT_MOST_LIKE, size=100, prop=font).get_extents().width
    box = path.get_extents()
    # The point of a closing code means nothing, but would be stretched far away.
    vertices = np.clip((path.vertices - (box.x0, box.y0)) / (box.width, box.height), 0, 1)
    return vertices, np.asarray(path.codes), min(1.0, box.width / widest)


def _checked(matrix: ArrayLike, alphabet: Alphabet) -> NDArray[np.float64]:
    values = np.asarray(matrix, dtype=np.float64)
    n = len(alphabet)
    if values.ndim != 2 or values.shape[1] != n or not len(values):
        turned = " Give its transpose." if values.ndim == 2 and values.shape[0] == n else ""
        raise InputError(
            f"matrix of shape {values.shape}; expected (L, {n}): a row for each position, a column for each of "
            f"{', '.join(alphabet.letters)}.{turned}"
        )
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise InputError(f"matrix[{row}, {column}] is {values[row, column]}; expected finite numbers")
    return values


def _probabilities(values: NDArray[np.float64]) -> None:
    sums = values.sum(1)
    wrong = np.flatnonzero((values < 0).any(1) | ~(np.abs(sums - 1) < 0.01))
    if len(wrong):
        raise InputError(
            f"Row {wrong[0]} is {values[wrong[0]].tolist()}; expected probabilities, at least 0 and with the sum 1. "
            "Counts become probabilities by division by their row's sum."
        )


def _new_axes(length: int) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(float(np.clip(0.3 * length, 3.0, 14.0)), 2.0), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure.add_subplot()
