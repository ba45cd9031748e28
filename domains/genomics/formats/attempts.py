"""Entries of a file, good or bad, one by one: all, from some number on, or some of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import dropwhile, islice
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TypeVar

from sciexplain.domains.genomics.formats.lines import Lines, Mark, located, place_in
from sciexplain.errors import DataError

S = TypeVar("S")
T = TypeVar("T")
NumberedLines = Iterator[tuple[int, "str | DataError"]]
Entries = Iterator[tuple[int, "S | DataError"]]
"""The number of each entry's first line, 0 for the file as a whole, and the entry as it stands or what is wrong."""


_FAR = 1000


class _Place(NamedTuple):
    entry: int
    line: int
    mark: Mark


class Bookmarks:
    """Where the entries of files are, as far as earlier readings of this process came; kept in memory.

    A run that is done by several processes, each now here and now there in a file, reads it once in each of them.
    Bookmarks of a file that has changed since are forgotten.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int], list[_Place]]] = {}
        self._adding = Lock()

    def add(self, path: Path, place: _Place) -> None:
        """Keep one that is behind those that are known; of any thread."""
        with self._adding:
            known = self.of(path)
            if not known or known[-1].entry < place.entry:
                known.append(place)

    def of(self, path: Path) -> list[_Place]:
        """Those of a file, in its order."""
        try:
            status = path.stat()
        except OSError:
            return []
        version = status.st_size, status.st_mtime_ns
        known = self._known.get(path)
        if known is None or known[0] != version:
            known = self._known[path] = version, []
        return known[1]


def attempted(
    path: Path,
    entries: Callable[[NumberedLines], Entries[S]],
    made: Callable[[S, str], T],
    numbers: Iterable[int] | None = None,
    bookmarks: Bookmarks | None = None,
    longest: int | None = None,
) -> Iterator[tuple[str, T | DataError]]:
    """What is made of each entry of a text file, or what is wrong with it, with its place.

    Parameters
    ----------
    entries
        Entries in lines, which may begin with any entry's first line.
    made
        Of an entry, which is at a place; may raise a :class:`DataError`.
    numbers
        Of the entries to take, from 0, ascending; None: all.
    bookmarks
        Are used and added to.
    longest
        Characters of a line; None: as for :class:`~.lines.Lines`.
    """
    return placed(path, _chosen_entries(path, entries, numbers, bookmarks, longest), made)


def placed(path: Path, entries: Entries[S], made: Callable[[S, str], T]) -> Iterator[tuple[str, T | DataError]]:
    """What is made of each entry, or what is wrong with it, with its place."""
    for line, entry in entries:
        place = place_in(path, line)
        found: T | DataError
        if isinstance(entry, DataError):
            found = located(place, entry)
        else:
            try:
                found = made(entry, place)
            except DataError as error:
                found = located(place, error)
        yield place, found


def counted(
    path: Path,
    entries: Callable[[NumberedLines], Entries[S]],
    bookmarks: Bookmarks | None = None,
    longest: int | None = None,
) -> int:
    """How many entries there are."""
    return sum(1 for _ in _bookmarked(path, entries, None, bookmarks, longest))


def _chosen_entries(
    path: Path,
    entries: Callable[[NumberedLines], Entries[S]],
    numbers: Iterable[int] | None,
    bookmarks: Bookmarks | None,
    longest: int | None,
) -> Entries[S]:
    if numbers is None:
        yield from _bookmarked(path, entries, None, bookmarks, longest)
        return
    known = [] if bookmarks is None else bookmarks.of(path)
    stream, at = None, 0
    for number in numbers:
        if stream is None or number - at > _FAR:
            behind = bisect_right(known, number, key=lambda place: place.entry)
            place = known[behind - 1] if behind else None
            if stream is None or (place is not None and place.entry > at):
                stream = _bookmarked(path, entries, place, bookmarks, longest)
                at = 0 if place is None else place.entry
        entry = next(islice(stream, number - at, None), None)
        if entry is None:
            return
        yield entry
        at = number + 1


def _bookmarked(
    path: Path,
    entries: Callable[[NumberedLines], Entries[S]],
    place: _Place | None,
    bookmarks: Bookmarks | None,
    longest: int | None,
) -> Entries[S]:
    """Entries from a place on; new bookmarks are made on the way."""
    lines = Lines(path, longest, None if place is None else place.mark, marking=bookmarks is not None)
    first, number = (0, 0) if place is None else (place.line, place.entry)
    for line, entry in entries(dropwhile(lambda numbered: 0 < numbered[0] < first, lines)):
        if lines.marks and lines.marks[0].number <= line:
            mark = lines.marks.pop(0)
            if bookmarks is not None:
                bookmarks.add(path, _Place(number, line, mark))
        yield line, entry
        number += 1
