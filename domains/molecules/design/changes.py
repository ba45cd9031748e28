"""What changed from one molecule to another: atoms taken away and put in, elements and bonds changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sciexplain._optional import require

Pair = tuple[int, int]
Piece = tuple[frozenset[int], str]

_SECONDS = 5
_MATCHES = 24, 240
_ALONE = 4
"""Atoms that stand alone as a part that stayed, beside a larger one."""
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SIGNS = {1.0: "–", 2.0: "=", 3.0: "≡"}


@dataclass(frozen=True)
class Change:
    """The least change that was found between two molecules.

    Attributes
    ----------
    removed
        Atoms of the first that the second lacks.
    added
        Atoms of the second that the first lacks.
    replaced
        (i, j): atom i of the first is atom j of the second, of another element or charge.
    bonds
        ((i, j), (k, l)): a bond of the first and one of the second between the same atoms, of another order; an empty
        pair where there is none. Bonds that are aromatic in either are taken as they are.
    same
        (i, j): atom i of the first is atom j of the second.
    text
        In words, such as ``"NO₂ → OH"``.
    places
        Atoms of the first that stayed and have another neighbour, element or bond.
    """

    removed: frozenset[int]
    added: frozenset[int]
    replaced: tuple[Pair, ...]
    bonds: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    same: tuple[Pair, ...]
    text: str = ""
    places: frozenset[int] = frozenset()

    @property
    def size(self) -> int:
        """Atoms taken away and put in, each replaced one counting as both, and bonds changed."""
        return len(self.removed) + len(self.added) + 2 * len(self.replaced) + len(self.bonds)


def change(first: Any, second: Any) -> Change:
    """The least change between two RDKit molecules with implicit hydrogens.

    The largest common substructure is sought with the same elements and with any, bonds of any order; of all ways to
    lay it on both, the one that changes least is taken.

    Examples
    --------
    >>> from rdkit import Chem
    >>> nitro, phenol = map(Chem.MolFromSmiles, ("O=[N+]([O-])c1ccccc1", "Oc1ccccc1"))
    >>> change(nitro, phenol).text, sorted(change(nitro, phenol).removed)
    ('NO₂ → OH', [0, 1, 2])
    >>> change(phenol, Chem.MolFromSmiles("Oc1ccccn1")).text
    'CH → N'
    """
    mcs: Any = require("rdkit.Chem.rdFMCS", extra="molecules")
    best: Change | None = None
    for compare in (mcs.AtomCompare.CompareElements, mcs.AtomCompare.CompareAny):
        common = mcs.FindMCS(
            [first, second], atomCompare=compare, bondCompare=mcs.BondCompare.CompareAny, timeout=_SECONDS
        ).queryMol
        few, many = _MATCHES
        ones = first.GetSubstructMatches(common, uniquify=True, maxMatches=few) if common is not None else ()
        others = second.GetSubstructMatches(common, uniquify=False, maxMatches=many) if common is not None else ()
        maps = [tuple(zip(one, other, strict=True)) for one in ones for other in others] or [()]
        found = min((_compared(first, second, laid) for laid in maps), key=_extent)
        if best is None or _extent(found) < _extent(best):
            best = found
    assert best is not None
    return replace(best, text=_told(first, second, best))


def _compared(first: Any, second: Any, laid: Sequence[Pair]) -> Change:
    """The change if atoms correspond as laid; what is too small to stand alone goes with what changed beside it."""
    equal = {i: j for i, j in laid if _kind(first, i) == _kind(second, j)}
    edges = [(i, k) for i, k in _pairs(first) if i in equal and k in equal and _bonded(second, equal[i], equal[k])]
    parts = _components(equal, edges)
    largest = max(map(len, parts), default=0)
    kept = {i: equal[i] for part in parts if len(part) in (largest, *range(_ALONE, largest)) for i in part}
    swapped = {i: j for i, j in laid if i not in equal}
    # A swapped atom is one change if all around it stays; otherwise it belongs to a group that changed.
    one_by_one = {
        i: j
        for i, j in swapped.items()
        if {n.GetIdx() for n in first.GetAtomWithIdx(i).GetNeighbors()} <= kept.keys()
        and {n.GetIdx() for n in second.GetAtomWithIdx(j).GetNeighbors()} <= set(kept.values())
    }
    same = {**kept, **one_by_one}
    back = {j: i for i, j in same.items()}
    bonds: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    for i, k in _pairs(first):
        if i in same and k in same:
            if not _bonded(second, same[i], same[k]):
                bonds.append(((i, k), ()))
            elif _differ(first.GetBondBetweenAtoms(i, k), second.GetBondBetweenAtoms(same[i], same[k])):
                bonds.append(((i, k), (same[i], same[k])))
    bonds += [
        ((), (j, m)) for j, m in _pairs(second) if j in back and m in back and not _bonded(first, back[j], back[m])
    ]
    removed = frozenset(range(first.GetNumAtoms())).difference(same)
    added = frozenset(range(second.GetNumAtoms())).difference(back)
    places = {i for i, k in _both(first) if i in same and k in removed}
    places |= {back[j] for j, m in _both(second) if j in back and m in added}
    places |= {i for pair, other in bonds for i in pair or [back[j] for j in other]}
    return Change(
        removed=removed,
        added=added,
        replaced=tuple(one_by_one.items()),
        bonds=tuple(bonds),
        same=tuple(same.items()),
        places=frozenset(places | one_by_one.keys()),
    )


def _extent(made: Change) -> tuple[int, int]:
    return made.size, len(made.places)


def _components(atoms: Iterable[int], edges: Iterable[Pair]) -> list[set[int]]:
    """Atoms that hang together."""
    parts = {i: {i} for i in atoms}
    for i, k in edges:
        if parts[i] is not parts[k]:
            parts[i] |= parts[k]
            for atom in parts[k]:
                parts[atom] = parts[i]
    return list({id(part): part for part in parts.values()}.values())


def _pairs(mol: Any) -> list[Pair]:
    return [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()]


def _both(mol: Any) -> list[Pair]:
    return [pair for i, j in _pairs(mol) for pair in ((i, j), (j, i))]


def _bonded(mol: Any, i: int, j: int) -> bool:
    return mol.GetBondBetweenAtoms(i, j) is not None


def _kind(mol: Any, i: int) -> tuple[int, int]:
    atom = mol.GetAtomWithIdx(i)
    return atom.GetAtomicNum(), atom.GetFormalCharge()


def _differ(bond: Any, other: Any) -> bool:
    if bond.GetIsAromatic() or other.GetIsAromatic():
        return False
    return bond.GetBondType() != other.GetBondType()


def _told(first: Any, second: Any, made: Change) -> str:
    gone = _pieces(first, made.removed, {i: i for i, _ in made.same})
    new = _pieces(second, made.added, {j: i for i, j in made.same})
    parts = []
    for anchors, formula in gone:
        match = next((piece for piece in new if piece[0] == anchors), None)
        if match is None:
            parts.append(f"−{formula}")
        else:
            new.remove(match)
            parts.append(f"{formula} → {match[1]}")
    parts += [f"+{formula}" for _, formula in new]
    parts += [f"{_formula(first, [i])} → {_formula(second, [j])}" for i, j in made.replaced]
    replaced = {i for i, _ in made.replaced}
    for pair, other in made.bonds:
        if pair and other:
            if not replaced & set(pair):
                parts.append(f"{_bond(first, pair)} → {_bond(second, other)}")
        else:
            parts.append("ring opened" if pair else "ring closed")
    listed = Counter(parts)
    return ", ".join(f"{n} × {part}" if n > 1 else part for part, n in listed.items()) or "the arrangement"


def _pieces(mol: Any, atoms: Iterable[int], kept: dict[int, int]) -> list[Piece]:
    """Connected atoms: which kept ones they are bonded to, by the number these have in the first molecule; formula."""
    left, found = set(atoms), []
    while left:
        piece, open_ends, anchors = set(), [min(left)], set()
        while open_ends:
            i = open_ends.pop()
            if i in piece:
                continue
            piece.add(i)
            for other in mol.GetAtomWithIdx(i).GetNeighbors():
                k = other.GetIdx()
                if k in left:
                    open_ends.append(k)
                elif k in kept:
                    anchors.add(kept[k])
        left -= piece
        found.append((frozenset(anchors), _formula(mol, sorted(piece))))
    return found


def _formula(mol: Any, atoms: Iterable[int]) -> str:
    """Carbon, hydrogen beside the first element, then the others by symbol."""
    counts: Counter[str] = Counter()
    hydrogens = 0
    for i in atoms:
        atom = mol.GetAtomWithIdx(i)
        counts[atom.GetSymbol()] += 1
        hydrogens += atom.GetTotalNumHs()
    order = sorted(counts, key=lambda symbol: (symbol != "C", symbol))
    parts = [(symbol, counts[symbol]) for symbol in order]
    if hydrogens:
        parts.insert(1, ("H", hydrogens))
    return "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in parts).translate(_SUBSCRIPTS)


def _bond(mol: Any, pair: tuple[int, ...]) -> str:
    ends = [mol.GetAtomWithIdx(i).GetSymbol() for i in sorted(pair, key=lambda i: mol.GetAtomWithIdx(i).GetSymbol())]
    return _SIGNS.get(mol.GetBondBetweenAtoms(*pair).GetBondTypeAsDouble(), "~").join(ends)
