"""The idx format of the MNIST files: a magic number, the shape, then the values."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciexplain.errors import DataError

_UNSIGNED_BYTE = 0x08
_MOST_AXES = 4


def read_idx(path: Path, *, most_values: int = 1 << 28) -> NDArray[np.uint8]:
    """Read a gzip-compressed idx file of unsigned bytes.

    Parameters
    ----------
    path
        File name.
    most_values
        Refuse a file that claims more values than this, before any memory is taken.

    Returns
    -------
    (n, ...) uint8 of the shape the header gives.

    Raises
    ------
    DataError
        The file is no such file, is cut short, or holds more or less than its header says.
    """
    try:
        with gzip.open(path) as file:
            shape = _read_shape(path, file.read(4), file)
            size = math.prod(shape)
            if size > most_values:
                raise DataError(f"{path} claims {size} values; at most {most_values} are accepted")
            # One byte more than promised tells a longer file without reading all of it.
            values = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read as a gzip-compressed idx file: {error}") from error
    if len(values) != size:
        found = "more" if len(values) > size else str(len(values))
        raise DataError(f"{path} should hold {size} values, as its header says, but holds {found}")
    try:
        return np.frombuffer(values, dtype=np.uint8).reshape(shape)
    except ValueError as error:  # no values, along axes that are too long
        raise DataError(f"{path} has the shape {shape}, which no array can have: {error}") from error


def _read_shape(path: Path, magic: bytes, file: gzip.GzipFile) -> tuple[int, ...]:
    if len(magic) != 4 or magic[:3] != bytes((0, 0, _UNSIGNED_BYTE)) or not 1 <= magic[3] <= _MOST_AXES:
        raise DataError(f"{path} does not start like an idx file of unsigned bytes: {magic.hex(' ')}")
    axes = magic[3]
    header = file.read(4 * axes)
    if len(header) != 4 * axes:
        raise DataError(f"{path} ends within its header")
    return struct.unpack(f">{axes}I", header)
