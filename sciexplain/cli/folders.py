"""Folders that commands make for their results."""

import os
from pathlib import Path

from sciexplain.errors import DataError


def check_new(out: Path, own: str, *, overwrite: bool) -> None:
    """That results may be written there.

    Parameters
    ----------
    out
        The folder to make.
    own
        The file by which a folder of this command's is known.
    overwrite
        Whether such a folder may be written over.

    Raises
    ------
    DataError
        It is a file, or holds something else, or results that were not to be replaced, or cannot be made.
    """
    check_folder(out)
    if out.is_dir() and any(out.iterdir()) and not (overwrite and (out / own).is_file()):
        remedy = " or --overwrite" if (out / own).is_file() else ""
        raise DataError(f"{out} is not empty; give another folder{remedy}")


def check_folder(folder: Path) -> None:
    """That there is such a folder to write in, or that it can be made: before the work, not after it.

    Raises
    ------
    DataError
        It cannot.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        within = "" if there == folder else f", and {folder} would be in it"
        raise DataError(f"{there} is a file{within}; give a folder that is empty or does not exist")
    if not os.access(there, os.W_OK | os.X_OK):
        raise DataError(f"{folder} cannot be made, as nothing may be written in {there}; give another folder")
