"""Which functions this user has named on this machine, so that a run's own word for them is not taken.

A run says which ``MODULE:FUNCTION`` it was made of. When the run is somebody else's, that is a file that says what to
import. So it is imported again only if it was named here before, by the user: as ``--model``, ``--featurizer``,
``--tokenizer``, or in Python. They are noted with the file they were found in, one line each, in
``~/.local/state/sciexplain/named`` (or in the folder that ``XDG_STATE_HOME`` names).
"""

from __future__ import annotations

import json
import os
import sys
from importlib.machinery import PathFinder, all_suffixes
from pathlib import Path


def remember(reference: str) -> None:
    """Note that the user named this function; where nothing can be written, it is asked for again another time."""
    entry, path = _entry(reference), _file()
    if entry is None or path is None or entry in _entries(path):
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(handle, "ab") as file:
            file.write(entry)
    except OSError:
        return


def is_known(reference: str) -> bool:
    """Whether the user named this function before, and it is still found in the same file.

    Examples
    --------
    >>> is_known("os:system")
    False
    """
    entry, path = _entry(reference), _file()
    return entry is not None and path is not None and entry in _entries(path)


def found_in(reference: str) -> str | None:
    """The file or folder that a reference's module would be imported from; nothing is imported to find out."""
    module = reference.rpartition(":")[0]
    if module.endswith(".py"):
        return os.path.realpath(module) if os.path.isfile(module) else None
    try:
        spec = PathFinder.find_spec(module.partition(".")[0], search_path(module))
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    return os.path.realpath(spec.origin) if spec.origin else os.pathsep.join(spec.submodule_search_locations or ())


def search_path(module: str) -> list[str]:
    """Where a module is looked for: beside a script, as Python does, if it is there at all.

    An installed package is not imported with the current folder before it, which may be a folder of data.
    """
    here, top = os.getcwd(), module.partition(".")[0]
    local = os.path.isdir(top) or any(os.path.isfile(top + suffix) for suffix in all_suffixes())
    return [here, *sys.path] if local else list(sys.path)


def _file() -> Path | None:
    """Where names are kept, if nobody else can write there."""
    try:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        path = Path(base) / "sciexplain" / "named"
        for part in (path.parent, path):
            if not part.exists():
                continue
            status = part.stat()
            if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
                return None
    except (OSError, RuntimeError):  # no home
        return None
    return path


def _entry(reference: str) -> bytes | None:
    file = found_in(reference)
    return None if file is None else json.dumps([reference, file]).encode() + b"\n"


def _entries(path: Path) -> set[bytes]:
    try:
        return set(path.read_bytes().splitlines(keepends=True))
    except OSError:
        return set()
