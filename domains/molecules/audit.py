"""``molecules.audit``: does the model read the molecule, or what came with it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import sciexplain as sx
from sciexplain._optional import require
from sciexplain.audit import Spray
from sciexplain.audit.spray import Embedding
from sciexplain.audit.suspicion import Edit
from sciexplain.domains.molecules.explanation import MoleculeExplanation
from sciexplain.domains.molecules.fragments import Fragment, Kind, fragments
from sciexplain.domains.molecules.indices import without_hydrogens
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import mol_of
from sciexplain.domains.molecules.removal import AtomRemoval
from sciexplain.errors import InputError
from sciexplain.evaluate import Removal

BESIDE = "beside the molecule"

_FEWEST = 5
"""Molecules that a fragment occurs in; rarer ones are counted together."""
_SHARE = 0.002


@dataclass(frozen=True, eq=False)
class FragmentTable:
    """Relevance of N molecules by the fragments that occur in them.

    Attributes
    ----------
    names
        Of F fragments: SMILES, ``*`` where a bond is cut; what is rare is together under ``"other …"``.
    relevance
        (N, F): sums over the atoms of each fragment.
    beside
        (F,) bool: whole molecules that stand beside a larger one, such as counter-ions and solvents.
    atoms
        For each molecule, the atoms of each column that it has.
    """

    names: tuple[str, ...]
    relevance: NDArray[np.float32]
    beside: NDArray[np.bool_]
    atoms: tuple[Mapping[int, frozenset[int]], ...]


def audit(
    explained: Sequence[MoleculeExplanation] | Sequence[Molecule],
    *,
    atoms: Sequence[Any] | None = None,
    target: Any = None,
    labels: Any = None,
    classes: Sequence[int] | None = None,
    kind: Kind = "rings",
    outside: Sequence[str] | None = None,
    edit: bool | Removal = False,
    clusters: int | None = None,
    embedding: Embedding | None = "tsne",
    alpha: float = 0.01,
    material: float = 0.1,
    label_names: Sequence[str] | None = None,
    seed: int = 0,
) -> Spray:
    """Cluster molecules by which fragments their relevance is in, and rank the clusters by suspicion.

    Counter-ions and solvents are out of place: of molecules that are written together, only the one with the most heavy
    atoms is what the model is asked about. See :func:`sciexplain.audit.spray`; the maps are rows of
    :func:`fragment_table`.

    Parameters
    ----------
    explained
        Explanations; or molecules, with ``atoms`` and ``target``.
    atoms
        For each molecule (n,): relevance that was kept.
    target
        (N,) the classes that were explained; None: the explanations', or the sign of a single output.
    kind
        A partition, as for :func:`sciexplain.domains.molecules.fragments`.
    outside
        Names of further fragments that ought not to matter, such as a scaffold that only says who made the compound.
    edit
        True: what the score does when the region's atoms are taken away. Or a :class:`sciexplain.evaluate.Removal`
        whose parts are the atoms.
    labels, classes, clusters, embedding, alpha, material, label_names, seed
        As for :func:`sciexplain.audit.spray`.

    Raises
    ------
    InputError
        Molecules without their relevance; a partition that does not exist; fragments that do not occur.

    Examples
    --------
    >>> found = molecules.audit(molecules.explain(model, smiles), labels=truth)  # doctest: +SKIP
    >>> found.alarm, found[0].where  # doctest: +SKIP
    (True, 'CS(C)=O')
    """
    given = [one for one in explained if isinstance(one, MoleculeExplanation)]
    table = fragment_table(explained, atoms=atoms, kind=kind)
    relevance, sign = table.relevance, np.ones(len(explained), np.float32)
    if target is None and given and all(one.output.numel() == 1 for one in given):
        target = np.array([one.score > 0 for one in given], np.int64)
        sign = np.where(target > 0, 1, -1).astype(np.float32)
        relevance = relevance * sign[:, None]
    elif target is None and given and all(one.target is not None for one in given):
        target = np.array([one.target for one in given])
    wrong = table.beside.copy()
    for name in outside or ():
        if name not in table.names:
            raise InputError(f"outside has {name!r}; the fragments are {', '.join(table.names)}")
        wrong[table.names.index(name)] = True
    if edit is True:
        if not given:
            raise InputError("edit=True of molecules alone; give explanations, or a Removal")
        edit = AtomRemoval(given, seed=seed)

    def describe(region: NDArray[np.bool_], members: NDArray[np.int64]) -> str:
        return ", ".join(table.names[column] for column in np.flatnonzero(region))

    return sx.audit.spray(
        relevance,
        target=target,
        labels=labels,
        classes=classes,
        outside={BESIDE: wrong},
        edit=_taking(edit, table, sign) if edit else None,
        describe=describe,
        clusters=clusters,
        embedding=embedding,
        alpha=alpha,
        material=material,
        label_names=label_names,
        seed=seed,
    )


def fragment_table(
    explained: Sequence[MoleculeExplanation] | Sequence[Molecule],
    *,
    atoms: Sequence[Any] | None = None,
    kind: Kind = "rings",
) -> FragmentTable:
    """Relevance by fragment, those that occur in five molecules and in 1 of 500 at least.

    Parameters
    ----------
    explained, atoms, kind
        As for :func:`audit`. What stands beside a larger molecule is not divided.

    Raises
    ------
    InputError
        No molecules, or a molecule without relevance or without bonds.
    """
    if not len(explained):
        raise InputError("There are no molecules to audit; give one at least.")
    if atoms is not None and len(atoms) != len(explained):
        raise InputError(f"atoms has {len(atoms)} entries for {len(explained)} molecules; expected one for each")
    found, values = [], []
    for i, one in enumerate(explained):
        molecule, relevance = _of_atoms(one, i, None if atoms is None else atoms[i])
        found.append(_parts(molecule, kind))
        values.append(relevance)
    occurs = Counter(key for parts in found for key in {key for key, _, _ in parts})
    least = max(_FEWEST, int(_SHARE * len(found)))
    kept = [key for key, count in sorted(occurs.items(), key=lambda item: (-item[1], item[0])) if count >= least]
    columns: dict[tuple[bool, str], int] = {key: i for i, key in enumerate(kept)}
    rows = np.zeros((len(found), len(kept) + 4), np.float32)
    of: list[dict[int, frozenset[int]]] = []
    for i, (parts, value) in enumerate(zip(found, values, strict=True)):
        own: dict[int, frozenset[int]] = {}
        for key, rest, places in parts:
            column = columns.get(key)
            if column is None:
                column = columns.setdefault((key[0], rest), len(columns))
            rows[i, column] += value[sorted(places)].sum()
            own[column] = own.get(column, frozenset()) | places
        of.append(own)
    names = tuple(name for _, name in columns)
    return FragmentTable(names, rows[:, : len(names)], np.array([beside for beside, _ in columns]), tuple(of))


def _of_atoms(one: Any, i: int, given: Any) -> tuple[Molecule, NDArray[np.float64]]:
    """Sample i as a molecule, and the relevance of its atoms."""
    explained = isinstance(one, MoleculeExplanation)
    molecule, relevance = one.molecule if explained else one, one.atoms if explained and given is None else given
    if not isinstance(molecule, Molecule) or relevance is None:
        raise InputError(f"sample {i} is {one!r}; expected an explanation of a molecule, or a molecule with its atoms=")
    value = np.asarray(relevance.detach().cpu() if isinstance(relevance, Tensor) else relevance, np.float64)
    if value.shape != (len(molecule),):
        raise InputError(f"{molecule.name or i}: relevance of shape {value.shape} for {len(molecule)} atoms")
    return molecule, value


def _parts(molecule: Molecule, kind: Kind) -> list[tuple[tuple[bool, str], str, frozenset[int]]]:
    """(whether beside, SMILES), where it is counted when it is rare, and atoms."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    pieces = [frozenset(piece) for piece in chem.GetMolFrags(mol_of(molecule))]
    main = max(pieces, key=lambda piece: sum(molecule.numbers[i] > 1 for i in piece))
    found = []
    if len(pieces) > 1:
        mol, indices = without_hydrogens(molecule)
        for piece in pieces:
            own = [i for i, place in enumerate(indices.tolist()) if place in piece]
            if piece is not main:
                found.append(((True, chem.MolFragmentToSmiles(mol, own)), "others beside", piece))
    for part in fragments(molecule, kind):
        if part.atoms <= main:
            found.append(((False, part.smiles), _rare(part), part.atoms))
    return found


def _rare(part: Fragment) -> str:
    return f"other {'fragment' if part.name == part.smiles else part.name}s"


def _taking(removal: Any, table: FragmentTable, sign: NDArray[np.float32]) -> Edit:
    """An edit that takes away the atoms of a region's fragments, and scores what the model says for its class."""

    def edit(samples: NDArray[np.int64], region: NDArray[np.bool_]) -> NDArray[np.float64]:
        columns, kept = set(np.flatnonzero(region).tolist()), []
        for i in samples.tolist():
            keep = torch.ones(removal.sizes[i], dtype=torch.bool)
            for column in columns & table.atoms[i].keys():
                keep[sorted(table.atoms[i][column])] = False
            kept.append(keep)
        scores: NDArray[np.float64] = removal.scores(samples.tolist(), kept).cpu().numpy() * sign[samples]
        return scores

    return edit
