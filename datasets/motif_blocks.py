"""Motifs as they are written into sequences: alone, at a spacing, or as decoys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sciexplain.errors import InputError

_PERMUTATIONS = 8
_BEYOND = 5
"""bp by which a wrong spacing is wrong at least."""


@dataclass(frozen=True)
class Part:
    """Letters to be written, at ``start`` of their block, then of their sequence."""

    start: int
    letters: NDArray[np.int64]
    motif: str
    task: str = ""
    strand: Literal["+", "-"] = "+"

    @property
    def end(self) -> int:
        return self.start + len(self.letters)


Block = list[Part]
"""Parts that keep their distances, from left to right."""


@dataclass(frozen=True)
class MotifWriter:
    """Draws motifs and decoys, each as a block of parts that keep their distances."""

    rng: np.random.Generator
    matrices: Mapping[str, NDArray[np.float64]]
    spacing: tuple[int, int] | None
    ordered: bool
    strands: Literal["both", "+"]
    mutation: float

    def grammar(self, names: Sequence[str], task: str) -> list[Block]:
        """A task's motifs as a positive has them."""
        parts = [Part(0, self._instance(name), name, task) for name in names]
        if self.spacing is None:
            return [self._on_a_strand([part]) for part in parts]
        order = parts if self.ordered else [parts[i] for i in self.rng.permutation(len(parts))]
        return [self._on_a_strand(self._spaced(order, *self.spacing))]

    def partial(self, names: Sequence[str]) -> list[Block]:
        """A task's motifs with one fault."""
        parts = [Part(0, self._instance(name), name) for name in names]
        faults = ["missing"]
        if self.spacing is not None:
            faults += ["spacing"] + (["order"] if self.ordered and self.strands == "+" else [])
        fault = faults[self.rng.integers(len(faults))]
        if fault == "missing" or self.spacing is None:
            parts.pop(self.rng.integers(len(parts)))
        if self.spacing is None:
            return [self._on_a_strand([part]) for part in parts]
        low, high = self.spacing
        if fault == "spacing":
            low, high = high + _BEYOND, 2 * high - low + 2 * _BEYOND
        return [self._on_a_strand(self._spaced(parts[::-1] if fault == "order" else parts, low, high))]

    def decoy(self, kind: str, name: str) -> Block:
        """One motif, whole, halved or with its letters permuted."""
        letters = self._instance(name)
        if kind == "shuffled":
            # The motif may match some permutations of itself: take the one that it matches least, on either strand.
            trials = self.rng.permuted(np.tile(letters, (_PERMUTATIONS, 1)), axis=1)
            places = np.arange(len(letters))
            matches = [self.matrices[name][places, t].sum(1) for t in (trials, 3 - trials[:, ::-1])]
            letters = trials[np.maximum(*matches).argmin()]
        elif kind == "half":
            middle = (len(letters) + 1) // 2
            letters = letters[:middle] if self.rng.random() < 0.5 else letters[-middle:]
        label = name if kind == "neutral" else f"{kind} {name}"
        return self._on_a_strand([Part(0, letters, label)])

    def _instance(self, name: str) -> NDArray[np.int64]:
        letters = drawn(self.rng, self.matrices[name])
        other = (letters + self.rng.integers(1, 4, len(letters))) % 4
        return np.where(self.rng.random(len(letters)) < self.mutation, other, letters)

    def _spaced(self, parts: Iterable[Part], low: int, high: int) -> Block:
        block: Block = []
        for part in parts:
            start = block[-1].end + int(self.rng.integers(low, high + 1)) if block else 0
            block.append(replace(part, start=start))
        return block

    def _on_a_strand(self, block: Block) -> Block:
        if self.strands == "+" or self.rng.random() < 0.5:
            return block
        size = block[-1].end
        return [
            replace(part, start=size - part.end, letters=3 - part.letters[::-1], strand="-") for part in block[::-1]
        ]


def matrix_of(name: str, motif: Any) -> NDArray[np.float64]:
    """(L, 4): probabilities."""
    from sciexplain.domains.genomics.alphabet import DNA

    if isinstance(motif, str):
        shares = DNA.shares[np.frombuffer(motif.encode("ascii", "replace"), np.uint8)].astype(np.float64)
        if not motif or (shares.sum(1) == 0).any():
            raise InputError(f"motif {name} is {motif!r}; expected a consensus in IUPAC letters, such as TGASTCA.")
        return shares
    matrix = np.asarray(getattr(motif, "ppm", motif), np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != 4 or (matrix < 0).any() or not np.allclose(matrix.sum(1), 1, atol=1e-2):
        raise InputError(
            f"motif {name} has shape {matrix.shape}; expected (L, 4), in each row the probabilities of A, C, G and T."
        )
    return matrix / matrix.sum(1, keepdims=True)


def drawn(rng: np.random.Generator, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """(…,): a letter for each row of (…, 4)."""
    levels = probabilities.cumsum(-1)[..., :3]
    found: NDArray[np.int64] = (rng.random(levels.shape[:-1])[..., None] >= levels).sum(-1)
    return found


def placed(rng: np.random.Generator, blocks: list[Block], length: int) -> list[Part]:
    """The blocks' parts at places drawn from all at which no two blocks meet."""
    sizes = [block[-1].end for block in blocks]
    free = length - sum(sizes)
    if free < 0:
        names = ", ".join(part.motif for block in blocks for part in block)
        raise InputError(
            f"{names} need {sum(sizes)} bp together, and length={length}; give longer sequences, or fewer motifs or "
            "decoys."
        )
    found, taken = [], 0
    for number, before in zip(
        rng.permutation(len(blocks)), np.sort(rng.integers(0, free + 1, len(blocks))), strict=True
    ):
        found += [replace(part, start=part.start + taken + int(before)) for part in blocks[number]]
        taken += sizes[number]
    return sorted(found, key=lambda part: part.start)
