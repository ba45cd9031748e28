"""Folders that commands make for their results."""

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
        It is a file, or holds something else, or results that were not to be replaced.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; give a folder that is empty or does not exist")
    if out.is_dir() and any(out.iterdir()) and not (overwrite and (out / own).is_file()):
        remedy = " or --overwrite" if (out / own).is_file() else ""
        raise DataError(f"{out} is not empty; give another folder{remedy}")
