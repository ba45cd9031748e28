"""Bytes of files, plain, gzip or bgzip, piece by piece, from the start or from where an earlier reading had come."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

from sciexplain.domains.genomics.formats.limits import MOST_TIMES, UNPACKED_ANYHOW
from sciexplain.errors import DataError

Kind = Literal["", "gzip", "bgzip"]

_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_AT_ONCE, _PACKED_AT_ONCE = 1 << 18, 1 << 16
_GZIP = zlib.MAX_WBITS | 16


def compression_of(path: Path) -> Kind:
    """By its first bytes, whatever its name.

    Raises
    ------
    DataError
        There is no such file, or it cannot be opened.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        with path.open("rb") as file:
            head = file.read(14)
    except OSError as error:
        raise unreadable(path, error) from error
    if head[:2] != b"\x1f\x8b":
        return ""
    return "bgzip" if len(head) == 14 and head[3] & 4 and head[12:] == b"BC" else "gzip"


def is_cut_off(path: Path) -> bool:
    """Whether a bgzip file lacks the empty block that ends every whole one."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(_BGZIP_END)))
        return file.read() != _BGZIP_END


def cut_off(path: Path, kind: str) -> DataError:
    """What is said of a file that ends too early."""
    return DataError(f"{path.name} is cut off: its {kind} data end before they should; copy or download it again")


def damaged(path: Path, error: Exception) -> DataError:
    """What is said of a file whose compressed data are wrong."""
    return DataError(f"{path.name} is damaged: {error}; copy or download it again")


def unreadable(path: Path, error: OSError) -> DataError:
    """What is said of a file that the system does not let one read."""
    return DataError(f"{path.name} cannot be read: {error.strerror or error}")


def check_growth(path: Path, packed: int, size: int) -> None:
    """Refuse to unpack so many bytes from so few.

    Raises
    ------
    DataError
        They are more than ``MOST_TIMES`` as many, and more than ``UNPACKED_ANYHOW``.
    """
    if size > UNPACKED_ANYHOW and size > MOST_TIMES * packed:
        raise DataError(
            f"{path.name} unpacks to more than {MOST_TIMES} times its size, as no real data do: {size} bytes so far; "
            "the rest is not read"
        )


class Position(NamedTuple):
    """Where in a file the next piece begins: the byte, how the unpacking stands there, and what came out before."""

    byte: int
    unpacking: Any
    size: int


class Source:
    """A file's bytes; a context manager.

    Parameters
    ----------
    path
        The file.
    kind
        As :func:`compression_of` says.
    at
        Of an earlier reading; None: the start.

    Raises
    ------
    DataError
        It cannot be opened.
    """

    def __init__(self, path: Path, kind: Kind, at: Position | None = None) -> None:
        self._path, self._kind = path, kind
        self._unpacking: Any = None if at is None or at.unpacking is None else at.unpacking.copy()
        self._rest, self._size = b"", 0 if at is None else at.size
        try:
            self._file = path.open("rb")
            self._file.seek(0 if at is None else at.byte)
        except OSError as error:
            raise unreadable(path, error) from error

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        """The pieces that are left.

        Raises
        ------
        DataError
            After what could be read: it is cut off, damaged, unreadable, or unpacks to far more than such files do.
        """
        try:
            while piece := self._unpacked() if self._kind else self._file.read(_AT_ONCE):
                self._size += len(piece)
                if self._kind:
                    check_growth(self._path, self._file.tell(), self._size)
                yield piece
        except zlib.error as error:
            raise damaged(self._path, error) from error
        except OSError as error:
            raise unreadable(self._path, error) from error

    @property
    def position(self) -> Position:
        """Of the piece that comes next."""
        copied = None if self._unpacking is None else self._unpacking.copy()
        return Position(self._file.tell() - len(self._rest), copied, self._size)

    def _unpacked(self) -> bytes:
        """The next piece; a file may be several gzip files one after the other, with zeros between them."""
        while True:
            rest = self._rest or self._file.read(_PACKED_AT_ONCE)
            if self._unpacking is None:
                if not rest:
                    return b""
                self._rest = rest.lstrip(b"\0")
                self._unpacking = zlib.decompressobj(_GZIP) if self._rest else None
                continue
            if not rest:
                raise cut_off(self._path, self._kind)
            piece: bytes = self._unpacking.decompress(rest, _AT_ONCE)
            self._rest = self._unpacking.unconsumed_tail
            if self._unpacking.eof:
                self._rest, self._unpacking = self._unpacking.unused_data, None
            if piece:
                return piece


def unpacked(path: Path, kind: Kind) -> Iterator[bytes]:
    """All of a file's bytes, piece by piece; see :class:`Source`."""
    with Source(path, kind) as source:
        yield from source
