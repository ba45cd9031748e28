"""Relevance along sequences and along their shuffles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.shuffle import shuffle_dinucleotides
from sciexplain.errors import InputError

_LETTERS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Tracks:
    """Relevance of sequences, and of others without signal; NaN where it is masked.

    Attributes
    ----------
    real
        (N, L).
    drawn
        (M, L).
    units
        (N,) and (M,): what to compare their relevance in: for each target the mean, over sequences with and without
        signal alike, of the root mean square.
    """

    real: NDArray[np.float32]
    drawn: NDArray[np.float32]
    units: tuple[NDArray[np.float64], NDArray[np.float64]]


def with_shuffles(
    explanation: SequenceExplanation,
    shuffles: int,
    *,
    seed: int = 0,
    null: SequenceExplanation | None = None,
    smooth: int = 1,
    mask: Tensor | None = None,
) -> Tracks:
    """Explain the sequences' shuffles alike.

    Parameters
    ----------
    explanation
        Of N sequences of length L.
    shuffles
        Of each, with dinucleotides kept.
    seed
        Of the shuffles.
    null
        Instead of shuffles; with targets of its own where those of the sequences differ.
    smooth
        Positions in the running mean; odd.
    mask
        (N, L), bool: positions to leave out; of the shuffles those at the same places.

    Raises
    ------
    InputError
        The explanation cannot be asked again and there is no ``null``, lengths differ, relevance is not finite, or
        ``null`` has nothing of one of the targets.
    """
    length = explanation.sequences.length
    if smooth < 1 or smooth % 2 == 0 or smooth > length:
        raise InputError(f"smooth={smooth}; expected an odd number of positions up to the length, {length}.")
    if mask is not None and tuple(mask.shape) != tuple(explanation.nucleotides.shape):
        raise InputError(f"mask has shape {tuple(mask.shape)}; expected {tuple(explanation.nucleotides.shape)}.")
    real = _relevance(explanation, smooth)
    if mask is not None:
        real[mask.cpu().numpy().astype(bool)] = np.nan
    if null is None:
        drawn = _of_shuffles(explanation, shuffles, seed, smooth)
        if mask is not None:
            drawn[np.repeat(np.isnan(real), shuffles, 0)] = np.nan
        targets = _targets(explanation)
        drawn_targets = np.repeat(targets, shuffles)
    else:
        if null.sequences.length != length:
            raise InputError(f"null has sequences of {null.sequences.length} letters; expected {length}, as explained.")
        drawn = _relevance(null, smooth)
        targets, drawn_targets = _targets(explanation), _targets(null)
        if len(np.unique(targets)) < 2:
            targets, drawn_targets = np.zeros(len(real)), np.zeros(len(drawn))
        if lacking := set(targets.tolist()) - set(drawn_targets.tolist()):
            raise InputError(f"null holds nothing for target {min(lacking):g}; expected sequences for each target.")
    both = np.concatenate([targets, drawn_targets])
    sizes = np.concatenate([root_mean_squares(real), root_mean_squares(drawn)])
    units = np.ones(len(both))
    for target in np.unique(targets):
        units[both == target] = sizes[both == target].mean() or 1.0
    return Tracks(real, drawn, (units[: len(real)], units[len(real) :]))


def _targets(explanation: SequenceExplanation) -> NDArray[np.float64]:
    if explanation.target is None:
        return np.zeros(len(explanation))
    return np.asarray(explanation.target.detach().cpu().numpy(), dtype=np.float64)


def root_mean_squares(tracks: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,): of each track (N, L), what is NaN left out."""
    known = ~np.isnan(tracks)
    squares = np.square(tracks, dtype=np.float64, where=known, out=np.zeros(tracks.shape))
    return np.asarray(np.sqrt(squares.sum(1) / np.maximum(known.sum(1), 1)))


def _relevance(explanation: SequenceExplanation, smooth: int) -> NDArray[np.float32]:
    relevance = explanation.nucleotides.detach().float()
    if not bool(torch.isfinite(relevance).all()):
        row = int((~torch.isfinite(relevance)).any(1).nonzero()[0])
        raise InputError(f"{explanation.sequences.names[row]} has relevance that is NaN or infinite.")
    if smooth > 1:
        padding = smooth // 2
        means = torch.nn.functional.avg_pool1d(relevance[:, None], smooth, 1, padding, count_include_pad=False)
        relevance = means[:, 0]
    return np.array(relevance.cpu().numpy())


def _of_shuffles(explanation: SequenceExplanation, shuffles: int, seed: int, smooth: int) -> NDArray[np.float32]:
    """(N · shuffles, L), each sequence's together."""
    if shuffles < 1:
        raise InputError(f"shuffles={shuffles}; expected at least 1.")
    if explanation.again is None:
        raise InputError(
            "This explanation cannot be asked again about shuffled sequences; give null=, the explanation of sequences "
            "without signal."
        )
    parts = []
    at_once = max(1, _LETTERS_AT_ONCE // (shuffles * explanation.sequences.length))
    for start in range(0, len(explanation), at_once):
        rows = list(range(start, min(start + at_once, len(explanation))))
        chosen = int(np.random.SeedSequence((seed, start)).generate_state(1)[0])
        letters = shuffle_dinucleotides(explanation.sequences[rows].one_hot, shuffles, chosen).flatten(0, 1)
        repeated = explanation[[row for row in rows for _ in range(shuffles)]]
        ask = repeated.again or explanation.again
        parts.append(_relevance(ask(repeated.sequences.with_letters(letters)), smooth))
    return np.concatenate(parts)
