"""Regions of BED and narrowPeak files, and windows of one length around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sciexplain.domains.genomics.formats.attempts import Bookmarks, Entries, NumberedLines, attempted, counted
from sciexplain.domains.genomics.formats.fasta import too_long
from sciexplain.domains.genomics.formats.limits import LONGEST_NAME, shown
from sciexplain.domains.genomics.formats.lines import OnError, cells_of, strand_of, whole_number, without_errors
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import DataError, InputError

_SCORES = {"score": 4, "signalValue": 6, "pValue": 7, "qValue": 8}
_MOST_CELLS = 12


@dataclass(frozen=True)
class Region:
    """One line of a BED file.

    Attributes
    ----------
    name
        Its own, or the interval's.
    interval
        Where it lies.
    summit
        The base with the highest signal, on the chromosome and 0-based; None where that is not known.
    labels
        Columns that were asked for; a narrowPeak's ``signalValue`` if none were.
    """

    name: str
    interval: Interval
    summit: int | None = None
    labels: tuple[float, ...] = ()

    @property
    def centre(self) -> int:
        """The summit, or else the base in the middle, of two the right one; 0-based, the same for either strand."""
        return self.interval.start + len(self.interval) // 2 if self.summit is None else self.summit


def read_bed(
    path: Path, *, labels: Sequence[str] = (), on_error: OnError | None = None
) -> Iterator[tuple[str, Region]]:
    """Each region with its place, such as ``"peaks.bed:3"``.

    Three to twelve columns, by tabs or spaces; ``track``, ``browser``, ``#`` and empty lines are left out. Ten columns
    are a narrowPeak's, whatever the file is called. The name is the fourth column, or the fifth where that is no
    number and the fourth is ".", and the interval where there is none.

    Parameters
    ----------
    labels
        ``score`` (the fifth column); of narrowPeak and broadPeak also ``signalValue``, ``pValue``, ``qValue``.

    Raises
    ------
    InputError
        Other labels.
    DataError
        As :func:`report` does: fewer or more columns, what is no number, a negative start, a start at or behind the
        end, a summit outside, a file that is cut off.

    Examples
    --------
    >>> _ = Path("a.bed").write_text("chr1\\t10\\t14\\tpeak\\t0\\t-\\n")
    >>> list(read_bed(Path("a.bed")))
    [('a.bed:1', Region(name='peak', interval=Interval(chrom='chr1', start=10, end=14, strand='-'), summit=None,
    labels=()))]
    """
    check_labels(labels)
    return without_errors(bed_attempts(path, labels=labels), on_error)


def check_labels(labels: Sequence[str]) -> None:
    """That regions have these.

    Raises
    ------
    InputError
        They have not.
    """
    if strange := [label for label in labels if label not in _SCORES]:
        raise InputError(f"labels has {strange[0]!r}; regions have {', '.join(_SCORES)}")


def bed_attempts(
    path: Path,
    numbers: Iterable[int] | None = None,
    bookmarks: Bookmarks | None = None,
    *,
    labels: Sequence[str] = (),
) -> Iterator[tuple[str, Region | DataError]]:
    """Each region, or what is wrong with it; see :func:`~.attempts.attempted`."""
    return attempted(path, _entries, lambda line, place: _region(_cells(line), labels), numbers, bookmarks)


def count_bed(path: Path, bookmarks: Bookmarks | None = None) -> int:
    """How many of them there are."""
    return counted(path, _entries, bookmarks)


def bed_rows(path: Path, on_error: OnError | None) -> Iterator[tuple[str, list[str]]]:
    """The cells of each line that is a region, with its place."""
    return without_errors(attempted(path, _entries, lambda line, place: _cells(line)), on_error)


def _entries(lines: NumberedLines) -> Entries[str]:
    """Each line that is a region, with its number."""
    empty = True
    for number, line in lines:
        if isinstance(line, str):
            words = line.split(None, 1)
            if not words or line[0] == "#" or words[0] in ("track", "browser"):
                continue
        empty = False
        yield number, line
    if empty:
        yield 0, DataError("there are no regions in it; expected lines of chrom, start and end")


def _cells(line: str) -> list[str]:
    """At most one more than a line may have."""
    return cells_of(line, _MOST_CELLS)


def interval_and_name(cells: Sequence[str]) -> tuple[Interval, str]:
    """Where a line of BED lies, and its name or "".

    Raises
    ------
    DataError
        It is no region.
    """
    if not 3 <= len(cells) <= _MOST_CELLS:
        many = f"more than {_MOST_CELLS}" if len(cells) > _MOST_CELLS else f"{len(cells)}"
        raise DataError(f"the line has {many} columns; expected 3 to 12: chrom, start, end, name, score, strand …")
    if strange := [name for name in (*cells[:1], *cells[3:5]) if len(name) > LONGEST_NAME]:
        raise too_long(strange[0])
    start, end = whole_number(cells[1], "the start"), whole_number(cells[2], "the end")
    interval = Interval(cells[0], start, end, strand_of(cells[5]) if len(cells) > 5 else ".")
    names = [cells[3]] if len(cells) > 3 else []
    if len(cells) > 4 and not _is_number(cells[4]):
        names.append(cells[4])
    return interval, next((name for name in names if name not in ("", ".")), "")


def _region(cells: Sequence[str], labels: Sequence[str]) -> Region:
    interval, name = interval_and_name(cells)
    summit = None
    if len(cells) == 10:
        offset = whole_number(cells[9], "the summit (10th column)")
        if offset >= len(interval):
            raise DataError(f"the summit is {offset} bp from the start of {interval}; expected one within it, or -1")
        summit = interval.start + offset if offset >= 0 else None
    wanted = labels or (("signalValue",) if len(cells) == 10 else ())
    return Region(name or str(interval), interval, summit, tuple(_score(cells, label) for label in wanted))


def _score(cells: Sequence[str], label: str) -> float:
    column = _SCORES[label]
    # BED with more columns has thickStart and others where the peaks' have their scores.
    if column >= len(cells) or (column > 4 and len(cells) not in (9, 10)):
        raise DataError(f"there is no {label} among its {len(cells)} columns")
    if not _is_number(cells[column]):
        raise DataError(f"{label} is {shown(cells[column])}; expected a number")
    return float(cells[column])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def window_of(region: Region, length: int) -> tuple[int, int]:
    """Start and end of so many bp around a region's centre, which is then the base ``length // 2``; may be below 0.

    Examples
    --------
    >>> window_of(Region("peak", Interval("chr1", 10, 15)), 3), window_of(Region("peak", Interval("chr1", 10, 15)), 4)
    ((11, 14), (10, 14))
    """
    start = region.centre - length // 2
    return start, start + length
