"""Libraries that only some tasks need, imported when such a task is asked for."""

import importlib
from types import ModuleType

from sciexplain.errors import MissingDependencyError


def require(name: str, *, extra: str) -> ModuleType:
    """Import a library, or say which extra brings it.

    Parameters
    ----------
    name
        Module name, such as ``"tifffile"``.
    extra
        The extra of this package that installs it, such as ``"images"``.

    Raises
    ------
    MissingDependencyError
        The library is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A library that is there but lacks one of its own is broken; its own message says more.
        if error.name is None or error.name.partition(".")[0] != name.partition(".")[0]:
            raise
        raise MissingDependencyError(
            f"{name} is not installed; it comes with: pip install 'sciexplain[{extra}]'"
        ) from error
