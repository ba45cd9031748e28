"""A batch of sequences of one length: the network's input, and where each comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sciexplain.domains.genomics.alphabet import DNA, Alphabet, alphabet_of
from sciexplain.domains.genomics.encode import Ambiguous, decode, encode, soft_mask
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import InputError


@dataclass(frozen=True)
class Record:
    """One sequence as it was read.

    Attributes
    ----------
    name
        Its own, or the interval's.
    sequence
        Its letters, case kept; on the minus strand already the reverse complement.
    interval
        Where it lies; None where that is not known.
    labels
        Numbers that its file gives, such as a table's target columns or a narrowPeak's signal; empty if none.
    """

    name: str
    sequence: str
    interval: Interval | None = None
    labels: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.sequence)


@dataclass(frozen=True, eq=False)
class Sequences:
    """N sequences of one length.

    Attributes
    ----------
    inputs
        (N, letters + further channels, L): one-hot letters, then what else the model is given, such as accessibility.
    names
        N names.
    intervals
        Where each lies; None where that is not known.
    alphabet
        Of the first channels.
    mask
        (N, L), bool: what was in lower case; None unless asked for.
    """

    inputs: Tensor
    names: tuple[str, ...]
    intervals: tuple[Interval | None, ...]
    alphabet: Alphabet = DNA
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        if self.inputs.ndim != 3 or self.inputs.shape[1] < len(self.alphabet):
            raise InputError(
                f"Sequences of shape {tuple(self.inputs.shape)}; expected (N, C, L) with the "
                f"{len(self.alphabet)} letters of {self.alphabet.name} as the first channels."
            )
        n = len(self.inputs)
        if len(self.names) != n or len(self.intervals) != n:
            raise InputError(f"{n} sequences with {len(self.names)} names and {len(self.intervals)} intervals.")
        for name, interval in zip(self.names, self.intervals, strict=True):
            if interval is not None and len(interval) != self.length:
                raise InputError(f"{name} has {self.length} letters, but {interval} has {len(interval)} bp.")

    @classmethod
    def of(
        cls,
        given: Any,
        alphabet: str | Alphabet = DNA,
        *,
        ambiguous: Ambiguous = "zero",
        keep_mask: bool = False,
        extra: Tensor | None = None,
    ) -> Sequences:
        """From what users have: texts, records, a one-hot tensor.

        Parameters
        ----------
        given
            A text, :class:`Record`, or a list of these, of one length; a tensor (N, letters, L) or (letters, L); or
            :class:`Sequences` as they are.
        alphabet, ambiguous
            As in :func:`encode`.
        keep_mask
            Keep lower case as ``mask``.
        extra
            (N, channels, L) to follow the letters.

        Raises
        ------
        InputError
            Foreign letters, different lengths, a tensor of another shape.

        Examples
        --------
        >>> Sequences.of(["ACGT", "GGCC"]).inputs.shape
        torch.Size([2, 4, 4])
        """
        alphabet = alphabet_of(alphabet)
        if isinstance(given, Sequences):
            return given if extra is None else given.with_extra(extra)
        if isinstance(given, Tensor):
            inputs = given[None] if given.ndim == 2 else given
            if not inputs.is_floating_point():
                inputs = inputs.float()
            names = tuple(f"sequence_{i}" for i in range(len(inputs)))
            found = cls(inputs, names, (None,) * len(inputs), alphabet)
        else:
            records = [
                entry if isinstance(entry, Record) else Record(f"sequence_{i}", entry)
                for i, entry in enumerate([given] if isinstance(given, str | Record) else given)
            ]
            if strange := [r.sequence for r in records if not isinstance(r.sequence, str)]:
                raise InputError(
                    f"{type(strange[0]).__name__} among the sequences; expected texts, records, or one tensor "
                    f"(N, {len(alphabet)}, L)."
                )
            texts = [r.sequence for r in records]
            found = cls(
                encode(texts, alphabet, ambiguous=ambiguous),
                tuple(r.name for r in records),
                tuple(r.interval for r in records),
                alphabet,
                soft_mask(texts) if keep_mask else None,
            )
        return found if extra is None else found.with_extra(extra)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, rows: int | slice | Sequence[int]) -> Sequences:
        """Some of them, in that order."""
        places = list(range(len(self)))[rows] if isinstance(rows, slice) else [rows] if isinstance(rows, int) else rows
        return Sequences(
            self.inputs[list(places)],
            tuple(self.names[i] for i in places),
            tuple(self.intervals[i] for i in places),
            self.alphabet,
            None if self.mask is None else self.mask[list(places)],
        )

    @property
    def length(self) -> int:
        """L, in letters."""
        return self.inputs.shape[2]

    @property
    def one_hot(self) -> Tensor:
        """(N, letters, L)."""
        return self.inputs[:, : len(self.alphabet)]

    @property
    def extra(self) -> Tensor | None:
        """(N, channels, L): the channels after the letters."""
        return self.inputs[:, len(self.alphabet) :] if self.inputs.shape[1] > len(self.alphabet) else None

    @property
    def texts(self) -> list[str]:
        """The letters, upper case."""
        return decode(self.inputs, self.alphabet)

    def with_extra(self, extra: Tensor) -> Sequences:
        """With channels (N, channels, L) after the letters."""
        if extra.ndim != 3 or extra.shape[0] != len(self) or extra.shape[2] != self.length:
            raise InputError(
                f"extra has shape {tuple(extra.shape)}; expected ({len(self)}, channels, {self.length}) to go with the "
                "sequences."
            )
        return replace(self, inputs=torch.cat([self.inputs, extra.to(self.inputs)], 1))

    def with_letters(self, one_hot: Tensor) -> Sequences:
        """The same places with other letters (N, letters, L), such as shuffled ones."""
        if one_hot.shape != self.one_hot.shape:
            raise InputError(f"one_hot has shape {tuple(one_hot.shape)}; expected {tuple(self.one_hot.shape)}.")
        parts = [one_hot.to(self.inputs)] + ([] if self.extra is None else [self.extra])
        return replace(self, inputs=torch.cat(parts, 1), mask=None)
