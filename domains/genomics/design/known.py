"""Which known binding sites sequences have: the surest first, none on another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch

from sciexplain._files import PathName
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.formats.meme import read_motifs
from sciexplain.domains.genomics.hits import Hit, scan_hits
from sciexplain.domains.genomics.motif import Motif
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.errors import InputError


def known_sites(
    sequences: Any, database: PathName | Sequence[Motif], *, expected: float = 0.05, overlap: bool = False
) -> tuple[tuple[Hit, ...], ...]:
    """Instances of known motifs, for each sequence by p-value.

    A site is called where at most ``expected`` such would be met by chance in a sequence of equally frequent letters,
    over all motifs, places and both strands.

    Parameters
    ----------
    sequences
        :class:`Designs`, a :class:`SequenceExplanation` (hits then tell the relevance of their letters), or what
        :meth:`Sequences.of` takes.
    database
        A MEME file, or motifs.
    expected
        Number of sites by chance.
    overlap
        Whether sites may lie on surer ones; otherwise of similar motifs only the surest is told.

    Raises
    ------
    InputError
        The data base is empty, or ``expected`` is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> motif = Motif("CTCF", np.eye(4)[[1, 1, 0, 1, 1, 0, 2, 2]])
    >>> [(hit.motif, hit.start, hit.strand) for hit in known_sites(["TTTTACCACCAGGTTTT"], [motif])[0]]
    [('CTCF', 5, '+')]
    """
    motifs = read_motifs(database) if isinstance(database, str | os.PathLike) else tuple(database)
    if not motifs or not expected > 0:
        raise InputError(
            f"{len(motifs)} motifs, expected={expected}; expected at least one motif, and a number above 0."
        )
    explanation = sequences
    if not isinstance(sequences, SequenceExplanation):
        given = sequences.sequences if hasattr(sequences, "designs") else Sequences.of(sequences)
        explanation = SequenceExplanation.of(given, nucleotides=torch.zeros(len(given), given.length))
    chance = min(1.0, expected / (2 * explanation.sequences.length * len(motifs)))
    kept: list[list[Hit]] = [[] for _ in range(len(explanation))]
    for hit in sorted(scan_hits(explanation, motifs, p=chance, background=[0.25] * 4), key=lambda h: (h.p, -h.score)):
        row = kept[hit.row]
        if overlap or all(hit.end <= other.start or other.end <= hit.start for other in row):
            row.append(hit)
    return tuple(tuple(row) for row in kept)
