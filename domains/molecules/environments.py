"""What an atom is bonded to: its element, hydrogens and charge, and its neighbours with their bonds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_SIGNS = {"SINGLE": "-", "DOUBLE": "=", "TRIPLE": "#", "AROMATIC": ":"}


def environments(mol: Any) -> Iterator[str]:
    """The surroundings of every atom of an RDKit molecule, as SMARTS that begin with the atom.

    Hydrogens count as a property of their neighbour, whether they are atoms or not; those that are atoms have
    surroundings of their own. It is the information of a Morgan fingerprint's radius 1.

    References
    ----------
    D. Rogers, M. Hahn, J. Chem. Inf. Model. 50, 742 (2010).

    Examples
    --------
    >>> from rdkit import Chem
    >>> list(environments(Chem.MolFromSmiles("CC(=O)[O-]")))
    ['[CH3]-C', '[C](-C)(-O)=O', '[O]=C', '[O-]-C']
    """
    for atom in mol.GetAtoms():
        around = sorted(
            _SIGNS.get(str(bond.GetBondType()), "~") + _letter(other)
            for bond in atom.GetBonds()
            if (other := bond.GetOtherAtom(atom)).GetAtomicNum() != 1 or atom.GetAtomicNum() == 1
        )
        yield _bracket(atom) + "".join(f"({one})" for one in around[:-1]) + "".join(around[-1:])


def _letter(atom: Any) -> str:
    symbol: str = atom.GetSymbol()
    return symbol.lower() if atom.GetIsAromatic() else symbol if symbol in _ORGANIC else f"[{symbol}]"


def _bracket(atom: Any) -> str:
    symbol: str = atom.GetSymbol().lower() if atom.GetIsAromatic() else atom.GetSymbol()
    hydrogens = atom.GetTotalNumHs(includeNeighbors=True) if atom.GetAtomicNum() != 1 else 0
    charge = atom.GetFormalCharge()
    text = "" if not hydrogens else "H" if hydrogens == 1 else f"H{hydrogens}"
    sign = "" if not charge else ("+" if charge > 0 else "-") + (str(abs(charge)) if abs(charge) > 1 else "")
    return f"[{'#1' if symbol == 'H' else symbol}{text}{sign}]"


_ORGANIC = frozenset(("B", "C", "N", "O", "P", "S", "F", "Cl", "Br", "I"))
