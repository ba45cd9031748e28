"""The most similar molecules of which a model says something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from sciexplain._optional import require
from sciexplain.domains.molecules.design import changes, stoned
from sciexplain.domains.molecules.design.chemistry import Chemistry, chemistry, whole
from sciexplain.domains.molecules.design.counterfactuals import Counterfactual, Counterfactuals
from sciexplain.domains.molecules.design.decision import Decision, decide
from sciexplain.domains.molecules.design.edits import applied, edits, random_edit
from sciexplain.domains.molecules.design.groups import GROUPS, parsed_group
from sciexplain.domains.molecules.design.likeness import fingerprint, tanimoto
from sciexplain.domains.molecules.design.prior import Prior, learn_prior
from sciexplain.domains.molecules.design.question import Prepare, Question, plain, question, starting
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError

_BEAM = 20
"""Molecules that are edited again, those that went furthest."""
_MOST_CHANGES = 3
_COMPARED = 60
"""The most similar counterfactuals, of which what changed is looked at."""
_NEAR = 0.75
"""Of the largest similarity: so similar must be what is chosen for its other place."""


def counterfactual(
    model: Any,
    molecule: Any,
    target: Any = None,
    *,
    threshold: float | None = None,
    change: float | None = None,
    number: int = 6,
    samples: int = 1000,
    similarity: float = 0.0,
    prior: Prior | Any | None = None,
    elements: Iterable[str] | None = None,
    max_atoms: int | None = None,
    forbidden: Mapping[str, str] | Iterable[str] | None = None,
    groups: Iterable[str] = tuple(GROUPS.values()),
    prepare: Prepare | None = None,
    featurizer: Any = None,
    unit: str = "",
    batch_size: int = 64,
    seed: int = 0,
    report: Callable[[int, int], object] = lambda asked, different: None,
) -> Counterfactuals:
    """The most similar molecules of which a model says something else: what a decision hangs on.

    First all single edits of the molecule are tried: every atom, bond, ring and group. Then ``samples`` more: edits of
    those that went furthest, and changed SELFIES (STONED), as in MMACE. Of all that the model decides differently, the
    most similar are chosen, and among these first those that change different places of the molecule.

    Parameters
    ----------
    model
        As for :func:`sciexplain.domains.molecules.explain`.
    molecule
        One molecule: SMILES, RDKit's, a :class:`Molecule`.
    target
        With ``threshold`` or ``change``: the output as for :func:`maximize`, None for the only one. Without: the class
        that it should become, the largest of several outputs; None for any other than it is.
    threshold
        The output should be on its other side: 0 for a logit, 0.5 for a probability, a value for a number.
    change
        The output should rise by so much at least, or fall, if it is negative.
    number
        Of counterfactuals.
    samples
        Molecules beyond the single edits.
    similarity
        Tanimoto similarity, at least.
    prior
        As for :func:`maximize`.
    elements
        Symbols that edits may put in; None: the molecule's own, C, N, O, F and Cl.
    max_atoms, forbidden, groups, prepare, featurizer, unit, batch_size, seed
        As for :func:`maximize`; ``max_atoms`` is half as many again as the molecule has, or 6 more.
    report
        Is told, after each batch of new molecules, of how many the model was asked and how many differ.

    Returns
    -------
    Counterfactuals
        Empty where none was found; :attr:`Counterfactuals.asked` tells among how many.

    Raises
    ------
    InputError
        Not one molecule, or one that the model does not take; a number out of range.
    TargetError
        The question does not fit the output.

    Examples
    --------
    >>> from sciexplain.domains import molecules
    >>> mutagens = molecules.load_model("mutagens/")  # doctest: +SKIP
    >>> found = counterfactual(mutagens, "O=[N+]([O-])c1ccccc1", threshold=0)  # doctest: +SKIP
    >>> found[0].smiles, found[0].change.text  # doctest: +SKIP
    ('Oc1ccccc1', 'NO₂ → OH')

    References
    ----------
    MMACE: G. P. Wellawatte, A. Seshadri, A. D. White, Chem. Sci. 13, 3697 (2022). STONED: A. Nigam et al., Chem. Sci.
    12, 7079 (2021).
    """
    if number < 1 or samples < 0 or seed < 0 or not 0 <= similarity <= 1:
        raise InputError(
            f"number={number}, samples={samples}, seed={seed}, similarity={similarity}; expected at least 1, 0 and 0, "
            "and a similarity from 0 to 1"
        )
    groups = tuple(groups)
    for group in groups:
        parsed_group(group)
    given, _ = starting(molecule)
    pairs = plain(given)
    if len(pairs) != 1 or pairs[0] is None or "." in pairs[0][1]:
        raise InputError(f"found {[m.name for m in given]!r}; expected exactly one whole molecule")
    mol, smiles = pairs[0]
    asked = question(model, given, featurizer=featurizer, prepare=prepare, batch_size=batch_size, unit=unit)
    first = asked.ask([mol])
    if not first.places:
        raise InputError(f"The model does not take {smiles}: {first.refused[0]}")
    decision = decide(first.output, target, threshold, change, asked.family)
    size = mol.GetNumHeavyAtoms()
    symbols = {atom.GetSymbol() for atom in mol.GetAtoms()} | {"C", "N", "O", "F", "Cl"}
    allowed = chemistry(
        [mol],
        elements=symbols if elements is None else elements,
        max_atoms=max(size + 6, -(-3 * size // 2)) if max_atoms is None else max_atoms,
        forbidden=forbidden,
    )
    known = prior if prior is None or isinstance(prior, Prior) else learn_prior(prior)
    search = _Search(asked, decision, allowed, known, fingerprint(mol), similarity, {smiles: None}, Counter())
    singles = edits(mol, allowed.elements, groups)
    search.add((applied(mol, edit) for kind in singles.values() for edit in kind), report)
    rng = np.random.default_rng(seed)
    for part in range(2):
        # Half of the samples start from what the other half has found.
        search.add(_samples(mol, search.furthest(), allowed, groups, samples // 2 + (part * samples) % 2, rng), report)
    return _chosen(search, given[0], mol, smiles, number)


@dataclass(frozen=True)
class _Tried:
    """A molecule that the model was asked of."""

    mol: Any
    smiles: str
    output: Tensor
    gain: float
    similarity: float
    log_density: float | None


@dataclass(frozen=True, eq=False)
class _Search:
    """All that were tried, by SMILES; None for the original and those that may not be made or asked of."""

    question: Question
    decision: Decision
    chemistry: Chemistry
    prior: Prior | None
    print_: Any
    similarity: float
    tried: dict[str, _Tried | None]
    dropped: Counter[str]

    def add(self, mols: Iterable[Any], report: Callable[[int, int], object]) -> None:
        """Ask the model of those that are new, whole and allowed."""
        new: dict[str, tuple[Any, float, float | None]] = {}
        for made in mols:
            pair = None if made is None else whole(made)
            if pair is None:
                self.dropped["no molecule"] += 1
                continue
            mol, smiles = pair
            if smiles in self.tried or smiles in new:
                continue
            why = self.chemistry.refusal(mol)
            alike = float(tanimoto(self.print_, [fingerprint(mol)])[0])
            density = None if self.prior is None else self.prior.log_density(mol)
            if why is None and alike < self.similarity:
                why = "too unlike"
            if why is None and self.prior is not None and density is not None and density < self.prior.floor:
                why = "too unusual"
            if why is not None:
                self.dropped[why] += 1
                self.tried[smiles] = None
                continue
            new[smiles] = mol, alike, density
        listed = list(new.items())
        step = max(self.question.batch_size, 256)
        for begin in range(0, len(listed), step):
            self._ask(listed[begin : begin + step])
            known = [one for one in self.tried.values() if one is not None]
            report(len(known), sum(one.gain > 0 for one in known))

    def _ask(self, listed: list[tuple[str, tuple[Any, float, float | None]]]) -> None:
        answers = self.question.ask([mol for _, (mol, _, _) in listed])
        for smiles, _ in listed:
            self.tried[smiles] = None
        self.dropped.update({"model: cannot take it": len(answers.refused)} if answers.refused else {})
        gains = self.decision.gain(answers.output).tolist() if answers.places else []
        for place, output, gain in zip(answers.places, answers.output, gains, strict=True):
            smiles, (mol, alike, density) = listed[place]
            self.tried[smiles] = _Tried(mol, smiles, output, gain, alike, density)

    def furthest(self) -> list[_Tried]:
        """Those not on the other side yet, but next to it."""
        short = [one for one in self.tried.values() if one is not None and one.gain <= 0]
        return sorted(short, key=lambda one: (-one.gain, one.smiles))[:_BEAM]

    def different(self) -> list[_Tried]:
        """Those on the other side, most similar first."""
        found = [one for one in self.tried.values() if one is not None and one.gain > 0]
        return sorted(found, key=lambda one: (-one.similarity, one.mol.GetNumAtoms(), one.smiles))


def _samples(
    mol: Any, beam: Sequence[_Tried], allowed: Chemistry, groups: tuple[str, ...], number: int, rng: np.random.Generator
) -> Iterator[Any]:
    for sample in range(number):
        if sample % 2 and beam:
            yield random_edit(beam[int(rng.integers(len(beam)))].mol, allowed.elements, groups, rng)[1]
        else:
            yield stoned.changed(mol, allowed.elements, rng, int(rng.integers(1, _MOST_CHANGES + 1)))


def _chosen(search: _Search, given: Molecule, mol: Any, smiles: str, number: int) -> Counterfactuals:
    """The most similar, those that change another place than the ones before first."""
    question, decision = search.question, search.decision
    different = search.different()
    first: list[tuple[_Tried, changes.Change]] = []
    later: list[tuple[_Tried, changes.Change]] = []
    places: set[tuple[int, ...]] = set()
    alike = list(require("rdkit.Chem", extra="molecules").CanonicalRankAtoms(mol, breakTies=False))
    near = _NEAR * different[0].similarity if different else 0.0
    for one in different[: max(_COMPARED, number)]:
        if len(first) == number or (len(first) + len(later) >= number and one.similarity < near):
            break
        what = changes.change(mol, one.mol)
        place = tuple(sorted(alike[i] for i in what.places))
        (later if place in places else first).append((one, what))
        places.add(place)
    picked = [*first, *later][:number]

    def label(output: Tensor) -> int | None:
        return None if decision.label is None else int(decision.label(output[None])[0])

    original = question.ask([mol]).output[0]
    return Counterfactuals(
        original=question.given(mol, given.name),
        smiles=smiles,
        prediction=float(decision.value(original[None])[0]),
        label=label(original),
        found=tuple(
            Counterfactual(
                molecule=question.given(one.mol, one.smiles),
                smiles=one.smiles,
                prediction=float(decision.value(one.output[None])[0]),
                label=label(one.output),
                similarity=one.similarity,
                change=what,
                log_density=one.log_density,
            )
            for one, what in picked
        ),
        asked=sum(one is not None for one in search.tried.values()),
        different=len(different),
        dropped=dict(sorted(search.dropped.items(), key=lambda item: (-item[1], item[0]))),
        unit=question.family.unit,
        question=decision.text,
    )
