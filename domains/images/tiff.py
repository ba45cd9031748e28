"""TIFF files: where their pages are, and one page at a time, without believing what the file says of its sizes."""

import logging
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.domains.images.colour import to_unit_range, upright
from sciexplain.domains.images.decode import Pages, Reading, from_pillow
from sciexplain.errors import DataError

_ORIENTATION = 274
_MINISWHITE, _MINISBLACK, _RGB, _PALETTE, _CMYK = 0, 1, 2, 3, 5
_ASSOCIATED_ALPHA, _ALPHA = 1, 2
_PLAIN, _DEFLATE = 1, (8, 32946)
_MOST_TAGS = 4096
_FEW, _MANY = 2**16, 2**28
_TYPE_SIZES = np.array([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8])
# What packed data may come to beside the picture itself: tiles reach beyond its edges.
_SLACK = 2**26
_AT_ONCE = 2**20

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what matters of it is told as an error


@contextmanager
def tiff_pages(path: Path, reading: Reading) -> Iterator[Pages]:
    """Each page of a TIFF file; where their chain breaks off, one more that cannot be read."""
    tifffile = require("tifffile", extra="images")
    with path.open("rb") as file:
        count, broken = _count_pages(file, path.stat().st_size)
        if not count:
            raise DataError(broken or "no pages; expected at least one")
        file.seek(0)
        # The other kinds of file that tifffile knows are opened by reckoning with sizes that may be made up.
        with tifffile.TiffFile(file, is_lsm=False, is_scanimage=False, is_ndpi=False) as tiff:
            _check_stack(tiff, count)
            pages = _TiffPages(path, tiff, reading)

            def load(place: int) -> NDArray[np.float32]:
                if place == count:
                    raise DataError(broken)
                return pages.load(place)

            total = count + bool(broken)
            try:
                yield Pages(total, total > 1, load)
            finally:
                pages.close()


def _count_pages(file: IO[bytes], size: int) -> tuple[int, str]:
    """How many directories are chained, and why the chain breaks off, if it does before its end."""
    order, big = _byte_order(file)
    number, entry, pointer, head = ("u8", "u8", 8, 8) if big else ("u2", "u4", 4, 4)
    tag = np.dtype([("code", order + "u2"), ("type", order + "u2"), ("count", order + entry), ("value", order + entry)])
    seen: set[int] = set()
    file.seek(head)
    place = _number(file, order, pointer)
    while place:
        where = f"page {len(seen)}, said to be at byte {place} of {size}"
        if place in seen:
            return len(seen), f"{where}, which is an earlier page; expected a page that follows"
        file.seek(min(place, size))
        tags = _number(file, order, np.dtype(number).itemsize)
        content = file.read(tag.itemsize * min(tags, _MOST_TAGS))
        if not 0 < tags <= _MOST_TAGS or len(content) < tag.itemsize * tags:
            return len(seen), f"{where}, which is not there; expected a whole file"
        found = np.frombuffer(content, tag)
        kinds = np.minimum(found["type"], len(_TYPE_SIZES) - 1)
        values = found["count"].astype(np.float64) @ _TYPE_SIZES[kinds]
        if values > min(max(size, _FEW), _MANY):
            return len(seen), f"{where}, with tags of {values:.3g} bytes in all; expected far fewer"
        seen.add(place)
        place = _number(file, order, pointer)
    return len(seen), ""


def _byte_order(file: IO[bytes]) -> tuple[str, bool]:
    """That of the file, and whether it is a BigTIFF."""
    head = file.read(4)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = None if order is None else int(np.frombuffer(head[2:], order + "u2")[0]) if len(head) == 4 else None
    if order is None or version not in (42, 43):
        raise DataError("a file that does not begin as a TIFF does; expected a picture")
    return order, version == 43


def _number(file: IO[bytes], order: str, size: int) -> int:
    """The number at this place; 0 where the file has ended."""
    content = file.read(size)
    return int.from_bytes(content, "little" if order == "<" else "big") if len(content) == size else 0


def _check_stack(tiff: Any, count: int) -> None:
    """Refuse files that keep many pictures behind one page, which would be lost."""
    page = tiff.pages[0]
    planes = page.tags.get(33629)  # of MetaMorph
    stacked = 1 if planes is None else planes.count
    if said := re.search(r"^images=(\d{1,9})\s*$", page.imagej_description or "", re.MULTILINE):
        stacked = int(said[1])
    elif said := re.match(r'(?:\{"shape": ?\[|shape=\()([\d, ]{1,200})', page.shaped_description or ""):
        stacked = prod(map(int, re.findall(r"\d{1,18}", said[1]))) // max(prod(page.shape), 1)
    if stacked > count and page.is_contiguous and page.dataoffsets[0] + stacked * page.nbytes <= tiff.filehandle.size:
        raise DataError(f"{stacked} pictures behind {count} TIFF pages; expected a page each")


class _TiffPages:
    """The pages of an open TIFF file."""

    def __init__(self, path: Path, tiff: Any, reading: Reading) -> None:
        self._path, self._tiff, self._reading = path, tiff, reading

    def load(self, place: int) -> NDArray[np.float32]:
        """(H, W, C) in 0..1."""
        page, reading = self._tiff.pages[place], self._reading
        reading.check_size(page.imagelength * page.imagedepth, page.imagewidth, page.samplesperpixel)
        if page.imagedepth > 1:
            raise DataError(f"a volume of {page.imagedepth} slices on one TIFF page; expected a page each")
        if page.is_tiled:
            reading.check_size(page.tilelength * page.tiledepth, page.tilewidth, page.samplesperpixel)
        known = page.photometric in (_MINISWHITE, _MINISBLACK, _RGB, _PALETTE, _CMYK)
        if not known or page.compression not in (_PLAIN, *_DEFLATE):
            return self._by_pillow(place)
        _check_data(page)
        try:
            samples = page.asarray(maxworkers=1)
        except ValueError as error:
            # Some ways of packing bits need a library beside tifffile; Pillow brings its own.
            if "imagecodecs" not in str(error):
                raise
            return self._by_pillow(place)
        if not samples.size:
            raise DataError(f"{page.bitspersample} bits of format {page.sampleformat}; expected 1 to 64 bits a sample")
        if page.axes.startswith("S"):
            samples = np.moveaxis(samples, 0, -1)
        tag = page.tags.get(_ORIENTATION)
        return upright(_colours(np.atleast_3d(samples), page, reading), tag.value if tag else 1)

    def _by_pillow(self, place: int) -> NDArray[np.float32]:
        self._pillow.seek(place)
        return from_pillow(self._pillow, self._reading)

    @cached_property
    def _pillow(self) -> Any:
        from PIL.TiffImagePlugin import TiffImageFile

        return TiffImageFile(self._path)

    def close(self) -> None:
        """Close what was opened."""
        if "_pillow" in vars(self):
            self._pillow.close()


def _check_data(page: Any) -> None:
    """Refuse strips and tiles that are missing, overlap, or unpack to far more than the picture."""
    if page.is_contiguous:
        return
    segments, there = prod(page.chunked), min(len(page.dataoffsets), len(page.databytecounts))
    if segments > there:
        raise DataError(f"{there} strips or tiles; expected {segments}: the file is cut short")
    most = 2 * page.nbytes + _SLACK
    if sum(page.databytecounts) > most:
        raise DataError(f"{sum(page.databytecounts)} bytes of strips or tiles for a picture of {page.nbytes} bytes")
    if page.compression in _DEFLATE:
        for offset, packed in zip(page.dataoffsets, page.databytecounts, strict=True):
            page.parent.filehandle.seek(offset)
            most -= _unpacked(page.parent.filehandle.read(packed), most)


def _unpacked(packed: bytes, most: int) -> int:
    """How many bytes deflated data come to; they are not kept."""
    stream, size = zlib.decompressobj(), 0
    while packed:
        size += len(stream.decompress(packed, _AT_ONCE))
        if size > most:
            raise DataError("strips or tiles that unpack to far more than the picture; expected those of a picture")
        packed = stream.unconsumed_tail
    return size


def _colours(samples: NDArray[Any], page: Any, reading: Reading) -> NDArray[np.float32]:
    """Colours of one page: palette, white-is-zero, CMYK and alpha as its tags say."""
    extra = page.extrasamples[-1] if page.extrasamples else None
    alpha = None
    if extra in (_ASSOCIATED_ALPHA, _ALPHA):
        if samples.shape[-1] == 1:
            raise DataError("one sample for each pixel, which is its opacity; expected a colour too")
        samples, alpha = samples[..., :-1], samples[..., -1:]
    if page.photometric == _PALETTE:
        # The high byte: writers disagree on whether white is 65280 or 65535.
        colour = to_unit_range((page.colormap >> 8).astype(np.uint8).T[samples[..., 0]])
    elif page.photometric == _MINISWHITE:
        colour = 1 - reading.scale(samples)
    elif page.photometric == _CMYK:
        if samples.shape[-1] < 4:
            raise DataError(f"{samples.shape[-1]} of the four inks of a CMYK picture; expected all")
        ink = reading.scale(samples)
        colour = (1 - ink[..., :3]) * (1 - ink[..., 3:4])
    else:
        colour = reading.scale(samples)
    return reading.finish(colour, alpha, premultiplied=extra == _ASSOCIATED_ALPHA)
