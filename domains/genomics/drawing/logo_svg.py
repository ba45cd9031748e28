"""Logos for pages: SVG of a few kilobytes whose letters are defined once."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import ArrayLike

from sciexplain.domains.genomics.alphabet import DNA, Alphabet, alphabet_of
from sciexplain.domains.genomics.drawing.letter_colours import Colours, palette
from sciexplain.domains.genomics.drawing.logo import LABELS, Kind, bottoms, glyph, heights_of, value_range

_LETTER, _TALL, _LEFT, _MARGIN = 17.0, 72.0, 44.0, 6.0
_SEEN = 0.2
"""Px: lower letters are left out."""
_LINE = 'fill="none" stroke="#454c56" stroke-width="0.8"'
_WORDS = 'font-size="9.5" font-family="sans-serif" fill="#454c56"'
_COMMANDS = {1: ("M", 1), 2: ("L", 1), 3: ("Q", 2), 4: ("C", 3)}


def letter_shapes(alphabet: str | Alphabet = DNA) -> str:
    """The outlines that the logos of a page point to; they must stand in it once, before the logos.

    Examples
    --------
    >>> letter_shapes()[:64]
    '<svg class="shapes" width="0" height="0" aria-hidden="true"><def'
    """
    shapes = "".join(f'<path id="letter-{c}" d="{_outline(c)}"/>' for c in alphabet_of(alphabet).letters)
    return f'<svg class="shapes" width="0" height="0" aria-hidden="true"><defs>{shapes}</defs></svg>'


def logo_svg(
    matrix: ArrayLike,
    *,
    kind: Kind = "contributions",
    alphabet: str | Alphabet = DNA,
    colours: Colours = "safe",
    background: ArrayLike | None = None,
    count: int | None = None,
    columns: int | None = None,
    offset: int = 0,
    scale: float = 1.0,
    axis: bool = True,
    description: str = "",
) -> str:
    """A logo as one ``<svg>`` element, for a page that has :func:`letter_shapes`.

    Parameters
    ----------
    matrix, kind, alphabet, colours, background, count
        As in :func:`~sciexplain.domains.genomics.drawing.logo.draw_logo`.
    columns, offset
        How many places the picture has, and at which of them the logo starts, so that logos one above the other line
        up; None: as many as it needs.
    scale
        Of its size on the page; 1 is 84 px high.
    axis
        Whether there are numbers beside it.
    description
        For those who cannot see it.

    Raises
    ------
    InputError
        As for :func:`~sciexplain.domains.genomics.drawing.logo.draw_logo`.

    Examples
    --------
    >>> logo_svg([[0, 0, 0, 1.5]]).count("<use")
    1
    """
    alphabet = alphabet_of(alphabet)
    heights = heights_of(matrix, kind, alphabet, background=background, count=count)
    chosen = palette(colours, alphabet)
    low, high = value_range(heights, kind, background)
    unit = _TALL / ((high - low) or 1.0)
    floors = bottoms(heights)
    left = _LEFT if axis else _MARGIN
    width = left + _LETTER * (offset + len(heights) if columns is None else columns) + _MARGIN
    height = _TALL + 2 * _MARGIN

    def y(value: float) -> float:
        return _MARGIN + (high - value) * unit

    groups = []
    for column, letter in enumerate(alphabet.letters):
        _, _, share = glyph(letter)
        wide = 0.95 * _LETTER * share
        uses = []
        for place in np.flatnonzero(np.abs(heights[:, column]) * unit > _SEEN).tolist():
            tall, floor = abs(heights[place, column]) * unit, float(floors[place, column])
            x = left + (offset + place + 0.5) * _LETTER - wide / 2
            # Outlines have y upwards, pages downwards; what is negative stands on its head.
            flip, at = (-tall, y(floor)) if heights[place, column] > 0 else (tall, y(floor) - tall)
            uses.append(
                f'<use href="#letter-{letter}" transform="matrix({wide:.2f} 0 0 {flip:.2f} {x:.2f} {at:.2f})"/>'
            )
        if uses:
            groups.append(f'<g fill="{chosen[letter]}">{"".join(uses)}</g>')
    lines = f'<path {_LINE} d="M{left} {y(0):.2f}H{width - _MARGIN:.2f}"/>'
    if axis:
        ticks = [(0.0, "0"), *((v, _number(v)) for v in (low, high) if abs(v) * unit > 10)]
        lines += f'<path class="axis" {_LINE} d="M{left} {y(high):.2f}V{y(low):.2f}"/>'
        lines += "".join(
            f'<text {_WORDS} text-anchor="end" x="{left - 4}" y="{y(v) + 3:.2f}">{text}</text>' for v, text in ticks
        )
        middle = f'transform="translate(10 {height / 2:.1f}) rotate(-90)"'
        lines += f'<text {_WORDS} text-anchor="middle" {middle}>{LABELS[kind]}</text>'
    return (
        f'<svg class="logo" role="img" aria-label="{escape(description or "logo")}" width="{scale * width:.0f}" '
        f'height="{scale * height:.0f}" viewBox="0 0 {width:.2f} {height:.2f}">{lines}{"".join(groups)}</svg>'
    )


def _outline(letter: str) -> str:
    vertices, codes, _ = glyph(letter)
    parts, i = [], 0
    while i < len(codes):
        if codes[i] == 79:
            parts.append("Z")
            i += 1
            continue
        command, points = _COMMANDS[int(codes[i])]
        parts.append(command + " ".join(f"{x:.4g} {y:.4g}" for x, y in vertices[i : i + points]))
        i += points
    return "".join(parts)


def _number(value: float) -> str:
    return f"{value:.2g}".replace("-", "−")
