"""JSON files that somebody else may have written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sciexplain.errors import DataError, SciExplainError

MOST_BYTES = 1 << 28
"""Of a file: a run of a million pictures lists them in half as many."""
_HALF_A_LETTER = re.compile(r"\\u[dD][89abAB]|\\u[dD][c-fC-F]")


def read_json(path: Path, *, what: str, error: type[SciExplainError] = DataError) -> Any:
    """The value that a file holds: nothing in it is run, and it cannot exhaust the stack or the memory.

    Parameters
    ----------
    what
        The file should be, for the message: ``"explanation"``.
    error
        What is raised.

    Raises
    ------
    SciExplainError
        There is no such regular file, it is too large, or it is not JSON in UTF-8.

    Examples
    --------
    >>> Path("a.json").write_text("[1, 2")
    5
    >>> read_json(Path("a.json"), what="list")
    Traceback (most recent call last):
    sciexplain.errors.DataError: a.json cannot be read: it is no list: Expecting ',' delimiter: line 1 column 6 (char 5)
    """
    try:
        if not path.is_file():  # a pipe or a device could be read forever
            raise error(f"{path} cannot be read: there is no such file")
        if (size := path.stat().st_size) > MOST_BYTES:
            raise error(f"{path} cannot be read: it is no {what}: it has {size} bytes; at most {MOST_BYTES} are read")
        text = path.read_bytes().decode("utf-8")
        value = json.loads(text)
        if _HALF_A_LETTER.search(text):
            json.dumps(value, ensure_ascii=False).encode()  # half a letter could be written nowhere
    except OSError as reason:
        raise error(f"{path} cannot be read: {reason.strerror or reason}") from reason
    except RecursionError as reason:
        raise error(f"{path} cannot be read: it is no {what}: it is nested too deeply") from reason
    except SciExplainError:
        raise
    except ValueError as reason:  # no JSON, no UTF-8, a number of thousands of digits
        raise error(f"{path} cannot be read: it is no {what}: {reason}") from reason
    return value
