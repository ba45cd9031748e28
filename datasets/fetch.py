"""Files of data sets: from the folder that ``SCIEXPLAIN_DATA`` names, or fetched once, checked and cached."""

from __future__ import annotations

import hashlib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sciexplain._optional import require
from sciexplain.errors import DataError


@dataclass(frozen=True)
class Source:
    """One file that a data set is made of.

    Attributes
    ----------
    url
        Where it is published.
    sha256
        Of the published file; None where nobody has said it. The first download is then believed, and its digest
        kept beside it for the next time.
    local
        Its path below the folder that ``SCIEXPLAIN_DATA`` names.
    local_sha256
        Of the file there, which may be packed otherwise; as published unless given.
    """

    url: str
    sha256: str | None
    local: str
    local_sha256: str | None = None


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
    if found is not None:
        return found
    return download(source.url, name=name, sha256=source.sha256, local=source.local, extra=extra)


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
    digest = digest_of(path)
    if sha256 is not None and digest != sha256:
        raise DataError(f"{path} has sha256 {digest}, expected {sha256}: damaged or another file")
    return path


def download(url: str, *, name: str, sha256: str | None, local: str, extra: str) -> Path:
    """A published file, from the cache if it is there.

    Raises
    ------
    DataError
        It is not cached and cannot be fetched, or differs from the published file, or from what was fetched first.
    """
    pooch: Any = require("pooch", extra=extra)
    folder, file = Path(pooch.os_cache("sciexplain"), name.lower()), url.rpartition("/")[2]
    record = folder / f"{file}.sha256"
    known = sha256 or (record.read_text(encoding="ascii").strip() if record.is_file() else None)
    try:
        path = Path(pooch.retrieve(url, known_hash=f"sha256:{known}" if known else None, path=folder, fname=file))
    except ValueError as error:
        than = "the published file" if sha256 else f"what was fetched first (delete {record} if it has changed rightly)"
        raise DataError(f"{name}'s {file} from {url} differs from {than}: {error}") from error
    except OSError as error:  # requests' network errors are of this family
        raise DataError(
            f"{name}'s {file} is not in {folder} and cannot be fetched from {url} ({type(error).__name__}); "
            f"connect to the network once, put the file there, or set SCIEXPLAIN_DATA to a folder with {local}"
        ) from error
    if known is None:
        record.write_text(digest_of(path) + "\n", encoding="ascii")
        warnings.warn(
            f"No checksum of {name}'s {file} is known; what {url} gave was believed, and must be the same next time "
            f"({record}).",
            stacklevel=2,
        )
    return path


def digest_of(path: Path) -> str:
    """The file's SHA-256, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
