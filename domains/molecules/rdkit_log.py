"""What RDKit says while it fails, as a sentence and not on the screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sciexplain._optional import require

_PREFIX = re.compile(r"^(\[\d\d:\d\d:\d\d\] *)?(SMILES Parse Error: *|SMARTS Parse Error: *|ERROR: *)?")
# Banners of C++ exceptions, the line that points at a column, and what repeats the input or says nothing of it.
_NOISE = re.compile(
    r"[~^*-]*|(Pre|Post)-condition Violation|Violation occurred on line .*|Failed Expression: .*|Stacktrace:|"
    r"Range Error|(Failed parsing|check for mistakes) .*|moving to the beginning of the next molecule"
)


@contextmanager
def rdkit_log() -> Iterator[Callable[[], str]]:
    """Keep RDKit's messages off the screen, and hand out its errors as one line.

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
    with ExitStack() as stack:
        stack.enter_context(base.BlockLogs())
        log = stack.enter_context(base.CaptureErrorLog()) if hasattr(base, "CaptureErrorLog") else None
        yield lambda: one_line(log.messages) if log is not None else ""


def one_line(messages: str) -> str:
    """RDKit's messages without time stamps, banners and repetitions.

    Examples
    --------
    >>> one_line("[12:00:00] SMILES Parse Error: unclosed ring for input: 'C1'\\n[12:00:00] ~~^\\n")
    "unclosed ring for input: 'C1'"
    """
    lines = (_PREFIX.sub("", line).strip() for line in messages.splitlines())
    said = dict.fromkeys(line for line in lines if not _NOISE.fullmatch(line))
    # The parser repeats the input alone on a line, to point at a column of it.
    return "; ".join(line for line in said if not any(line != other and other.endswith(f": {line}") for other in said))
