"""Pictures inside files: each decoder yields one call per picture, which reads and colours that picture."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.domains.images.colour import Mode, on_background, to_mode, to_unit_range, upright
from sciexplain.errors import DataError

MAX_PIXELS = 2**26
"""Pictures with more pixels (8192 × 8192) are refused unless the caller says otherwise."""

Load = Callable[[], NDArray[np.float32]]
Pages = Iterator[tuple[int | None, Load]]
"""Place in the file (None: the file is one picture) and the call that gives (H, W, C) in 0..1."""

_PILLOW_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM")
_ORIENTATION = 274
_MINISWHITE, _MINISBLACK, _RGB, _PALETTE, _CMYK = 0, 1, 2, 3, 5
_ASSOCIATED_ALPHA, _ALPHA = 1, 2


@dataclass(frozen=True)
class Reading:
    """How stored samples become a picture; see :func:`sciexplain.domains.images.read`."""

    mode: Mode | None = None
    background: float = 1.0
    white: float | None = None
    max_pixels: int = MAX_PIXELS
    key: str | None = None
    layout: str | None = None

    def check_size(self, height: int, width: int) -> None:
        """Refuse a picture before its pixels are decoded."""
        if not 0 < height * width <= self.max_pixels:
            raise DataError(
                f"{width} × {height} pixels; expected 1 to {self.max_pixels} pixels in all; "
                "say max_pixels= if you trust this file"
            )

    def scale(self, samples: NDArray) -> NDArray[np.float32]:
        """Stored samples in 0..1."""
        return to_unit_range(samples, self.white)

    def finish(
        self, colour: NDArray[np.float32], alpha: NDArray | None, *, premultiplied: bool = False
    ) -> NDArray[np.float32]:
        """Lay (H, W, C) colours in 0..1 on the background and bring them to the mode asked for."""
        if alpha is not None:
            opacity = to_unit_range(alpha)
            colour = on_background(colour, opacity, self.background, premultiplied=premultiplied)
        return to_mode(colour, self.mode)


def pillow_pages(path: Path, reading: Reading) -> Pages:
    """The (first) picture of a PNG, JPEG, BMP, WebP or PPM file."""
    with _open(path, _PILLOW_FORMATS) as picture:
        yield None, partial(_from_pillow, picture, reading)


def _from_pillow(picture: Any, reading: Reading) -> NDArray[np.float32]:
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
        samples = np.asarray(picture.convert(mode))
        if transparent:
            samples, alpha = samples[..., :-1], samples[..., -1:]
    if transparent and alpha is None:
        alpha = (samples != picture.info["transparency"])[..., None]
    return upright(reading.finish(reading.scale(np.atleast_3d(samples)), alpha), orientation)


def tiff_pages(path: Path, reading: Reading) -> Pages:
    """Each page of a TIFF file."""
    tifffile = require("tifffile", extra="images")
    with tifffile.TiffFile(path) as file:
        if any(series.is_truncated for series in file.series):
            raise DataError(f"a stack of shape {file.series[0].shape} on one TIFF page; expected a page each")
        for index, page in enumerate(file.pages):
            yield (index if len(file.pages) > 1 else None), partial(_from_tiff, path, index, page, reading)


def _from_tiff(path: Path, index: int, page: Any, reading: Reading) -> NDArray[np.float32]:
    reading.check_size(page.imagelength * page.imagedepth, page.imagewidth)
    if page.imagedepth > 1:
        raise DataError(f"a volume of {page.imagedepth} slices on one TIFF page; expected a page each")
    if page.photometric not in (_MINISWHITE, _MINISBLACK, _RGB, _PALETTE, _CMYK):
        return _tiff_by_pillow(path, index, reading)
    try:
        samples = page.asarray()
    except ValueError as error:
        # LZW, JPEG and fax codes need a library beside tifffile; Pillow brings its own.
        if "imagecodecs" not in str(error):
            raise
        return _tiff_by_pillow(path, index, reading)
    if page.axes.startswith("S"):
        samples = np.moveaxis(samples, 0, -1)
    tag = page.tags.get(_ORIENTATION)
    return upright(_tiff_colours(np.atleast_3d(samples), page, reading), tag.value if tag else 1)


def _tiff_colours(samples: NDArray, page: Any, reading: Reading) -> NDArray[np.float32]:
    """Colours of one page: palette, white-is-zero, CMYK and alpha as its tags say."""
    extra = page.extrasamples[-1] if page.extrasamples else None
    alpha = None
    if extra in (_ASSOCIATED_ALPHA, _ALPHA):
        samples, alpha = samples[..., :-1], samples[..., -1:]
    if page.photometric == _PALETTE:
        # The high byte: writers disagree on whether white is 65280 or 65535.
        colour = to_unit_range((page.colormap >> 8).astype(np.uint8).T[samples[..., 0]])
    elif page.photometric == _MINISWHITE:
        colour = 1 - reading.scale(samples)
    elif page.photometric == _CMYK:
        ink = reading.scale(samples)
        colour = (1 - ink[..., :3]) * (1 - ink[..., 3:4])
    else:
        colour = reading.scale(samples)
    return reading.finish(colour, alpha, premultiplied=extra == _ASSOCIATED_ALPHA)


def _tiff_by_pillow(path: Path, index: int, reading: Reading) -> NDArray[np.float32]:
    with _open(path, ("TIFF",)) as picture:
        picture.seek(index)
        return _from_pillow(picture, reading)


def _open(path: Path, formats: tuple[str, ...]) -> Any:
    """Open without decoding, and without Pillow's warning on sizes that `check_size` judges."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path, formats=formats)
