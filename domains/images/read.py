"""Pictures from files, folders and lists of them, one at a time."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Literal

from sciexplain.domains.images.attempts import Attempt, Attempts, Picture
from sciexplain.domains.images.colour import Mode
from sciexplain.domains.images.decode import MAX_PIXELS, Reading
from sciexplain.domains.images.listing import PathName
from sciexplain.errors import DataError

OnError = Literal["raise"] | Callable[[str, DataError], None]


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
        Pictures with more are refused before they are decoded, and so are files that would take far more memory.
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
    integers are refused unless ``white`` says what white is. 16-bit *colour* in PNG, and in TIFF that is packed
    otherwise than by deflate, is decoded at 8 bits, as Pillow does; 16-bit grey keeps all of them.

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
    return _read(source, Reading(mode, background, white, max_pixels, key, layout), on_error)


def attempts(
    source: PathName | Iterable[PathName],
    mode: Mode | None = None,
    *,
    start: int = 0,
    background: float = 1.0,
    white: float | None = None,
    max_pixels: int = MAX_PIXELS,
    key: str | None = None,
    layout: str | None = None,
) -> Iterator[Attempt]:
    """What :func:`read` comes upon, good or bad: each picture that should be there is exactly one attempt.

    Parameters
    ----------
    source, mode, background, white, max_pixels, key, layout
        As in :func:`read`.
    start
        The first to read. Those before it are not decoded; files are not opened where they hold one picture.

    Yields
    ------
    tuple
        The picture's name, as :func:`read` gives it, and the :class:`Picture`, or the
        :class:`~sciexplain.errors.DataError` that says why it cannot be read. A file that cannot be opened, or that
        is gone by then, is one attempt.

    Raises
    ------
    DataError
        A folder that is missing or has no pictures.

    Examples
    --------
    >>> dict(attempts("scans/"))  # doctest: +SKIP
    {'a.png': Picture(…), 'b.png': DataError('b.png: found no file of this name; expected a picture')}
    """
    yield from Attempts(source, Reading(mode, background, white, max_pixels, key, layout)).read(start)


def count(source: PathName | Iterable[PathName], *, key: str | None = None, layout: str | None = None) -> int:
    """How many :func:`attempts` there are, by the names of files and the headers of those that hold several.

    Parameters
    ----------
    source, key, layout
        As in :func:`read`.

    Raises
    ------
    DataError
        A folder that is missing or has no pictures.
    """
    return len(Attempts(source, Reading(key=key, layout=layout)))


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
        raise DataError(f"{path}: found more than one picture: {pictures[0].name!r}, …; expected exactly one")
    return pictures[0]


def _read(source: PathName | Iterable[PathName], reading: Reading, on_error: OnError) -> Iterator[Picture]:
    for name, found in Attempts(source, reading).read():
        if isinstance(found, Picture):
            yield found
        elif on_error == "raise":
            raise found
        else:
            on_error(name, found)
