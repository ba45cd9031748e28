"""What a search has found: molecules with what is said of them, and how the search went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from sciexplain._files import PathName
from sciexplain.domains.captions import number
from sciexplain.domains.molecules.design.files import write_csv, write_sdf
from sciexplain.domains.molecules.design.likeness import fingerprint, tanimoto
from sciexplain.domains.molecules.design.prior import Prior
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import read_one
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from sciexplain.domains.molecules.draw import Drawing

_SHOWN = 12
_ALIKE = 0.6


@dataclass(frozen=True, eq=False)
class Designed:
    """A molecule that a search has made.

    Attributes
    ----------
    molecule
        As the model was given it.
    smiles
        Canonical.
    prediction
        The output that was maximised or minimised, in the model's unit.
    similarity
        Tanimoto similarity to the molecule that it should be like; None where there is none.
    nearest
        Tanimoto similarity to the nearest molecule of the start.
    log_density
        In nats per atom, under the prior; None where there is none.
    synthetic_accessibility
        From 1, easy, to 10 (Ertl and Schuffenhauer 2009); None where RDKit comes without it.
    step
        In which it was made; 0 for one of the start.
    move
        By which: ``"start"``, ``"selfies"``, ``"crossover"``, or the kind of edit.
    parents
        SMILES of what it was made from.
    """

    molecule: Molecule
    smiles: str
    prediction: float
    similarity: float | None
    nearest: float
    log_density: float | None
    synthetic_accessibility: float | None
    step: int
    move: str
    parents: tuple[str, ...]

    @property
    def values(self) -> dict[str, Any]:
        """All but the molecule, by name, as tables and SDF have it."""
        return {
            "smiles": self.smiles,
            "prediction": self.prediction,
            "similarity": self.similarity,
            "nearest": self.nearest,
            "log_density": self.log_density,
            "synthetic_accessibility": self.synthetic_accessibility,
            "step": self.step,
            "move": self.move,
            "parents": " ".join(self.parents),
        }


@dataclass(frozen=True)
class Generation:
    """A population of a search.

    Attributes
    ----------
    step
        From 0, the start.
    best, mean
        Predictions of those molecules that keep all rules; None where none does.
    kept
        How many these are.
    dropped
        Molecules dropped so far, for whatever reason.
    """

    step: int
    best: float | None
    mean: float | None
    kept: int
    dropped: int


@dataclass(frozen=True, eq=False)
class Design(Sequence[Designed]):
    """The molecules that a search has found, best first.

    Attributes
    ----------
    molecules
        Those that keep all rules, best first.
    start
        The best prediction among those of the start that keep all rules; None where none does.
    trace
        A population each, the start's first.
    asked
        How many molecules the model was asked of, and took.
    dropped
        How many were made and not asked of, or not taken, by reason.
    direction
        ``"up"`` or ``"down"``.
    prior
        What kept the search near the data; None for one that only asked for valid molecules.
    unit, task
        Of the predictions; empty where nobody knows.
    ancestors
        By SMILES, everything that ``molecules`` descend from, and themselves.
    """

    molecules: tuple[Designed, ...]
    start: float | None
    trace: tuple[Generation, ...]
    asked: int
    dropped: Mapping[str, int]
    direction: Literal["up", "down"]
    prior: Prior | None
    unit: str
    task: str
    ancestors: Mapping[str, Designed] = field(repr=False)

    def __len__(self) -> int:
        return len(self.molecules)

    def __iter__(self) -> Iterator[Designed]:
        return iter(self.molecules)

    @overload
    def __getitem__(self, place: int) -> Designed: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Designed, ...]: ...
    def __getitem__(self, place: int | slice) -> Designed | tuple[Designed, ...]:
        return self.molecules[place]

    def diverse(self, k: int = _SHOWN, alike: float = _ALIKE) -> tuple[Designed, ...]:
        """The k best of which no two have a Tanimoto similarity above ``alike``; fewer where there are no more.

        Raises
        ------
        InputError
            ``k`` below 1, or ``alike`` that is no similarity.
        """
        if k < 1 or not 0 <= alike <= 1:
            raise InputError(f"k={k}, alike={alike}; expected 1 or more molecules and a similarity from 0 to 1")
        chosen: list[Designed] = []
        prints: list[Any] = []
        for one in self.molecules:
            own = fingerprint(read_one(one.smiles).mol)
            if not prints or tanimoto(own, prints).max() <= alike:
                chosen.append(one)
                prints.append(own)
            if len(chosen) == k:
                break
        return tuple(chosen)

    def lineage(self, place: int = 0) -> tuple[Designed, ...]:
        """How a molecule came about: from one of the start, step by step (of two parents the first), to itself."""
        line = [self.molecules[place]]
        while line[-1].parents:
            line.append(self.ancestors[line[-1].parents[0]])
        return tuple(reversed(line))

    def under(self, prior: Prior) -> Design:
        """The same with the log-density of each molecule, to see how far a search without a prior has gone."""
        molecules = tuple(
            replace(one, log_density=prior.log_density(read_one(one.smiles).mol)) for one in self.molecules
        )
        return replace(self, molecules=molecules)

    def as_json(self) -> dict[str, Any]:
        """All of it but the geometries, in types that JSON has."""
        prior = self.prior and {name: getattr(self.prior, name) for name in ("molecules", "radius", "typical", "floor")}
        return {
            "direction": self.direction,
            "task": self.task,
            "unit": self.unit,
            "start": self.start,
            "asked": self.asked,
            "dropped": dict(self.dropped),
            "prior": prior,
            "trace": [asdict(generation) for generation in self.trace],
            "molecules": [one.values for one in self.molecules],
        }

    def to_csv(self, path: PathName) -> Path:
        """A row for each molecule, best first, and its numbers.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        return write_csv(path, [one.values for one in self.molecules])

    def to_sdf(self, path: PathName) -> Path:
        """The molecules as the model was given them, best first, with their numbers as properties.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        values = [one.values | {"unit": self.unit} for one in self.molecules]
        return write_sdf(path, [one.molecule for one in self.molecules], values)

    def grid(self, k: int = _SHOWN, columns: int = 4, *, alike: float = _ALIKE) -> Drawing:
        """A sheet of the k best that are not too much alike; see :meth:`diverse`.

        Raises
        ------
        InputError
            Nothing was found.
        """
        from sciexplain.domains.molecules.design.figure import beside

        return beside([self], k, columns, alike=alike)

    def _repr_svg_(self) -> str | None:
        return self.grid().svg if self.molecules else None

    @property
    def title(self) -> str:
        """What was searched for, and how."""
        what = self.task or "the output"
        how = "valid molecules" if self.prior is None else "as usual as the reference"
        return f"{'highest' if self.direction == 'up' else 'lowest'} {what}: {how}"


def caption(one: Designed, unit: str) -> str:
    """A molecule's numbers, on two lines."""
    value = f"{number(one.prediction)} {unit}".strip()
    facts = [f"nearest {one.nearest:.2f}" if one.similarity is None else f"similarity {one.similarity:.2f}"]
    facts += [] if one.log_density is None else [f"log p {number(one.log_density)}"]
    facts += [] if one.synthetic_accessibility is None else [f"SA {one.synthetic_accessibility:.1f}"]
    return f"{value}\n{', '.join(facts)}"
