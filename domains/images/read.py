"""Pictures from files, folders and lists of them, one at a time."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.images.arrays import npy_pages, npz_pages
from sciexplain.domains.images.colour import Mode
from sciexplain.domains.images.decode import MAX_PIXELS, Load, Pages, Reading, pillow_pages, tiff_pages
from sciexplain.errors import DataError, SciExplainError

PathName = str | PathLike[str]
OnError = Literal["raise"] | Callable[[str, DataError], None]

_READERS: dict[str, Callable[[Path, Reading], Pages]] = {
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
_PLACE = re.compile(r"(?P<file>.+)\[(?P<index>\d+)\]")


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


def read(
    source: PathName | Iterable[PathName],
    mode: Mode | None = None,
    *,
    background: float = 1.0,
    white: float | None = None,
    max_pixels: int = MAX_PIXELS,
    key: str | None = None,
    layout: str | None = None,
    on_error: OnError = "raise",
) -> Iterator[Picture]:
    """Read pictures lazily: PNG, JPEG, BMP, WebP, PGM/PPM, TIFF, NPY and NPZ.

    Parameters
    ----------
    source
        A file; a folder (every picture below it, sorted by path); or a list of either. ``"x.npz[17]"`` is the
        18th picture of ``x.npz``; counts start at 0.
    mode
        ``"L"`` grey (BT.601 luma), ``"RGB"`` colour (grey repeated), None as stored.
    background
        Grey level, 0 black to 1 white, that transparent pictures are laid on.
    white
        Stored value that is white, such as 4095 for 12 bits kept in 16.
    max_pixels
        Pictures with more are refused before they are decoded.
    key
        Which array of an NPZ holds the pictures; otherwise ``images``, or the only one with 2 to 4 axes.
    layout
        Axes of NPY and NPZ arrays, such as ``"NCHW"``; otherwise by the rule of
        :func:`~sciexplain.domains.images.arrays.layout_of`.
    on_error
        ``"raise"``, or a function called with the picture's name and the error; reading then goes on.

    Yields
    ------
    Picture
        Named by its file; by its path below the folder; by its path as given in a list. Files of several
        pictures add their place: ``"stack.tif[3]"``.

    Raises
    ------
    DataError
        What was found and what was expected. Missing and empty folders raise whatever ``on_error`` says.

    Notes
    -----
    Samples: uint8 is divided by 255 and uint16 by 65535; floats must be in 0..1; booleans are 0 and 1. Other
    integers are refused unless ``white`` says what white is. 16-bit *colour* in PNG and in LZW- or JPEG-coded
    TIFF is decoded at 8 bits, as Pillow does; 16-bit grey keeps all of them.

    Colours: palettes become RGB (the palette's own alpha counts); CMYK becomes RGB by
    ``(1 − ink) · (1 − black)``; YCbCr and Lab become RGB. Grey stays one channel. Colour profiles are not
    applied and transparency is mixed in stored values. TIFF pages with other channel counts keep them.

    The EXIF or TIFF orientation is applied, so that rows run as a viewer would show them. Of animations the
    first frame is read; each page of a TIFF is a picture.

    Examples
    --------
    >>> [picture.name for picture in read("scans/")]  # doctest: +SKIP
    ['a/001.png', 'a/002.tif[0]', 'a/002.tif[1]']
    """
    reading = Reading(mode, background, white, max_pixels, key, layout)
    return _read(source, reading, on_error)


def read_one(
    path: PathName,
    mode: Mode | None = None,
    *,
    background: float = 1.0,
    white: float | None = None,
    max_pixels: int = MAX_PIXELS,
    key: str | None = None,
    layout: str | None = None,
) -> Picture:
    """Read the only picture of a file; the parameters are those of :func:`read`.

    Raises
    ------
    DataError
        The file cannot be read, or holds more than one picture.
    """
    reading = Reading(mode, background, white, max_pixels, key, layout)
    pictures = list(islice(_read(path, reading, "raise"), 2))
    if len(pictures) != 1:
        found = "no picture" if not pictures else f"more than one picture: {pictures[0].name!r}, …"
        raise DataError(f"{path}: found {found}; expected exactly one")
    return pictures[0]


def list_images(folder: PathName) -> list[Path]:
    """All files below a folder whose suffix :func:`read` knows, sorted by path; hidden ones are left out.

    Raises
    ------
    DataError
        There is no such folder, or nothing in it can be read.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{root}: found no folder of this name; expected a folder of pictures")
    files = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in _READERS
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and path.is_file()
    )
    if not files:
        raise DataError(f"{root}: found no pictures; expected files ending in {', '.join(_READERS)}")
    return files


def _read(source: PathName | Iterable[PathName], reading: Reading, on_error: OnError) -> Iterator[Picture]:
    for named, name in _files(source):
        path, wanted = _place(named)
        base = name if wanted is None else name[: name.rindex("[")]
        for place, load in _pages(path, base, wanted, reading, on_error):
            try:
                array = load()
            except Exception as error:
                _report(place, error, on_error)
            else:
                yield Picture(place, path, np.ascontiguousarray(array))


def _files(source: PathName | Iterable[PathName]) -> Iterator[tuple[Path, str]]:
    """Each file and the name its pictures go by."""
    if not isinstance(source, str | PathLike):
        for entry in map(Path, source):
            yield from ((path, path.as_posix()) for path in (list_images(entry) if entry.is_dir() else [entry]))
    elif Path(source).is_dir():
        yield from ((path, path.relative_to(source).as_posix()) for path in list_images(source))
    else:
        yield Path(source), Path(source).name


def _place(named: Path) -> tuple[Path, int | None]:
    """Take ``file[index]`` apart, unless a file of just this name is there."""
    place = _PLACE.fullmatch(str(named))
    if place is None or named.exists():
        return named, None
    return Path(place["file"]), int(place["index"])


def _pages(
    path: Path, name: str, wanted: int | None, reading: Reading, on_error: OnError
) -> Iterator[tuple[str, Load]]:
    """Name and decoding call of every picture in a file, or of the wanted one."""
    try:
        if not path.is_file():
            raise DataError("no file of this name; expected a picture")
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise DataError(f"a file ending in {path.suffix!r}; expected {', '.join(_READERS)}")
        for index, load in reader(path, reading):
            if wanted in (None, index or 0):
                yield (name if index is None else f"{name}[{index}]"), load
            if wanted is not None and wanted == (index or 0):
                return
        if wanted is not None:
            raise DataError(f"no picture {wanted}; counts start at 0")
    except Exception as error:
        _report(name if wanted is None else f"{name}[{wanted}]", error, on_error)


def _report(name: str, error: Exception, on_error: OnError) -> None:
    """Say which file it was. Decoders of broken files raise whatever they please."""
    if isinstance(error, SciExplainError) and not isinstance(error, DataError):
        raise error
    found = (
        str(error) if isinstance(error, DataError) else f"what cannot be decoded ({error}); expected a whole picture"
    )
    sentence = DataError(f"{name}: found {found}")
    if on_error == "raise":
        raise sentence from error
    on_error(name, sentence)
