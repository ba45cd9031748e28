"""Where the sequences of a FASTA file lie in it, as ``samtools faidx`` writes it down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.genomics.formats.limits import LONGEST_NAME, LONGEST_SEQUENCE, MOST_CHROMS, shown
from sciexplain.domains.genomics.formats.lines import Lines, whole_number
from sciexplain.errors import DataError


class Place(NamedTuple):
    """Where a sequence lies.

    Attributes
    ----------
    letters
        How many it has.
    offset
        Of its first letter, in bytes of the unpacked file.
    line
        Letters of each line but the last.
    width
        Bytes of such a line, its end included.
    """

    letters: int
    offset: int
    line: int
    width: int

    def byte_of(self, letter: int) -> int:
        """Where a letter lies, in bytes of the unpacked file."""
        return self.offset + letter + letter // self.line * (self.width - self.line)


def read_index(path: Path) -> dict[str, Place] | None:
    """A file's index; None where it is damaged, so that it has to be made again."""
    found: dict[str, Place] = {}
    try:
        for _, line in Lines(path):
            if isinstance(line, DataError):
                return None
            name, *cells = line.split("\t", 5)
            place = Place(*(whole_number(cell, "a number") for cell in cells[:4]))
            if min(place) < 0 or not place.line <= place.width <= place.line + 2 or name in found:
                return None
            if (place.letters and not place.line) or len(found) >= MOST_CHROMS:
                return None
            found[name] = place
    except (DataError, TypeError):  # too few cells
        return None
    return found or None


def written_index(index: Mapping[str, Place]) -> str:
    """The text of ``samtools faidx``."""
    return "".join("\t".join(map(str, (name, *place))) + "\n" for name, place in index.items())


def index_of(pieces: Iterable[bytes]) -> dict[str, Place]:
    """The index of a FASTA file that comes in pieces.

    Raises
    ------
    DataError
        There are no sequences, a header has no name or that of another, text before the first header, lines that differ
        in length or are too long, more sequences than a genome has.

    Examples
    --------
    >>> index_of([b">chr1 of a test\\nAACC", b"G\\nTG\\n"])
    {'chr1': Place(letters=7, offset=16, line=5, width=6)}
    """
    found: dict[str, Place] = {}
    record: _Record | None = None
    position = 0
    for text in _whole_lines(pieces):
        data = np.frombuffer(text, np.uint8)
        ends = np.flatnonzero(data == ord("\n"))
        starts = np.concatenate([[0], ends[:-1] + 1])
        returns = (ends > starts) & (data[ends - 1] == ord("\r"))
        lengths = ends - starts - returns
        headers = np.flatnonzero((data[starts] == ord(">")) & (lengths > 0))
        behind = 0
        for header in [*headers.tolist(), len(starts)]:
            lines = slice(behind, header)
            if record is not None:
                record.add(lengths[lines], returns[lines])
            elif lengths[lines].any():
                raise DataError("there is text before the first header, which begins with >")
            if header < len(starts):
                if record is not None:
                    found[record.name] = record.place()
                name = _name(text[starts[header] : ends[header]])
                if name in found or len(found) >= MOST_CHROMS:
                    many = f"there are more than {MOST_CHROMS} sequences in it; expected a genome's chromosomes"
                    raise DataError(f"{name} is there twice; expected each once" if name in found else many)
                record = _Record(name, position + int(ends[header]) + 1)
            behind = header + 1
        position += len(text)
    if record is None:
        raise DataError("there are no sequences in it; expected headers with > and sequences")
    found[record.name] = record.place()
    return found


class _Record:
    """A sequence whose lines are counted as they come."""

    def __init__(self, name: str, offset: int) -> None:
        self.name, self._offset = name, offset
        self._letters = self._line = self._width = 0
        self._ended = False

    def add(self, lengths: NDArray[np.int64], returns: NDArray[np.bool_]) -> None:
        """Letters of the lines that follow, and whether a carriage return ends each."""
        if not len(lengths):
            return
        if not self._letters and not self._ended:
            self._line, self._width = int(lengths[0]), int(lengths[0]) + 1 + int(returns[0])
        others = np.flatnonzero((lengths != self._line) | (lengths + 1 + returns != self._width))
        last = 0 if self._ended else int(others[0]) + 1 if len(others) else len(lengths)
        if lengths[last:].any() or (len(others) and not self._ended and lengths[last - 1] > self._line):
            raise DataError(
                f"{shown(self.name)} has lines that differ in length; expected all but the last to be equal, and that "
                "not longer"
            )
        self._letters += int(lengths.sum())
        self._ended = self._ended or bool(len(others)) or not self._line

    def place(self) -> Place:
        """Where it lies, now that it is whole."""
        return Place(self._letters, self._offset, self._line, self._width)


def _name(header: bytes) -> str:
    words = header[1:].decode("utf-8", "replace").split(None, 1)
    if not words:
        raise DataError("a header has no name; expected > and a name")
    if len(words[0]) > LONGEST_NAME:
        raise DataError(f"the name {shown(words[0])} is longer than {LONGEST_NAME} characters")
    return words[0]


def _whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces, cut and joined such that each ends with a line; the last gets an end where it has none."""
    held, size = list[bytes](), 0
    for piece in pieces:
        cut = piece.rfind(b"\n") + 1
        if cut:
            yield b"".join([*held, piece[:cut]])
            held, size = [], 0
        held.append(piece[cut:])
        size += len(piece) - cut
        if size > LONGEST_SEQUENCE:
            raise DataError(f"a line is longer than {LONGEST_SEQUENCE} letters; expected sequences in lines")
    if size:
        yield b"".join(held) + b"\n"
