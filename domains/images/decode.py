"""Pictures inside files: each decoder says how many there are, and reads and colours the one that is asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.images.colour import Mode, on_background, to_mode, to_unit_range, upright
from sciexplain.errors import DataError

MAX_PIXELS = 2**26
"""Pictures with more pixels (8192 × 8192) are refused unless the caller says otherwise."""

_ORIENTATION = 274
_CHANNELS = 4
_SCANS = 2**33
_FILE = 2**28
_AT_ONCE = 2**20


@dataclass(frozen=True)
class Reading:
    """How stored samples become a picture; see :func:`sciexplain.domains.images.read`."""

    mode: Mode | None = None
    background: float = 1.0
    white: float | None = None
    max_pixels: int = MAX_PIXELS
    key: str | None = None
    layout: str | None = None

    def check_size(self, height: int, width: int, channels: int = 1) -> None:
        """Refuse a picture before its pixels are decoded; those of many channels may have fewer pixels."""
        if height < 1 or width < 1 or height * width > self.max_pixels:
            raise DataError(
                f"{width} × {height} pixels; expected 1 to {self.max_pixels} pixels in all; "
                "say max_pixels= if you trust this file"
            )
        if not 1 <= channels * height * width <= _CHANNELS * self.max_pixels:
            raise DataError(
                f"{width} × {height} pixels of {channels} channels; expected at most "
                f"{_CHANNELS * self.max_pixels} samples in all; say max_pixels= if you trust this file"
            )

    def scale(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Stored samples in 0..1."""
        return to_unit_range(samples, self.white)

    def finish(
        self, colour: NDArray[np.float32], alpha: NDArray[Any] | None, *, premultiplied: bool = False
    ) -> NDArray[np.float32]:
        """Lay (H, W, C) colours in 0..1 on the background and bring them to the mode asked for."""
        if alpha is not None:
            opacity = to_unit_range(alpha)
            colour = on_background(colour, opacity, self.background, premultiplied=premultiplied)
        return to_mode(colour, self.mode)


@dataclass(frozen=True)
class Pages:
    """The pictures of an open file.

    Attributes
    ----------
    count
        How many there are, by what its headers say.
    stacked
        They go by their places, as in ``stack.tif[3]``; otherwise the file is one picture.
    load
        From a place to (H, W, C) in 0..1. It may raise anything about a broken picture.
    """

    count: int
    stacked: bool
    load: Callable[[int], NDArray[np.float32]]


@contextmanager
def pillow_pages(path: Path, reading: Reading) -> Iterator[Pages]:
    """The (first) picture of a PNG, JPEG, BMP, WebP or PPM file."""
    _check_file(path, reading)
    with path.open("rb") as file:
        yield Pages(1, False, lambda place: from_pillow(_opened(file), reading))


def from_pillow(picture: Any, reading: Reading) -> NDArray[np.float32]:
    """The picture that Pillow has opened, without having decoded it."""
    reading.check_size(picture.height, picture.width)
    picture.load()
    # Asked after loading: Pillow turns some TIFFs itself, and then drops the tag.
    orientation = picture.getexif().get(_ORIENTATION, 1)
    transparent = picture.has_transparency_data
    alpha = None
    if picture.mode == "I" and picture.format in ("PNG", "PPM"):
        samples = np.asarray(picture).astype(np.uint16)
    elif picture.mode == "F" or picture.mode.startswith("I"):
        samples = np.asarray(picture)
    else:
        grey = picture.mode in ("1", "L", "LA", "La")
        mode = ("LA" if grey else "RGBA") if transparent else ("L" if grey else "RGB")
        samples = np.asarray(picture if picture.mode == mode else picture.convert(mode))
        if transparent:
            samples, alpha = samples[..., :-1], samples[..., -1:]
    if transparent and alpha is None:
        alpha = (samples != picture.info["transparency"])[..., None]
    return upright(reading.finish(reading.scale(np.atleast_3d(samples)), alpha), orientation)


def _check_file(path: Path, reading: Reading) -> None:
    """Refuse files of far more bytes than a picture has, some formats of which are read as a whole."""
    size, most = path.stat().st_size, max(_FILE, 16 * reading.max_pixels)
    if size > most:
        raise DataError(f"a file of {size} bytes; expected at most {most}; say max_pixels= if you trust this file")


def _opened(file: IO[bytes]) -> Any:
    """Opened by Pillow without decoding.

    By the format's own class: ``Image.open`` judges the size too, by a limit that all of the program shares, and
    silencing its warning would reach into other threads.
    """
    start = file.read(16)
    file.seek(0)
    for signature, opener in _openers():
        if start.startswith(signature):
            picture = opener(file)
            if picture.format == "JPEG":
                _check_scans(file, picture.height * picture.width)
            return picture
    raise DataError("a file that begins as none of PNG, JPEG, BMP, WebP, PGM and PPM does; expected a picture")


@cache
def _openers() -> tuple[tuple[bytes, Callable[[IO[bytes]], Any]], ...]:
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile
    from PIL.PpmImagePlugin import PpmImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    return (
        (b"\x89PNG", PngImageFile),
        (b"\xff\xd8\xff", JpegImageFile),
        (b"BM", BmpImageFile),
        (b"RIFF", WebPImageFile),
        (b"P", PpmImageFile),
    )


def _check_scans(file: IO[bytes], pixels: int) -> None:
    """Refuse JPEG files that go over all their pixels thousands of times, which takes hours.

    Scans begin with a marker that is escaped within their data; a few more may lie in thumbnails and profiles.
    """
    place, last, scans = file.tell(), b"", 0
    file.seek(0)
    while part := file.read(_AT_ONCE):
        scans += (last + part).count(b"\xff\xda")
        last = part[-1:]
    file.seek(place)
    if scans > 64 and scans * pixels > _SCANS:
        raise DataError(f"{scans} scans over {pixels} pixels; expected a picture of 64 scans at most")
