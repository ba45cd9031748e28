"""Single edits of a molecule's graph: an atom, a bond, a ring or a group at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from sciexplain._optional import require
from sciexplain.domains.molecules.design.groups import GROUPS, elements_of, parsed_group

Kind = Literal[
    "replace atom",
    "delete atom",
    "add atom",
    "insert atom",
    "change bond",
    "close ring",
    "open ring",
    "attach group",
    "replace group",
    "delete group",
]

Option = tuple[int, str, int]

_RING_DISTANCES = (2, 3, 4, 5)
_LARGEST_GROUP = 12
"""Heavy atoms that are replaced or deleted at once."""
_VALENCE = {5: 3, 6: 4, 7: 3, 8: 2, 9: 1, 14: 4, 15: 5, 16: 6, 17: 1, 34: 2, 35: 1, 53: 1}
_MANY = 4
_ORGANIC = frozenset({5, 6, 7, 8, 9, 15, 16, 17, 35, 53})
"""Elements whose SMILES needs no brackets, and which have their hydrogens without."""


@dataclass(frozen=True)
class Edit:
    """One edit, not done yet.

    Attributes
    ----------
    kind
        What is done.
    atoms
        Indices of the atoms it is done to.
    element
        Of the new atom; 0 where there is none.
    group
        SMILES of the new group.
    order
        Of the changed bond.
    """

    kind: Kind
    atoms: tuple[int, ...]
    element: int = 0
    group: str = ""
    order: int = 0


def edits(mol: Any, elements: Iterable[int], groups: Iterable[str] = tuple(GROUPS.values())) -> dict[Kind, list[Edit]]:
    """All single edits of a molecule, by kind; not all of them give a molecule.

    Charged atoms are changed only as part of a group.

    Parameters
    ----------
    mol
        Sanitized, hydrogens implicit.
    elements
        Atomic numbers of atoms that may be put in.
    groups
        SMILES with one ``*``; those with other elements are left out.

    Examples
    --------
    >>> from rdkit import Chem
    >>> methanol = Chem.MolFromSmiles("CO")
    >>> {kind: len(found) for kind, found in edits(methanol, [6, 8], []).items()}
    {'replace atom': 2, 'delete atom': 2, 'add atom': 4, 'change bond': 1, 'insert atom': 2}
    """
    return {
        kind: [Edit(kind, atoms, *option) for atoms, options in found for option in options]
        for kind, found in _sites(mol, _choices(tuple(sorted(elements)), tuple(groups))).items()
    }


def random_edit(mol: Any, elements: Iterable[int], groups: Iterable[str], rng: np.random.Generator) -> tuple[str, Any]:
    """A random edit's kind, each as likely, and what came of it, not sanitized; None where nothing can be edited."""
    kinds = _sites(mol, _choices(tuple(sorted(elements)), tuple(groups)))
    if not kinds:
        return "edit", None
    kind = list(kinds)[int(rng.integers(len(kinds)))]
    place = int(rng.integers(sum(len(options) for _, options in kinds[kind])))
    for atoms, options in kinds[kind]:
        if place < len(options):
            return kind, applied(mol, Edit(kind, atoms, *options[place]))
        place -= len(options)
    raise AssertionError("a place beyond all edits")


def applied(mol: Any, edit: Edit) -> Any:
    """The edited molecule, with single and double bonds in place of aromatic ones; it is not sanitized.

    Examples
    --------
    >>> from rdkit import Chem
    >>> made = applied(Chem.MolFromSmiles("c1ccccc1O"), Edit("replace group", (6, 5), group="*[N+](=O)[O-]"))
    >>> Chem.CanonSmiles(Chem.MolToSmiles(made))
    'O=[N+]([O-])c1ccccc1'
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    made = chem.RWMol(mol)
    chem.Kekulize(made, clearAromaticFlags=True)
    first = edit.atoms[0]
    if edit.kind == "replace atom":
        _free(made, first).SetAtomicNum(edit.element)
    elif edit.kind == "delete atom":
        _contract(made, first)
    elif edit.kind == "add atom":
        made.AddBond(_free(made, first).GetIdx(), made.AddAtom(chem.Atom(edit.element)), chem.BondType.SINGLE)
    elif edit.kind == "insert atom":
        new = made.AddAtom(chem.Atom(edit.element))
        made.RemoveBond(*edit.atoms)
        for i in edit.atoms:
            made.AddBond(i, new, chem.BondType.SINGLE)
    elif edit.kind == "change bond":
        orders = {1: chem.BondType.SINGLE, 2: chem.BondType.DOUBLE, 3: chem.BondType.TRIPLE}
        bond = made.GetBondBetweenAtoms(*edit.atoms)
        bond.SetBondType(orders[edit.order])
        bond.SetStereo(chem.BondStereo.STEREONONE)
        for i in edit.atoms:
            _free(made, i)
    elif edit.kind == "close ring":
        for i in edit.atoms:
            _free(made, i)
        made.AddBond(*edit.atoms, chem.BondType.SINGLE)
    elif edit.kind == "open ring":
        made.RemoveBond(*edit.atoms)
    elif edit.kind == "attach group":
        _free(made, first)
        made = _joined(made, first, edit.group)
    else:  # replace or delete group: the second atom stays
        gone, kept = edit.atoms
        lost = side(mol, gone, kept)
        _free(made, kept)
        made.GetAtomWithIdx(kept).SetIntProp("_kept", 1)
        made.BeginBatchEdit()
        for i in lost:
            made.RemoveAtom(i)
        made.CommitBatchEdit()
        if edit.kind == "replace group":
            at = next(atom.GetIdx() for atom in made.GetAtoms() if atom.HasProp("_kept"))
            made = _joined(made, at, edit.group)
    return made


def side(mol: Any, i: int, j: int) -> frozenset[int]:
    """The atoms on i's side of the bond between i and j, which is in no ring."""
    found, open_ends = {i}, [i]
    while open_ends:
        for other in mol.GetAtomWithIdx(open_ends.pop()).GetNeighbors():
            if (k := other.GetIdx()) not in found and k != j:
                found.add(k)
                open_ends.append(k)
    return frozenset(found)


@dataclass(frozen=True)
class _Choices:
    """What can be put in: (element, group, order) for an :class:`Edit`."""

    atoms: tuple[Option, ...]
    links: tuple[Option, ...]
    groups: tuple[Option, ...]
    substituents: tuple[Option, ...]


@lru_cache(maxsize=64)
def _choices(elements: tuple[int, ...], groups: tuple[str, ...]) -> _Choices:
    table = require("rdkit.Chem", extra="molecules").GetPeriodicTable()
    numbers = [z for z in elements if z > 1]
    symbols = {z: table.GetElementSymbol(z) for z in numbers}
    singles = [f"*{symbols[z]}" if z in _ORGANIC else f"*[{symbols[z]}]" for z in numbers]
    fitting = [group for group in groups if elements_of(group) <= set(numbers)]
    return _Choices(
        atoms=tuple((z, "", 0) for z in numbers),
        links=tuple((z, "", 0) for z in numbers if _VALENCE.get(z, _MANY) > 1),
        groups=tuple((0, group, 0) for group in fitting),
        substituents=tuple((0, group, 0) for group in (*singles, *fitting)),
    )


def _sites(mol: Any, choices: _Choices) -> dict[Kind, list[tuple[tuple[int, ...], tuple[Option, ...]]]]:
    """Where each kind of edit can be done, and with what."""
    kinds: dict[Kind, list[tuple[tuple[int, ...], tuple[Option, ...]]]] = {}

    def note(kind: Kind, *atoms: int, options: tuple[Option, ...] = ((0, "", 0),)) -> None:
        if options:
            kinds.setdefault(kind, []).append((atoms, options))

    atoms = list(mol.GetAtoms())
    with_hydrogen = [a.GetIdx() for a in atoms if a.GetTotalNumHs() and not a.GetFormalCharge()]
    for atom in atoms:
        if atom.GetFormalCharge():
            continue
        used, own = _used(atom), atom.GetAtomicNum()
        fitting = tuple(o for o in choices.atoms if o[0] != own and used <= _VALENCE.get(o[0], _MANY))
        note("replace atom", atom.GetIdx(), options=fitting)
        if atom.GetDegree() <= 2 and len(atoms) > 1:
            note("delete atom", atom.GetIdx())
    for i in with_hydrogen:
        note("add atom", i, options=choices.atoms)
        note("attach group", i, options=choices.groups)
    for bond in mol.GetBonds():
        _sites_of_bond(mol, bond, choices, note)
    distances = require("rdkit.Chem", extra="molecules").GetDistanceMatrix(mol)
    for place, i in enumerate(with_hydrogen):
        for j in with_hydrogen[place + 1 :]:
            if distances[i, j] in _RING_DISTANCES:
                note("close ring", i, j)
    return kinds


def _sites_of_bond(mol: Any, bond: Any, choices: _Choices, note: Callable[..., None]) -> None:
    ends = bond.GetBeginAtom(), bond.GetEndAtom()
    i, j = (end.GetIdx() for end in ends)
    order = bond.GetBondTypeAsDouble()
    if not bond.GetIsAromatic() and not any(end.GetFormalCharge() for end in ends):
        if order < 3 and all(end.GetTotalNumHs() for end in ends):
            note("change bond", i, j, options=((0, "", int(order) + 1),))
        if order > 1:
            note("change bond", i, j, options=((0, "", int(order) - 1),))
        if order == 1:
            note("insert atom", i, j, options=choices.links)
            if bond.IsInRing():
                note("open ring", i, j)
    if order == 1 and not bond.IsInRing():
        for gone, kept in ((i, j), (j, i)):
            lost = side(mol, gone, kept)
            if len(lost) > min(_LARGEST_GROUP, mol.GetNumAtoms() / 2) or mol.GetAtomWithIdx(kept).GetFormalCharge():
                continue
            if len(lost) > 1:
                note("delete group", gone, kept)
            note("replace group", gone, kept, options=choices.substituents if len(lost) > 1 else choices.groups)


def _free(mol: Any, i: int) -> Any:
    """An atom whose hydrogens follow from its bonds again."""
    atom = mol.GetAtomWithIdx(i)
    atom.SetNumExplicitHs(0)
    atom.SetNoImplicit(False)
    return atom


def _contract(mol: Any, i: int) -> None:
    """Take out an atom with one or two neighbours; two are bonded then."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    neighbours = [_free(mol, other.GetIdx()).GetIdx() for other in mol.GetAtomWithIdx(i).GetNeighbors()]
    if len(neighbours) == 2 and mol.GetBondBetweenAtoms(*neighbours) is None:
        mol.AddBond(*neighbours, chem.BondType.SINGLE)
    mol.RemoveAtom(i)


def _joined(mol: Any, i: int, group: str) -> Any:
    """A molecule with a group bonded to its atom i."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    piece, at = parsed_group(group)
    size = mol.GetNumAtoms()
    made = chem.RWMol(mol)
    made.InsertMol(piece)
    made.AddBond(i, size + at, chem.BondType.SINGLE)
    return made


def _used(atom: Any) -> int:
    """Valence that the bonds to heavy atoms take."""
    return math.floor(sum(bond.GetBondTypeAsDouble() for bond in atom.GetBonds()) + 0.5)
