"""Sequences without some of their letters, and what the model then says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from sciexplain._evaluation import evaluation_mode
from sciexplain.domains.genomics.alphabet import DNA, Alphabet
from sciexplain.domains.genomics.encode import decode, reverse_complement
from sciexplain.domains.genomics.explain import LETTERS_AT_ONCE, Strand
from sciexplain.domains.genomics.fillers import Filler, filled
from sciexplain.domains.genomics.models import Layout, Model, as_called, like_model
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.domains.genomics.tokens import Tokenizer, tokenized
from sciexplain.errors import InputError, NonFiniteOutputError
from sciexplain.evaluate.fixed_target import FixedTarget
from sciexplain.evaluate.removal import check_parts
from sciexplain.inputs import passes
from sciexplain.targets import normalized, rows_of


class NucleotideRemoval:
    """N sequences whose letters can be taken away; a :class:`sciexplain.evaluate.removal.Removal`.

    Where there is no letter, such as at N, there is none to take away: such places stay as they are. Channels after the
    letters stay too.

    Parameters
    ----------
    model, sequences, target, strand, layout, tokenizer, alphabet
        As for :func:`sciexplain.domains.genomics.explain`. On both strands the same class is explained.
    filler
        What stands in the place of letters: ``"zero"`` (N), ``"background"`` (in every channel the letter's share in
        these sequences), ``"random"`` (another letter, each as likely), ``"shuffled"`` (what a shuffle of the sequence
        that keeps its dinucleotides has there), ``"sampled"`` (what another of these sequences has there), or a tensor
        (letters,), (letters, L) or (N, letters, L).
    parts
        What is taken away at once: 1 for single letters, a number of letters side by side (k-mers), or for each
        sequence its stretches (start, end), such as those of called sites; letters in none always stay.
    draws
        Fillings that a score is the mean of, for those that are drawn. Draws are the same for every set of parts.
    seed
        Of the draws.
    batch_size
        Sequences in one forward pass.

    Attributes
    ----------
    sizes
        Parts of each sequence.
    parts
        For each sequence, its stretches (start, end), 0-based and half-open, in order.

    Raises
    ------
    InputError
        A filler that does not fit: one of no letters for tokens, another sequence where there is one only; stretches
        that overlap or lie outside.

    Examples
    --------
    >>> def model(x):  # counts G
    ...     return x[:, 2].sum(1, keepdim=True)
    >>> removal = NucleotideRemoval(model, ["GGAG"], layout="NCL")
    >>> removal.scores([0, 0], [torch.tensor([True] * 4), torch.tensor([False, True, True, True])])
    tensor([3., 2.], dtype=torch.float64)
    """

    def __init__(
        self,
        model: Model,
        sequences: Any,
        target: Any = None,
        *,
        filler: Filler = "zero",
        parts: int | Sequence[Iterable[tuple[int, int]]] = 1,
        draws: int = 4,
        strand: Strand = "+",
        layout: Layout | None = None,
        tokenizer: Tokenizer | None = None,
        alphabet: str | Alphabet = DNA,
        seed: int = 0,
        batch_size: int | None = None,
    ) -> None:
        batch = Sequences.of(sequences, alphabet)
        self._sequences, self._strands = batch, ("+", "-") if strand == "both" else (strand,)
        self._size = batch_size or max(1, LETTERS_AT_ONCE // batch.length)
        self._inputs = batch.inputs if tokenizer is not None else like_model(model, batch.inputs)
        if tokenizer is not None and (isinstance(filler, Tensor) or filler == "background"):
            raise InputError('A model over tokens takes letters; use "zero" (N), "random", "shuffled" or "sampled".')
        self._fill = filled(batch, filler, draws, seed).to(self._inputs)
        self.parts = _stretches(parts, batch)
        self.sizes = tuple(len(of) for of in self.parts)
        self._part_of = torch.full((len(batch), batch.length), -1)
        for row, of in enumerate(self.parts):
            for number, (begin, end) in enumerate(of):
                self._part_of[row, begin:end] = number
        self._model = model
        self._tokenizer = tokenizer
        self._called = model if tokenizer is not None else as_called(model, batch, layout)
        self._fixed = self._of_whole(target)

    def scores(self, samples: Sequence[int], kept: Sequence[Tensor]) -> Tensor:
        """The explained output of sequences of which only some parts are left, (M,) float64, as the model gives it.

        The mean over draws and strands.
        """
        check_parts(self.sizes, samples, kept)
        found = [torch.zeros(0, dtype=torch.float64)]
        for rows in passes(len(samples), self._size):
            found.append(self._together(torch.tensor(samples[rows]), kept[rows]))
        return torch.cat(found)

    def relevance(self, nucleotides: Tensor) -> list[Tensor]:
        """For each sequence, the summed relevance of its parts, of (N, L) relevance of letters."""
        if tuple(nucleotides.shape) != tuple(self._part_of.shape):
            raise InputError(
                f"nucleotides has shape {tuple(nucleotides.shape)}; expected {tuple(self._part_of.shape)}, as the "
                "sequences."
            )
        values = nucleotides.detach().double().cpu()
        return [
            torch.tensor([float(row[a:b].sum()) for a, b in of], dtype=torch.float64)
            for row, of in zip(values, self.parts, strict=True)
        ]

    def _together(self, samples: Tensor, kept: Sequence[Tensor]) -> Tensor:
        stays = torch.ones(len(samples), self._part_of.shape[1], dtype=torch.bool)
        for row, (sample, keep) in enumerate(zip(samples.tolist(), kept, strict=True)):
            of = self._part_of[sample]
            stays[row, of >= 0] = keep.cpu()[of[of >= 0]]
        whole, there = self._inputs[samples], stays[:, None].to(self._inputs.device)
        letters = len(self._sequences.alphabet)
        total = torch.zeros(len(samples), dtype=torch.float64)
        for draw in range(self._fill.shape[1]):
            left = torch.where(there, whole[:, :letters], self._fill[samples, draw])
            total += self._mean_of_strands(torch.cat([left, whole[:, letters:]], 1), samples)
        return total / self._fill.shape[1]

    def _mean_of_strands(self, inputs: Tensor, samples: Tensor) -> Tensor:
        alphabet = self._sequences.alphabet
        found = [
            self._scores(inputs if strand == "+" else reverse_complement(inputs, alphabet), samples, strand)
            for strand in self._strands
        ]
        return torch.stack(found).mean(0)

    def _scores(self, inputs: Tensor, samples: Tensor, strand: str) -> Tensor:
        found = torch.zeros(len(samples), dtype=torch.float64)
        for rows, output in self._outputs(inputs):
            found[rows] = self._fixed[strand](output, samples[rows])
        if bad := (~found.isfinite()).nonzero().flatten().tolist():
            name = self._sequences.names[int(samples[bad[0]])]
            raise NonFiniteOutputError(f"The explained output is NaN or infinite for {name} with letters taken away.")
        return found

    def _of_whole(self, target: Any) -> dict[str, FixedTarget]:
        """For each strand, what is explained."""
        target, n, fixed = normalized(target), len(self._sequences), {}
        for strand in self._strands:
            inputs = self._inputs if strand == "+" else reverse_complement(self._inputs, self._sequences.alphabet)
            places, parts = [], []
            for begin in range(0, n, self._size):
                for rows, output in self._outputs(inputs[begin : begin + self._size]):
                    places.append(rows + begin)
                    parts.append(FixedTarget.of(output, rows_of(target, rows + begin, n), len(rows)))
            fixed[strand] = FixedTarget.joined(parts, places)
            if fixed[strand].classes is not None:
                target = fixed[strand].classes  # the same on the other strand
        return fixed

    def _outputs(self, inputs: Tensor) -> Iterator[tuple[Tensor, Any]]:
        """What the model says of sequences, and which; those with as many tokens together, so that none is padded."""
        groups = {0: torch.arange(len(inputs))}
        if self._tokenizer is not None:
            ids = [tokenized(self._tokenizer, text).ids for text in decode(inputs, self._sequences.alphabet)]
            lengths = torch.tensor([len(of) for of in ids])
            groups = {int(length): (lengths == length).nonzero().flatten() for length in lengths.unique()}
        device = next((p.device for p in getattr(self._model, "parameters", list)()), torch.device("cpu"))
        for rows in groups.values():
            if self._tokenizer is None:
                given = inputs[rows]
            else:
                given = torch.tensor([ids[row] for row in rows.tolist()], device=device)
            with torch.no_grad(), evaluation_mode(self._model):
                output = self._called(given)
            yield rows, output


def _stretches(
    parts: int | Sequence[Iterable[tuple[int, int]]], batch: Sequences
) -> tuple[tuple[tuple[int, int], ...], ...]:
    n, length = len(batch), batch.length
    if isinstance(parts, int):
        if not 1 <= parts <= length:
            raise InputError(f"parts={parts}: expected a number of letters from 1 to {length}, the sequences' length.")
        return (tuple((a, min(a + parts, length)) for a in range(0, length, parts)),) * n
    if len(parts) != n:
        raise InputError(f"{len(parts)} lists of stretches for {n} sequences; expected one for each.")
    found = tuple(tuple(sorted((int(a), int(b)) for a, b in of)) for of in parts)
    for name, of in zip(batch.names, found, strict=True):
        ends = [0, *(b for _, b in of)]
        if any(not end <= a < b <= length for end, (a, b) in zip(ends, of, strict=False)):
            raise InputError(
                f"{name} has the stretches {list(of)}; expected (start, end) within its {length} letters, 0-based and "
                "half-open, none over another."
            )
    return found
