"""Motif files: MEME's minimal format, and JASPAR's counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciexplain._files import PathName
from sciexplain.domains.genomics.formats.feature_files import one_line, write_lines
from sciexplain.domains.genomics.formats.lines import OnError, numbered_lines, report
from sciexplain.domains.genomics.motif import Motif
from sciexplain.errors import DataError, InputError

_FIELD = re.compile(r"(\w+)\s*=\s*(\S+)")
_NUMBERS = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")

Lines = list[tuple[int, str]]


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
    lines = [(number, line.strip()) for number, line in numbered_lines(path) if line.strip()]
    first = lines[0][1] if lines else ""
    if first.startswith("MEME version"):
        found = _meme(path, lines, on_error)
    elif first.startswith(">"):
        found = _jaspar(path, lines, on_error)
    else:
        raise DataError(
            f'{path.name} begins with {first[:40]!r}; expected "MEME version" (MEME) or ">" and a name (JASPAR)'
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


def _meme(path: Path, lines: Lines, on_error: OnError | None) -> Iterator[Motif]:
    starts = [i for i, (_, line) in enumerate(lines) if line.split()[0] == "MOTIF"]
    _check_alphabet(path, lines[: starts[0]] if starts else lines)
    for start, end in zip(starts, [*starts, len(lines)][1:], strict=True):
        number, line = lines[start]
        try:
            yield _meme_motif(" ".join(line.split()[1:]), lines[start + 1 : end])
        except DataError as error:
            report(f"{path.name}:{number}", error, on_error)


def _check_alphabet(path: Path, header: Lines) -> None:
    for number, line in header:
        if not line.startswith("ALPHABET"):
            continue
        given = line.removeprefix("ALPHABET").lstrip("= ")
        if given.strip('"').split('"')[0] not in ("ACGT", "ACGU", "DNA", "RNA"):
            raise DataError(f"{path.name}:{number}: the alphabet is {given}; expected ACGT")


def _meme_motif(name: str, lines: Lines) -> Motif:
    if not name:
        raise DataError("a motif without a name")
    start = next((i for i, (_, line) in enumerate(lines) if line.startswith("letter-probability")), None)
    if start is None:
        raise DataError(f"motif {name} has no letter-probability matrix")
    fields = dict(_FIELD.findall(lines[start][1]))
    rows: list[list[float]] = []
    for _, line in lines[start + 1 :]:
        cells = line.split()
        if not all(_NUMBERS.fullmatch(cell) for cell in cells):
            break
        rows.append([float(cell) for cell in cells])
    if any(len(row) != 4 for row in rows) or not rows:
        raise DataError(f"motif {name} has rows of {sorted({len(r) for r in rows})} numbers; expected 4 in each")
    if "w" in fields and int(fields["w"]) != len(rows):
        raise DataError(f"motif {name} says w= {fields['w']} and has {len(rows)} rows; expected as many")
    ppm = np.array(rows)
    sums = ppm.sum(1)
    if (abs(sums - 1) > 0.02).any():
        raise DataError(f"motif {name} has a row that sums to {sums[abs(sums - 1).argmax()]:g}; expected 1")
    return Motif(name, ppm / sums[:, None], count=round(float(fields.get("nsites", 0))))


def _jaspar(path: Path, lines: Lines, on_error: OnError | None) -> Iterator[Motif]:
    starts = [i for i, (_, line) in enumerate(lines) if line.startswith(">")]
    for start, end in zip(starts, [*starts, len(lines)][1:], strict=True):
        number, line = lines[start]
        try:
            yield _jaspar_motif(" ".join(line[1:].split()), [text for _, text in lines[start + 1 : end]])
        except DataError as error:
            report(f"{path.name}:{number}", error, on_error)


def _jaspar_motif(name: str, rows: list[str]) -> Motif:
    named = [re.match(r"([ACGTU])\b", row) for row in rows]
    if len(rows) != 4 or (any(named) and [m and m[1].replace("U", "T") for m in named] != list("ACGT")):
        raise DataError(
            f"motif {name or '(without a name)'} has {len(rows)} rows; expected four, of A, C, G, T in turn"
        )
    numbers = [_NUMBERS.findall(row) for row in rows]
    if len({len(row) for row in numbers}) > 1 or not numbers[0]:
        raise DataError(f"motif {name} has rows of {[len(row) for row in numbers]} counts; expected one number of them")
    counts: NDArray[np.float64] = np.array(numbers, dtype=np.float64).T
    sums = counts.sum(1)
    if (counts < 0).any() or not sums.all():
        raise DataError(f"motif {name} has a position without counts, or with some below 0")
    return Motif(name, counts / sums[:, None], count=round(float(sums.max())) if sums.max() > 1.5 else 0)
