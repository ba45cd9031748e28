"""Lines of text files, plain, gzip or bgzip, and what becomes of those that cannot be read."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, cast

from sciexplain._files import PathName
from sciexplain.domains.genomics.interval import Strand
from sciexplain.errors import DataError, SciExplainError

OnError = Callable[[str, SciExplainError], object]

_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_COMPRESSED = (".gz", ".bgz", ".bgzip")


def suffix_of(path: PathName) -> str:
    """What tells the format: ``.bed`` for ``x.BED.gz``."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    while suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def compression_of(path: Path) -> Literal["", "gzip", "bgzip"]:
    """By its first bytes, whatever its name.

    Raises
    ------
    DataError
        There is no such file.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    with path.open("rb") as file:
        head = file.read(14)
    if head[:2] != b"\x1f\x8b":
        return ""
    return "bgzip" if head[3] & 4 and head[12:] == b"BC" else "gzip"


def is_cut_off(path: Path) -> bool:
    """Whether a bgzip file lacks the empty block that ends every whole one."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(_BGZIP_END)))
        return file.read() != _BGZIP_END


def cut_off(path: Path, kind: str) -> DataError:
    """What is said of a file that ends too early."""
    return DataError(f"{path.name} is cut off: its {kind} data end before they should; copy or download it again")


def damaged(path: Path, error: Exception) -> DataError:
    """What is said of a file whose compressed data are wrong."""
    return DataError(f"{path.name} is damaged: {error}; copy or download it again")


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines and their numbers from 1, without their ends, be these LF, CRLF or CR; a last line that is cut is left out.

    Raises
    ------
    DataError
        There is no such file; or, after its whole lines: it is cut off or damaged.
    """
    kind = compression_of(path)
    # Cut between two blocks, a bgzip file is a whole gzip file: only the missing last block tells.
    cut = kind == "bgzip" and is_cut_off(path)
    with (
        gzip.open(path, "rt", encoding="utf-8-sig", errors="replace")
        if kind
        else path.open(encoding="utf-8-sig", errors="replace") as text
    ):
        try:
            for number, line in enumerate(text, 1):
                if cut and not line.endswith("\n"):
                    break
                yield number, line.removesuffix("\n")
        except EOFError as error:
            raise cut_off(path, kind) from error
        except (zlib.error, gzip.BadGzipFile) as error:
            raise damaged(path, error) from error
    if cut:
        raise cut_off(path, kind)


def reported_lines(path: Path, on_error: OnError | None) -> Iterator[tuple[int, str]]:
    """Lines as :func:`numbered_lines` has them; what is wrong with the file as a whole goes to :func:`report`."""
    try:
        yield from numbered_lines(path)
    except DataError as error:
        report(path.name, error, on_error)


def cells_of(line: str) -> list[str]:
    """Cells apart by tabs, or by spaces where there is no tab."""
    return [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()


def whole_number(text: str, what: str) -> int:
    """A number of bp, as digits only.

    Raises
    ------
    DataError
        It is none.
    """
    # int() would also take 1_000 and the digits of other scripts
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        raise DataError(f"{what} is {text!r}; expected a whole number")
    return int(text)


def strand_of(text: str) -> Strand:
    """A strand as files write it; "?", which GFF3 has for an unknown one, is ".".

    Raises
    ------
    DataError
        It is none.
    """
    if text not in ("+", "-", ".", "?"):
        raise DataError(f"the strand is {text!r}; expected +, - or .")
    return cast(Strand, text.replace("?", "."))


def report(place: str, error: Exception, on_error: OnError | None) -> None:
    """Tell ``on_error`` that this place, such as ``"peaks.bed:12"``, cannot be read.

    Raises
    ------
    DataError
        There is no ``on_error``.
    """
    located = DataError(f"{place}: {error}")
    if on_error is None:
        raise located from error
    on_error(place, located)
