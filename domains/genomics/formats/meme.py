"""Motif files: MEME's minimal format, and JASPAR's counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciexplain._files import PathName
from sciexplain.domains.genomics.formats.fasta import too_long
from sciexplain.domains.genomics.formats.feature_files import one_line, write_lines
from sciexplain.domains.genomics.formats.limits import LONGEST_NAME, MOST_POSITIONS
from sciexplain.domains.genomics.formats.lines import Lines, LongLine, OnError, place_in, report
from sciexplain.domains.genomics.motif import Motif
from sciexplain.errors import DataError, InputError

# Possessive, as some lines are long: each letter is looked at once.
_FIELD = re.compile(r"\b(\w++)\s*+=\s*+(\S++)")
_NUMBERS = re.compile(r"[-+]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]++)?")
_LONGEST_FIELDS = 10_000

Entry = tuple[int, list[str]]
"""The number of a motif's first line, and its lines."""


def read_motifs(path: PathName, *, on_error: OnError | None = None) -> tuple[Motif, ...]:
    """Motifs of a file in MEME's minimal format or JASPAR's (counts or raw), gzip too; told apart by their first line.

    Probabilities are divided by their sum, which files round; counts likewise, without pseudocounts. Motifs of the same
    name are all kept.

    Parameters
    ----------
    path
        Such as JASPAR's or HOCOMOCO's ``.meme``, or JASPAR's ``.jaspar`` and ``.pfm``.
    on_error
        Called with ``"file:line"`` and the error for each motif that cannot be read; None: the first is raised.

    Raises
    ------
    DataError
        There is no such file, it is of neither format or of another alphabet, or it holds no motif.
    """
    path = Path(path)
    lines = _lines(path, on_error)
    first = next(lines, (0, ""))
    lines = chain([first], lines)
    if first[1].startswith("MEME version"):
        found = _meme(path, lines, on_error)
    elif first[1].startswith(">"):
        found = _jaspar(path, lines, on_error)
    else:
        raise DataError(
            f'{path.name} begins with {first[1][:40]!r}; expected "MEME version" (MEME) or ">" and a name (JASPAR)'
        )
    motifs = tuple(found)
    if not motifs:
        raise DataError(f"{path.name} holds no motif that can be read")
    return motifs


def write_meme(
    path: PathName, motifs: Iterable[Motif], *, background: Sequence[float] = (0.25, 0.25, 0.25, 0.25)
) -> Path:
    """Write motifs in MEME's minimal format, which Tomtom, FIMO and other tools of the MEME suite read.

    Parameters
    ----------
    path
        An existing file is replaced only when the new one is complete.
    motifs
        Names keep to one line; the first word is what tools call a motif.
    background
        Frequencies of A, C, G, T, for the header.

    Raises
    ------
    DataError
        The file cannot be written.
    InputError
        The background is not of four positive frequencies that sum to 1.

    Notes
    -----
    The MEME Suite, *MEME Motif Format*, version 4.
    """
    if len(background) != 4 or min(background) <= 0 or abs(sum(background) - 1) > 1e-3:
        raise InputError(f"background={tuple(background)}; expected four frequencies above 0 that sum to 1.")
    frequencies = " ".join(f"{letter} {share:g}" for letter, share in zip("ACGT", background, strict=True))
    lines = [
        "MEME version 4",
        "",
        "ALPHABET= ACGT",
        "",
        "strands: + -",
        "",
        "Background letter frequencies",
        frequencies,
    ]
    for motif in motifs:
        lines += ["", f"MOTIF {one_line(motif.name)}"]
        lines += [f"letter-probability matrix: alength= 4 w= {len(motif)} nsites= {motif.count or 20} E= 0"]
        lines += [" ".join(f"{value:.8f}" for value in row) for row in motif.ppm]
    return write_lines(path, lines)


def _lines(path: Path, on_error: OnError | None) -> Iterator[tuple[int, str]]:
    """Those that are not blank."""
    for number, line in Lines(path):
        if isinstance(line, LongLine):
            report(place_in(path, number), line, on_error)
        elif isinstance(line, DataError):
            raise line
        elif line.strip():
            yield number, line.strip()


def _entries(lines: Iterable[tuple[int, str]], begins: Callable[[str], bool]) -> Iterator[Entry]:
    """What is before the first motif, then motif by motif; of one that is endless so many lines that it is refused."""
    start, entry = 0, list[str]()
    for number, line in lines:
        if begins(line):
            yield start, entry
            start, entry = number, [line]
        elif len(entry) <= 2 * MOST_POSITIONS:
            entry.append(line)
    yield start, entry


def _meme(path: Path, lines: Iterable[tuple[int, str]], on_error: OnError | None) -> Iterator[Motif]:
    entries = _entries(lines, lambda line: line.split(None, 1)[0] == "MOTIF")
    _check_alphabet(path, next(entries)[1])
    for number, (head, *rest) in entries:
        try:
            yield _meme_motif(_name(head.removeprefix("MOTIF")), rest)
        except DataError as error:
            report(f"{path.name}:{number}", error, on_error)


def _name(text: str) -> str:
    name = " ".join(text.split())
    if len(name) > LONGEST_NAME:
        raise too_long(name)
    return name


def _check_alphabet(path: Path, header: Iterable[str]) -> None:
    for line in header:
        if not line.startswith("ALPHABET"):
            continue
        given = line.removeprefix("ALPHABET").lstrip("= ")
        if given.strip('"').split('"')[0] not in ("ACGT", "ACGU", "DNA", "RNA"):
            raise DataError(f"{path.name}: the alphabet is {given[:40]}; expected ACGT")


def _meme_motif(name: str, lines: list[str]) -> Motif:
    if not name:
        raise DataError("a motif without a name")
    start = next((i for i, line in enumerate(lines) if line.startswith("letter-probability")), None)
    if start is None:
        raise DataError(f"motif {name} has no letter-probability matrix")
    fields = dict(_FIELD.findall(lines[start][:_LONGEST_FIELDS]))
    rows: list[list[float]] = []
    for line in lines[start + 1 :]:
        cells = line.split(None, 5)
        if not all(_NUMBERS.fullmatch(cell) for cell in cells):
            break
        rows.append([float(cell) for cell in cells])
    if any(len(row) != 4 for row in rows) or not rows:
        raise DataError(f"motif {name} has rows of {sorted({len(r) for r in rows})} numbers; expected 4 in each")
    if len(rows) > MOST_POSITIONS:
        raise DataError(f"motif {name} has more than {MOST_POSITIONS} rows; expected less")
    if "w" in fields and fields["w"] != str(len(rows)):
        raise DataError(f"motif {name} says w= {fields['w'][:20]} and has {len(rows)} rows; expected as many")
    ppm = np.array(rows)
    sums = ppm.sum(1)
    if not (abs(sums - 1) <= 0.02).all():
        raise DataError(f"motif {name} has a row that sums to {sums[abs(sums - 1).argmax()]:g}; expected 1")
    return Motif(name, ppm / sums[:, None], count=_count(name, fields.get("nsites", "0")))


def _count(name: str, text: str) -> int:
    """Of sequences; some files have a fraction."""
    if not _NUMBERS.fullmatch(text) or not 0 <= float(text) <= 1e15:
        raise DataError(f"motif {name} says nsites= {text[:20]}; expected a number")
    return round(float(text))


def _jaspar(path: Path, lines: Iterable[tuple[int, str]], on_error: OnError | None) -> Iterator[Motif]:
    for number, entry in islice(_entries(lines, lambda line: line.startswith(">")), 1, None):
        try:
            yield _jaspar_motif(_name(entry[0][1:]), entry[1:])
        except DataError as error:
            report(f"{path.name}:{number}", error, on_error)


def _jaspar_motif(name: str, rows: list[str]) -> Motif:
    named = [re.match(r"([ACGTU])\b", row) for row in rows[:4]]
    if len(rows) != 4 or (any(named) and [m and m[1].replace("U", "T") for m in named] != list("ACGT")):
        raise DataError(
            f"motif {name or '(without a name)'} has {len(rows)} rows; expected four, of A, C, G, T in turn"
        )
    numbers = [[float(n[0]) for n in islice(_NUMBERS.finditer(row), MOST_POSITIONS + 1)] for row in rows]
    if len({len(row) for row in numbers}) > 1 or not numbers[0]:
        raise DataError(f"motif {name} has rows of {[len(row) for row in numbers]} counts; expected one number of them")
    if len(numbers[0]) > MOST_POSITIONS:
        raise DataError(f"motif {name} has more than {MOST_POSITIONS} positions; expected less")
    counts: NDArray[np.float64] = np.array(numbers, dtype=np.float64).T
    sums = counts.sum(1)
    if (counts < 0).any() or not (sums > 0).all() or not (sums <= 1e15).all():
        raise DataError(f"motif {name} has a position without counts, or with some below 0 or above 10¹⁵")
    return Motif(name, counts / sums[:, None], count=round(float(sums.max())) if sums.max() > 1.5 else 0)
