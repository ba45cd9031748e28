"""Instances of motifs in explained sequences, with what each contributes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciexplain._files import PathName
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.formats.feature_files import Feature, write_bed
from sciexplain.domains.genomics.formats.frames import frame, places, write_frame
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.motif import Motif
from sciexplain.errors import InputError

# Log-odds are rounded to this many steps per bit; scores and p-values are of the rounded matrix, and exact for it.
_STEPS = 100
_LETTERS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Hit:
    """A place where a motif fits.

    Attributes
    ----------
    row, name
        Of the sequence in the explanation.
    start, end
        Within the sequence, 0-based and half-open, whatever the strand.
    strand
        ``"-"``: the motif reads on the other strand of the sequence.
    motif
        Its name.
    score
        Log-odds against the background, in bits.
    p
        Chance of at least that score for letters drawn from the background, on one strand.
    contribution
        Summed relevance of its letters, in units of the explained output.
    similarity
        Cosine between the contributions there and the motif's, -1 to 1; NaN where the motif has none, or all are zero.
    interval
        On the genome, with the strand that the motif reads on; None where the sequence has no place.
    """

    row: int
    name: str
    start: int
    end: int
    strand: Literal["+", "-"]
    motif: str
    score: float
    p: float
    contribution: float
    similarity: float
    interval: Interval | None


@dataclass(frozen=True)
class Hits(Sequence[Hit]):
    """Hits by row, start, end, motif and strand.

    Attributes
    ----------
    hits
        The hits.
    """

    hits: tuple[Hit, ...]

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Hits: ...
    def __getitem__(self, index: int | slice) -> Hit | Hits:
        return Hits(self.hits[index]) if isinstance(index, slice) else self.hits[index]

    @property
    def counts(self) -> dict[str, int]:
        """How many each motif has."""
        return dict(Counter(hit.motif for hit in self))

    def to_pandas(self) -> Any:
        """A table with a row for each: chrom, start, end and strand (0-based, half-open, on the genome), and the rest.

        Where a sequence has no place, its name stands for the chromosome.
        """
        columns = {
            **places([_place(hit) for hit in self]),
            "motif": ("object", [h.motif for h in self]),
            "score": ("float64", [h.score for h in self]),
            "p": ("float64", [h.p for h in self]),
            "contribution": ("float64", [h.contribution for h in self]),
            "similarity": ("float64", [h.similarity for h in self]),
            "name": ("object", [h.name for h in self]),
            "row": ("int64", [h.row for h in self]),
            "start_in_sequence": ("int64", [h.start for h in self]),
            "end_in_sequence": ("int64", [h.end for h in self]),
            "strand_in_sequence": ("object", [h.strand for h in self]),
        }
        return frame(columns)

    def to_parquet(self, path: PathName) -> Path:
        """Write :meth:`to_pandas` as Parquet.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        return write_frame(path, self.to_pandas())

    def to_bed(self, path: PathName) -> Path:
        """Write BED with nine columns, named by motif; red for, blue against the target.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        return write_bed(path, [Feature(_place(hit), hit.motif, hit.contribution) for hit in self])


def scan_hits(
    explanation: SequenceExplanation,
    motifs: Sequence[Motif],
    *,
    p: float = 1e-4,
    background: Sequence[float] | None = None,
    pseudocount: float = 0.01,
) -> Hits:
    """Every instance of motifs in the sequences, on both strands, with what it contributes.

    A window's score is the log-odds of its letters, and its p-value is exact: the distribution of scores over all words
    is computed letter by letter. Windows with a letter that is unknown are none.

    Parameters
    ----------
    explanation
        Of N sequences of DNA or RNA.
    motifs
        Found or from a file; each has at least one position.
    p
        A window is a hit where its p-value is at most this.
    background
        Frequencies of A, C, G, T; None: those of the sequences and their other strands.
    pseudocount
        Weight of the background that is added to a motif's probabilities. It does not depend on the number of sequences
        that files state, because many state 1 for any.

    Raises
    ------
    InputError
        The alphabet has no two strands, the background is not of four positive frequencies, or an option is out of its
        range.

    Notes
    -----
    Staden, Computer Applications in the Biosciences 5, 89 (1989); Grant, Bailey and Noble, *FIMO*, Bioinformatics 27,
    1017 (2011).

    Examples
    --------
    >>> from sciexplain.domains.genomics.sequences import Sequences
    >>> sequences = Sequences.of("CCTTGATCCAACC")
    >>> explanation = SequenceExplanation.of(sequences, nucleotides=torch.ones(1, 13))
    >>> for hit in scan_hits(explanation, [Motif("TTGA", np.eye(4)[[3, 3, 2, 0]])], p=0.01, background=[0.25] * 4):
    ...     print(hit.start, hit.end, hit.strand, hit.contribution, round(hit.p, 5))
    2 6 + 4.0 0.00391
    """
    alphabet = explanation.sequences.alphabet
    if not alphabet.complement:
        raise InputError(f"{alphabet.name} has no two strands; hits are of DNA or RNA.")
    if not 0 < p <= 1 or not pseudocount > 0:
        raise InputError(f"p={p}, pseudocount={pseudocount}; expected above 0 up to 1, and above 0.")
    one_hot = explanation.sequences.one_hot.detach().cpu()
    shares = _background(one_hot, background)
    nucleotides = explanation.nucleotides.detach().double().cpu().numpy()
    contributions = explanation.contributions.detach().double().cpu().numpy()
    hits: list[Hit] = []
    for motif in motifs:
        odds = _log_odds(motif, shares, pseudocount)
        chances, least = tail(odds, shares)
        passing = np.flatnonzero(chances <= p)
        if len(passing) and len(motif) <= explanation.sequences.length:
            for strand, matrix in (("+", odds), ("-", odds[::-1, ::-1])):
                rows, starts, scores = _windows(one_hot, matrix, int(passing[0]) + least)
                for row, start, score in zip(rows.tolist(), starts.tolist(), scores.tolist(), strict=True):
                    end = start + len(motif)
                    hits.append(
                        Hit(
                            row,
                            explanation.sequences.names[row],
                            start,
                            end,
                            "-" if strand == "-" else "+",
                            motif.name,
                            score / _STEPS,
                            float(chances[score - least]),
                            float(nucleotides[row, start:end].sum()),
                            _cosine(contributions[row, :, start:end].T, motif.contributions, strand),
                            _interval(explanation.sequences.intervals[row], start, end, strand),
                        )
                    )
    hits.sort(key=lambda h: (h.row, h.start, h.end, h.motif, h.strand))
    return Hits(tuple(hits))


def tail(odds: NDArray[np.int64], background: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Chance of at least each score, for words drawn from the background, and the score of the first entry.

    Parameters
    ----------
    odds
        (W, 4): whole numbers, whose sum over a word's letters is its score.
    background
        (4,): frequencies of the letters.

    Examples
    --------
    >>> tail(np.array([[0, 1, 1, 2]]), np.full(4, 0.25))
    (array([1.  , 0.75, 0.25]), 0)
    """
    lows = odds.min(1)
    shares = np.ones(1)
    for row in odds - lows[:, None]:
        wider = np.zeros(len(shares) + int(row.max()))
        for step, share in zip(row.tolist(), background.tolist(), strict=True):
            wider[step : step + len(shares)] += share * shares
        shares = wider
    return np.minimum(np.cumsum(shares[::-1])[::-1], 1), int(lows.sum())


def _background(one_hot: Tensor, given: Sequence[float] | None) -> NDArray[np.float64]:
    if given is None:
        counts = one_hot.double().sum((0, 2)).numpy() + 1
        both = counts + counts[::-1]  # A and T, C and G: the other strand has as many
        return np.asarray(both / both.sum())
    shares = np.asarray(given, dtype=np.float64)
    if shares.shape != (4,) or (shares <= 0).any() or abs(shares.sum() - 1) > 1e-3:
        raise InputError(f"background={list(given)}; expected four frequencies above 0 that sum to 1.")
    return np.asarray(shares / shares.sum())


def _log_odds(motif: Motif, background: NDArray[np.float64], pseudocount: float) -> NDArray[np.int64]:
    """(W, 4): in steps."""
    shares = (motif.ppm + pseudocount * background) / (1 + pseudocount)
    return np.round(_STEPS * np.log2(shares / background)).astype(np.int64)


def _windows(
    one_hot: Tensor, odds: NDArray[np.int64], least: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows, starts and scores of the windows with at least that score. Sums of whole numbers are exact in float64."""
    weight = torch.from_numpy(np.stack([odds.T, np.ones_like(odds.T)]).astype(np.float64))
    at_once = max(1, _LETTERS_AT_ONCE // one_hot.shape[2])
    parts = []
    for first in range(0, len(one_hot), at_once):
        some = (one_hot[first : first + at_once] == 1).double()
        scores, known = torch.nn.functional.conv1d(some, weight).unbind(1)
        found = ((scores >= least) & (known == len(odds))).nonzero()
        parts.append((found[:, 0] + first, found[:, 1], scores[found[:, 0], found[:, 1]].round().long()))
    rows, starts, values = (torch.cat(columns).numpy() for columns in zip(*parts, strict=True))
    return rows, starts, values


def _cosine(there: NDArray[np.float64], motif: NDArray[np.float64] | None, strand: str) -> float:
    if motif is None:
        return float("nan")
    own = motif if strand == "+" else motif[::-1, ::-1]
    size = np.linalg.norm(there) * np.linalg.norm(own)
    return float((there * own).sum() / size) if size > 0 else float("nan")


def _interval(whole: Interval | None, start: int, end: int, strand: str) -> Interval | None:
    if whole is None:
        return None
    part = whole.part(start, end)
    return replace(part, strand="+" if (part.strand == "-") == (strand == "-") else "-")


def _place(hit: Hit) -> Interval:
    return hit.interval or Interval(hit.name, hit.start, hit.end, hit.strand)
