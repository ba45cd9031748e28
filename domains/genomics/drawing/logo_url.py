"""Logos that stand alone, as addresses of pictures."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from numpy.typing import ArrayLike

from sciexplain.domains.genomics.alphabet import DNA, Alphabet
from sciexplain.domains.genomics.drawing.logo_svg import letter_shapes, logo_svg


def logo_url(matrix: ArrayLike, *, alphabet: str | Alphabet = DNA, **look: Any) -> str:
    """A logo as a ``data:`` URL of SVG, for an ``<img>`` of any page.

    Parameters
    ----------
    matrix, alphabet, look
        As :func:`~sciexplain.domains.genomics.drawing.logo_svg.logo_svg` takes them.

    Raises
    ------
    InputError
        As for :func:`~sciexplain.domains.genomics.drawing.logo_svg.logo_svg`.

    Examples
    --------
    >>> logo_url([[0, 0, 0, 1.5]])[:26]
    'data:image/svg+xml;base64,'
    """
    logo = logo_svg(matrix, alphabet=alphabet, **look)
    tag, rest = logo.split(">", 1)
    named = tag.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    alone = f"{named}>{letter_shapes(alphabet)}{rest}"
    return "data:image/svg+xml;base64," + b64encode(alone.encode()).decode()
