"""Everything a source has to read, each exactly once and numbered, whether it turns out well or not."""

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import groupby
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.images.decode import Pages, Reading
from sciexplain.domains.images.listing import READERS, PathName, holds_one, list_names, suffix
from sciexplain.errors import DataError, InputError, SciExplainError

_PLACE = re.compile(r"(?P<file>.+)\[(?P<index>\d{1,18})\]")
_LONGEST = 300


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes
    ----------
    name
        What tells it from the others of the same :func:`read`: ``"cats/001.png"``, ``"mnist.npz[17]"``.
    path
        The file it came from, if any.
    array
        (H, W, C) float32; 0 is black, 1 is white.
    """

    name: str
    path: Path | None
    array: NDArray[np.float32]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.array.shape[0], self.array.shape[1]


Attempt = tuple[str, Picture | DataError]
"""Name of the picture, and the picture, or why it cannot be read."""


class Attempts:
    """Every picture that a file, a folder or a list of these should have, in the order of reading.

    Files are listed once, here; a file that is gone when its turn comes is one attempt that fails.

    Parameters
    ----------
    source
        As in :func:`~sciexplain.domains.images.read`.
    reading
        How.

    Raises
    ------
    DataError
        A folder that is not there or has no pictures.
    """

    def __init__(self, source: PathName | Iterable[PathName], reading: Reading) -> None:
        self._root, self._names = _listed(source)
        self._reading = reading
        # The number of each file's first attempt, as far as files have been counted, and that of the next one.
        self._starts = array("q", [0])

    def __len__(self) -> int:
        self._file_of(2**63 - 1)
        return self._starts[-1]

    def read(self, start: int = 0) -> Iterator[Attempt]:
        """All attempts from one on; those before it are not decoded, nor are files opened that hold one picture."""
        if start < 0:
            raise InputError(f"start={start}; expected 0 or more")
        file = self._file_of(start)
        first = start - self._starts[file]
        while file < len(self._names):
            yield from self._attempted(file, first)
            file, first = file + 1, 0

    def at(self, numbers: Iterable[int]) -> Iterator[Attempt]:
        """The attempts of these numbers, in rising order, each once; numbers that no attempt has are left out."""
        for file, there in groupby(sorted(set(numbers)), self._file_of):
            if file < len(self._names):
                yield from self._attempted(file, 0, [number - self._starts[file] for number in there])

    def _file_of(self, number: int) -> int:
        """The file that an attempt is in."""
        while number >= self._starts[-1] and len(self._starts) <= len(self._names):
            self._count(len(self._starts) - 1)
        return bisect_right(self._starts, number) - 1

    def _count(self, file: int, found: int | None = None) -> int:
        """How many attempts a file is: as it was when it was first counted."""
        if file + 1 == len(self._starts):
            if found is None:
                found = 1 if holds_one(self._names[file]) else self._pages_of(file)
            self._starts.append(self._starts[file] + found)
        return self._starts[file + 1] - self._starts[file]

    def _pages_of(self, file: int) -> int:
        path, wanted = _place(self._root / self._names[file])
        if wanted is not None:
            return 1
        try:
            with _opened(path, self._reading) as pages:
                return pages.count
        except Exception as error:  # decoders answer damage with many kinds
            _told(path.name, error)
            return 1

    def _attempted(self, file: int, first: int, places: Iterable[int] | None = None) -> Iterator[Attempt]:
        """The attempts of one file: from the first on, or those of some places."""
        path, wanted = _place(self._root / self._names[file])
        name = _text(self._names[file])
        with ExitStack() as stack:
            try:
                pages = stack.enter_context(_opened(path, self._reading))
                if wanted is not None and wanted >= pages.count:
                    raise DataError(f"no picture {wanted}; counts start at 0")
            except Exception as error:  # decoders answer damage with many kinds
                count = self._count(file, 1)
                for place in range(first, count) if places is None else places:
                    label = name if count == 1 else f"{name}[{place}]"
                    yield label, _told(label, error)
                return
            count = self._count(file, pages.count if wanted is None else 1)
            base = name if wanted is None else name[: name.rindex("[")]
            for place in range(first, count) if places is None else places:
                place = place if wanted is None else wanted
                label = f"{base}[{place}]" if pages.stacked else base
                try:
                    picture = Picture(label, path, np.ascontiguousarray(pages.load(place)))
                except Exception as error:  # decoders answer damage with many kinds
                    yield label, _told(label, error)
                else:
                    yield label, picture


def _listed(source: PathName | Iterable[PathName]) -> tuple[Path, list[str]]:
    """A folder, and the names in it that its pictures go by."""
    if not isinstance(source, str | PathLike):
        names: list[str] = []
        for entry in map(Path, source):
            below = list_names(entry) if entry.is_dir() else None
            names += [entry.as_posix()] if below is None else [(entry / name).as_posix() for name in below]
        return Path(), names
    path = Path(source)
    return (path, list_names(path)) if path.is_dir() else (path.parent, [path.name])


def _text(name: str) -> str:
    """A file's name as text that can be written anywhere; systems allow any bytes in it."""
    return name if name.isascii() else name.encode(errors="backslashreplace").decode()


def _place(named: Path) -> tuple[Path, int | None]:
    """Take ``file[index]`` apart, unless a file of just this name is there."""
    place = _PLACE.fullmatch(str(named))
    if place is None or named.exists():
        return named, None
    return Path(place["file"]), int(place["index"])


def _opened(path: Path, reading: Reading) -> AbstractContextManager[Pages]:
    """The pictures of a file."""
    if not path.is_file():
        raise DataError("no file of this name; expected a picture")
    reader = READERS.get(suffix(path.name))
    if reader is None:
        raise DataError(f"a file ending in {path.suffix!r}; expected {', '.join(READERS)}")
    return reader(path, reading)


def _told(name: str, error: Exception) -> DataError:
    """Say which picture it was. Decoders of broken files raise whatever they please."""
    if isinstance(error, SciExplainError) and not isinstance(error, DataError):
        raise error
    if isinstance(error, DataError):
        found = str(error)
    else:
        said = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
        said = "".join(letter if letter.isprintable() else "�" for letter in said)
        found = f"what cannot be decoded ({said}); expected a whole picture"
    told = DataError(f"{name}: found {found}")
    told.__cause__ = error
    return told
