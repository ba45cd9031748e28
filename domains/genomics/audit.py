"""``genomics.audit``: does the model read sites, or what the sequencing left at a fixed place?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import sciexplain as sx
from sciexplain.audit import Spray
from sciexplain.audit.judge import edit_of
from sciexplain.audit.maps import unit
from sciexplain.audit.spray import Embedding
from sciexplain.domains.genomics.evaluate import removal_of
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.errors import InputError

FIXED = "in words that stand at one place"

_CELLS = 256
"""Different words, at most: of 4 nucleotides, of 1 amino acid."""
_BINS = 50
_REACH = 10


def audit(
    g: SequenceExplanation,
    *,
    target: Any = None,
    labels: Any = None,
    classes: Sequence[int] | None = None,
    outside: Any = None,
    edit: Any = False,
    clusters: int | None = None,
    embedding: Embedding | None = "tsne",
    alpha: float = 0.01,
    material: float = 0.1,
    label_names: Sequence[str] | None = None,
    seed: int = 0,
) -> Spray:
    """Cluster sequences by where and in which words their relevance is, and rank the clusters by suspicion.

    Sequences are compared by positions (50 bins) and by words (of 4 nucleotides, with the relevance of their letters).
    Sites lie where they lie, in one sequence here and in another there; a barcode, an adapter or what a primer left
    stands at one place: relevance in such words is out of place. See :func:`sciexplain.audit.spray`.

    Parameters
    ----------
    g
        Explanations of N sequences of L letters; also :meth:`SequenceExplanation.of` relevance that was kept.
    target
        (N,) the classes that were explained; None: the explanation's, or the sign of a single output.
    outside
        (N, L) or (L,): letters that ought not to matter. None: those of :func:`fixed_words`. Where sequences are
        aligned by what they have in common, such as splice sites, their consensus is at one place too: give
        ``outside``, or read an alarm with that in mind.
    edit
        True: what the score does when the region's letters become those that a shuffle of the sequence has there. Or a
        callable, as for :func:`sciexplain.audit.spray`.
    labels, classes, clusters, embedding, alpha, material, label_names, seed
        As for :func:`sciexplain.audit.spray`.

    Examples
    --------
    >>> found = genomics.audit(genomics.explain(model, records), labels=truth)  # doctest: +SKIP
    >>> found.alarm, found[0].where  # doctest: +SKIP
    (True, 'positions 0–8: CCCGCAAA')
    """
    relevance, explained, speaks = g.nucleotides, target if target is not None else g.target, None
    if target is None and _single_output(g):
        explained = (g.score > 0).long()
        relevance, speaks = torch.where(explained[:, None] > 0, relevance, -relevance), explained.cpu().numpy()
    rows, one_hot = relevance.detach().float().cpu().numpy(), g.sequences.one_hot.cpu()
    if edit is True:
        edit = edit_of(removal_of(g, filler="shuffled", seed=seed), rows.shape[1:], speaks)

    def describe(region: NDArray[np.bool_], members: NDArray[np.int64]) -> str:
        return _stretches(region, one_hot[torch.from_numpy(members)], g.sequences.alphabet.letters)

    return sx.audit.spray(
        rows,
        target=explained,
        labels=labels,
        classes=classes,
        features=np.hstack([unit(_binned(rows)), unit(_by_word(rows, one_hot))]),
        outside={FIXED: fixed_words(one_hot)} if outside is None else outside,
        edit=edit or None,
        describe=describe,
        clusters=clusters,
        embedding=embedding,
        alpha=alpha,
        material=material,
        label_names=label_names,
        seed=seed,
    )


def fixed_words(one_hot: Tensor, *, alpha: float = 0.01, reach: int = _REACH) -> NDArray[np.bool_]:
    """(N, L): letters of words that are far more frequent at one place than at the places around it.

    Each word of 4 nucleotides (1 amino acid) at each position is counted over all sequences, and compared with its mean
    count at the ``reach`` positions on both sides by a Poisson test, at ``alpha`` over all words and positions
    (Bonferroni). Motifs that gather about a peak's centre are as frequent a few letters further, and do not count.

    Parameters
    ----------
    one_hot
        (N, letters, L); letters that are not there are all zero.

    Examples
    --------
    >>> letters = torch.randint(4, (400, 60), generator=torch.Generator().manual_seed(0))
    >>> letters[:100, :6] = torch.tensor([2, 0, 3, 1, 3, 0])
    >>> found = fixed_words(torch.nn.functional.one_hot(letters, 4).transpose(1, 2))
    >>> bool(found[:100, :6].all()), bool(found[:, 12:].any())
    (True, False)
    """
    from scipy.ndimage import uniform_filter1d
    from scipy.stats import poisson

    words, size = _words(one_hot)
    n, places = words.shape
    fixed = np.zeros((n, one_hot.shape[2]), bool)
    if places < 2:
        return fixed
    counts = np.zeros((places, _CELLS + 1))
    for place in range(places):
        counts[place] = np.bincount(words[:, place], minlength=_CELLS + 1)
    counts[:, _CELLS] = 0  # words with a letter that is not known
    around = min(reach, places - 1)
    width = 2 * around + 1
    # Sums over what there is of the window, without the place itself.
    inside = uniform_filter1d(counts, width, axis=0, mode="constant") * width - counts
    known = uniform_filter1d(np.ones(places), width, mode="constant") * width - 1
    expected = np.maximum(inside / np.maximum(np.round(known), 1)[:, None], 0.5)
    frequent = poisson.sf(counts - 1, expected) < alpha / counts[:, :_CELLS].size
    for step in range(size):
        fixed[:, step : places + step] |= frequent[np.arange(places), words]
    return fixed


def _single_output(g: SequenceExplanation) -> bool:
    """Whether the model has one output, whose sign is what it says."""
    outputs = [e.output for e in g.explanations]
    return bool(outputs) and all(output.ndim == 1 or output.shape[1:] == (1,) for output in outputs)


def _words(one_hot: Tensor) -> tuple[NDArray[np.int64], int]:
    """(N, places): the number of the word at each position, ``_CELLS`` where a letter is not known; and its length."""
    letters = one_hot.shape[1]
    size = 1
    while letters ** (size + 1) <= _CELLS:
        size += 1
    if one_hot.shape[2] < size:
        raise InputError(f"sequences of {one_hot.shape[2]} letters; an audit needs {size} at least")
    codes, known = one_hot.argmax(1).numpy(), (one_hot.sum(1) > 0).numpy()
    places = codes.shape[1] - size + 1
    words, whole = np.zeros((len(codes), places), np.int64), np.ones((len(codes), places), bool)
    for step in range(size):
        words = letters * words + codes[:, step : places + step]
        whole &= known[:, step : places + step]
    return np.where(whole, words, _CELLS), size


def _binned(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, bins): relevance of up to 50 stretches."""
    bins = min(_BINS, rows.shape[1])
    starts = (np.arange(bins) * rows.shape[1] + bins - 1) // bins
    return np.add.reduceat(rows, starts, axis=1)


def _by_word(rows: NDArray[np.float32], one_hot: Tensor) -> NDArray[np.float32]:
    """(N, words): positive relevance of the letters of each word, wherever it stands."""
    words, size = _words(one_hot)
    n, places = words.shape
    positive = np.maximum(rows, 0)
    weights = sum(positive[:, step : places + step] for step in range(size))
    cells = (np.arange(n)[:, None] * (_CELLS + 1) + words).ravel()
    table = np.bincount(cells, np.ravel(weights), minlength=n * (_CELLS + 1)).reshape(n, _CELLS + 1)
    return table[:, :_CELLS].astype(np.float32)


def _stretches(region: NDArray[np.bool_], one_hot: Tensor, letters: str) -> str:
    """Positions, 0-based and half-open, with the letter that at least half of the members have, N where none is."""
    share, common = one_hot.double().mean(0).max(0)
    text = "".join(letters[i] if s >= 0.5 else "N" for i, s in zip(common.tolist(), share.tolist(), strict=True))
    edges = np.flatnonzero(np.diff(np.r_[0, region.astype(np.int8), 0])).reshape(-1, 2).tolist()
    told = [f"{start}–{end}" + f": {text[start:end]}" * (text[start:end].strip("N") != "") for start, end in edges[:3]]
    return "positions " + ", ".join(told) + ", …" * (len(edges) > 3)
