"""What designed sequences have in common, wherever and on whichever strand each has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.motif import Motif, Seqlet
from sciexplain.errors import InputError

_ROUNDS, _BEGINNINGS = 10, 20
Floats = NDArray[np.float64]


def shared_site(explanation: SequenceExplanation, width: int = 20, *, name: str = "shared site") -> Motif:
    """The stretch that matters most in each sequence, aligned.

    Begins with the most relevant stretch of a sequence; of each sequence, then, the stretch and strand whose
    contributions have the largest scalar product with the mean of those aligned so far, again and again until nothing
    moves. Of such alignments from many beginnings, that with the largest mean contributions (sum of squares) is kept.

    Parameters
    ----------
    explanation
        Of N designs of DNA or RNA, such as of ``designs.sequences``.
    width
        In letters.
    name
        Of the motif.

    Returns
    -------
    Motif
        Its ``ppm`` counts letters of N sequences, ``seqlets`` say where. Trim it with :meth:`Motif.trimmed`, and name
        it by :func:`~sciexplain.domains.genomics.match_motifs`.

    Raises
    ------
    InputError
        Another alphabet, a width that the sequences have not, or no relevance above 0.

    Examples
    --------
    >>> import torch
    >>> from sciexplain.domains.genomics.sequences import Sequences
    >>> sequences = Sequences.of(["AATTGACC", "GTCAATTT"])
    >>> where = torch.tensor([[0, 0, 1, 1, 1, 1, 0, 0], [0, 1, 1, 1, 1, 0, 0, 0.0]])
    >>> shared_site(SequenceExplanation.of(sequences, nucleotides=where), 4).consensus
    'TTGA'
    """
    alphabet, length = explanation.sequences.alphabet, explanation.sequences.length
    if not alphabet.complement:
        raise InputError(f"{alphabet.name} has no two strands; shared sites are of DNA or RNA.")
    if not 1 <= width <= length:
        raise InputError(f"width={width}; expected 1 to {length} letters.")
    values = explanation.contributions.detach().double().cpu().numpy().transpose(0, 2, 1)
    letters = explanation.sequences.one_hot.detach().double().cpu().numpy().transpose(0, 2, 1)
    windows = _stretches(values, width)
    sums = windows[:, 0].sum((2, 3))
    if not len(sums) or sums.max() <= 0:
        raise InputError("No stretch of the sequences has relevance above 0; there is nothing that they share.")
    begun = [
        windows[row, 0, np.clip(start + shift, 0, length - width)]
        for row, start in enumerate(sums.argmax(1)[:_BEGINNINGS].tolist())
        for shift in (-width // 2, -width // 4, 0, width // 4, width // 2)
    ]
    template, places = max((_aligned(windows, one) for one in begun), key=lambda pair: float((pair[0] ** 2).sum()))
    strands, starts = np.divmod(places, length - width + 1)
    aligned = _stretches(letters, width)[np.arange(len(values)), strands, starts]
    counts = aligned.mean(0)
    ppm = counts + (1 - counts.sum(1, keepdims=True)) / 4  # unknown letters may be any
    seqlets = tuple(
        Seqlet(row, int(start), int(start) + width, "-" if strand else "+")
        for row, (strand, start) in enumerate(zip(strands, starts, strict=True))
    )
    return Motif(name, ppm, contributions=template, seqlets=seqlets, count=len(values))


def _aligned(windows: Floats, template: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The mean of the stretches that fit it best, and these, until nothing moves; each round raises its size."""
    rows = np.arange(len(windows))
    flat = windows.reshape(len(windows), -1, *template.shape)
    places = np.full(len(windows), -1)
    for _ in range(_ROUNDS):
        found = np.einsum("npwl,wl->np", flat, template).argmax(1)
        if (found == places).all():
            break
        places = found
        template = flat[rows, places].mean(0)
    return template, places


def _stretches(values: Floats, width: int) -> Floats:
    """(N, L, 4) to (N, strands, starts, width, 4): all stretches, and as they read on the other strand."""
    forward = np.lib.stride_tricks.sliding_window_view(values, width, axis=1).transpose(0, 1, 3, 2)
    return np.stack([forward, forward[:, :, ::-1, ::-1]], 1)
