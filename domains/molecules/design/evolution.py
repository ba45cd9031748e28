"""A population of molecules that evolves: children, the rules they keep, and who survives."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from sciexplain._optional import require
from sciexplain.domains.molecules.design import crossover, stoned
from sciexplain.domains.molecules.design.chemistry import Chemistry, whole
from sciexplain.domains.molecules.design.edits import random_edit
from sciexplain.domains.molecules.design.likeness import fingerprint, tanimoto
from sciexplain.domains.molecules.design.prior import Prior
from sciexplain.domains.molecules.design.question import Question, scored, synthetic_accessibility
from sciexplain.domains.molecules.design.result import Design, Designed, Generation
from sciexplain.errors import InputError

Moves = Literal["selfies", "fragments", "both"]

_TRIES = 20
"""Attempts for each new molecule that is wanted."""
_MOST_CHANGES = 3
_SHARE_OF_A_SCAFFOLD = 0.2
"""Of a population, while others are to be had."""
_NOISE = 1e-6
"""Of scores, relative to their spread: what rounding in batches of another size may change."""


@dataclass(frozen=True)
class Individual:
    """A molecule of the search. ``better`` grows with what is wanted; ``violation`` is 0 where all rules are kept."""

    mol: Any
    smiles: str
    violation: float
    similarity: float | None
    log_density: float | None
    move: str
    parents: tuple[str, ...]
    step: int
    better: float = math.nan


@dataclass(frozen=True, eq=False)
class Evolution:
    """What stays the same in a search, and the count of what it dropped."""

    question: Question
    target: Any
    sign: float
    chemistry: Chemistry
    anchor: tuple[Any, float] | None
    prior: Prior | None
    moves: Moves
    groups: tuple[str, ...]
    dropped: Counter[str]

    def begin(self, mols: Mapping[str, Any]) -> list[Individual]:
        """The start, asked of the model; it may break rules, and comes last then."""
        refusals = Counter(why for mol in mols.values() if (why := self.chemistry.refusal(mol)))
        ones = [self._judged(mol, smiles, "start", (), 0) for smiles, mol in mols.items()]
        found, first = self._asked(ones, "start: ")
        if not found:
            raise InputError(f"The model takes none of the {len(ones)} molecules to start from. The first: {first}")
        self.dropped.update({f"start, not in the result: {why}": n for why, n in refusals.items()})
        return ordered(found)

    def offspring(
        self,
        pool: Sequence[Individual],
        archive: Mapping[str, Individual],
        wanted: int,
        step: int,
        rng: np.random.Generator,
    ) -> list[Individual]:
        """New molecules of a population, asked of the model."""
        new: dict[str, Individual] = {}
        for _ in range(_TRIES * wanted):
            if len(new) == wanted:
                break
            parent, other = (pool[_rank(len(pool), rng)] for _ in range(2))
            move, mol = self._moved(parent.mol, other.mol, rng)
            pair = None if mol is None else whole(mol)
            if pair is None:
                self.dropped["no molecule"] += 1
                continue
            if pair[1] in archive or pair[1] in new:
                continue
            if (why := self.chemistry.refusal(pair[0])) is not None:
                self.dropped[why] += 1
                continue
            parents = (parent.smiles, other.smiles) if move == "crossover" else (parent.smiles,)
            one = self._judged(*pair, move, parents, step)
            # A start that breaks a rule may come nearer to keeping it, step by step.
            if one.violation and one.violation >= parent.violation:
                self.dropped["too unlike or too unusual"] += 1
                continue
            new[one.smiles] = one
        return self._asked(list(new.values()), "model: ")[0]

    def _moved(self, mol: Any, other: Any, rng: np.random.Generator) -> tuple[str, Any]:
        """A random move, by name, and what came of it."""
        kinds = {"selfies": ("selfies",), "fragments": ("edit", "crossover"), "both": ("selfies", "edit", "crossover")}
        kind = kinds[self.moves][int(rng.integers(len(kinds[self.moves])))]
        if kind == "selfies":
            changes = int(rng.integers(1, _MOST_CHANGES + 1))
            return "selfies", stoned.changed(mol, self.chemistry.elements, rng, changes)
        if kind == "crossover":
            return "crossover", crossover.crossed(mol, other, rng)
        return random_edit(mol, self.chemistry.elements, self.groups, rng)

    def _judged(self, mol: Any, smiles: str, move: str, parents: tuple[str, ...], step: int) -> Individual:
        """How far it is from keeping the rules."""
        violation = 0.0
        similarity = density = None
        if self.anchor is not None:
            similarity = float(tanimoto(self.anchor[0], [fingerprint(mol)])[0])
            violation += max(0.0, self.anchor[1] - similarity)
        if self.prior is not None:
            density = self.prior.log_density(mol)
            violation += max(0.0, self.prior.floor - density)
        if not step and self.chemistry.refusal(mol) is not None:
            violation += 1e3  # what may not be made: behind all others, whatever they lack
        return Individual(mol, smiles, violation, similarity, density, move, parents, step)

    def _asked(self, ones: list[Individual], where: str) -> tuple[list[Individual], str]:
        """Those that the model took, with its answer, and why it did not take the first of the others."""
        answers = self.question.ask([one.mol for one in ones])
        self.dropped.update({f"{where}cannot take it": len(answers.refused)} if answers.refused else {})
        scores: list[float] = []
        if answers.places:
            scores = (self.sign * scored(answers.output, self.target, self.question.family)).tolist()
        found = [replace(ones[place], better=score) for place, score in zip(answers.places, scores, strict=True)]
        first = next(iter(answers.refused.values()), "")
        return [one for one in found if math.isfinite(one.better)], first

    def generation(self, step: int, pool: Sequence[Individual]) -> Generation:
        """The account of a population."""
        kept = [self.sign * one.better for one in pool if not one.violation]
        best = kept[0] if kept else None
        return Generation(step, best, float(np.mean(kept)) if kept else None, len(kept), sum(self.dropped.values()))

    def result(
        self, archive: Mapping[str, Individual], begin: Sequence[Any], trace: Sequence[Generation], top: int
    ) -> Design:
        """The best of all that were met."""
        best = [one for one in ordered(list(archive.values())) if not one.violation][:top]
        start_prints = [fingerprint(mol) for mol in begin]
        family = self.question.family
        column = self.target if isinstance(self.target, int) else 0 if self.target is None else None
        task = family.tasks[column] if column is not None and family.tasks else ""
        line: dict[str, Designed] = {}
        open_ends = [one.smiles for one in best]
        while open_ends:
            smiles = open_ends.pop()
            if smiles not in line:
                line[smiles] = self._designed(archive[smiles], start_prints)
                open_ends.extend(archive[smiles].parents)
        firsts = [self.sign * one.better for one in archive.values() if one.step == 0 and not one.violation]
        return Design(
            molecules=tuple(line[one.smiles] for one in best),
            start=None if not firsts else self.sign * max(self.sign * value for value in firsts),
            trace=tuple(trace),
            asked=len(archive),
            dropped=dict(sorted(self.dropped.items(), key=lambda item: (-item[1], item[0]))),
            direction="up" if self.sign > 0 else "down",
            prior=self.prior,
            unit=family.unit,
            task=task,
            ancestors=line,
        )

    def _designed(self, one: Individual, start_prints: Sequence[Any]) -> Designed:
        return Designed(
            molecule=self.question.given(one.mol, one.smiles),
            smiles=one.smiles,
            prediction=self.sign * one.better,
            similarity=one.similarity,
            nearest=float(tanimoto(fingerprint(one.mol), start_prints).max()),
            log_density=one.log_density,
            synthetic_accessibility=synthetic_accessibility(one.mol),
            step=one.step,
            move=one.move,
            parents=one.parents,
        )


def _rank(n: int, rng: np.random.Generator) -> int:
    """A place in 0..n−1, the first n times as likely as the last."""
    return min(int(n * (1 - math.sqrt(1 - rng.random()))), n - 1)


def ordered(ones: Sequence[Individual]) -> list[Individual]:
    """Best first; scores that differ by no more than rounding are equal, and go by SMILES."""
    if not ones:
        return []
    falling = sorted(ones, key=lambda one: -one.better)
    values = np.array([one.better for one in falling])
    apart = -np.diff(values) > _NOISE * max(float(np.ptp(values)), float(np.abs(values).max()) * 1e-3)
    groups = np.concatenate([[0], np.cumsum(apart)]).tolist()
    placed = zip(groups, falling, strict=True)
    return [one for _, one in sorted(placed, key=lambda item: (item[1].violation, item[0], item[1].smiles))]


def first(found: Sequence[Individual], size: int, rng: np.random.Generator) -> list[Individual]:
    """The better half of a population, and others at random."""
    if len(found) <= size:
        return list(found)
    rest = rng.choice(np.arange(size // 2, len(found)), size - size // 2, replace=False)
    return [*found[: size // 2], *(found[i] for i in sorted(rest.tolist()))]


def survivors(ones: Sequence[Individual], size: int) -> list[Individual]:
    """The best, not too many of one scaffold as long as there are others."""
    murcko: Any = require("rdkit.Chem.Scaffolds.MurckoScaffold", extra="molecules")
    counts: Counter[str] = Counter()
    first: list[Individual] = []
    later: list[Individual] = []
    for one in ordered(ones):
        if len(first) == size:
            break
        scaffold = murcko.MurckoScaffoldSmiles(mol=one.mol)
        counts[scaffold] += 1
        (first if counts[scaffold] <= max(1, _SHARE_OF_A_SCAFFOLD * size) else later).append(one)
    return ordered([*first, *later[: size - len(first)]])
