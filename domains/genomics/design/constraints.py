"""What a designed sequence must keep to, and the best one that does, found exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.genomics.alphabet import DNA, Alphabet
from sciexplain.domains.genomics.design.automaton import automaton, both_strands
from sciexplain.errors import InputError

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Limit:
    """At most ``most`` letters differ from ``origin`` (L,)."""

    origin: Codes
    most: int


@dataclass(frozen=True, eq=False)
class Constraints:
    """Bounds on composition, and motifs that may not occur on either strand.

    Sequences are codes (L,): places in the alphabet, its length for a letter that is unknown. What is unknown stays, is
    in no motif, and does not count for composition.

    Attributes
    ----------
    gc
        Least and greatest share of G and C among the known letters; None: any.
    forbidden
        Motifs, IUPAC letters included.
    alphabet
        Of the sequences.
    """

    gc: tuple[float, float] | None
    forbidden: tuple[str, ...]
    alphabet: Alphabet
    _strong: NDArray[np.int64]
    _next: NDArray[np.int64]

    @classmethod
    def of(
        cls, gc: tuple[float, float] | None = None, forbidden: Sequence[str] = (), alphabet: Alphabet = DNA
    ) -> Constraints:
        """Check them, and prepare to follow the motifs.

        Raises
        ------
        InputError
            Bounds outside 0 to 1 or turned around, GC of proteins, or a motif with foreign letters.
        """
        if isinstance(forbidden, str):
            raise InputError(f"forbidden={forbidden!r}; expected a list of motifs, such as [{forbidden!r}].")
        if gc is not None:
            if not alphabet.complement:
                raise InputError(f"gc={gc}: {alphabet.name} has no G and C to count; leave it out.")
            gc = (float(gc[0]), float(gc[1]))
            if not 0 <= gc[0] <= gc[1] <= 1:
                raise InputError(f"gc={gc}; expected the least and the greatest share of G and C, from 0 to 1.")
        strong = np.array([*(letter in "GC" for letter in alphabet.letters), False], dtype=np.int64)
        follow = automaton(both_strands(forbidden, alphabet), alphabet)
        return cls(gc, tuple(m.upper() for m in forbidden), alphabet, strong, follow)

    def hold(self, codes: Codes) -> NDArray[np.bool_]:
        """(N, L) → (N,): which sequences keep to them."""
        counts, states, fine = self._strong[codes].sum(1), np.zeros(len(codes), np.int64), np.ones(len(codes), bool)
        for column in codes.T:
            states = self._next[states, column]
            fine &= states >= 0
            states = np.maximum(states, 0)
        if self.gc is not None:
            known = np.maximum((codes < len(self.alphabet)).sum(1), 1)
            fine &= (counts / known >= self.gc[0]) & (counts / known <= self.gc[1])
        return fine

    def best(self, scores: Floats, options: NDArray[np.bool_], limits: Sequence[Limit] = ()) -> Codes | None:
        r"""The sequence with the largest sum of scores among those that keep to all constraints.

        Backward dynamic programming over positions, with the motifs' automaton, the count of G and C, and the number of
        letters that differ from each origin as state:
        :math:`W_i(q) = \max_a s_{i,a} + W_{i+1}(\delta(q, a))`. Exact; among equals the first letters win.

        Parameters
        ----------
        scores
            (L, letters).
        options
            (L, letters + 1): which letters may stand where, the last column for unknown ones.
        limits
            How far from which sequences.

        Returns
        -------
        (L,); None where there is no such sequence.
        """
        scores = np.concatenate([scores, np.zeros((len(scores), 1))], 1)
        free = np.where(options, scores, -np.inf).argmax(1)
        if not options.any(1).all():
            return None
        if all((free != limit.origin).sum() <= limit.most for limit in limits) and self.hold(free[None])[0]:
            return free
        return self._by_programming(scores, options, limits)

    def fewest_changes(self, origin: Codes, options: NDArray[np.bool_]) -> int | None:
        """How many letters of a sequence must change to keep to the constraints; None where no change is enough."""
        costs = -np.ones((len(origin), len(self.alphabet)))
        known = np.flatnonzero(origin < len(self.alphabet))
        costs[known, origin[known]] = 0
        found = self.best(costs, options)
        return None if found is None else int((found != origin).sum())

    def _by_programming(self, scores: Floats, options: NDArray[np.bool_], limits: Sequence[Limit]) -> Codes | None:
        kept = [_Counter.of_changes(limit, options) for limit in limits]
        if self.gc is not None:
            composition = self._composition(options, min(limits, key=lambda limit: limit.most, default=None))
            if composition is None:
                return None
            kept.append(composition)
        shape = (*(c.last - c.first + 1 for c in kept), len(self._next) + 1)
        value = np.full(shape, -np.inf)
        value[(*(slice(c.least - c.first, c.most - c.first + 1) for c in kept), slice(0, -1))] = 0.0
        choices = np.zeros((len(scores), *shape[:-1], shape[-1] - 1), np.uint8)
        for i in reversed(range(len(scores))):
            found = np.full(shape, -np.inf)
            for letter in np.flatnonzero(options[i]).tolist():
                # the last state is none: what completes a motif (-1) leads there
                reached = value[..., self._next[:, letter]]
                for axis, counter in enumerate(kept):
                    reached = _moved(reached, axis, int(counter.steps[i, letter]))
                reached = reached + scores[i, letter]
                better = reached > found[..., :-1]
                np.copyto(found[..., :-1], reached, where=better)
                choices[i][better] = letter
            value = found
        place = [-c.first for c in kept]
        if value[(*place, 0)] == -np.inf:
            return None
        state, codes = 0, np.empty(len(scores), np.int64)
        for i in range(len(scores)):
            codes[i] = letter = choices[(i, *place, state)]
            state = int(self._next[state, letter])
            place = [at + int(c.steps[i, letter]) for at, c in zip(place, kept, strict=True)]
        return codes

    def _composition(self, options: NDArray[np.bool_], nearest: Limit | None) -> _Counter | None:
        """G and C counted, or, close to a sequence, by how many more they are than its own."""
        assert self.gc is not None
        known = len(options) - int(options[:, -1].sum())
        within = [n for n in range(known + 1) if self.gc[0] <= n / max(known, 1) <= self.gc[1]]
        if not within:
            return None
        steps = np.broadcast_to(self._strong, options.shape)
        if nearest is None:
            return _Counter(steps, within[0], within[-1], 0, within[-1])
        own = self._strong[nearest.origin]
        least, most = within[0] - int(own.sum()), within[-1] - int(own.sum())
        wide = nearest.most
        if least > wide or most < -wide:
            return None
        return _Counter(steps - own[:, None], max(least, -wide), min(most, wide), -wide, wide)


@dataclass(frozen=True, eq=False)
class _Counter:
    """A number that letters change by ``steps`` (L, letters + 1), and its bounds: at the end, and on the way."""

    steps: NDArray[np.int64]
    least: int
    most: int
    first: int
    last: int

    @classmethod
    def of_changes(cls, limit: Limit, options: NDArray[np.bool_]) -> _Counter:
        differ = (np.arange(options.shape[1]) != limit.origin[:, None]).astype(np.int64)
        most = min(limit.most, len(options))
        return cls(differ, 0, most, 0, most)


def _moved(values: Floats, axis: int, step: int) -> Floats:
    """``moved[n] = values[n + step]`` along an axis, and nothing (-inf) from beyond its ends."""
    if step == 0:
        return values
    moved = np.full_like(values, -np.inf)
    here, there = (slice(None, -1), slice(1, None)) if step > 0 else (slice(1, None), slice(None, -1))
    before = (slice(None),) * axis
    moved[(*before, here)] = values[(*before, there)]
    return moved
