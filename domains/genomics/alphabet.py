"""The letters of sequences, and what the ambiguous ones stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sciexplain.errors import InputError

_NUCLEOTIDES = {
    "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip
_AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
_FOREIGN, _AMBIGUOUS = 255, 254


@dataclass(frozen=True)
class Alphabet:
    """Letters in the order of a one-hot code's channels.

    Attributes
    ----------
    name
        ``"DNA"``, ``"RNA"`` or ``"protein"``.
    letters
        One character each, upper case.
    ambiguous
        Further letters, and those that each may be; ``""`` for gaps, which are none.
    complement
        The letters' complements in their order; empty where there are no strands.
    synonyms
        Letters that are read as others, such as U for T in DNA.
    """

    name: str
    letters: str
    ambiguous: Mapping[str, str] = field(hash=False)
    complement: str = ""
    synonyms: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __len__(self) -> int:
        return len(self.letters)

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """(256,): from a byte of either case to its letter's place; 254: ambiguous, 255: foreign."""
        table = np.full(256, _FOREIGN, dtype=np.uint8)
        for letter in self.ambiguous:
            table[[ord(letter), ord(letter.lower())]] = _AMBIGUOUS
        for place, letter in enumerate(self.letters):
            table[[ord(letter), ord(letter.lower())]] = place
        for letter, same in self.synonyms.items():
            table[[ord(letter), ord(letter.lower())]] = table[ord(same)]
        return table

    @cached_property
    def shares(self) -> NDArray[np.float32]:
        """(256, letters): a byte's one-hot column where ambiguous letters are averaged; zeros for foreign ones."""
        table = np.zeros((256, len(self)), dtype=np.float32)
        for letter, options in self.ambiguous.items():
            for option in options:
                table[[ord(letter), ord(letter.lower())], self.letters.index(option)] = 1 / len(options)
        for byte, code in enumerate(self.codes):
            if code < len(self):
                table[byte, code] = 1
        return table

    @property
    def unknown(self) -> str:
        """The letter that may be any: N, or X for proteins."""
        return "X" if self.name == "protein" else "N"

    @cached_property
    def complement_order(self) -> list[int]:
        """For each letter, the place of its complement.

        Raises
        ------
        InputError
            The alphabet has no strands.
        """
        if not self.complement:
            raise InputError(f"{self.name} has no reverse complement; only DNA and RNA have two strands.")
        return [self.letters.index(letter) for letter in self.complement]


DNA = Alphabet("DNA", "ACGT", _NUCLEOTIDES | {"-": "", ".": ""}, "TGCA", {"U": "T"})
RNA = Alphabet(
    "RNA",
    "ACGU",
    {k: v.replace("T", "U") for k, v in _NUCLEOTIDES.items()} | {"-": "", ".": ""},
    "UGCA",
    {"T": "U"},
)
PROTEIN = Alphabet(
    "protein",
    _AMINO_ACIDS,
    {"B": "DN", "Z": "EQ", "J": "IL", "X": _AMINO_ACIDS, "U": "", "O": "", "*": "", "-": "", ".": ""},
)

_NAMED = {alphabet.name.lower(): alphabet for alphabet in (DNA, RNA, PROTEIN)}


def alphabet_of(name: str | Alphabet) -> Alphabet:
    """An alphabet by its name, in any case.

    Raises
    ------
    InputError
        There is none of that name.
    """
    if isinstance(name, Alphabet):
        return name
    if name.lower() not in _NAMED:
        raise InputError(f"alphabet={name!r}; expected DNA, RNA or protein, or an Alphabet.")
    return _NAMED[name.lower()]
