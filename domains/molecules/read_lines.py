"""Text files as blocks of whole lines, plain or gzipped, in bounded memory."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.molecules.limits import LONGEST_LINE, MOST_TIMES, UNPACKED_ANYHOW
from sciexplain.errors import DataError

_BLOCK = 1 << 18
_BOM = b"\xef\xbb\xbf"
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


def blocks(path: Path) -> Iterator[bytes]:
    """Whole lines of a text file, some at a time, each ending in a line feed whatever it ended in.

    A line longer than :data:`LONGEST_LINE` is there with more than that many bytes, but not all of them. The lines
    before a place where the file cannot be read come first.

    Raises
    ------
    DataError
        Gzipped text that grows more than :data:`MOST_TIMES` times.
    OSError, EOFError, zlib.error
        The file cannot be read.
    """
    begun, held = b"", b""
    first = True
    with path.open("rb") as packed:
        text = gzip.GzipFile(fileobj=packed) if path.suffix.lower() == ".gz" else packed
        size = 0
        while read := text.read1(_BLOCK):  # not read(), which drops what comes before an error
            size += len(read)
            if size > UNPACKED_ANYHOW and size > MOST_TIMES * packed.tell():
                raise DataError(
                    f"found gzipped text that grows more than {MOST_TIMES} times; expected text of molecules, which "
                    "grows 30 times at most: unpack the file yourself if this is right"
                )
            if first:
                first, read = False, read.removeprefix(_BOM)
            read, held = _line_feeds(held + read)
            whole = read.rfind(b"\n") + 1
            if whole:
                yield begun + read[:whole]
                begun = read[whole:]
            elif len(begun) <= LONGEST_LINE:
                begun = (begun + read)[: LONGEST_LINE + 1]
    if begun or held:
        yield begun + b"\n"


def _line_feeds(text: bytes) -> tuple[bytes, bytes]:
    """The text with line feeds for all ends of line, and its last byte where that may be half of one."""
    if b"\r" not in text:
        return text, b""
    held = b"\r" if text.endswith(b"\r") else b""
    text = text[: len(text) - len(held)]
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n"), held


def starts(block: bytes) -> NDArray[np.int64]:
    """Where its lines begin."""
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10)
    return np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends


def decoded(text: bytes) -> str:
    """UTF-8 text. Bytes that are not are kept for :func:`check_utf8`."""
    return text.decode("utf-8", "surrogateescape")


def check_utf8(text: str) -> None:
    """Refuse text that was not UTF-8 in its file, and say which byte was not.

    Raises
    ------
    DataError
        For the first such byte.
    """
    if text.isascii():
        return
    bad = _NOT_UTF8.search(text)
    if bad:
        before = _NOT_UTF8.sub("?", text[max(0, bad.start() - 20) : bad.start()])
        raise DataError(
            f"found byte 0x{ord(bad[0]) - 0xDC00:02x} after {before!r}; expected UTF-8 text: save the file as UTF-8"
        )


def check_length(line: bytes | str) -> None:
    """Refuse a line of more than :data:`LONGEST_LINE` bytes.

    Raises
    ------
    DataError
    """
    if len(line) > LONGEST_LINE:
        raise DataError(f"found a line of more than {LONGEST_LINE} bytes; expected a molecule on a line")
