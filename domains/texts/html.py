"""Texts on coloured ground, as HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from sciexplain.domains.colormap import relevance_colours
from sciexplain.domains.texts.encode import EncodedText

if TYPE_CHECKING:
    from sciexplain.domains.texts.explain import TextExplanation

_STYLE = """
.relevance { font: 16px/1.9 system-ui, sans-serif; max-width: 50em; color: #222; }
.relevance p { margin: .4em 0 1em; }
.relevance span { padding: .15em 0; }
.relevance .special { font-size: .75em; outline: 1px dotted #888; margin: 0 .3em; }
.relevance small { color: #555; }
.relevance .scale { height: .8em; width: 16em; border-radius: .2em; }
.relevance .ends { display: grid; grid-template-columns: repeat(3, 1fr); width: 20em; font-size: .8em; }
.relevance .ends { line-height: 1.2; }
.relevance .ends :nth-child(2) { text-align: center; }
.relevance .ends :nth-child(3) { text-align: right; }
"""


def as_html(e: TextExplanation, limit: float | None = None) -> str:
    """One paragraph for each text, and a scale from ``-limit`` to ``limit``."""
    if limit is None:
        limit = max((float(r.abs().max()) for r in e.relevance), default=0.0)
    limit = limit or 1.0
    paragraphs = "".join(_paragraph(e, i, limit) for i in range(len(e)))
    colours = ", ".join(_colour(step / 8, 1.0)[0] for step in range(-8, 9))
    return (
        f'<meta charset="utf-8"><style>{_STYLE}</style><div class="relevance">{paragraphs}'
        f'<div class="scale" style="background: linear-gradient(to right, {colours})"></div>'
        f'<div class="ends"><div>{-limit:.3g}</div><div>0</div><div>{limit:.3g}</div></div></div>'
    )


def _paragraph(e: TextExplanation, i: int, limit: float) -> str:
    name = "" if e.names is None else f"{escape(e.names[i])} "
    values = e.relevance[i].tolist()
    pieces = "".join(
        _span(text, gap, value, special, limit)
        for (gap, text, special), value in zip(_pieces(e.encoded[i]), values, strict=True)
    )
    return f"<p><small>{name}{float(e.score[i]):.4g}</small><br>{pieces}</p>"


def _pieces(encoded: EncodedText) -> Iterator[tuple[str, str, bool]]:
    """For each token: the text between it and the one before, the token as it stands in the text, whether special."""
    end, part = 0, 0
    for i, (token, special) in enumerate(zip(encoded.tokens, encoded.special, strict=True)):
        place = None if encoded.places is None else encoded.places[i]
        if place is None:
            yield " ", token, special
            continue
        text = encoded.part(place)
        if place.part != part:
            end, part = 0, place.part
        start = max(place.start, end)  # the bytes of one character may be several tokens
        yield text[end:start], text[start : place.end], special
        end = max(end, place.end)


def _span(text: str, gap: str, value: float, special: bool, limit: float) -> str:
    ground, ink = _colour(value, limit)
    kind = ' class="special"' if special else ""
    return (
        f'{escape(gap)}<span{kind} style="background: {ground}; color: {ink}" title="{value:+.4g}">'
        f"{escape(text)}</span>"
    )


def _colour(value: float, limit: float) -> tuple[str, str]:
    """The ground for a value, and the ink that can be read on it."""
    colours = relevance_colours()
    middle = len(colours) // 2
    strength = max(-1.0, min(1.0, value / limit))
    red, green, blue = (round(255 * float(c)) for c in colours[middle + round(strength * middle)])
    return f"#{red:02x}{green:02x}{blue:02x}", "#fff" if abs(strength) > 0.6 else "#222"
