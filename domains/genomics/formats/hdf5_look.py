"""A program that reads HDF5 files once, so that what ends the library on damaged ones ends this and nothing else.

It takes paths, one a line, and answers each with a line: empty, or what is wrong. Run by :mod:`~.hdf5`.
"""

import sys
from math import prod
from typing import Any

import h5py

MOST_ENTRIES = 100_000
_AT_ONCE, _OWN = 1 << 24, 1 << 32


def wrong(path: str, most: int) -> str:
    """What is wrong with a file, or nothing: all its arrays have at most so many bytes and are in it alone."""
    try:
        with h5py.File(path, "r") as file:
            return _wrong(file, most)
    except Exception as error:  # damaged files are answered by h5py with whatever it meets
        return f"is no HDF5 file, damaged or cut off: {error}"


def _wrong(file: Any, most: int) -> str:
    size = entries = 0
    left, seen, arrays = [file], set(), []
    while left:
        group = left.pop()
        if group.id in seen:  # groups may hold each other
            continue
        seen.add(group.id)
        shape = dict(group.attrs).get("shape")
        if shape is not None and 8 * prod(int(length) for length in shape) > most:  # sparse, to be filled with zeros
            return f"has a matrix of shape {tuple(shape)}; expected at most {most // 8} values"
        for name in group:
            entries += 1
            if entries > MOST_ENTRIES:
                return f"has more than {MOST_ENTRIES} entries"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                return f"has a link, {name!r}; expected all of its content in itself"
            entry = group[name]
            if isinstance(entry, h5py.Group):
                left.append(entry)
            elif isinstance(entry, h5py.Dataset):
                if entry.is_virtual or entry.external:
                    return f"has {name!r} in another file; expected all in itself"
                size += prod(entry.shape or ()) * entry.dtype.itemsize
                arrays.append(entry)
    if size > most:
        return f"says that it holds {size} bytes; expected at most {most}"
    for array in arrays:
        dict(array.attrs)
        rows = max(1, _AT_ONCE // max(1, array.dtype.itemsize * prod((array.shape or ())[1:])))
        for start in range(0, len(array), rows) if array.shape else ():
            array[start : start + rows]
        if array.shape == ():
            array[()]
    return ""


def _within(bytes_: int) -> None:
    """Take no more memory than this, where the system has such limits."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (bytes_, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    _within(int(sys.argv[1]) + _OWN)
    for line in sys.stdin:
        told = " ".join(wrong(line.removesuffix("\n"), int(sys.argv[1])).split())
        sys.stdout.write(told.encode("ascii", "backslashreplace").decode() + "\n")
        sys.stdout.flush()
