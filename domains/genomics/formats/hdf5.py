"""What an HDF5 file holds, looked at before any of it is read."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

from sciexplain._optional import require
from sciexplain.domains.genomics.formats.limits import MOST_VALUES
from sciexplain.errors import DataError

_MOST_ENTRIES = 100_000
_BYTES = 8 * MOST_VALUES


def check_hdf5(path: Path) -> None:
    """That all of a file has room in memory, and that none of it is in other files.

    An array that was never filled takes no room in a file, however large it says that it is.

    Raises
    ------
    DataError
        It is no HDF5 file or damaged, has arrays of more than 8 GiB or too many entries, links to other files.
    """
    h5py: Any = require("h5py", extra="genomics")
    size = entries = 0
    try:
        with h5py.File(path, "r") as file:
            left, seen = [file], set()
            while left:
                group = left.pop()
                if group.id in seen:  # groups may hold each other
                    continue
                seen.add(group.id)
                _check_shape(path, group.attrs.get("shape"))
                for name in group:
                    entries += 1
                    if entries > _MOST_ENTRIES:
                        raise DataError(f"{path.name} has more than {_MOST_ENTRIES} entries")
                    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                        raise DataError(f"{path.name} has a link, {name!r}; expected all of its content in itself")
                    entry = group[name]
                    if isinstance(entry, h5py.Group):
                        left.append(entry)
                    elif isinstance(entry, h5py.Dataset):
                        if entry.is_virtual or entry.external:
                            raise DataError(f"{path.name} has {name!r} in another file; expected all in itself")
                        size += prod(entry.shape or ()) * entry.dtype.itemsize
            if size > _BYTES:
                raise DataError(f"{path.name} says that it holds {size} bytes; expected at most {_BYTES}")
    except DataError:
        raise
    except Exception as error:  # damaged files are answered by h5py with whatever it meets
        raise DataError(f"{path.name} is no HDF5 file, damaged or cut off: {error}") from error


def _check_shape(path: Path, shape: Any) -> None:
    """Of a sparse matrix, which is filled with zeros."""
    if shape is not None and prod(int(length) for length in shape) > MOST_VALUES:
        raise DataError(f"{path.name} has a matrix of shape {tuple(shape)}; expected at most {MOST_VALUES} values")
