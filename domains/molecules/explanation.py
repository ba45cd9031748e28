"""What :func:`sciexplain.domains.molecules.explain` gives: relevance in a chemist's terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

import sciexplain as sx
from sciexplain.domains.molecules import bodies as body_terms
from sciexplain.domains.molecules import files, tables
from sciexplain.domains.molecules import search as walk_search
from sciexplain.domains.molecules import walks as walk_lists
from sciexplain.domains.molecules.adjoints import Adjoints, Question, as_function
from sciexplain.domains.molecules.bodies import Bodies
from sciexplain.domains.molecules.draw import Drawing, draw
from sciexplain.domains.molecules.fragment_relevance import FragmentRelevance, fragment_relevance
from sciexplain.domains.molecules.graphs import Family
from sciexplain.domains.molecules.grid import grid
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.view3d import view
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from sciexplain.records import Record

Search = Literal["exact", "max_product"]
Walk = tuple[int, ...]
_SHOWN = 12


Pairs = tuple[Tensor, Tensor, Tensor]
"""(i, j, relevance) of pairs of atoms, i ≤ j, each pair once, in the order of i and j."""


@dataclass(frozen=True, eq=False)
class MoleculeExplanation:
    """Relevance of one molecule.

    Attributes
    ----------
    layers
        (depth + 1, n): relevance of the atoms at the input and behind each message passing, which biases may still
        take their part of.
    score
        The explained output.
    target
        The explained column of the output; None for a start relevance or a callable.
    output
        The model's output, (tasks,) or ().
    molecule
        What is known of it; None for a bare graph.
    family
        The model, and how it takes molecules.
    unknown
        Operations without a rule.
    """

    layers: Tensor
    score: float
    target: int | None
    output: Tensor
    molecule: Molecule | None
    family: Family
    unknown: tuple[Any, ...]
    question: Question = field(repr=False)
    _bonds: Pairs | None = field(repr=False)
    _bond_features: Pairs | None = field(repr=False)

    def __len__(self) -> int:
        return self.layers.shape[1]

    def __repr__(self) -> str:
        name = f"{self.molecule.name}, " if self.molecule is not None and self.molecule.name else ""
        unit = f" {self.unit}" if self.unit else ""
        return f"MoleculeExplanation({name}{len(self)} atoms, score {self.score:.4g}{unit})"

    @property
    def unit(self) -> str:
        """Of the score and all relevance; empty where nobody knows."""
        return self.family.unit

    @property
    def task(self) -> str:
        """Name of the explained column, where known."""
        tasks = self.family.tasks
        return tasks[self.target] if self.target is not None and self.target < len(tasks) else ""

    @property
    def name(self) -> str:
        """The molecule's; empty where nobody knows."""
        return "" if self.molecule is None else self.molecule.name

    def record(self, **options: Any) -> Record:
        """The record of this decision; options as for :func:`sciexplain.records.record`."""
        from sciexplain.domains.molecules.case import molecule_case
        from sciexplain.records import record

        return record(molecule_case(self), **{"expected": self.atoms, **options})

    # -- atoms and bonds -------------------------------------------------------------------------------------------

    @property
    def atoms(self) -> Tensor:
        """(n,): relevance of each atom, in the order of the molecule as it was given.

        Features of directed bonds count with the atom at which they start; :attr:`bond_features` tells them apart.
        """
        return self.layers[0]

    @cached_property
    def bonds(self) -> dict[tuple[int, int], float]:
        """What passes along each undirected bond (i < j), and what stays on each atom (i, i).

        Of the relevance that reaches the input, averaged over the message-passing layers; all of it sums to that of the
        atoms, which is the score less what the ledger names. A pair without a bond is there where the model passes
        something between its atoms.
        """
        return _as_dict(_bonds_by_masks(self.adjoints, self.atoms) if self._bonds is None else self._bonds)

    @cached_property
    def bond_features(self) -> dict[tuple[int, int], float]:
        """Relevance of the features of each bond (i ≤ j), both directions together; empty where none are explained."""
        return {} if self._bond_features is None else _as_dict(self._bond_features)

    def pairs(self) -> Tensor:
        """(n, n), [from, to]: relevance of the atom at the input by the atom at which it arrived; rows sum to atoms."""
        n, adjoints = len(self), self.adjoints
        if not adjoints.depth:
            return torch.diag(self.atoms)
        keep = torch.ones(n, adjoints.depth + 1, n, dtype=torch.bool)
        keep[:, -1] = torch.eye(n, dtype=torch.bool)
        return adjoints.masked(keep).T.contiguous()

    # -- sets of atoms ---------------------------------------------------------------------------------------------

    def subgraph(self, atoms: Iterable[int]) -> float:
        """Relevance of all walks within a set of atoms (Xiong et al. 2022): one forward and one backward pass."""
        return float(self.subgraphs([atoms])[0])

    def subgraphs(self, sets: Sequence[Iterable[int]]) -> Tensor:
        """(len(sets),): :meth:`subgraph` of many sets, side by side in few passes.

        Raises
        ------
        InputError
            For atoms that the molecule does not have.
        """
        keep = torch.zeros(len(sets), len(self), dtype=torch.bool)
        for row, atoms in enumerate(sets):
            keep[row, self._checked(atoms)] = True
        return self.adjoints.masked(keep[:, None].expand(-1, self.adjoints.depth + 1, -1)).sum(1)

    def bodies(self, order: int = 3) -> Bodies:
        """Relevance that belongs to 1, 2, … ``order`` atoms together and to none of their subsets.

        A dict from sets of atoms to relevance, with the ``remainder`` that belongs to larger sets. Terms of the orders
        1 … depth + 1 sum to that of the atoms.
        """
        if order < 1:
            raise InputError(f"order={order}: expected 1, 2, 3, …: the largest number of atoms of a term.")
        if not self.adjoints.depth:
            return Bodies({frozenset((i,)): r for i, r in enumerate(self.atoms.tolist())}, order, 0.0)
        return body_terms.bodies(self.adjoints.blocks, float(self.atoms.sum()), order)

    def fragments(
        self, kind: Literal["brics", "murcko", "rings", "functional_groups"] | Sequence[str] | Mapping[str, str]
    ) -> FragmentRelevance:
        """Relevance of parts of the molecule, and what their interactions add.

        Parameters
        ----------
        kind
            ``"brics"``, ``"murcko"``, ``"rings"``, ``"functional_groups"``, a list of SMARTS, or a dict from names to
            SMARTS; see :func:`sciexplain.domains.molecules.fragments`.
        """
        if self.molecule is None:
            raise InputError("This graph has no molecule to find fragments of; explain SMILES or RDKit molecules.")
        return fragment_relevance(self, kind)

    # -- walks -----------------------------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """Message-passing layers; walks have one atom more."""
        return len(self.layers) - 1

    def walks(self, k: int | None = 10, *, search: Search = "exact") -> list[tuple[Walk, float]]:
        """Walks and their relevance, largest absolute relevance first.

        Parameters
        ----------
        k
            How many; None for all.
        search
            ``"exact"``: branch and bound, proven. ``"max_product"``: polynomial in the length of walks, but may miss
            some (Xiong et al. 2023).

        Returns
        -------
        list of (walk, relevance)
            A walk is a tuple of atoms, the input's side first.

        Raises
        ------
        InputError
            There are too many to list, or to hold the parts of.
        """
        if k is not None and k < 1:
            raise InputError(f"k={k}: expected how many walks, from 1 up, or None for all.")
        if search not in ("exact", "max_product"):
            raise InputError(f'search={search!r}: expected "exact" or "max_product".')
        blocks = self.adjoints.blocks
        listed = k is None or not blocks.layers or (search == "exact" and walk_lists.count(blocks) <= 1_000_000)
        if listed:
            found, relevance = walk_lists.every(blocks, self.atoms)
            order = relevance.abs().argsort(descending=True, stable=True)[:k]
            found, relevance = found[order], relevance[order]
        else:
            assert k is not None
            found, relevance = getattr(walk_search, search)(blocks, k)
        return [(tuple(w), r) for w, r in zip(found.tolist(), relevance.tolist(), strict=True)]

    def walk_relevance(self, walks: Sequence[Sequence[int]] | Tensor) -> Tensor:
        """(len(walks),): relevance of given walks of depth + 1 atoms, the input's side first."""
        checked = walk_lists.checked(walks, len(self), self.depth)
        if not self.depth:
            return self.atoms[checked[:, 0]]
        return walk_lists.relevance(self.adjoints.blocks, checked)

    # -- where it comes from ---------------------------------------------------------------------------------------

    @cached_property
    def adjoints(self) -> Adjoints:
        """The model's layers for this molecule, which all of the above are contractions of."""
        return Adjoints(self.question)

    @cached_property
    def ledger(self) -> sx.Ledger:
        """Where the whole score went, operation by operation: a pass of its own, made when first asked for."""
        model, inputs = as_function(self.question.copies(1))
        found = sx.explain(
            model,
            inputs,
            self.question.target,
            composite=self.question.composite,
            ledger=True,
            on_unknown="gradient",
        ).ledger
        assert found is not None
        return found

    # -- pictures --------------------------------------------------------------------------------------------------

    def draw(self, *, bonds: bool = False, walks: int = 0, **options: Any) -> Drawing:
        """A structural formula with relevance.

        Parameters
        ----------
        bonds
            Colour bonds by what passes along them too.
        walks
            How many of the most relevant walks to draw.
        **options
            Of :func:`sciexplain.domains.molecules.draw`.
        """
        return draw(
            self._drawable(),
            self.atoms.detach().double().cpu().numpy(),
            self.bonds if bonds else None,
            self.walks(walks) if walks else None,
            unit=self.unit,
            **{"title": self.name, **options},
        )

    def to_svg(self, path: str | PathLike[str] | None = None, **options: Any) -> str:
        """:meth:`draw` as SVG; written to ``path`` too, where one is given."""
        drawing = self.draw(**options)
        if path is not None:
            drawing.save(path)
        return drawing.svg

    def _repr_svg_(self) -> str | None:
        return None if self.molecule is None else self.to_svg()

    def to_html(self, **options: Any) -> str:
        """One page with the molecule in three dimensions, which needs no network."""
        return view(
            self._drawable(),
            self.atoms.detach().double().cpu().numpy(),
            self.bonds,
            unit=self.unit,
            **{"title": self.name, **options},
        )

    def _drawable(self) -> Molecule:
        if self.molecule is None:
            raise InputError(
                "This graph has no molecule to draw: it has neither smiles nor atomic numbers. Explain SMILES or RDKit "
                "molecules, or put data.smiles or data.z into the graph."
            )
        return self.molecule

    def _checked(self, atoms: Iterable[int]) -> list[int]:
        found = [int(a) for a in atoms]
        if wrong := [a for a in found if not 0 <= a < len(self)]:
            raise InputError(f"Atoms {wrong} are not there: the molecule has {len(self)} (0 … {len(self) - 1}).")
        return found


def _as_dict(pairs: Pairs) -> dict[tuple[int, int], float]:
    i, j, relevance = (values.tolist() for values in pairs)
    return dict(zip(zip(i, j, strict=True), relevance, strict=True))


def _bonds_by_masks(adjoints: Adjoints, atoms: Tensor) -> Pairs:
    """For models whose layers have to be asked atom by atom."""
    n, total = adjoints.atoms, torch.zeros(adjoints.atoms, adjoints.atoms, dtype=atoms.dtype)
    for flow in adjoints.flows():
        total += flow / adjoints.depth
    if not adjoints.depth:
        total = torch.diag(atoms)
    both = torch.triu(total) + torch.tril(total, -1).T
    i, j = ((both != 0) | torch.eye(n, dtype=torch.bool)).nonzero(as_tuple=True)
    return i, j, both[i, j]


class MoleculeExplanations(Sequence[MoleculeExplanation]):
    """Explanations of several molecules, in their order.

    Attributes
    ----------
    failures
        (place, name, reason) of molecules that could not be explained; they are left out.
    """

    def __init__(self, items: Sequence[MoleculeExplanation], failures: Sequence[tuple[int, str, str]] = ()) -> None:
        self._items, self.failures = tuple(items), tuple(failures)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, i: Any) -> Any:
        return MoleculeExplanations(self._items[i]) if isinstance(i, slice) else self._items[i]

    def __iter__(self) -> Iterator[MoleculeExplanation]:
        return iter(self._items)

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"MoleculeExplanations({len(self)} molecules{failed})"

    @property
    def score(self) -> Tensor:
        """(N,): the explained outputs."""
        return torch.tensor([a.score for a in self._items], dtype=torch.float64)

    # -- files and pictures ----------------------------------------------------------------------------------------

    def to_sdf(self, path: str | PathLike[str], *, bonds: bool = True) -> Path:
        """Write an SDF with relevance as properties of atoms and bonds; see ``files.write_sdf``."""
        molecules, atoms = self._molecules(), self._atoms()
        return files.write_sdf(
            path, molecules, atoms, self._bonds() if bonds else None, self.score.tolist(), unit=self._unit
        )

    def to_extxyz(self, path: str | PathLike[str]) -> Path:
        """Write geometries with a column of relevance; see ``files.write_extxyz``."""
        return files.write_extxyz(path, self._molecules(), self._atoms(), self.score.tolist(), unit=self._unit)

    def to_csv(self, path: str | PathLike[str], *, bonds: bool = True) -> list[Path]:
        """Write tables of atoms and bonds; see ``tables.write_csv``."""
        return tables.write_csv(
            path, self._molecules(), self._atoms(), self._bonds() if bonds else None, unit=self._unit
        )

    def to_parquet(self, path: str | PathLike[str], *, bonds: bool = True) -> list[Path]:
        """Write tables of atoms and bonds; see ``tables.write_parquet``."""
        return tables.write_parquet(
            path, self._molecules(), self._atoms(), self._bonds() if bonds else None, unit=self._unit
        )

    def grid(self, columns: int = 4, *, bonds: bool = False, **options: Any) -> Drawing:
        """A sheet of structural formulae on one scale; options of :func:`sciexplain.domains.molecules.grid`."""
        items = [
            (molecule, atoms, a.bonds if bonds else None)
            for molecule, atoms, a in zip(self._molecules(), self._atoms(), self._items, strict=True)
        ]
        captions = [f"{a.name}: {a.score:.3g}" if a.name else f"{a.score:.3g}" for a in self._items]
        return grid(items, columns, **{"captions": captions, "unit": self._unit, **options})

    def _repr_svg_(self) -> str | None:
        drawable = bool(self._items) and all(a.molecule is not None for a in self._items[:_SHOWN])
        return MoleculeExplanations(self._items[:_SHOWN]).grid().svg if drawable else None

    @property
    def _unit(self) -> str:
        return self._items[0].unit if self._items else ""

    def _molecules(self) -> list[Molecule]:
        return [a._drawable() for a in self._items]

    def _atoms(self) -> list[Any]:
        return [a.atoms.detach().double().cpu().numpy() for a in self._items]

    def _bonds(self) -> list[dict[tuple[int, int], float]]:
        return [a.bonds for a in self._items]
