"""Binding sites: contiguous relevant stretches that shuffled sequences do not bring."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sciexplain._files import PathName
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.formats.feature_files import Feature, write_bed, write_gff3
from sciexplain.domains.genomics.formats.frames import frame, places, write_frame
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.shuffled_tracks import root_mean_squares, with_shuffles
from sciexplain.domains.genomics.statistics import benjamini_hochberg, empirical_p
from sciexplain.domains.genomics.stretches import Stretches, maximal_stretches
from sciexplain.errors import InputError

Sign = Literal["both", "positive", "negative"]

_SIGNS = {"both": (1, -1), "positive": (1,), "negative": (-1,)}
_LETTERS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Site:
    """A relevant stretch of a sequence.

    Attributes
    ----------
    row, name
        Of the sequence in the explanation.
    start, end
        Within the sequence, 0-based and half-open.
    interval
        On the genome, on the strand that was explained; None where the sequence has no place.
    score
        Summed relevance of its letters, in units of the explained output; below 0 where it speaks against the target.
    p
        Chance of a stretch as relevant as this at a place in shuffled sequences.
    q
        The smallest false discovery rate at which it is called.
    sequence
        Its letters.
    consensus
        At each position the letter for which the model would see most of the same sign (the letter that is there where
        the method has no hypothetical contributions); lower case where relevance is weak.
    """

    row: int
    name: str
    start: int
    end: int
    interval: Interval | None
    score: float
    p: float
    q: float
    sequence: str
    consensus: str

    @property
    def place(self) -> Interval:
        """``interval``, or where it lies in the sequence, whose name then stands for the chromosome."""
        return self.interval or Interval(self.name, self.start, self.end)


@dataclass(frozen=True)
class Sites(Sequence[Site]):
    """Sites by q, then p, then magnitude.

    Attributes
    ----------
    sites
        Those called.
    fdr
        The false discovery rate that was asked for.
    candidates
        How many stretches these were chosen from.
    """

    sites: tuple[Site, ...]
    fdr: float
    candidates: int = 0

    def __len__(self) -> int:
        return len(self.sites)

    def __iter__(self) -> Iterator[Site]:
        return iter(self.sites)

    @overload
    def __getitem__(self, index: int) -> Site: ...
    @overload
    def __getitem__(self, index: slice) -> Sites: ...
    def __getitem__(self, index: int | slice) -> Site | Sites:
        if isinstance(index, slice):
            return Sites(self.sites[index], self.fdr, self.candidates)
        return self.sites[index]

    def to_pandas(self) -> Any:
        """A table with a row for each: chrom, start, end and strand (0-based, half-open, on the genome), and the rest.

        Where a sequence has no place, its name stands for the chromosome.
        """
        columns = {
            **places([s.place for s in self]),
            "score": ("float64", [s.score for s in self]),
            "p": ("float64", [s.p for s in self]),
            "q": ("float64", [s.q for s in self]),
            "sequence": ("object", [s.sequence for s in self]),
            "consensus": ("object", [s.consensus for s in self]),
            "name": ("object", [s.name for s in self]),
            "row": ("int64", [s.row for s in self]),
            "start_in_sequence": ("int64", [s.start for s in self]),
            "end_in_sequence": ("int64", [s.end for s in self]),
        }
        return frame(columns)

    def to_bed(self, path: PathName) -> Path:
        """Write BED with nine columns, named by consensus; red for, blue against the target.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        return write_bed(path, [Feature(s.place, s.consensus, s.score) for s in self])

    def to_gff3(self, path: PathName, *, chrom_sizes: Mapping[str, int] | None = None) -> Path:
        """Write GFF3 with p, q, the letters and the name of the sequence as attributes.

        Raises
        ------
        DataError
            The file cannot be written, or a chromosome is not in ``chrom_sizes``.
        """
        features = [
            Feature(
                s.place,
                s.consensus,
                s.score,
                "binding_site",
                {"ID": f"site_{i}", "p": f"{s.p:.6g}", "q": f"{s.q:.6g}", "letters": s.sequence, "in": s.name},
            )
            for i, s in enumerate(self, 1)
        ]
        return write_gff3(path, features, chrom_sizes=chrom_sizes)

    def to_parquet(self, path: PathName) -> Path:
        """Write :meth:`to_pandas` as Parquet.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        return write_frame(path, self.to_pandas())


def call_sites(
    explanation: SequenceExplanation,
    fdr: float = 0.05,
    *,
    null: SequenceExplanation | None = None,
    shuffles: int | None = None,
    seed: int = 0,
    sign: Sign = "both",
    threshold: float = 1.0,
    smooth: int = 1,
    max_gap: int = 4,
    min_length: int = 4,
    max_length: int = 50,
    mask: Tensor | None = None,
) -> Sites:
    """Contiguous relevant stretches that are rarer in shuffled sequences than the false discovery rate allows.

    Each sequence is shuffled with its dinucleotides kept, and the shuffles are explained alike. Candidates of either
    sign are the maximal stretches (:func:`~.stretches.maximal_stretches`) of relevance minus ``threshold`` · root mean
    square of that sequence or shuffle, and their summed relevance is what is compared (where targets differ, in units
    of each target's mean root mean square). A sequence has room for S = (L + 1) // (``min_length`` + 1) candidates of a
    sign; a place without one counts as one without relevance. So p = (1 + candidates of shuffles with at least that
    sum) / (1 + S · shuffled sequences), and Benjamini and Hochberg's procedure over all places gives q. Sequences and
    shuffles go through the same steps: where a sequence is but one more shuffle of itself, p is uniform; p-values that
    share a null are positively dependent, for which the procedure holds.

    Parameters
    ----------
    explanation
        Of N sequences of length L.
    fdr
        Expected share of false ones among the sites, at most; within 0..1.
    null
        The explanation of sequences without signal, of length L, instead of shuffling; with targets of its own where
        those of the sequences differ.
    shuffles
        Of each sequence. None: enough for one site in ten sequences to be called, and at least 5: 1 / ``fdr`` for each
        sign, divided by N / 10.
    seed
        Of the shuffles.
    sign
        ``"positive"`` for what speaks for the target, ``"negative"`` for what speaks against it.
    threshold
        In root mean squares: what relevance must exceed to make a stretch longer.
    smooth
        Positions in the running mean over relevance before the search; odd.
    max_gap
        Positions in a row below the threshold that a site may have inside.
    min_length, max_length
        Of a site; longer stretches are cut where they are weakest.
    mask
        (N, L), bool: where no site may lie, such as ``sequences.mask`` for repeats.

    Raises
    ------
    InputError
        The explanation cannot be asked again and there is no ``null``; lengths differ; relevance is not finite; an
        option out of its range.

    Warns
    -----
    UserWarning
        The best candidates exceed all shuffles, but these are too few to call them at ``fdr``; says how many are
        needed.

    Notes
    -----
    Shared nulls and their dependence: Bates, Candès, Lei, Romano and Sesia, Annals of Statistics 51, 149 (2023),
    theorem 2.

    Examples
    --------
    >>> import torch
    >>> from sciexplain.domains.genomics.sequences import Sequences
    >>> def explained(sequences):  # by a model that looks for TTATCAGCGT
    ...     weight = torch.eye(4)[[3, 3, 0, 3, 1, 0, 2, 1, 2, 3]].T[None]
    ...     found = (torch.nn.functional.conv1d(sequences.one_hot, weight, padding=9) == 10).float()
    ...     return SequenceExplanation.of(sequences, nucleotides=found[:, 0].unfold(1, 10, 1).sum(-1), again=explained)
    >>> sequences = Sequences.of("GACTACCTTATCAGCGTAGGACCTGAATCCGAGTCA")
    >>> [(site.start, site.end, site.consensus) for site in call_sites(explained(sequences))]
    [(7, 17, 'TTATCAGCGT')]
    """
    if not 0 < fdr < 1:
        raise InputError(f"fdr={fdr}; expected a share between 0 and 1, such as 0.05.")
    if sign not in _SIGNS:
        raise InputError(f'sign={sign!r}; expected "both", "positive" or "negative".')
    if not threshold > 0:
        raise InputError(f"threshold={threshold}; expected a number of scales above 0.")
    if not 1 <= min_length <= max_length or max_gap < 0:
        raise InputError(
            f"min_length={min_length}, max_length={max_length}, max_gap={max_gap}; expected 1 ≤ min_length ≤ "
            "max_length and 0 ≤ max_gap."
        )
    signs = _SIGNS[sign]
    if shuffles is None:
        shuffles = max(5, ceil(len(signs) / fdr / max(1.0, len(explanation) / 10)))
    tracks = with_shuffles(explanation, shuffles, seed=seed, null=null, smooth=smooth, mask=mask)
    candidates = partial(
        _candidates, threshold=threshold, max_gap=max_gap, min_length=min_length, max_length=max_length
    )
    found = [candidates(tracks.real, way) for way in signs]
    scores = [_sums(tracks.real, f, way, tracks.units[0]) for f, way in zip(found, signs, strict=True)]
    nulls = [_sums(tracks.drawn, candidates(tracks.drawn, way), way, tracks.units[1]) for way in signs]
    room = (explanation.sequences.length + 1) // (min_length + 1)
    draws = len(tracks.drawn) * room
    p = np.concatenate([empirical_p(s, n, draws=draws) for s, n in zip(scores, nulls, strict=True)])
    q = benjamini_hochberg(p, tests=len(tracks.real) * room * len(signs))
    beyond = int((p <= 1 / (1 + draws)).sum())
    if beyond and q.min() > fdr:
        each, needed = len(tracks.drawn) / len(tracks.real), ceil(len(signs) / fdr / beyond)
        warnings.warn(
            f"No site is called: {beyond} of {len(p)} candidates exceed everything in {each:g} shuffles of each "
            f"sequence, which gives q={q.min():.2g} at best, and fdr={fdr:g} was asked; if they still do in "
            f"shuffles={needed}, they are called.",
            stacklevel=2,
        )
    ways = np.repeat(signs, [len(f) for f in found])
    spans = np.concatenate([np.stack([f.rows, f.starts, f.ends], 1) for f in found])
    called = np.flatnonzero(q <= fdr)
    texts = {row: explanation.sequences[[row]].texts[0] for row in np.unique(spans[called, 0]).tolist()}
    weak = threshold * root_mean_squares(tracks.real)
    sites = [
        _site(explanation, texts[span[0]], span, way, weak[span[0]], p_value, q_value)
        for span, way, p_value, q_value in zip(*(c[called].tolist() for c in (spans, ways, p, q)), strict=True)
    ]
    sites.sort(key=lambda s: (s.q, s.p, -abs(s.score), s.row, s.start))
    return Sites(tuple(sites), fdr, len(p))


def _candidates(
    tracks: NDArray[np.float32], way: int, *, threshold: float, max_gap: int, min_length: int, max_length: int
) -> Stretches:
    parts = []
    at_once = max(1, _LETTERS_AT_ONCE // tracks.shape[1])
    for start in range(0, len(tracks), at_once):
        some = tracks[start : start + at_once]
        above = way * some.astype(np.float64) - threshold * root_mean_squares(some)[:, None]
        above[np.isnan(some)] = -np.inf
        found = maximal_stretches(above, max_gap=max_gap, min_length=min_length, max_length=max_length)
        parts.append(Stretches(found.rows + start, found.starts, found.ends))
    return Stretches(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("rows", "starts", "ends")))


def _sums(tracks: NDArray[np.float32], found: Stretches, way: int, units: NDArray[np.float64]) -> NDArray[np.float64]:
    return way * found.sums(tracks) / units[found.rows]


def _site(
    explanation: SequenceExplanation, text: str, span: list[int], way: int, weak: float, p: float, q: float
) -> Site:
    row, start, end = span
    sequences, letters = explanation.sequences, text[start:end]
    relevance = explanation.nucleotides[row, start:end].detach().double().cpu().numpy()
    best = letters
    if explanation.has_hypothetical:
        winners = (way * explanation.hypothetical[row, :, start:end]).argmax(0).tolist()
        best = "".join(sequences.alphabet.letters[winner] for winner in winners)
    strong = way * relevance > weak
    inside = np.flatnonzero(strong)
    core = slice(inside[0], inside[-1] + 1) if len(inside) else slice(None)
    interval = sequences.intervals[row]
    return Site(
        row=row,
        name=sequences.names[row],
        start=start,
        end=end,
        interval=None if interval is None else interval.part(start, end),
        score=float(relevance.sum()),
        p=p,
        q=q,
        sequence=letters,
        consensus="".join(b if s else b.lower() for b, s in zip(best, strong, strict=True))[core],
    )
