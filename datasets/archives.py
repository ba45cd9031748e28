"""Files of a zip or tar archive that somebody else packed, under names of our own and of a bounded size."""

from __future__ import annotations

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from sciexplain.errors import DataError

MOST_BYTES = 1 << 31
"""Bytes that an archive may unpack to."""
MOST_MEMBERS = 1 << 17
"""Members that an archive may have."""
MOST_RATIO = 250
"""How many times its own size an archive may unpack to; texts of numbers reach about 20."""
_NEGLIGIBLE = 1 << 24
"""Bytes that are never too many."""
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,  # a way of packing that Python does not know
    RuntimeError,  # a password
    OverflowError,
    KeyError,
    IndexError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)
"""What Python's own readers answer a damaged archive with."""


class Member(NamedTuple):
    """A file of an archive: its last name, without folders, and its content."""

    name: str
    content: bytes


def read_members(path: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    """The regular files of a zip, tar or tar.gz archive whose name in it is wanted.

    Nothing is written. What is no regular file (a link, a device, a folder) is never read, wherever it points to.

    Parameters
    ----------
    path
        The archive.
    wanted
        Asked with each name as the archive has it: folders and all, and anything that its author put there.

    Raises
    ------
    DataError
        It is no such archive or is damaged; it unpacks to more than :data:`MOST_BYTES`, :data:`MOST_MEMBERS` or
        :data:`MOST_RATIO` allow, which is noticed before memory is taken; or two wanted files differ in nothing but
        folders or case.
    """
    names: set[str] = set()
    try:
        size = path.stat().st_size
        most = min(MOST_BYTES, max(_NEGLIGIBLE, MOST_RATIO * size))
        members = _zipped(path, wanted, most) if zipfile.is_zipfile(path) else _tarred(path, wanted, most)
        for name, content in members:
            last = name.replace("\\", "/").rpartition("/")[2]
            if not last or last.casefold() in names:
                raise DataError(f"{path}: found two files {last!r}, if folders and case are left out; expected one")
            names.add(last.casefold())
            yield Member(last, content)
    except DataError:
        raise
    except _DAMAGED as error:
        raise DataError(f"{path} cannot be read as an archive: {type(error).__name__}: {error}") from error


def unpack(path: Path, names: tuple[str, ...], folder: Path) -> list[Path]:
    """Write files of an archive, which are in it once each, wherever in it; as :func:`read_members` reads them.

    Parameters
    ----------
    names
        The last parts of their names in the archive, which are their names in ``folder`` too: whatever else the archive
        holds or says, nothing is written beside them.

    Raises
    ------
    DataError
        As :func:`read_members` does, or one is not there.
    """
    if bad := [name for name in names if Path(name).name != name]:
        raise DataError(f"{bad[0]!r} is no name of a file")
    found = {}
    for name, content in read_members(path, lambda inside: inside.replace("\\", "/").rpartition("/")[2] in names):
        found[name] = folder / name
        found[name].write_bytes(content)
    if missing := [name for name in names if name not in found]:
        raise DataError(f"{path}: found no {', '.join(missing)}; expected an archive that holds them")
    return [found[name] for name in names]


def _zipped(path: Path, wanted: Callable[[str], bool], most: int) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_MEMBERS:
            raise DataError(f"{path} has {len(entries)} members; at most {MOST_MEMBERS} are read")
        chosen = [entry for entry in entries if _is_file(entry) and wanted(entry.filename)]
        claimed = sum(entry.file_size for entry in chosen)
        if claimed > most:
            raise _too_large(path, most, f"claims {claimed}")
        for entry in chosen:
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(f"{path}: {entry.filename!r} is packed in a way that is not read; expected deflate")
            with archive.open(entry) as file:
                # Asked for all that is left, zipfile would unpack all before it looks at what the member claims.
                yield entry.filename, file.read(entry.file_size)


def _is_file(entry: zipfile.ZipInfo) -> bool:
    """Neither a folder nor, where Unix attributes are given, a link or a device."""
    kind = entry.external_attr >> 28
    return not entry.is_dir() and kind in (0, 8)


def _tarred(path: Path, wanted: Callable[[str], bool], most: int) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = _Limited(path, gzip.GzipFile(fileobj=file) if packed else file, most)
        with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]  # reads, and no more
            for number, info in enumerate(archive):
                if number >= MOST_MEMBERS:
                    raise DataError(f"{path} has more than {MOST_MEMBERS} members, of which no more are read")
                if not info.isreg() or info.sparse is not None or not wanted(info.name):
                    continue
                if info.size > most:
                    raise _too_large(path, most, f"{info.name!r} claims {info.size}")
                content = archive.extractfile(info)
                if content is not None:
                    yield info.name, content.read()


class _Limited:
    """The unpacked bytes of a file, and an error where they are too many."""

    def __init__(self, path: Path, file: IO[bytes] | gzip.GzipFile, most: int) -> None:
        self.path, self.file, self.most, self.left = path, file, most, most

    def read(self, size: int) -> bytes:
        data = self.file.read(min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise _too_large(self.path, self.most, "has more")
        return data


def _too_large(path: Path, most: int, found: str) -> DataError:
    return DataError(
        f"{path}: {found} bytes; it may unpack to {most}, so that it cannot fill the memory: unpack it yourself if you "
        "trust it"
    )
