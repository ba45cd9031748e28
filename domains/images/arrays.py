"""Pictures kept as numpy arrays: which axis is which, and one picture at a time out of NPY and NPZ files."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from sciexplain.domains.images.decode import Pages, Reading
from sciexplain.errors import DataError

LAYOUTS = ("HW", "HWC", "CHW", "NHW", "NHWC", "NCHW")
_CHANNELS = (1, 3, 4)
_HEADER = 2**14
# What deflate can pack into one byte; what may be unpacked from that at all; and from one byte where it is more.
_DEFLATE, _MUCH, _OFTEN = 1032, 2**30, 200


def layout_of(shape: tuple[int, ...], layout: str | None = None) -> str:
    """Name the axes of an array of pictures: N pictures, H rows, W columns, C channels.

    Two axes are ``HW``. Three are ``HWC`` if the last is 1, 3 or 4, else ``NHW``; a first axis of 3 could be
    either three grey pictures or the colours of one, and is refused. Four are ``NHWC`` if the last is 1, 3 or
    4, ``NCHW`` if the second is.

    Parameters
    ----------
    shape
        Of the whole array.
    layout
        Overrides the rule.

    Raises
    ------
    DataError
        No rule applies, more than one does, or ``layout`` does not fit.

    Examples
    --------
    >>> layout_of((10_000, 28, 28)), layout_of((28, 28, 3)), layout_of((8, 3, 224, 224))
    ('NHW', 'HWC', 'NCHW')
    """
    if layout is not None:
        if layout not in LAYOUTS or len(layout) != len(shape):
            fitting = [name for name in LAYOUTS if len(name) == len(shape)]
            raise DataError(f"layout {layout!r} for shape {shape}; expected one of {fitting or LAYOUTS}")
        return layout
    if len(shape) == 2:
        return "HW"
    if len(shape) == 3:
        last, first = shape[-1] in _CHANNELS, shape[0] == 3
        if first:
            raise DataError(f"shape {shape}, which has more than one meaning; say layout='NHW', 'CHW' or 'HWC'")
        return "HWC" if last else "NHW"
    if len(shape) == 4 and (shape[-1] in _CHANNELS) != (shape[1] in _CHANNELS):
        return "NHWC" if shape[-1] in _CHANNELS else "NCHW"
    raise DataError(
        f"shape {shape}; expected (H, W), (H, W, C), (N, H, W), (N, H, W, C) or (N, C, H, W) "
        "with C = 1, 3 or 4; say layout= for another order"
    )


def picture_of(samples: NDArray[Any], layout: str, reading: Reading) -> NDArray[np.float32]:
    """One picture of axes ``HW``, ``HWC`` or ``CHW`` as (H, W, C) in 0..1; four channels end in alpha."""
    channels_last = np.moveaxis(samples, 0, -1) if layout == "CHW" else samples.reshape(*samples.shape[:2], -1)
    height, width, channels = channels_last.shape
    reading.check_size(height, width, channels)
    colours = channels_last[..., :3] if channels == 4 else channels_last
    alpha = channels_last[..., 3:] if channels == 4 else None
    return reading.finish(reading.scale(colours), alpha)


@dataclass(frozen=True)
class _Array:
    """What the header of a stored array says, once it is known to be in keeping with the bytes that are there."""

    start: int
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    layout: str

    @classmethod
    def described(cls, stream: IO[bytes], size: int, reading: Reading, name: str = "") -> "_Array":
        """By the header at the beginning of ``size`` bytes."""
        start, shape, fortran, dtype = _header(stream)
        what = f"an array{name} of shape {shape} and type {dtype}"
        if dtype.kind not in "buif":
            raise DataError(f"{what}; expected integers or floats")
        layout = layout_of(shape, reading.layout)
        if min(shape) < 1:
            raise DataError(f"{what}, which holds no pictures; expected at least one")
        if start + dtype.itemsize * prod(shape) > size:
            raise DataError(f"{what} in {size} bytes; expected all of it: the file is cut short")
        return cls(start, shape, fortran, dtype, layout)

    def pages(self, load: Callable[[int, "_Array"], NDArray[Any]], reading: Reading) -> Pages:
        """Each picture; ``load`` gives its samples."""
        stacked = self.layout.startswith("N")
        one = _Array(self.start, self.shape[stacked:], self.fortran, self.dtype, self.layout[stacked:])

        def page(place: int) -> NDArray[np.float32]:
            sides = dict(zip(one.layout, one.shape, strict=True))
            reading.check_size(sides["H"], sides["W"], sides.get("C", 1))
            return picture_of(load(place, one), one.layout, reading)

        return Pages(self.shape[0] if stacked else 1, stacked, page)

    def read(self, stream: IO[bytes], place: int) -> NDArray[Any]:
        """The array of this kind at a place of a stack of them in C order."""
        size = self.dtype.itemsize * prod(self.shape)
        stream.seek(self.start + place * size)
        content = stream.read(size)
        if len(content) < size:
            raise DataError(f"{len(content)} bytes of picture {place}; expected {size}: the file is cut short")
        return np.frombuffer(content, self.dtype).reshape(self.shape)


@contextmanager
def npy_pages(path: Path, reading: Reading) -> Iterator[Pages]:
    """Each picture of one ``.npy`` array, read from disk as it is asked for."""
    with path.open("rb") as stream:
        array = _Array.described(stream, path.stat().st_size, reading)
        if not array.fortran:
            yield array.pages(lambda place, one: one.read(stream, place), reading)
            return
        stored = np.memmap(stream, array.dtype, "r", array.start, array.shape, order="F")
        stacked = array.layout.startswith("N")
        yield array.pages(lambda place, one: stored[place] if stacked else stored, reading)


@contextmanager
def npz_pages(path: Path, reading: Reading) -> Iterator[Pages]:
    """Each picture of the array of pictures in an ``.npz`` archive, decompressed as it is asked for."""
    stored = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        name = _pick(archive, reading.key)
        size = archive.getinfo(f"{name}.npy").file_size
        with _member(archive, f"{name}.npy", stored) as stream:
            array = _Array.described(stream, size, reading, f" {_shown(name)}")
            if array.fortran:
                raise DataError(f"array {_shown(name)} in Fortran order; expected C order (numpy.ascontiguousarray)")
            yield array.pages(lambda place, one: one.read(stream, place), reading)


def _member(archive: zipfile.ZipFile, name: str, stored: int = 0) -> IO[bytes]:
    """One member as a stream; with the bytes of its file, refused where it would unpack to far more than those."""
    member = archive.getinfo(name)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Other methods are unpacked whole blocks at a time, which may be of any size.
        raise DataError(
            f"array {_shown(name)} compressed in a way that numpy does not write; expected what numpy.savez writes"
        )
    if stored:
        packed = min(member.compress_size, stored)
        most = max(_OFTEN * packed, min(_MUCH, _DEFLATE * packed))
        if member.file_size > (packed if member.compress_type == zipfile.ZIP_STORED else most):
            raise DataError(
                f"array {_shown(name)} of {member.file_size} bytes in {packed} bytes of the file, which cannot hold as "
                "much or was made to keep machines busy; expected what numpy.savez writes"
            )
    return archive.open(member)


def _header(stream: IO[bytes]) -> tuple[int, tuple[int, ...], bool, np.dtype]:
    """Where the samples begin, and shape, Fortran order and type."""
    begin = stream.read(10)
    begin += b"" if begin[6:7] == b"\1" else stream.read(2)
    length = int.from_bytes(begin[8:], "little")
    head = BytesIO(begin + stream.read(min(length, _HEADER)))  # it may claim to be 4 GB long
    version = npy.read_magic(head)
    shape, fortran, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(head)
    return head.tell(), shape, fortran, dtype


def _pick(archive: zipfile.ZipFile, key: str | None) -> str:
    """The array of pictures: the one asked for, else ``images``, else the only one with 2 to 4 axes."""
    names = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
    for name in (key, "images"):
        if name in names:
            return name
        if name is not None and name == key:
            break
    shapes = {name: _shape(archive, name) for name in names}
    fitting = [name for name, shape in shapes.items() if 2 <= len(shape) <= 4]
    if key is None and len(fitting) == 1:
        return fitting[0]
    found = ", ".join(f"{_shown(name)} {shape}" for name, shape in islice(shapes.items(), 8)) or "none"
    more = f" and {len(shapes) - 8} more" if len(shapes) > 8 else ""
    wanted = f"an array {key!r}" if key else "one array of pictures, or one called 'images' (or say key=)"
    raise DataError(f"arrays: {found}{more}; expected {wanted}")


def _shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with _member(archive, f"{name}.npy") as stream:
        return _header(stream)[1]


def _shown(name: str) -> str:
    """A name out of a file, which may hold what a terminal obeys."""
    return name if name.isprintable() else ascii(name)
