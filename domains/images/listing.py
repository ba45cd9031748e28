"""Which files are pictures, and in what order those of a folder are read."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path

from sciexplain.domains.images.arrays import npy_pages, npz_pages
from sciexplain.domains.images.decode import Pages, Reading, pillow_pages
from sciexplain.domains.images.tiff import tiff_pages
from sciexplain.errors import DataError

PathName = str | PathLike[str]

READERS: dict[str, Callable[[Path, Reading], AbstractContextManager[Pages]]] = {
    ".png": pillow_pages,
    ".jpg": pillow_pages,
    ".jpeg": pillow_pages,
    ".bmp": pillow_pages,
    ".webp": pillow_pages,
    ".pgm": pillow_pages,
    ".ppm": pillow_pages,
    ".tif": tiff_pages,
    ".tiff": tiff_pages,
    ".npy": npy_pages,
    ".npz": npz_pages,
}


def suffix(name: str) -> str:
    """That of a file, in lower case."""
    return os.path.splitext(name)[1].lower()


def holds_one(name: str) -> bool:
    """Whether a file of this name is one picture, as its format allows no more."""
    return READERS.get(suffix(name)) is pillow_pages


def list_images(folder: PathName) -> list[Path]:
    """All files below a folder whose suffix :func:`read` knows, sorted by path; hidden ones are left out.

    Raises
    ------
    DataError
        There is no such folder, or nothing in it can be read.
    """
    return [Path(folder, name) for name in list_names(folder)]


def list_names(folder: PathName) -> list[str]:
    """The files of :func:`list_images` by their paths below the folder, with forward slashes."""
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{root}: found no folder of this name; expected a folder of pictures")
    names = list(_names(root))
    if not names:
        raise DataError(f"{root}: found no pictures; expected files ending in {', '.join(READERS)}")
    return names


def _names(root: Path) -> Iterator[str]:
    below = [("", iter(_entries(root)))]
    while below:
        prefix, entries = below[-1]
        entry = next(entries, None)
        if entry is None:
            below.pop()
        elif entry.name.startswith("."):
            continue
        elif entry.is_dir(follow_symlinks=False):
            below.append((f"{prefix}{entry.name}/", iter(_entries(entry.path))))
        elif suffix(entry.name) in READERS and entry.is_file():
            yield prefix + entry.name


def _entries(folder: PathName) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"{folder}: found a folder that cannot be listed ({error.strerror}); expected one that can"
        ) from error
