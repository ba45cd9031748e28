"""Files of data sets: from the folder that ``SCIEXPLAIN_DATA`` names, or fetched once, checked and cached."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sciexplain._optional import require
from sciexplain.errors import DataError

_LARGEST = 1 << 31
"""Bytes of a file that is fetched; those of the data sets here are much smaller."""


@dataclass(frozen=True)
class Source:
    """One file that a data set is made of.

    Attributes
    ----------
    url
        Where it is published; https only.
    sha256
        Of the published file; None where nobody has said it. It is then not fetched, but may be put at ``local``, or
        beside it under its published name.
    local
        Its path below the folder that ``SCIEXPLAIN_DATA`` names.
    local_sha256
        Of the file there, which may be packed otherwise; as published unless given.
    md5
        Of the published file, where others give this alone.
    """

    url: str
    sha256: str | None
    local: str
    local_sha256: str | None = None
    md5: str | None = None

    def __post_init__(self) -> None:
        if not self.url.startswith("https://"):
            raise DataError(f"{self.url} is no address of a data set; expected one that begins with https://")

    @property
    def file(self) -> str:
        """Its published name."""
        return self.url.rpartition("/")[2]


def fetch(source: Source, *, name: str, extra: str = "molecules") -> Path:
    """The file, from the local folder if it is there, otherwise from the cache or the network.

    Parameters
    ----------
    source
        Which file.
    name
        Of the data set, for the cache and for messages.
    extra
        Of this package, which brings pooch.

    Raises
    ------
    DataError
        It is not there and cannot be fetched, or is not the file that it should be.
    """
    found = local_file(source.local, source.local_sha256 or source.sha256)
    beside = Path(source.local).with_name(source.file).as_posix()
    if found is None and beside != source.local:
        found = local_file(beside, source.sha256)
    return found or download(source, name=name, extra=extra)


def local_file(name: str, sha256: str | None) -> Path | None:
    """A file of the folder that ``SCIEXPLAIN_DATA`` names; None where there is no such folder or file.

    Raises
    ------
    DataError
        It is not the expected file.
    """
    folder = os.environ.get("SCIEXPLAIN_DATA")
    path = Path(folder, name) if folder else None
    if path is None or not path.is_file():
        return None
    if sha256 is not None and (digest := digest_of(path)) != sha256:
        raise DataError(f"{path} has sha256 {digest}, expected {sha256}: damaged or another file")
    return path


def download(source: Source, *, name: str, extra: str) -> Path:
    """A published file, from the cache if it is there; checked before it is used, either way.

    Raises
    ------
    DataError
        It is not cached and cannot be fetched, differs from the published file, or nobody has said what that is.
    """
    if source.sha256 is None and source.md5 is None:
        raise DataError(
            f"{name}'s {source.file} has no published checksum, so that it is not fetched; if you trust {source.url}, "
            f"fetch it yourself, put it at {Path(source.local).with_name(source.file).as_posix()} in a folder, and "
            "name that folder in SCIEXPLAIN_DATA"
        )
    pooch: Any = require("pooch", extra=extra)
    folder = Path(pooch.os_cache("sciexplain"), name.lower())
    known = f"md5:{source.md5}" if source.sha256 is None else f"sha256:{source.sha256}"
    try:
        return Path(pooch.retrieve(source.url, known, fname=source.file, path=folder, downloader=_downloaded))
    except OSError as error:  # requests' network errors are of this family, and some are ValueErrors too
        raise DataError(
            f"{name}'s {source.file} is not in {folder} and cannot be fetched from {source.url} "
            f"({type(error).__name__}); connect to the network once, put the file there, or set SCIEXPLAIN_DATA to a "
            f"folder with {source.local}"
        ) from error
    except ValueError as error:
        raise DataError(f"{name}'s {source.file} from {source.url} differs from the published file: {error}") from error


def _downloaded(url: str, output_file: str, pooch: Any) -> None:
    """Fetch over the web alone, wherever the server points to, and no more than a data set may have."""
    downloader: Any = require("pooch", extra="molecules").HTTPDownloader()
    with open(output_file, "wb") as file:
        downloader(url, _Limited(file), pooch)


class _Limited:
    """A file that takes so many bytes and no more."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.left = file, _LARGEST

    def write(self, data: bytes) -> int:
        self.left -= len(data)
        if self.left < 0:
            raise ValueError(f"it is larger than {_LARGEST} bytes")
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def digest_of(path: Path) -> str:
    """The file's SHA-256, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
