"""Files that appear whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

from sciexplain.errors import DataError

PathName = str | os.PathLike[str]


def written(path: PathName, write: Callable[[Path], object]) -> Path:
    """Write beside the file and move it into place: whoever reads meanwhile finds the old one or the new one.

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
        os.replace(unfinished, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return path
