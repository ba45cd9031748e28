"""Counterfactuals of a molecule: what they are, and as files and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from sciexplain._files import PathName
from sciexplain.domains.molecules.design.changes import Change
from sciexplain.domains.molecules.design.files import write_csv, write_sdf
from sciexplain.domains.molecules.molecule import Molecule

if TYPE_CHECKING:
    from sciexplain.domains.molecules.draw import Drawing


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """A molecule like another, of which the model says something else.

    Attributes
    ----------
    molecule
        As the model was given it.
    smiles
        Canonical.
    prediction
        The output that decides, in the model's unit.
    label
        Its predicted class; None where the question is a number.
    similarity
        Tanimoto similarity to the original (Morgan, radius 2).
    change
        From the original to this molecule; atoms count as in their canonical SMILES.
    log_density
        In nats per atom, under the prior; None where there is none.
    """

    molecule: Molecule
    smiles: str
    prediction: float
    label: int | None
    similarity: float
    change: Change
    log_density: float | None

    @property
    def values(self) -> dict[str, Any]:
        """All but the molecule, by name, as tables and SDF have it."""
        return {
            "smiles": self.smiles,
            "prediction": self.prediction,
            "label": self.label,
            "similarity": self.similarity,
            "change": self.change.text,
            "atoms_removed": len(self.change.removed) + len(self.change.replaced),
            "atoms_added": len(self.change.added) + len(self.change.replaced),
            "log_density": self.log_density,
        }


@dataclass(frozen=True, eq=False)
class Counterfactuals(Sequence[Counterfactual]):
    """Counterfactuals of one molecule, each with its change at another place first, then by similarity.

    Attributes
    ----------
    original
        The molecule.
    smiles
        Its canonical SMILES, whose order the changes count in.
    prediction, label
        Of it.
    found
        The chosen ones.
    asked, different
        Of how many molecules the model was asked, and of how many of these it says something else.
    dropped
        How many were made and not asked of, or not taken, by reason.
    unit
        Of the predictions.
    question
        In words, what should be different.
    """

    original: Molecule
    smiles: str
    prediction: float
    label: int | None
    found: tuple[Counterfactual, ...]
    asked: int
    different: int
    dropped: Mapping[str, int]
    unit: str
    question: str

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Counterfactual]:
        return iter(self.found)

    @overload
    def __getitem__(self, place: int) -> Counterfactual: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Counterfactual, ...]: ...
    def __getitem__(self, place: int | slice) -> Counterfactual | tuple[Counterfactual, ...]:
        return self.found[place]

    def as_json(self) -> dict[str, Any]:
        """All of it but the geometries, in types that JSON has."""
        return {
            "smiles": self.smiles,
            "prediction": self.prediction,
            "label": self.label,
            "unit": self.unit,
            "question": self.question,
            "asked": self.asked,
            "different": self.different,
            "dropped": dict(self.dropped),
            "counterfactuals": [one.values for one in self.found],
        }

    def to_csv(self, path: PathName) -> Path:
        """A row for the original, then one for each counterfactual.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        first = {"smiles": self.smiles, "prediction": self.prediction, "label": self.label, "similarity": 1.0}
        blank = dict.fromkeys(("change", "atoms_removed", "atoms_added", "log_density"))
        return write_csv(path, [{**first, **blank}, *(one.values for one in self.found)])

    def to_sdf(self, path: PathName) -> Path:
        """The original, then the counterfactuals, as the model was given them, with their numbers as properties.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        first = {"smiles": self.smiles, "prediction": self.prediction, "label": self.label, "similarity": 1.0}
        molecules = [self.original, *(one.molecule for one in self.found)]
        return write_sdf(path, molecules, [first, *(one.values for one in self.found)])

    def grid(self, columns: int = 2) -> Drawing:
        """Pairs of the original, what goes marked, and a counterfactual, what comes marked.

        Raises
        ------
        InputError
            Nothing was found.
        """
        from sciexplain.domains.molecules.design.figure import pairs

        return pairs(self, columns)

    def _repr_svg_(self) -> str | None:
        return self.grid().svg if self.found else None
