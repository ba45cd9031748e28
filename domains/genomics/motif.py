"""Motifs: what letters a place takes, and what they contribute."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sciexplain.errors import DataError

_IUPAC = {
    "A": "A", "C": "C", "G": "G", "T": "T", "AG": "R", "CT": "Y", "CG": "S", "AT": "W", "GT": "K", "AC": "M",
    "CGT": "B", "AGT": "D", "ACT": "H", "ACG": "V", "ACGT": "N",
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Seqlet:
    """Where an instance of a motif lies in the explained sequences.

    Attributes
    ----------
    row
        Of the sequence in the explanation.
    start, end
        Within the sequence, 0-based and half-open; outside of it where the instance hangs over an end.
    strand
        ``"-"``: the motif reads as the reverse complement of what is there.
    """

    row: int
    start: int
    end: int
    strand: Literal["+", "-"] = "+"


@dataclass(frozen=True, eq=False)
class Motif:
    """A motif of W positions.

    Attributes
    ----------
    name
        Its own; from files with a second name, both, apart by a space.
    ppm
        (W, 4): probability of A, C, G, T at each position; rows sum to 1.
    contributions
        (W, 4): mean contribution of the letters that are there; None where the motif is not from an explanation.
    hypothetical
        (W, 4): mean hypothetical contributions; None likewise.
    seqlets
        What it is the mean of.
    sign
        -1 where it speaks against the target.
    count
        How many sequences ``ppm`` was counted over; 0 where that is not known.

    Raises
    ------
    DataError
        ``ppm`` is not (W, 4), or a row is not of probabilities that sum to 1; contributions of another shape.
    """

    name: str
    ppm: NDArray[np.float64]
    contributions: NDArray[np.float64] | None = None
    hypothetical: NDArray[np.float64] | None = None
    seqlets: tuple[Seqlet, ...] = ()
    sign: int = 1
    count: int = 0

    def __post_init__(self) -> None:
        if self.ppm.ndim != 2 or self.ppm.shape[1] != 4 or not len(self.ppm):
            raise DataError(f"motif {self.name}: ppm has shape {self.ppm.shape}; expected (positions, 4)")
        off = (self.ppm < 0).any(1) | ~np.isclose(self.ppm.sum(1), 1, atol=1e-6)
        if off.any():
            place = int(off.argmax())
            raise DataError(
                f"motif {self.name}: position {place} has {self.ppm[place].tolist()}; expected probabilities of A, C, "
                "G, T that sum to 1"
            )
        for what in ("contributions", "hypothetical"):
            value = getattr(self, what)
            if value is not None and value.shape != self.ppm.shape:
                raise DataError(f"motif {self.name}: {what} has shape {value.shape}; expected {self.ppm.shape}")

    def __len__(self) -> int:
        return len(self.ppm)

    @property
    def information(self) -> NDArray[np.float64]:
        """(W,): bits at each position against equal shares of the letters, 0 to 2."""
        logs = np.log2(self.ppm, where=self.ppm > 0, out=np.zeros(self.ppm.shape))
        return np.asarray(2 + (self.ppm * logs).sum(1))

    @property
    def consensus(self) -> str:
        """IUPAC letters: at each position the fewest letters that together have at least three quarters.

        Examples
        --------
        >>> Motif("x", np.array([[1, 0, 0, 0], [0.4, 0, 0.6, 0], [0.25, 0.25, 0.25, 0.25]])).consensus
        'ARN'
        """
        letters = []
        for row in self.ppm:
            order = np.argsort(-row, kind="stable")
            number = int(np.searchsorted(np.cumsum(row[order]), 0.75 - 1e-9)) + 1
            # three of four equal shares would leave out a letter that is as likely
            tied = row >= row[order[number - 1]] - 1e-9
            letters.append(_IUPAC["".join("ACGT"[i] for i in np.flatnonzero(tied))])
        return "".join(letters)

    def reverse_complement(self) -> Motif:
        """The same on the other strand.

        Examples
        --------
        >>> Motif("x", np.eye(4)[[0, 0, 1]]).reverse_complement().consensus
        'GTT'
        """

        def turned(value: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
            return None if value is None else value[::-1, ::-1].copy()

        return replace(
            self,
            ppm=self.ppm[::-1, ::-1].copy(),
            contributions=turned(self.contributions),
            hypothetical=turned(self.hypothetical),
            seqlets=tuple(replace(s, strand="-" if s.strand == "+" else "+") for s in self.seqlets),
        )

    def trimmed(self, share: float = 0.3) -> Motif:
        """From the first to the last position that contributes at least ``share`` of the most, in the motif's sign.

        By information, where the motif has no contributions. Seqlets are trimmed alike.

        Examples
        --------
        >>> Motif("x", np.array([[0.25] * 4, [0, 0, 1, 0], [0.25] * 4, [1, 0, 0, 0], [0.25] * 4])).trimmed().consensus
        'GNA'
        """
        size = self.information if self.contributions is None else self.sign * self.contributions.sum(1)
        kept = np.flatnonzero(size >= share * size.max()) if size.max() > 0 else np.arange(len(self))
        start, end = int(kept[0]), int(kept[-1]) + 1

        def core(seqlet: Seqlet) -> Seqlet:
            if seqlet.strand == "+":
                return replace(seqlet, start=seqlet.start + start, end=seqlet.start + end)
            return replace(seqlet, start=seqlet.end - end, end=seqlet.end - start)

        return replace(
            self,
            ppm=self.ppm[start:end],
            contributions=None if self.contributions is None else self.contributions[start:end],
            hypothetical=None if self.hypothetical is None else self.hypothetical[start:end],
            seqlets=tuple(core(s) for s in self.seqlets),
        )

    def __repr__(self) -> str:
        return f"Motif({self.name}: {self.consensus}, {self.count} sequences)"
