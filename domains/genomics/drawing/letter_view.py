"""Letters for pages that draw them themselves: outlines, and colours on light and on dark ground."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sciexplain.domains.genomics.alphabet import Alphabet
from sciexplain.domains.genomics.drawing.letter_colours import SAFE, palette
from sciexplain.domains.genomics.drawing.logo import glyph
from sciexplain.domains.genomics.drawing.logo_svg import letter_shapes
from sciexplain.domains.genomics.encode import reverse_complement_of

_BLACK = "#222222"
_SHAPE = re.compile(r'id="letter-(.)" d="([^"]+)"')

ON_DARK: Mapping[str, str] = MappingProxyType(
    {SAFE["A"]: "#45EFD3", SAFE["C"]: "#4A66F0", SAFE["G"]: "#F5D526", SAFE["T"]: "#C74E3A", _BLACK: "#8A8F99"}
)
"""For each colour of :data:`~.letter_colours.SAFE` and :data:`~.letter_colours.CHEMISTRY` its like on a dark ground:
those of nucleotides differ by ΔE*ab of 46 or more for people with and without each kind of cone, all five by 24, and
each has a contrast of 3 or more with a page of #14171a."""


def letter_view(alphabet: Alphabet) -> dict[str, Any]:
    """What a script needs to draw an alphabet's letters, as JSON has it.

    Returns
    -------
    ``letters``; ``complement`` of each, and of ambiguous ones, nothing where there are no strands; ``light`` and
    ``dark``, a colour for each; ``shapes``, for each its outline as the path of an SVG, in the unit square with y
    upwards, and how much of its place's width it may fill.

    Examples
    --------
    >>> from sciexplain.domains.genomics.alphabet import DNA
    >>> view = letter_view(DNA)
    >>> view["letters"], view["complement"]["R"], view["light"]["A"], view["dark"]["A"]
    ('ACGT', 'Y', '#0AA885', '#45EFD3')
    """
    light = palette("safe", alphabet)
    turned = [*alphabet.letters, *alphabet.ambiguous] if alphabet.complement else []
    outlines = dict(_SHAPE.findall(letter_shapes(alphabet)))
    return {
        "letters": alphabet.letters,
        "complement": {letter: reverse_complement_of(letter, alphabet) for letter in turned},
        "light": {letter: light[letter] for letter in alphabet.letters},
        "dark": {letter: ON_DARK[light[letter]] for letter in alphabet.letters},
        "shapes": {letter: [outlines[letter], round(glyph(letter)[2], 4)] for letter in alphabet.letters},
    }
