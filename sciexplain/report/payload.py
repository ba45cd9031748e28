"""Data that pages load: JSON inside a script, as pages opened from disk may add scripts but not read files."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


class Data:
    """The folder ``data/`` of a report.

    Parameters
    ----------
    folder
        Where it lies; made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, value: Any) -> int:
        """Write ``NAME.js``, which a page gets by ``sciexplain.load(name)``; its size in bytes."""
        path = self.folder / f"{name}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.write_bytes(script(name, value).encode("ascii"))


def script(name: str, value: Any) -> str:
    r"""The script that hands a value over: plain ASCII that cannot end a script, nor be anything but text in it.

    The JSON is a string in the script, not a literal: there, a key ``__proto__`` would replace the prototype.

    Examples
    --------
    >>> print(script("x", {"a": [1.5, float("nan"), "</script>"]}), end="")
    sciexplain.receive("x", '{"a":[1.5,null,"\\u003c/script>"]}');
    """
    text = json.dumps(plain(value), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"sciexplain.receive({json.dumps(name)}, '{quoted}');\n"


def plain(value: Any) -> Any:
    """As JSON has it: arrays and scalars of numpy as lists and numbers; numbers that are not finite as None.

    Examples
    --------
    >>> plain({"a": np.array([1.0, np.inf]), 3: (np.int64(2), None)})
    {'a': [1.0, None], '3': [2, None]}
    """
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            return plain(value.tolist())
        return value.tolist() if value.dtype.kind in "biuf" else plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def rounded(values: np.ndarray, digits: int = 6) -> np.ndarray:
    """To so many significant digits: what pages show, count and filter by alike.

    Examples
    --------
    >>> rounded(np.array([123.45678, -1e-9 / 3, 0.0, np.nan])).tolist()
    [123.457, -3.33333e-10, 0.0, nan]
    """
    values = np.asarray(values, np.float64)
    size = np.abs(values)
    usual = (size > 1e-290) & (size < 1e290)
    within = np.where(usual, values, 1)
    power = digits - 1 - np.floor(np.log10(np.abs(within))).astype(int)
    up, down = 10.0 ** np.maximum(power, 0), 10.0 ** np.maximum(-power, 0)
    return np.where(usual, np.round(within * up / down) / up * down, values)
