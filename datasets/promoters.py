"""Promoters of E. coli, and sequences that are none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sciexplain.datasets.fetch import Source, fetch
from sciexplain.datasets.sequences import LabelledSequences, records_of
from sciexplain.datasets.splits import random_split
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError

_FOLDER = "https://archive.ics.uci.edu/ml/machine-learning-databases/molecular-biology/promoter-gene-sequences/"
_SOURCE = Source(
    _FOLDER + "promoters.data",
    "9cba9e8661ab04760d69b857f62259233446f2dce5ec9b515efe0b23c315bb29",
    "genomics/uci_promoters/promoters.data",
)
_LENGTH = 57


def load_promoters() -> LabelledSequences:
    """53 promoters of E. coli and 53 other sequences of 57 bp.

    Letter 0 is at −50 and letter 49 at −1 from the start of transcription; letter 50, the first that is transcribed, is
    called +1. The −35 box (consensus TTGACA) begins near letter 14, the −10 box (TATAAT) near letter 37. The division
    is random; with so few, leave one out.

    Raises
    ------
    DataError
        The file is not there and cannot be fetched, or is another; a row that is none, by its line.

    References
    ----------
    C. B. Harley and R. P. Reynolds, Nucleic Acids Res. 15, 2343 (1987); G. G. Towell, J. W. Shavlik and M. O.
    Noordewier, AAAI 1990.
    """
    records = records_of(read_promoters(fetch(_SOURCE, name="promoters", extra="genomics")))
    train, valid, test = random_split(len(records))
    return LabelledSequences(
        "promoters",
        records,
        np.array([record.labels for record in records], np.float32),
        ("promoter",),
        "classification",
        train,
        valid,
        test,
        "random, seed 0",
    )


def read_promoters(path: Path) -> Iterator[tuple[str, Record]]:
    """Each row of the file with its place; 1 or 0 is its label.

    Raises
    ------
    DataError
        A row has no class, name and 57 letters.
    """
    for number, line in enumerate(path.read_text(encoding="ascii", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        cells = ["".join(cell.split()) for cell in line.split(",")]
        if len(cells) != 3 or cells[0] not in ("+", "-") or not cells[1] or len(cells[2]) != _LENGTH:
            raise DataError(
                f"{path.name}:{number}: {line[:40]!r} is no row; expected + or -, a name and {_LENGTH} letters, commas "
                "between"
            )
        yield f"{path.name}:{number}", Record(cells[1], cells[2], labels=(float(cells[0] == "+"),))
