"""Colours of letters, told apart also by people who lack a kind of cone."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from sciexplain.domains.genomics.alphabet import Alphabet
from sciexplain.errors import InputError

Colours = Literal["safe", "classic"] | Mapping[str, str]

_GREEN, _BLUE, _ORANGE, _RED, _BLACK = "#0AA885", "#053A94", "#D89800", "#A01C14", "#222222"
_GROUPS = {"GSTYC": _GREEN, "NQ": _ORANGE, "KRH": _BLUE, "DE": _RED, "AVLIPWFM": _BLACK}

SAFE: Mapping[str, str] = MappingProxyType(
    {"A": _GREEN, "C": _BLUE, "G": _ORANGE, "T": _RED, "U": _RED},
)
"""Nucleotides: green A, blue C, orange G and red T or U, as in the classic scheme, but of shades that also people
without red, green or blue cones tell apart: any two differ by ΔE*ab of 38 or more for all of them (the classic ones by
10 without red cones; simulated after Machado, Oliveira and Fernandes, IEEE TVCG 15, 1291 (2009))."""

CHEMISTRY: Mapping[str, str] = MappingProxyType({letter: c for group, c in _GROUPS.items() for letter in group})
"""Amino acids: polar green, amides orange, basic blue, acidic red, hydrophobic black."""

CLASSIC: Mapping[str, str] = MappingProxyType(
    {"A": "#008000", "C": "#0000FF", "G": "#FFA600", "T": "#FF0000", "U": "#FF0000"}
)
"""The usual green, blue, orange and red; A and T look alike without red cones."""


def palette(colours: Colours, alphabet: Alphabet) -> Mapping[str, str]:
    """A colour for each letter of an alphabet.

    Raises
    ------
    InputError
        There is none for a letter, or no palette of that name.
    """
    if isinstance(colours, str):
        if colours not in ("safe", "classic"):
            raise InputError(f'colours={colours!r}; expected "safe", "classic" or a colour for each letter')
        nucleotides = CLASSIC if colours == "classic" else SAFE
        colours = CHEMISTRY if alphabet.name == "protein" and colours == "safe" else nucleotides
    if missing := [letter for letter in alphabet.letters if letter not in colours]:
        raise InputError(f"No colour for {', '.join(missing)}; expected one for each letter of {alphabet.name}")
    return colours
