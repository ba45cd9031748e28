"""Lines of text files, plain, gzip or bgzip, and what becomes of those that cannot be read."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from sciexplain._files import PathName
from sciexplain.domains.genomics.formats.limits import LONGEST_GAP, LONGEST_LINE, MOST_DIGITS, shown
from sciexplain.domains.genomics.formats.unpacking import Kind, Position, Source, compression_of, cut_off, is_cut_off
from sciexplain.domains.genomics.interval import Strand
from sciexplain.errors import DataError, SciExplainError

T = TypeVar("T")
OnError = Callable[[str, SciExplainError], object]

_COMPRESSED = (".gz", ".bgz", ".bgzip")
_QUOTED = 40
_MARKED_BYTES, _MARKED_SIZE = 1 << 24, 1 << 20


class LongLine(DataError):
    """A line that is longer than lines may be.

    Attributes
    ----------
    begin
        Its first characters.
    """

    def __init__(self, begin: str, longest: int) -> None:
        self.begin = begin[:_QUOTED]
        super().__init__(
            f"the line, which begins with {self.begin!r}, is longer than {longest} characters; expected less"
        )


def suffix_of(path: PathName) -> str:
    """What tells the format: ``.bed`` for ``x.BED.gz``."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    while suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


class Mark(NamedTuple):
    """Where reading may begin: before a line, at the start of a piece of the file.

    Attributes
    ----------
    number
        Of the line.
    position
        Of the piece.
    decoding
        How the decoding stands there.
    begin
        What of the line is in earlier pieces.
    """

    number: int
    position: Position
    decoding: Any
    begin: tuple[str, ...]


class Lines:
    """Lines of a file and their numbers from 1, without their ends, be these LF, CRLF or CR.

    Instead of a line that is too long comes a :class:`LongLine`. What is wrong with the file as a whole comes last, as
    line 0: it is not there, cut off, damaged, unpacks to far more than its size, or has a line without an end. A last
    line that is cut is left out.

    Parameters
    ----------
    path
        A file.
    longest
        Characters of a line; None: ``LONGEST_LINE``.
    at
        Where to begin, from an earlier reading; None: the start.
    marking
        Whether to make ``marks``.

    Attributes
    ----------
    marks
        Where another reading may begin, one for each few MiB that were read.
    """

    def __init__(
        self, path: Path, longest: int | None = None, at: Mark | None = None, *, marking: bool = False
    ) -> None:
        self.path, self.marks = path, list[Mark]()
        self._longest = LONGEST_LINE if longest is None else longest
        self._at, self._marking = at, marking
        # The line whose end is not yet there: its number, its pieces, and their characters.
        self._number, self._begin = (1, list[str]()) if at is None else (at.number, list(at.begin))
        self._size = sum(map(len, self._begin))

    def __iter__(self) -> Iterator[tuple[int, str | DataError]]:
        try:
            yield from self._numbered()
        except DataError as error:
            yield 0, error

    def _numbered(self) -> Iterator[tuple[int, str | DataError]]:
        kind = compression_of(self.path)
        # Cut between two blocks, a bgzip file is a whole gzip file: only the missing last block tells.
        cut = kind == "bgzip" and is_cut_off(self.path)
        longest = self._longest
        for text in self._texts(kind):
            first, *others = text.split("\n")
            self._add(first)
            if not others:
                continue
            yield self._number, self._whole()
            last = others.pop()
            self._begin, self._size = [last], len(last)
            number, self._number = self._number + 1, self._number + 1 + len(others)
            if len(text) <= longest:
                yield from enumerate(others, number)
            else:
                for i, line in enumerate(others, number):
                    yield i, line if len(line) <= longest else LongLine(line, longest)
        if cut:
            raise cut_off(self.path, kind)
        if self._size:
            yield self._number, self._whole()

    def _add(self, text: str) -> None:
        self._size += len(text)
        if self._size <= self._longest:
            self._begin.append(text)
        else:
            self._begin = [("".join(self._begin) or text)[:_QUOTED]]
        if self._size > LONGEST_GAP:
            raise DataError(
                f"line {self._number} has more than {LONGEST_GAP} characters; the rest of the file is not read"
            )

    def _whole(self) -> str | LongLine:
        return "".join(self._begin) if self._size <= self._longest else LongLine(self._begin[0], self._longest)

    def _texts(self, kind: Kind) -> Iterator[str]:
        plain = codecs.getincrementaldecoder("utf-8-sig")("replace")
        decoder = io.IncrementalNewlineDecoder(plain, translate=True)
        if self._at is not None:
            decoder.setstate(self._at.decoding)
        since = 0
        with Source(self.path, kind, None if self._at is None else self._at.position) as source:
            for piece in source:
                yield decoder.decode(piece)
                since += len(piece)
                if self._marking and since >= _MARKED_BYTES and self._size <= _MARKED_SIZE:
                    mark = Mark(self._number, source.position, decoder.getstate(), tuple(self._begin))
                    self.marks.append(mark)
                    since = 0
        yield decoder.decode(b"", final=True)


def located(place: str, error: Exception) -> DataError:
    """The error with the place, such as ``"peaks.bed:12"``, before it."""
    return DataError(f"{place}: {error}")


def place_in(path: Path, line: int) -> str:
    """A line of a file; 0 for the file as a whole."""
    return f"{path.name}:{line}" if line else path.name


def report(place: str, error: Exception, on_error: OnError | None) -> None:
    """Tell ``on_error`` that this place, such as ``"peaks.bed:12"``, cannot be read.

    Raises
    ------
    DataError
        There is no ``on_error``.
    """
    told = located(place, error)
    if on_error is None:
        raise told from error
    on_error(place, told)


def without_errors(found: Iterator[tuple[str, T | DataError]], on_error: OnError | None) -> Iterator[tuple[str, T]]:
    """What could be read; what could not goes to ``on_error``, and is raised where there is none."""
    for place, one in found:
        if not isinstance(one, DataError):
            yield place, one
        elif on_error is None:
            raise one
        else:
            on_error(place, one)


def reported_lines(path: Path, on_error: OnError | None) -> Iterator[tuple[int, str]]:
    """The lines that could be read; long ones, and what is wrong with the file as a whole, go to :func:`report`."""
    for number, line in Lines(path):
        if isinstance(line, str):
            yield number, line
        else:
            report(place_in(path, number), line, on_error)


def cells_of(line: str, most: int = -1) -> list[str]:
    """Cells apart by tabs, or by spaces where there is no tab; what is behind the first ``most`` is one more."""
    return [cell.strip() for cell in line.split("\t", most)] if "\t" in line else line.split(None, most)


def whole_number(text: str, what: str) -> int:
    """A number of bp, as digits only.

    Raises
    ------
    DataError
        It is none, or has more digits than 64 bits hold.
    """
    # int() would also take 1_000 and the digits of other scripts
    digits = text.removeprefix("-")
    if not (text.isascii() and digits.isdigit()) or len(digits) > MOST_DIGITS:
        raise DataError(f"{what} is {shown(text)}; expected a whole number of at most {MOST_DIGITS} digits")
    return int(text)


def strand_of(text: str) -> Strand:
    """A strand as files write it; "?", which GFF3 has for an unknown one, is ".".

    Raises
    ------
    DataError
        It is none.
    """
    if text not in ("+", "-", ".", "?"):
        raise DataError(f"the strand is {shown(text)}; expected +, - or .")
    return cast(Strand, text.replace("?", "."))
