"""Pictures kept as numpy arrays: which axis is which, and one picture at a time out of NPY and NPZ files."""

import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from sciexplain.domains.images.decode import Pages, Reading
from sciexplain.errors import DataError

LAYOUTS = ("HW", "HWC", "CHW", "NHW", "NHWC", "NCHW")
_CHANNELS = (1, 3, 4)


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


def picture_of(samples: NDArray, layout: str, reading: Reading) -> NDArray[np.float32]:
    """One picture of axes ``HW``, ``HWC`` or ``CHW`` as (H, W, C) in 0..1; four channels end in alpha."""
    channels_last = np.moveaxis(samples, 0, -1) if layout == "CHW" else samples.reshape(*samples.shape[:2], -1)
    height, width, channels = channels_last.shape
    reading.check_size(height, width)
    colours = channels_last[..., :3] if channels == 4 else channels_last
    alpha = channels_last[..., 3:] if channels == 4 else None
    return reading.finish(reading.scale(colours), alpha)


def npy_pages(path: Path, reading: Reading) -> Pages:
    """Each picture of one ``.npy`` array, read from disk as it is asked for."""
    stored = np.load(path, mmap_mode="r", allow_pickle=False)
    layout = layout_of(stored.shape, reading.layout)
    if not layout.startswith("N"):
        yield None, partial(picture_of, stored, layout, reading)
        return
    for index in range(len(stored)):
        yield index, partial(picture_of, stored[index], layout[1:], reading)


def npz_pages(path: Path, reading: Reading) -> Pages:
    """Each picture of the array of pictures in an ``.npz`` archive, decompressed as it is asked for."""
    with zipfile.ZipFile(path) as archive:
        shapes = dict(_headers(archive))
        name = _pick(shapes, reading.key)
        with archive.open(f"{name}.npy") as stream:
            shape, fortran, dtype = _header(stream)
            if fortran:
                raise DataError(f"array {name!r} in Fortran order; expected C order (numpy.ascontiguousarray)")
            if dtype.hasobject:
                raise DataError(f"array {name!r} of Python objects; expected numbers")
            layout = layout_of(shape, reading.layout)
            stacked = layout.startswith("N")
            one = shape[1:] if stacked else shape
            start = stream.tell()
            for index in range(shape[0] if stacked else 1):
                load = partial(_from_stream, stream, start, index, one, dtype, layout.removeprefix("N"), reading)
                yield (index if stacked else None), load


def _from_stream(
    stream: IO[bytes],
    start: int,
    index: int,
    shape: tuple[int, ...],
    dtype: np.dtype,
    layout: str,
    reading: Reading,
) -> NDArray[np.float32]:
    reading.check_size(*(shape[layout.index(axis)] for axis in "HW"))
    size = dtype.itemsize * int(np.prod(shape))
    stream.seek(start + index * size)
    content = stream.read(size)
    if len(content) < size:
        raise DataError(f"{len(content)} bytes of picture {index}; expected {size}: the file is cut short")
    return picture_of(np.frombuffer(content, dtype).reshape(shape), layout, reading)


def _headers(archive: zipfile.ZipFile) -> Iterator[tuple[str, tuple[int, ...]]]:
    for member in archive.namelist():
        if member.endswith(".npy"):
            with archive.open(member) as stream:
                yield member.removesuffix(".npy"), _header(stream)[0]


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return read(stream)


def _pick(shapes: dict[str, tuple[int, ...]], key: str | None) -> str:
    """The array of pictures: the one asked for, else ``images``, else the only one with 2 to 4 axes."""
    fitting = [name for name, shape in shapes.items() if 2 <= len(shape) <= 4]
    for name in (key, "images", *(fitting if len(fitting) == 1 else ())):
        if name in shapes:
            return name
        if name is not None and name == key:
            break
    found = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"
    wanted = f"an array {key!r}" if key else "one array of pictures, or one called 'images' (or say key=)"
    raise DataError(f"arrays: {found}; expected {wanted}")
