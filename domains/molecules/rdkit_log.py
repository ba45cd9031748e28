"""What RDKit says while it fails, as a sentence and not on the screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock, RLock
from typing import Any

from sciexplain._optional import require

_LONGEST = 400
_PREFIX = re.compile(r"^(\[\d\d:\d\d:\d\d\] *)?(SMILES Parse Error: *|SMARTS Parse Error: *|ERROR: *)?")
# Banners of C++ exceptions, the line that points at a column, and what repeats the input or says nothing of it.
_NOISE = re.compile(
    r"[~^*-]*|(Pre|Post)-condition Violation|Violation occurred on line .*|Failed Expression: .*|Stacktrace:|"
    r"Range Error|(Failed parsing|check for mistakes) .*|moving to the beginning of the next molecule"
)


class _Silence:
    """RDKit's logs are off for all threads as long as one of them wants that."""

    def __init__(self) -> None:
        self._lock, self._wanted, self._off = Lock(), 0, None

    def __enter__(self) -> None:
        base: Any = require("rdkit.rdBase", extra="molecules")
        with self._lock:
            self._wanted += 1
            if self._off is None:
                self._off = base.BlockLogs()

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._wanted -= 1
            if not self._wanted:
                self._off = None


quiet = _Silence()
"""A context in which RDKit's messages are kept off the screen; for calls that take long, since threads share it."""

_CAPTURE = RLock()  # RDKit has one log, and restores what it was in the order in which captures end


@contextmanager
def rdkit_log() -> Iterator[Callable[[], str]]:
    """Keep RDKit's messages off the screen, and hand out its errors as one line; one thread at a time.

    Yields
    ------
    Callable
        The errors so far, without time stamps and repetitions; empty if RDKit said nothing (before 2026.03 it
        cannot be asked).

    Examples
    --------
    >>> from rdkit import Chem
    >>> with rdkit_log() as reason:
    ...     molecule = Chem.MolFromSmiles("CN(C)(C)C")
    >>> reason()
    'Explicit valence for atom # 1 N, 4, is greater than permitted'
    """
    base: Any = require("rdkit.rdBase", extra="molecules")
    with _CAPTURE, quiet, base.CaptureErrorLog() if hasattr(base, "CaptureErrorLog") else nullcontext() as log:
        yield lambda: one_line(log.messages) if log is not None else ""


def one_line(messages: str) -> str:
    """RDKit's messages without time stamps, banners and repetitions; the middle of long ones is left out.

    Examples
    --------
    >>> one_line("[12:00:00] SMILES Parse Error: unclosed ring for input: 'C1'\\n[12:00:00] ~~^\\n")
    "unclosed ring for input: 'C1'"
    """
    lines = (_PREFIX.sub("", line).strip() for line in messages.splitlines())
    said = dict.fromkeys(line for line in lines if not _NOISE.fullmatch(line))
    # The parser repeats the input alone on a line, to point at a column of it.
    told = "; ".join(line for line in said if not any(line != other and other.endswith(f": {line}") for other in said))
    return told if len(told) <= _LONGEST else f"{told[: _LONGEST // 2]} … {told[-_LONGEST // 2 :]}"
