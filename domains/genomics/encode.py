"""Between letters and one-hot tensors, by a table of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciexplain.domains.genomics.alphabet import DNA, Alphabet, alphabet_of
from sciexplain.errors import InputError

Ambiguous = Literal["zero", "average"]


def encode(
    sequences: str | Sequence[str],
    alphabet: str | Alphabet = DNA,
    *,
    ambiguous: Ambiguous = "zero",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """One-hot code of sequences of one length; lower case is read as upper case.

    Parameters
    ----------
    sequences
        One sequence, or N of the same length L.
    alphabet
        ``"DNA"`` (channels A, C, G, T), ``"RNA"`` (A, C, G, U), ``"protein"`` (20 in the order of their letters).
    ambiguous
        Letters such as N and R: ``"zero"`` in every channel, or the ``"average"`` of the letters that they may be.

    Returns
    -------
    (N, letters, L)

    Raises
    ------
    InputError
        A letter that the alphabet has not, sequences of different lengths, or none.

    Examples
    --------
    >>> encode("ACn")[0]
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 0.],
            [0., 0., 0.]])
    >>> encode("R", ambiguous="average")[0, :, 0]
    tensor([0.5000, 0.0000, 0.5000, 0.0000])
    """
    alphabet = alphabet_of(alphabet)
    if ambiguous not in ("zero", "average"):
        raise InputError(f'ambiguous={ambiguous!r}; expected "zero" or "average".')
    listed = [sequences] if isinstance(sequences, str) else list(sequences)
    if not listed or not listed[0]:
        raise InputError("There are no sequences to encode, or the first is empty.")
    lengths = [len(sequence) for sequence in listed]
    if len(set(lengths)) > 1:
        other = next(i for i, n in enumerate(lengths) if n != lengths[0])
        raise InputError(
            f"Sequence 0 has {lengths[0]} letters and sequence {other} has {lengths[other]}; expected one length. "
            "Resize them, or encode them apart."
        )
    text = as_bytes(listed)
    codes = alphabet.codes[text]
    check_letters(listed, codes, alphabet)
    if ambiguous == "average":
        shares = torch.from_numpy(alphabet.shares[text])
        return shares.transpose(1, 2).contiguous().to(dtype)
    # one row of zeros after the letters' for what is ambiguous
    rows = torch.cat([torch.eye(len(alphabet), dtype=dtype), torch.zeros(1, len(alphabet), dtype=dtype)])
    places = torch.from_numpy(np.minimum(codes, len(alphabet)).astype(np.int64))
    return rows[places].transpose(1, 2).contiguous()


def as_bytes(sequences: Sequence[str]) -> NDArray[np.uint8]:
    """(N, L): the letters' bytes, of sequences of one length; "?" for what is not Latin."""
    joined = "".join(sequences).encode("ascii", "replace")
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(sequences), -1)


def check_letters(sequences: Sequence[str], codes: NDArray[np.uint8], alphabet: Alphabet) -> None:
    """Name the first letter that the alphabet has not.

    Raises
    ------
    InputError
        There is one.
    """
    foreign = codes == 255
    if not foreign.any():
        return
    row, place = (int(index) for index in np.argwhere(foreign)[0])
    number = int(foreign[row].sum())
    raise InputError(
        f"Sequence {row} has {sequences[row][place]!r} at position {place} (0-based; {number} such letters in it), "
        f"which is no letter of {alphabet.name}; expected {alphabet.letters}, or {''.join(alphabet.ambiguous)} "
        "where it is ambiguous."
    )


def decode(one_hot: Tensor, alphabet: str | Alphabet = DNA) -> list[str]:
    """The letters of one-hot sequences (N, letters, L), upper case; N (X for proteins) where there is no single one.

    Examples
    --------
    >>> decode(encode(["ACGT", "NNCA"]))
    ['ACGT', 'NNCA']
    """
    alphabet = alphabet_of(alphabet)
    if one_hot.ndim != 3 or one_hot.shape[1] < len(alphabet):
        raise InputError(f"one_hot has shape {tuple(one_hot.shape)}; expected (N, {len(alphabet)}, L).")
    letters = one_hot[:, : len(alphabet)]
    single = ((letters != 0).sum(1) == 1) & (letters.amax(1) == 1)
    places = torch.where(single, letters.argmax(1), len(alphabet)).cpu().numpy()
    table = np.frombuffer((alphabet.letters + alphabet.unknown).encode(), dtype="S1")
    return [b"".join(row).decode() for row in table[places]]


def soft_mask(sequences: Sequence[str]) -> Tensor:
    """(N, L), bool: where sequences of one length are in lower case, as repeats are in genomes."""
    text = as_bytes(sequences)
    return torch.from_numpy((text >= ord("a")) & (text <= ord("z")))


def reverse_complement(one_hot: Tensor, alphabet: str | Alphabet = DNA) -> Tensor:
    """The other strand of (…, letters + further channels, L), read from its own start.

    Channels after the letters, such as accessibility, are turned around and otherwise kept.

    Examples
    --------
    >>> decode(reverse_complement(encode("AACG")))
    ['CGTT']
    """
    alphabet = alphabet_of(alphabet)
    order = [*alphabet.complement_order, *range(len(alphabet), one_hot.shape[-2])]
    return one_hot[..., order, :].flip(-1)


def reverse_complement_of(sequence: str, alphabet: str | Alphabet = DNA) -> str:
    """The other strand of a text, case kept.

    Examples
    --------
    >>> reverse_complement_of("aacGN")
    'NCgtt'
    """
    return sequence.translate(_complements(alphabet_of(alphabet)))[::-1]


@cache
def _complements(alphabet: Alphabet) -> dict[int, str]:
    """From a letter's code to its complement, for texts of either case."""
    pairs = {a: alphabet.letters[b] for a, b in zip(alphabet.letters, alphabet.complement_order, strict=True)}
    pairs |= {"U": "A"} if alphabet.name == "DNA" else {"T": "A"}
    sets = {frozenset(options): letter for letter, options in alphabet.ambiguous.items() if options}
    for letter, options in alphabet.ambiguous.items():
        pairs[letter] = sets[frozenset(pairs[o] for o in options)] if options else letter
    pairs |= {a.lower(): b.lower() for a, b in pairs.items()}
    return {ord(a): b for a, b in pairs.items()}
