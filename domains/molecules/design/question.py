"""What a model says of molecules that a search has made; those it cannot take are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciexplain._optional import require
from sciexplain.domains.molecules import families
from sciexplain.domains.molecules.convert import from_mol
from sciexplain.domains.molecules.design.chemistry import whole
from sciexplain.domains.molecules.families.base import name_of
from sciexplain.domains.molecules.graphs import Family
from sciexplain.domains.molecules.indices import without_hydrogens
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import with_hydrogens
from sciexplain.domains.molecules.read import read
from sciexplain.errors import InputError, ModelError, NonFiniteOutputError, SciExplainError, TargetError

Prepare = Callable[[Molecule], Molecule]


@dataclass(frozen=True, eq=False)
class Question:
    """A model, and how it is asked.

    Attributes
    ----------
    family
        Of the model.
    prepare
        What a molecule needs before; None: nothing.
    batch_size
        Molecules at a time.
    """

    family: Family
    prepare: Prepare | None
    batch_size: int

    def given(self, mol: Any, name: str = "") -> Molecule:
        """An RDKit molecule with implicit hydrogens as the model is given it."""
        molecule = from_mol(mol, name=name)
        return molecule if self.prepare is None else self.prepare(molecule)

    def ask(self, mols: Sequence[Any]) -> Answers:
        """The model's outputs for RDKit molecules with implicit hydrogens."""
        refused: dict[int, str] = {}
        items = []
        for place, mol in enumerate(mols):
            try:
                items.append((place, self.family.graph(self.given(mol))))
            except SciExplainError as error:
                if isinstance(error, ModelError):
                    raise
                refused[place] = str(error)
        rows: dict[int, Tensor] = {}
        for begin in range(0, len(items), self.batch_size):
            self._ask(items[begin : begin + self.batch_size], rows, refused)
        places = sorted(rows)
        output = torch.stack([rows[place] for place in places]) if rows else torch.zeros(0, 1, dtype=torch.float64)
        return Answers(places, output, refused)

    def _ask(self, items: list[tuple[int, Any]], rows: dict[int, Tensor], refused: dict[int, str]) -> None:
        """One batch; where it fails, its halves, down to the molecule that it fails for."""
        try:
            graphs = self.family.collate([graph for _, graph in items])
            with torch.no_grad():
                output = graphs.call(graphs.tensors).detach().double().cpu()
        except (InputError, NonFiniteOutputError) as error:
            if len(items) == 1:
                refused[items[0][0]] = str(error)
                return
            for half in (items[: len(items) // 2], items[len(items) // 2 :]):
                self._ask(half, rows, refused)
            return
        for (place, _), row in zip(items, output.reshape(len(items), -1), strict=True):
            if bool(torch.isfinite(row).all()):
                rows[place] = row
            else:
                refused[place] = "the output is not finite"


@dataclass(frozen=True)
class Answers:
    """What a model said.

    Attributes
    ----------
    places
        Of the molecules that it took, in ascending order.
    output
        (K, tasks) float64, a row for each of them.
    refused
        Of the others, why.
    """

    places: list[int]
    output: Tensor
    refused: dict[int, str]


def question(
    model: Any, start: Sequence[Molecule], *, featurizer: Any, prepare: Prepare | None, batch_size: int, unit: str
) -> Question:
    """How to ask a model, or a loaded one, of molecules like ``start``.

    Explicit hydrogens are added to all molecules if some of ``start`` have them.

    Raises
    ------
    InputError, ModelError
    """
    if batch_size < 1:
        raise InputError(f"batch_size={batch_size}; expected 1 or more")
    if isinstance(model, families.LibraryFamily):
        if featurizer is not None:
            raise InputError("A loaded model has its featurizer; give featurizer= where it is loaded.")
        family = model
    else:
        family = families.find(model, featurizer, unit=unit)
    if prepare is None and any(explicit_hydrogens(molecule) for molecule in start):
        prepare = with_hydrogens
    return Question(family, prepare, batch_size)


def starting(source: Any) -> tuple[list[Molecule], Counter[str]]:
    """The molecules that can be edited, and how many cannot be read, by reason.

    Raises
    ------
    InputError
        There are none.
    """
    bad: Counter[str] = Counter()
    reasons: list[str] = []

    def note(place: str, error: SciExplainError) -> None:
        bad["start: cannot be read"] += 1
        reasons.append(str(error))

    listed = [source] if isinstance(source, str | Molecule) or hasattr(source, "GetNumAtoms") else source
    found = list(read(listed, on_error=note))
    bonded = [molecule for molecule in found if molecule.mol is not None]
    bad.update(["start: no bonds"] * (len(found) - len(bonded)))
    if not bonded:
        first = f" (the first of {len(reasons)} that cannot be read: {reasons[0]})" if reasons else ""
        raise InputError(f"found {len(found)} molecules, none of them with bonds{first}; expected one or more")
    return bonded, bad


def plain(molecules: Iterable[Molecule]) -> list[tuple[Any, str] | None]:
    """Each as RDKit's molecule with implicit hydrogens in canonical order, and its SMILES; None where that fails."""
    made = []
    for molecule in molecules:
        mol = without_hydrogens(molecule)[0]
        for atom in mol.GetAtoms():
            atom.SetAtomMapNum(0)
        made.append(whole(mol))
    return made


def explicit_hydrogens(molecule: Molecule) -> bool:
    """Whether some hydrogen is an atom that could be implicit."""
    return bool((molecule.numbers == 1).any()) and without_hydrogens(molecule)[0].GetNumAtoms() < len(molecule)


def scored(output: Tensor, target: Any, family: Family) -> Tensor:
    """(K,) float64: what is to be maximised of outputs (K, tasks).

    Parameters
    ----------
    target
        None (the only column), a column, weights of all columns (tasks,), or a callable from (K, tasks) to (K,).

    Raises
    ------
    TargetError
        It does not fit the output.
    """
    columns = output.shape[1]
    tasks = f": {', '.join(map(repr, family.tasks))}" if family.tasks else ""
    if callable(target):
        values = target(output)
        if not isinstance(values, Tensor) or values.shape != (len(output),):
            given = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise TargetError(f"The target callable returned {given}; expected a tensor of shape ({len(output)},).")
        return values.detach().double()
    if target is None:
        if columns != 1:
            raise TargetError(
                f"{name_of(family.model)} has {columns} outputs{tasks}; say which one with target=, from 0 to "
                f"{columns - 1}."
            )
        return output[:, 0]
    if isinstance(target, bool) or not isinstance(target, int | Tensor):
        raise TargetError(f"target={target!r}: expected a column, weights of all columns, a callable, or None.")
    if isinstance(target, Tensor):
        if target.shape != (columns,):
            raise TargetError(f"target has the shape {tuple(target.shape)}; expected a weight for each of {columns}.")
        return output @ target.detach().double().cpu()
    if not -columns <= target < columns:
        raise TargetError(f"target {target} is out of range: the model has {columns} outputs{tasks} (from 0).")
    return output[:, target]


def synthetic_accessibility(mol: Any) -> float | None:
    """Ertl and Schuffenhauer's score, from 1 (easy to make) to 10; None where RDKit comes without it.

    References
    ----------
    P. Ertl, A. Schuffenhauer, J. Cheminform. 1, 8 (2009).
    """
    try:
        scorer: Any = require("rdkit.Contrib.SA_Score.sascorer", extra="molecules")
        return float(scorer.calculateScore(mol))
    except (ImportError, OSError):
        return None
