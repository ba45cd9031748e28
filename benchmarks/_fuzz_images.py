"""Readers of pictures, to be fed with damaged files: ``TARGETS`` take bytes, ``SEEDS`` are whole files to damage."""

import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from sciexplain.domains import images
from sciexplain.errors import DataError

MAX_PIXELS = 2**18
"""That targets read; small, so that damage costs little time."""

_RNG = np.random.default_rng(0)
_RGB = _RNG.integers(0, 256, (11, 13, 3), dtype=np.uint8)
_GREY = _RGB[..., 0]
_MEMORY = Path("/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir())
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def feed(suffix: str, content: bytes) -> None:
    """Read a file of this content; pictures that come of it must be ones, and errors must be told as such.

    Raises
    ------
    Exception
        What a reader should have told as a :class:`~sciexplain.errors.DataError`.
    """
    path = _MEMORY / f"fuzz-{os.getpid()}{suffix}"
    try:
        path.write_bytes(content)
        made = 0
        for name, found in images.attempts(path, max_pixels=MAX_PIXELS):
            made += 1
            _check(name, found)
        assert made == images.count(path), (made, images.count(path))
    finally:
        path.unlink(missing_ok=True)


def _check(name: str, found: images.Picture | DataError) -> None:
    if isinstance(found, DataError):
        assert str(found).startswith(f"{name}: found ") and "\n" not in str(found), repr(str(found))
        return
    array = found.array
    assert array.ndim == 3 and array.dtype == np.float32 and array.flags.c_contiguous and array.size, array.shape
    assert array.min() >= 0 and array.max() <= 1, (array.min(), array.max())


def png_with_checksums(content: bytes) -> bytes:
    """The same PNG with the checksums of its chunks put right, so that damage reaches what is inside them."""
    if not content.startswith(_SIGNATURE):
        return content
    parts, place = [_SIGNATURE], len(_SIGNATURE)
    while place + 12 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        body = content[place + 4 : place + 8 + size]
        parts.append(content[place : place + 4] + body + struct.pack(">I", zlib.crc32(body)))
        place += 12 + size
    return b"".join(parts) + content[place:]


def _saved(samples: np.ndarray, kind: str, mode: str | None = None, **options: object) -> bytes:
    stream = BytesIO()
    picture = Image.fromarray(samples)
    (picture if mode is None else picture.convert(mode)).save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def _tiff(samples: np.ndarray, **options: object) -> bytes:
    stream = BytesIO()
    tifffile.imwrite(stream, samples, **options)
    return stream.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[274], exif[270] = 6, "a picture"
    exif.get_ifd(0x8769)[36867] = "2020:01:01 00:00:00"
    return exif


def _animation(kind: str) -> bytes:
    stream = BytesIO()
    frames = [Image.fromarray(np.roll(_RGB, n, 0)) for n in range(3)]
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
    return stream.getvalue()


def _rle_bmp() -> bytes:
    """Runs, a jump and a stretch of pixels as they are; Pillow writes no such file."""
    rows = bytes([13, 1, 0, 0, 0, 2, 1, 1, 5, 2, 0, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 1])
    header = struct.pack("<IiiHHIIiiII", 40, 13, 11, 1, 8, 1, len(rows), 1, 1, 256, 0)
    palette = bytes(value for n in range(256) for value in (n, n, n, 0))
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + palette + rows


def _npy(samples: np.ndarray, *, objects: bool = False) -> bytes:
    stream = BytesIO()
    np.save(stream, samples, allow_pickle=objects)
    return stream.getvalue()


def _npz(*, packed: bool, **arrays: np.ndarray) -> bytes:
    stream = BytesIO()
    (np.savez_compressed if packed else np.savez)(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def _climbing() -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("../../images.npy", _npy(_GREY[None]))
    return stream.getvalue()


_STACK = np.stack([_GREY, _GREY // 2, _GREY // 3])

SEEDS: dict[str, list[bytes]] = {
    "images/png": [
        _saved(_RGB, "PNG", exif=_exif()),
        _saved(_GREY, "PNG", "P", transparency=3),
        _saved(_GREY.astype(np.uint16) * 257, "PNG"),
        _saved(_RGB, "PNG", "LA", icc_profile=b"a profile"),
        _animation("PNG"),
    ],
    "images/jpeg": [
        _saved(_RGB, "JPEG", exif=_exif()),
        _saved(_RGB, "JPEG", "CMYK"),
        _saved(_GREY, "JPEG", progressive=True, icc_profile=b"a profile"),
    ],
    "images/bmp": [_saved(_RGB, "BMP"), _saved(_GREY, "BMP", "1"), _saved(_GREY, "BMP"), _rle_bmp()],
    "images/webp": [
        _saved(_RGB, "WEBP", exif=_exif()),
        _saved(_RGB, "WEBP", "RGBA", lossless=True),
        _animation("WEBP"),
    ],
    "images/ppm": [
        _saved(_RGB, "PPM"),
        _saved(_GREY.astype(np.uint16) * 257, "PPM"),
        _saved(_GREY, "PPM", "1"),
        b"P2 3 2 100\n# a comment\n1 2 3 40 50 100\n",
        b"P3\n1 2\n255\n1 2 3\n4 5 6\n",
        b"P1 3 1\n1 0 1\n",
    ],
    "images/tiff": [
        _tiff(_STACK, photometric="minisblack"),
        _tiff(_STACK, imagej=True),
        _tiff(_RGB, compression="zlib", tile=(16, 16), predictor=True),
        _tiff(_GREY.astype(np.float32) / 255, bigtiff=True, rowsperstrip=4, compression="zlib"),
        _tiff(_RGB.transpose(2, 0, 1), photometric="rgb", planarconfig="separate", byteorder=">"),
        _saved(_RGB, "TIFF", compression="tiff_lzw", exif=_exif()),
        _saved(_RGB, "TIFF", compression="jpeg"),
        _saved(_GREY, "TIFF", "1", compression="group4"),
        _saved(_GREY, "TIFF", "P", compression="packbits"),
        _saved(_RGB, "TIFF", "CMYK"),
        _saved(_RGB, "TIFF", "LA"),
    ],
    "images/npy": [
        _npy(_RGB),
        _npy(_STACK.astype(np.float64) / 255),
        _npy(np.asfortranarray(_STACK)),
        _npy(np.array([[{}]], dtype=object), objects=True),
    ],
    "images/npz": [
        _npz(packed=True, images=_STACK, labels=np.arange(3)),
        _npz(packed=False, x=_STACK.astype(np.float16) / 255),
        _climbing(),
    ],
}
"""Whole files, by the names of the targets that take them."""

TARGETS: dict[str, Callable[[bytes], None]] = {
    "images/png": lambda content: feed(".png", png_with_checksums(content)),
    **{name: partial(feed, f".{name.partition('/')[2]}") for name in SEEDS if name != "images/png"},
}
"""What to call with bytes; it returns where they are read or refused, and raises where a reader fails."""
