"""Models over tokens: which letters each token stands for, and relevance of tokens on letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from torch import Tensor

from sciexplain.domains.genomics.alphabet import DNA, Alphabet, alphabet_of
from sciexplain.errors import InputError

Span = tuple[int, int]


@dataclass(frozen=True)
class Tokens:
    """One sequence as a tokenizer cuts it.

    Attributes
    ----------
    ids
        T token ids.
    spans
        For each, the letters (start, end) that it stands for; (0, 0) for tokens that the tokenizer added.
    """

    ids: tuple[int, ...]
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class KmerTokenizer:
    """Words of k letters, in the order of the alphabet: AA…A is ``first``, AA…C the next.

    Attributes
    ----------
    k
        Letters of a word.
    stride
        Letters from one word to the next; 1: overlapping words, k: words side by side.
    first
        Id of the first word; those below are left to special tokens.
    unknown
        Id of words with ambiguous letters.
    alphabet
        Of the words.

    Examples
    --------
    >>> KmerTokenizer(2, stride=2)("ACGT")
    Tokens(ids=(1, 11), spans=((0, 2), (2, 4)))
    """

    k: int
    stride: int = 1
    first: int = 0
    unknown: int | None = None
    alphabet: Alphabet = DNA

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Every word's id."""
        words = product(alphabet_of(self.alphabet).letters, repeat=self.k)
        return {"".join(word): self.first + i for i, word in enumerate(words)}

    def __call__(self, sequence: str) -> Tokens:
        """The words of a sequence.

        Raises
        ------
        InputError
            A sequence shorter than a word, or an ambiguous word where ``unknown`` is not given.
        """
        starts = range(0, len(sequence) - self.k + 1, self.stride)
        if not starts:
            raise InputError(f"A sequence of {len(sequence)} letters has no word of {self.k} letters.")
        words, known = [sequence[s : s + self.k].upper() for s in starts], self.vocabulary
        unknown = [word for word in words if word not in known]
        if unknown and self.unknown is None:
            raise InputError(
                f"{unknown[0]!r} is no word of {self.alphabet.letters}; give unknown=, the id of such words, or leave "
                "the sequence out."
            )
        ids = tuple(known[word] if word in known else int(self.unknown or 0) for word in words)
        return Tokens(ids, tuple((s, s + self.k) for s in starts))


Tokenizer = Callable[[str], Any]


def tokenized(tokenizer: Tokenizer, sequence: str) -> Tokens:
    """What a tokenizer makes of a sequence.

    Parameters
    ----------
    tokenizer
        Returns :class:`Tokens`; or one of Hugging Face's, fast enough to tell offsets.

    Raises
    ------
    InputError
        It does not tell which letters its tokens stand for.
    """
    if getattr(tokenizer, "is_fast", False):
        found = tokenizer(sequence, return_offsets_mapping=True)  # type: ignore[call-arg]
        return Tokens(tuple(found["input_ids"]), tuple((int(a), int(b)) for a, b in found["offset_mapping"]))
    tokens = tokenizer(sequence)
    if not isinstance(tokens, Tokens):
        raise InputError(
            f"tokenizer gave {type(tokens).__name__}; expected Tokens with the letters that each token stands for: a "
            "KmerTokenizer, a fast tokenizer of Hugging Face, or a function that returns sciexplain's genomics.Tokens."
        )
    if len(tokens.ids) != len(tokens.spans):
        raise InputError(f"The tokenizer gave {len(tokens.ids)} ids and {len(tokens.spans)} spans; expected as many.")
    return tokens


def onto_letters(relevance: Tensor, spans: Sequence[Span], length: int) -> Tensor:
    """Relevance of T tokens on L letters, in equal shares to those that each token stands for; the sum is kept.

    What tokens without letters got is left out.

    Examples
    --------
    >>> import torch
    >>> onto_letters(torch.tensor([2.0, 4.0]), [(0, 2), (1, 3)], 3)
    tensor([1., 3., 2.])
    """
    letters = relevance.new_zeros(length)
    for r, (start, end) in zip(relevance, spans, strict=True):
        if end > start:
            letters[start:end] += r / (end - start)
    return letters
