"""Files that appear whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

from sciexplain.errors import DataError

PathName = str | os.PathLike[str]


def written(path: PathName, write: Callable[[Path], object], *, durable: bool = False) -> Path:
    """Write beside the file and move it into place: whoever reads meanwhile finds the old one or the new one.

    Parameters
    ----------
    durable
        Wait until the file is on the disk, so that it is whole after a power cut too.

    Raises
    ------
    DataError
        The folder does not exist, or the file cannot be written.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise DataError(f"{path}: the folder {path.parent} does not exist; make it first")
    unfinished = path.with_name(f".{token_hex(8)}{path.suffix}")
    try:
        write(unfinished)
        if durable:
            _sync(unfinished)
        os.replace(unfinished, path)
        if durable:
            _sync(path.parent)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
