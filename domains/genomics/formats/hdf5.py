"""What an HDF5 file holds, looked at before any of it is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sciexplain._optional import require
from sciexplain.domains.genomics.formats.limits import MOST_VALUES
from sciexplain.errors import DataError

LOOK = [sys.executable, "-P", str(Path(__file__).with_name("hdf5_look.py")), str(8 * MOST_VALUES)]
"""The program that looks, in a process of its own: damaged files may end the HDF5 library, or keep it for ever."""

_SECONDS, _BYTES_A_SECOND = 20, 10_000_000


def check_hdf5(path: Path) -> None:
    """That all of a file can be read, has room in memory, and is in no other file.

    An array that was never filled takes no room in a file, however large it says that it is.

    Raises
    ------
    DataError
        It is no HDF5 file or damaged, has arrays of more than 8 GiB or too many entries, links to other files.
    """
    require("h5py", extra="genomics")
    told = looked(path)
    if told:
        raise DataError(f"{path.name} {told}")


def looked(path: Path) -> str:
    """What is wrong with a file; nothing if it is as it should be."""
    if "\n" in str(path):
        return "has a line end in its name; rename it"
    time = _SECONDS + path.stat().st_size // _BYTES_A_SECOND
    try:
        found = subprocess.run(LOOK, input=f"{path}\n", capture_output=True, text=True, timeout=time, check=False)
    except subprocess.TimeoutExpired:
        return f"is damaged: reading it takes more than {time} s"
    if found.returncode:
        return "is damaged, such that the HDF5 library cannot read it"
    return found.stdout.strip()
