"""Shuffled sequences that keep each sequence's dinucleotides, drawn uniformly."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciexplain.errors import InputError

_NO_LETTER = 4
_LONGEST = 2**24 - 1
_SAME_SIZE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def shuffle_dinucleotides(sequences: Tensor, n: int, seed: int = 0, *, dtype: torch.dtype | None = None) -> Tensor:
    """Draw shuffles with the same dinucleotides, first and last letter, uniformly from all distinct ones.

    A column without one letter, such as N (zeros) or an average of letters, stays where it is; each run of letters
    between such columns is shuffled by itself. The shuffles of a sequence follow from its letters and ``seed`` alone:
    neither its batch nor ``n`` changes them, and equal sequences have equal shuffles.

    Parameters
    ----------
    sequences
        (N, 4, L), one-hot; L below 2**24.
    n
        Shuffles of each.
    seed
        Of the random numbers.
    dtype
        Of the result; None: as ``sequences``.

    Returns
    -------
    (N, n, 4, L), on the device of ``sequences``.

    Raises
    ------
    InputError
        Another shape, ``n`` below 1, or a column that is neither a letter, nor zeros, nor an average of letters.
    MissingDependencyError
        numba is not installed.

    Warns
    -----
    UserWarning
        Some sequences have no other order with the same dinucleotides and ends, such as ``AAAA``; their shuffles are
        copies.

    Notes
    -----
    The sequences with given dinucleotides are the Eulerian walks of a multigraph on four letters. Its spanning trees
    towards the last letter are at most 16, so that the last exits are drawn exactly and in one step. Where only the
    edges are permuted and the last exits kept as they are, as in the usual code, a part of the sequences is never
    reached: 9 of the 72 of ``ACCCACGATGATA``.

    References
    ----------
    S. F. Altschul and B. W. Erickson, Mol. Biol. Evol. 2, 526 (1985); T. van Aardenne-Ehrenfest and N. G. de Bruijn,
    Simon Stevin 28, 203 (1951).

    Examples
    --------
    >>> from sciexplain.domains.genomics.encode import decode, encode
    >>> decode(shuffle_dinucleotides(encode("ACCCACGNATGATA"), 3)[0])
    ['ACACCCGNATGATA', 'ACACCCGNATATGA', 'ACCACCGNATGATA']
    """
    from sciexplain.domains.genomics.eulerian import shuffle_rows

    if sequences.ndim != 3 or sequences.shape[1] != 4:
        raise InputError(
            f"sequences have shape {tuple(sequences.shape)}; expected one-hot nucleotides (N, 4, L). Only DNA and RNA "
            "are shuffled; give the letters without further channels."
        )
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InputError(f"n={n!r}; expected the number of shuffles of each sequence, 1 or more.")
    if not 1 <= sequences.shape[2] <= _LONGEST:
        raise InputError(f"sequences have {sequences.shape[2]} letters; expected 1 to {_LONGEST}.")
    given = sequences.detach().cpu()
    kind = dtype or given.dtype
    codes = _codes_of(given)
    segments, counts = _runs_of(codes)
    trees, weights, only = _last_exits(counts, codes[segments[:, 0], segments[:, 2] - 1])
    alone = np.ones(len(codes), bool)
    np.logical_and.at(alone, segments[:, 0], only)
    _warn_of(np.flatnonzero(alone), len(codes))

    # Not torch.empty: numpy asks for large pages, which are written three times as fast the first time.
    size = kind.itemsize
    found = np.empty((len(codes), n, 4, codes.shape[1]), f"i{size}" if size > 1 else "u1")
    one = torch.ones(1, dtype=kind).view(_SAME_SIZE[size]).numpy()[0]
    key = np.uint64(seed % 2**64)

    def run(first: int, last: int) -> None:
        shuffle_rows(codes, segments, counts, trees, weights, first, last, key, one, found)

    cuts = np.linspace(0, len(codes), min(torch.get_num_threads(), max(len(codes), 1)) + 1).astype(int).tolist()
    with ThreadPoolExecutor(len(cuts) - 1) as pool:
        list(pool.map(run, cuts[:-1], cuts[1:]))

    result = torch.from_numpy(found).view(kind)
    rows, places = np.nonzero(codes == _NO_LETTER)
    if len(rows):
        result[rows, :, :, places] = given[rows, :, places][:, None].to(kind)
    return result.to(sequences.device)


def _codes_of(one_hot: Tensor) -> NDArray[np.uint8]:
    """(N, L): letters 0 to 3, and 4 where there is no single one."""
    a, c, g, t = (one_hot == 1).view(torch.uint8).unbind(1)
    single = (a + c + g + t == 1) & (sum((one_hot == 0).view(torch.uint8).unbind(1)) == 3)
    codes = torch.where(single, c + 2 * g + 3 * t, _NO_LETTER).numpy()
    if not single.all():
        _check_others(one_hot, ~single)
    return codes


def _check_others(one_hot: Tensor, others: Tensor) -> None:
    rows, places = others.nonzero(as_tuple=True)
    columns = one_hot[rows, :, places].double()
    sums = columns.sum(1)
    wrong = ((columns < 0).any(1) | ((sums != 0) & ((sums - 1).abs() > 1e-2)) | sums.isnan()).nonzero()[:, 0]
    if len(wrong):
        row, place = int(rows[wrong[0]]), int(places[wrong[0]])
        raise InputError(
            f"Sequence {row} has {columns[wrong[0]].tolist()} at position {place} (0-based); expected a letter as one "
            "1 and three 0, zeros for an unknown one, or an average of letters, which sums to 1. Give the one-hot "
            "code, not relevance or a normalised input."
        )


def _runs_of(codes: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(S, 3): row, start and end of each run of letters; (S, 4, 4): its dinucleotides."""
    is_letter = np.zeros((len(codes), codes.shape[1] + 2), np.int8)
    is_letter[:, 1:-1] = codes != _NO_LETTER
    change = np.diff(is_letter, axis=1)
    rows, starts = np.nonzero(change == 1)
    segments = np.stack([rows, starts, np.nonzero(change == -1)[1]], 1)
    number = np.cumsum(change[:, :-1] == 1).reshape(codes.shape) - 1
    pairs = (is_letter[:, 1:-2] & is_letter[:, 2:-1]).astype(bool)
    kinds = number[:, 1:][pairs] * 16 + codes[:, :-1][pairs] * np.int64(4) + codes[:, 1:][pairs]
    counts = np.bincount(kinds, minlength=16 * len(segments)).reshape(-1, 4, 4)
    return segments.astype(np.int64), counts.astype(np.int64)


def _last_exits(
    counts: NDArray[np.int64], last: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """For walks of these edges (S, 4, 4) to these letters (S,): trees of last exits and their weights, as
    :func:`~.eulerian.shuffle_rows` takes them, and (S,) whether there is only one sequence.
    """
    size = len(counts)
    parents = _trees()[last]
    # Letters that do not occur are leaves of the last one, once, so that they do not multiply the trees.
    ways = counts.astype(np.float64)
    rows, letters = np.nonzero(counts.sum(2) == 0)
    ways[rows, letters] = 0
    ways[rows, letters, last[rows]] = 1
    ways[np.arange(size), last, last] = 1
    ways = np.take_along_axis(ways[:, None], parents[..., None], 3)[..., 0].prod(2)
    weights = ways.cumsum(1)
    weights /= weights[:, -1:]
    exits = np.where(counts.sum(2)[:, None] > 0, parents, -1)
    exits[np.arange(size), :, last] = -1
    # One sequence: one tree, and behind its edges each letter leads to one letter at most.
    tree = exits[np.arange(size), (ways > 0).argmax(1)]
    rest = counts - (tree[..., None] == np.arange(4))
    only = ((ways > 0).sum(1) == 1) & ((rest > 0).sum(2) <= 1).all(1)
    return exits, weights, only


@cache
def _trees() -> NDArray[np.int64]:
    """(4, 16, 4): for each root all trees on four letters, as what each letter leads to; the root leads to itself."""
    found: list[list[tuple[int, ...]]] = []
    for root in range(4):
        choices = [(root,) if letter == root else range(4) for letter in range(4)]
        found.append([tree for tree in product(*choices) if all(_leads_to(root, tree, a) for a in range(4))])
    return np.array(found, np.int64)


def _leads_to(root: int, tree: tuple[int, ...], letter: int) -> bool:
    for _ in tree:
        letter = tree[letter]
    return letter == root


def _warn_of(alone: NDArray[np.int64], total: int) -> None:
    if not len(alone):
        return
    named = ", ".join(map(str, alone[:5])) + (", …" if len(alone) > 5 else "")
    warnings.warn(
        f"{len(alone)} of {total} sequences have no other order with the same dinucleotides and ends; their shuffles "
        f"are copies (rows {named}).",
        stacklevel=3,
    )
