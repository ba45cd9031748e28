"""Which motifs of a data base a motif looks like, by Tomtom."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from sciexplain._files import PathName
from sciexplain._optional import require
from sciexplain.domains.genomics.formats.frames import frame, write_frame
from sciexplain.domains.genomics.formats.meme import read_motifs
from sciexplain.domains.genomics.motif import Motif
from sciexplain.domains.genomics.statistics import benjamini_hochberg
from sciexplain.domains.genomics.threads import threads_kept
from sciexplain.errors import InputError

_FEWEST_TARGETS = 50


@dataclass(frozen=True)
class Match:
    """A motif of a data base that looks like one of ours.

    Attributes
    ----------
    motif, target
        Names of ours, and of that in the data base.
    p
        Chance of a motif with columns drawn from the data base's to align as well, over all offsets and both strands.
    e
        Expected number of such among the data base: p · its size.
    q
        The smallest false discovery rate at which it is called, over the data base.
    strand
        ``"-"``: ours looks like the target's reverse complement.
    offset
        The target's column (of its reverse complement where ``strand`` is ``"-"``) at which our first one lies; below 0
        where ours begins before it does.
    overlap
        Columns that lie on one another.
    """

    motif: str
    target: str
    p: float
    e: float
    q: float
    strand: Literal["+", "-"]
    offset: int
    overlap: int


@dataclass(frozen=True)
class Matches(Sequence[Match]):
    """Matches by motif as given, and then by p.

    Attributes
    ----------
    matches
        The best of each motif.
    targets
        How many motifs the data base holds.
    """

    matches: tuple[Match, ...]
    targets: int

    def __len__(self) -> int:
        return len(self.matches)

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    @overload
    def __getitem__(self, index: int) -> Match: ...
    @overload
    def __getitem__(self, index: slice) -> Matches: ...
    def __getitem__(self, index: int | slice) -> Match | Matches:
        if isinstance(index, slice):
            return Matches(self.matches[index], self.targets)
        return self.matches[index]

    def of(self, motif: str) -> tuple[Match, ...]:
        """Those of one motif, the best first."""
        return tuple(m for m in self if m.motif == motif)

    def to_pandas(self) -> Any:
        """A table with a row for each: motif, target, p, e, q, strand, offset, overlap."""
        kinds = {"motif": "object", "target": "object", "p": "float64", "e": "float64", "q": "float64"}
        kinds |= {"strand": "object", "offset": "int64", "overlap": "int64"}
        return frame({name: (kind, [getattr(m, name) for m in self]) for name, kind in kinds.items()})

    def to_parquet(self, path: PathName) -> Path:
        """Write :meth:`to_pandas` as Parquet.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        return write_frame(path, self.to_pandas())


def match_motifs(
    motifs: Sequence[Motif], database: PathName | Sequence[Motif], *, top: int | None = 3, max_q: float = 1.0
) -> Matches:
    """Compare motifs with those of a data base, on both strands, by Tomtom (memelite).

    Parameters
    ----------
    motifs
        Those that :func:`~sciexplain.domains.genomics.motifs.discover_motifs` found, or others.
    database
        A file of MEME or JASPAR, see :func:`~.formats.meme.read_motifs`, or motifs. P-values take
        the data base's columns as background: give a whole one.
    top
        Matches for each motif; None: all.
    max_q
        Leave out those above.

    Raises
    ------
    DataError
        The file cannot be read.
    InputError
        The data base is empty, or an option is out of its range.

    Warns
    -----
    UserWarning
        The data base has fewer than 50 motifs, too few for a background.

    Notes
    -----
    Gupta, Stamatoyannopoulos, Bailey and Noble, *Quantifying similarity between motifs*, Genome Biology 8, R24 (2007);
    Schreiber, *memesuite-lite*. Columns are compared by Euclidean distance.
    """
    if (top is not None and top < 1) or not 0 < max_q <= 1:
        raise InputError(f"top={top}, max_q={max_q}; expected at least 1, and above 0 up to 1.")
    targets = read_motifs(database) if isinstance(database, str | os.PathLike) else tuple(database)
    if not targets:
        raise InputError("The data base holds no motifs.")
    if not motifs:
        return Matches((), len(targets))
    if len(targets) < _FEWEST_TARGETS:
        warnings.warn(
            f"The data base has {len(targets)} motifs; Tomtom's p-values take its columns as background, and depend on "
            f"the choice where there are fewer than {_FEWEST_TARGETS}.",
            stacklevel=2,
        )
    tomtom = require("memelite", extra="genomics").tomtom
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "tomtom was given", UserWarning)  # said above
        with threads_kept():
            p, scores, offsets, overlaps, strands = tomtom([m.ppm.T for m in motifs], [t.ppm.T for t in targets])
    p = np.clip(p, 0, 1)
    matches = []
    for i, motif in enumerate(motifs):
        q = benjamini_hochberg(p[i])
        for j in np.lexsort((-scores[i], p[i]))[:top].tolist():
            if q[j] <= max_q:
                strand: Literal["+", "-"] = "-" if strands[i, j] else "+"
                values = float(p[i, j]), float(p[i, j]) * len(targets), float(q[j])
                place = int(offsets[i, j]), int(overlaps[i, j])
                matches.append(Match(motif.name, targets[j].name, *values, strand, *place))
    return Matches(tuple(matches), len(targets))
