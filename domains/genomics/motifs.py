"""Motifs that an explanation's relevance repeats, found by TF-MoDISco."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from sciexplain._files import PathName
from sciexplain._optional import require
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.formats.meme import write_meme
from sciexplain.domains.genomics.motif import Motif, Seqlet
from sciexplain.domains.genomics.sites import Sites
from sciexplain.domains.genomics.threads import threads_kept
from sciexplain.errors import InputError

__all__ = ["Motif", "Motifs", "Seqlet", "discover_motifs"]

# Letters that are added to patterns while they are polished, and the blank ends that sequences get: patterns grow as
# seqlets are aligned, and TF-MoDISco drops each seqlet that would then hang over an end.
_POLISHED, _BLANK = 10, 40
_FEWEST = 20


@dataclass(frozen=True)
class Motifs(Sequence[Motif]):
    """Motifs, those of most seqlets first: what speaks for the target, then what speaks against it.

    Attributes
    ----------
    motifs
        The motifs.
    notes
        What was found, used and left out on the way.
    """

    motifs: tuple[Motif, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.motifs)

    def __iter__(self) -> Iterator[Motif]:
        return iter(self.motifs)

    @overload
    def __getitem__(self, index: int | str) -> Motif: ...
    @overload
    def __getitem__(self, index: slice) -> Motifs: ...
    def __getitem__(self, index: int | str | slice) -> Motif | Motifs:
        """By place or by name."""
        if isinstance(index, slice):
            return Motifs(self.motifs[index], self.notes)
        if isinstance(index, str):
            for motif in self.motifs:
                if motif.name == index:
                    return motif
            raise InputError(f"There is no motif {index!r}; there are {', '.join(m.name for m in self)}.")
        return self.motifs[index]

    def to_meme(self, path: PathName) -> Path:
        """Write MEME's minimal format; see :func:`~sciexplain.domains.genomics.formats.meme.write_meme`."""
        return write_meme(path, self.motifs)

    def to_pandas(self) -> Any:
        """A table with a row for each: name, consensus, width, seqlets, sign, bits of information."""
        columns = {
            "name": ("object", [m.name for m in self]),
            "consensus": ("object", [m.consensus for m in self]),
            "width": ("int64", [len(m) for m in self]),
            "seqlets": ("int64", [m.count for m in self]),
            "sign": ("int64", [m.sign for m in self]),
            "information": ("float64", [float(m.information.sum()) for m in self]),
        }
        pandas = require("pandas", extra="genomics")
        return pandas.DataFrame({name: pandas.Series(cells, dtype=kind) for name, (kind, cells) in columns.items()})


def discover_motifs(
    explanation: SequenceExplanation,
    sites: Sites | None = None,
    *,
    max_seqlets: int = 20_000,
    window: int | None = None,
    seed: int = 0,
    seqlet_width: int = 20,
    flank: int = 5,
    fdr: float = 0.05,
    min_seqlets: int = 30,
    leiden_runs: int = 2,
    trim: float = 0.3,
) -> Motifs:
    """Motifs that relevance repeats, by TF-MoDISco (modisco-lite): seqlets, clustered by their contributions.

    Three things that modisco-lite does silently are done otherwise, and told in ``notes``. It keeps the first
    ``max_seqlets`` in the order of the file; here they are drawn at random. It reads the middle 400 letters; here all.
    It drops instances near the ends of sequences, where patterns cannot be widened; here sequences get blank ends.

    Parameters
    ----------
    explanation
        With hypothetical contributions, of a method that defines them.
    sites
        Use the surroundings of these as seqlets, instead of those that TF-MoDISco finds.
    max_seqlets
        Of each sign; more are drawn from at random.
    window
        Letters in the middle of each sequence to look at; None: all.
    seed
        Of that draw.
    seqlet_width, flank
        Letters of a seqlet, and on both sides of it. Sites narrower than the width get it; wider ones are looked at in
        their middle.
    fdr
        Of seqlets against a Laplace distribution of relevance, in TF-MoDISco's own search.
    min_seqlets
        A sign with fewer has no motifs; TF-MoDISco's clustering needs at least 20.
    leiden_runs
        Clusterings to choose the best from.
    trim
        Motifs are trimmed to positions with this share of the largest contribution, see :meth:`Motif.trimmed`.

    Returns
    -------
    Motifs
        None where no sign has enough seqlets, which ``notes`` tells.

    Raises
    ------
    InputError
        There are no hypothetical contributions, they are not finite, the alphabet has not four letters, or an option is
        out of its range.

    Notes
    -----
    Shrikumar et al., *Technical note on TF-MoDISco*, arXiv:1811.00416; Schreiber, *tfmodisco-lite*.
    """
    length = explanation.sequences.length
    window = length if window is None else window
    if len(explanation.sequences.alphabet) != 4:
        raise InputError(f"Motifs need an alphabet of four letters, not {explanation.sequences.alphabet.name}.")
    if not 0 < window <= length:
        raise InputError(f"window={window}; expected 1 to the length of the sequences, {length}.")
    if max_seqlets < 1 or min_seqlets < _FEWEST or seqlet_width < 4 or flank < 1 or leiden_runs < 1:
        raise InputError(
            f"max_seqlets={max_seqlets}, min_seqlets={min_seqlets}, seqlet_width={seqlet_width}, flank={flank}, "
            f"leiden_runs={leiden_runs}; expected at least 1, {_FEWEST}, 4, 1 and 1."
        )
    if seqlet_width > window:
        raise InputError(f"seqlet_width={seqlet_width} is more than the {window} letters that are looked at.")
    first = (length - window) // 2
    one_hot = _positions(explanation.sequences.one_hot[:, :, first : first + window])
    hypothetical = _positions(explanation.hypothetical[:, :, first : first + window])
    if not np.isfinite(hypothetical).all():
        raise InputError("Hypothetical contributions are NaN or infinite; expected finite ones.")
    notes = [f"{len(one_hot)} sequences, of each the middle {window} of {length} letters" if window < length
             else f"{len(one_hot)} sequences, all {length} letters"]  # fmt: skip
    largest = float(np.abs(one_hot * hypothetical).max(initial=0))
    if largest == 0:
        return Motifs((), (*notes, "no relevance"))
    # TF-MoDISco works in float32, where squares of what is far from 1 are lost; it does not depend on the unit
    hypothetical /= largest
    # equal shares where there is no letter: a pattern's rows have to sum to 1
    lacking = ~one_hot.any(2)
    one_hot[lacking], hypothetical[lacking] = 0.25, 0
    blank = flank + _BLANK
    letters, shares = _padded(one_hot, blank, 0.25), _padded(hypothetical, blank, 0)
    if sites is None:
        found = _seqlets_of(letters, shares, blank, seqlet_width, flank, fdr)
    else:
        found = _around(sites, len(explanation), first, window, seqlet_width, flank)
    patterns: list[Motif] = []
    for sign, what in ((1, "positive"), (-1, "negative")):
        seqlets = [s for s, way in found if way == sign]
        used = _sample(seqlets, max_seqlets, seed)
        note = f"{len(seqlets)} {what} seqlets"
        if len(used) < len(seqlets):
            note += f", of which {len(used)} were drawn at random (max_seqlets)"
        if len(used) < min_seqlets:
            notes.append(f"{note}: too few for motifs (min_seqlets={min_seqlets})" if used else note)
            continue
        made = _patterns(letters, shares, blank, used, sign, leiden_runs)
        in_motifs = sum(m.count for m in made)
        notes.append(f"{note}: {len(made)} motifs of {in_motifs} seqlets")
        patterns += [
            replace(_in_place(m, largest, first).trimmed(trim), name=f"{what}_{i}") for i, m in enumerate(made)
        ]
    return Motifs(tuple(patterns), tuple(notes))


def _positions(track: torch.Tensor) -> NDArray[np.float64]:
    """(N, L, 4)."""
    return np.ascontiguousarray(track.detach().cpu().numpy().transpose(0, 2, 1), dtype=np.float64)


def _padded(track: NDArray[np.float64], blank: int, value: float) -> NDArray[np.float32]:
    return np.pad(track, ((0, 0), (blank, blank), (0, 0)), constant_values=value).astype(np.float32)


def _seqlets_of(
    one_hot: NDArray[np.float32], hypothetical: NDArray[np.float32], blank: int, width: int, flank: int, fdr: float
) -> list[tuple[Seqlet, int]]:
    """TF-MoDISco's seqlets with flanks, and their signs; 0 between its thresholds. Places count without the blanks."""
    extract: Any = require("modiscolite.extract_seqlets", extra="genomics")
    inner = slice(blank - flank, one_hot.shape[1] - blank + flank)
    relevance = (one_hot[:, inner] * hypothetical[:, inner]).sum(2, dtype=np.float64)
    try:
        with threads_kept():
            found, threshold = extract.extract_seqlets(
                attribution_scores=relevance,
                window_size=width,
                flank=flank,
                suppress=width // 2 + flank,
                target_fdr=fdr,
                min_passing_windows_frac=0.03,
                max_passing_windows_frac=0.2,
                weak_threshold_for_counting_sign=0.8,
            )
    except (ValueError, ZeroDivisionError) as error:  # it fits a distribution to relevance of either sign
        raise InputError(
            f"TF-MoDISco's own search for seqlets fails on this relevance ({error}), as where it is zero but for a few "
            "places or has one sign; give sites=, such as call_sites finds."
        ) from error
    listed = []
    for seqlet in found:
        row, start, end = int(seqlet.example_idx), int(seqlet.start), int(seqlet.end)
        score = relevance[row, start + flank : end - flank].sum()
        sign = int(score > threshold) - int(score < -threshold)
        listed.append((Seqlet(row, start - flank, end - flank), sign))
    return listed


def _around(sites: Sites, rows: int, first: int, window: int, width: int, flank: int) -> list[tuple[Seqlet, int]]:
    """Seqlets with flanks whose middles are the sites', moved into the window where they would stand out of it."""
    listed = {}
    for site in sites:
        if site.row >= rows:
            raise InputError(f"A site lies in sequence {site.row} of {rows}; expected sites of this explanation.")
        start = min(max((site.start + site.end - width) // 2 - first, 0), window - width)
        listed[Seqlet(site.row, start - flank, start + width + flank)] = 1 if site.score > 0 else -1
    return list(listed.items())


def _sample(seqlets: list[Seqlet], most: int, seed: int) -> list[Seqlet]:
    if len(seqlets) <= most:
        return seqlets
    chosen = np.random.default_rng(seed).choice(len(seqlets), most, replace=False)
    return [seqlets[i] for i in np.sort(chosen)]


def _patterns(
    one_hot: NDArray[np.float32],
    hypothetical: NDArray[np.float32],
    blank: int,
    seqlets: list[Seqlet],
    sign: int,
    leiden_runs: int,
) -> list[Motif]:
    """TF-MoDISco's patterns with places that count without the blanks, those of most seqlets first."""
    core: Any = require("modiscolite.core", extra="genomics")
    _keep_compiled()
    modisco: Any = require("modiscolite.tfmodisco", extra="genomics")
    tracks = core.TrackSet(one_hot=one_hot, contrib_scores=one_hot * hypothetical, hypothetical_contribs=hypothetical)
    given = tracks.create_seqlets([core.Seqlet(s.row, s.start + blank, s.end + blank, False) for s in seqlets])
    try:
        with threads_kept():
            found = modisco.seqlets_to_patterns(
                given,
                tracks,
                track_signs=sign,
                n_leiden_runs=leiden_runs,
                trim_to_window_size=30,
                initial_flank_to_add=_POLISHED,
            )
    except ValueError as error:
        if "empty sequence" not in str(error):
            raise
        found = ()  # its filter of seqlets whose two similarities disagree has left none
    motifs = []
    for pattern in found or ():
        places = tuple(
            Seqlet(int(s.example_idx), int(s.start) - blank, int(s.end) - blank, "-" if s.is_revcomp else "+")
            for s in pattern.seqlets
        )
        motifs.append(
            Motif(
                "",
                pattern.sequence / pattern.sequence.sum(1, keepdims=True),
                np.array(pattern.contrib_scores),
                np.array(pattern.hypothetical_contribs),
                places,
                sign,
                len(places),
            )
        )
    return sorted(motifs, key=lambda m: -m.count)


def _keep_compiled() -> None:
    """Let numba keep TF-MoDISco's functions on disk; compiling them takes half a minute, in each process anew."""
    dispatcher: Any = require("numba.core.dispatcher", extra="genomics").Dispatcher
    for name in ("affinitymat", "aggregator", "gapped_kmer", "util"):
        for function in vars(require(f"modiscolite.{name}", extra="genomics")).values():
            if isinstance(function, dispatcher) and not function.overloads:
                with suppress(RuntimeError):  # no folder that can be written: compile anew
                    function.enable_caching()


def _in_place(motif: Motif, unit: float, first: int) -> Motif:
    """In the explanation's unit and coordinates."""
    assert motif.contributions is not None and motif.hypothetical is not None
    return replace(
        motif,
        contributions=motif.contributions * unit,
        hypothetical=motif.hypothetical * unit,
        seqlets=tuple(replace(s, start=s.start + first, end=s.end + first) for s in motif.seqlets),
    )
