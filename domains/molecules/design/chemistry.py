"""Which molecules may be made: whole, neutral, of given elements, neither strained nor unstable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from sciexplain._optional import require
from sciexplain.domains.molecules.rdkit_log import rdkit_log
from sciexplain.errors import InputError

UNSTABLE: Mapping[str, str] = MappingProxyType(
    {
        "peroxide": "[OX2,OX1-]-[OX2]",
        "hypohalite": "[F,Cl,Br,I][OX2,SX2]",
        "N-halogen": "[F,Cl,Br,I][#7,#15]",
        "polyhalogen": "[F,Cl,Br,I]~[F,Cl,Br,I]",
        "chain of nitrogens": "[NX3;!$(N-[*+])]-[NX3]-[#7]",
        "tetrazene": "[#7;!a]~[#7;!a]~[#7;!a]~[#7;!a]",
        "N-O-N or O-N-O": "[$([#7;!a]-O-[#7;!a]),$([NX3](-[OX2])-[OX2])]",
        "polysulfide": "[SX2]-[SX2]-[SX2]",
        "hypervalent": "[PX5,SX5,SX6,$([SX4;v4]),$([S;v4,v6;!H0])]",
        "S-O-S or S-N-S": "[SX2;!a]-[OX2,NX3]-[SX2;!a]",
        "sulfenic": "[SX2;!a]-[OX2,NX3]",
        "gem-diol or hemiaminal": "[CX4]([OX2H,NX3H2,SX2H])[OX2H,NX3H2,SX2H]",
        "hemiacetal outside a ring": "[OX2H][CX4;!R][OX2]",
        "alpha-halo ether or amine": "[Cl,Br,I][CX4][OX2,NX3,SX2]",
        "enol or enamine with H": "[OX2H,NX3H2,SX2H][CX3;!$(C=[O,N,S,n])]=[CX3;!a]",
        "N-H imine": "[NX2H]=[CX3;!$(C[#7,#8,#16])]",
        "diazene with H": "[NX2H]=[#7]",
        "allene or ketene": "[CX3]=[CX2]=[CX3,CX2,OX1,SX1]",
        "ynol or ynamine": "[CX2]#[CX2][OX2H,NX3H2,F,Cl,Br,I]",
        "N-oxide with H": "[N+;!H0]-[O-]",
        "nitrile oxide": "[O-][N+]#C",
        "acyl nitro": "[CX3](=O)[N+](=O)[O-]",
        "carbonic acid": "[OX2H]C(=[O,S])[OX2,NX3,F,Cl,Br,I]",
        "vicinal tricarbonyl": "[CX3](=O)[CX3](=O)[CX3](=O)",
        "cyclic alkyne": "*#@*",
        "cyclic allene": "*=@[#6,#7]=@*",
        "cyclopropene or smaller aromatic": "[r3,r4]=,:;@[r3,r4]",
        "fused small rings": "[$(*~12~*~*~1~*~2),$(*~12~*~*~1~*~*~2),$(*~12~*~*~*~1~*~*~2)]",
        "spiro small rings": "*~1~*~*~12~*~*~2",
    }
)
"""Names and SMARTS of what chemists would not make: it falls apart, rearranges or is too strained."""

_LARGEST_RING = 8
_USUAL = 0.01
"""Of the molecules at hand: what so many have is not unstable."""


@dataclass(frozen=True)
class Chemistry:
    """What a molecule may be.

    Attributes
    ----------
    elements
        Atomic numbers of its heavy atoms.
    max_atoms
        Heavy atoms, at most.
    forbidden
        Names and SMARTS of what may not be in it.
    charge
        Of the whole molecule. A charged atom needs a bond to one of opposite charge, as in a nitro group.
    largest_ring
        Atoms of a ring, at most.
    """

    elements: frozenset[int]
    max_atoms: int
    forbidden: Mapping[str, str]
    charge: int = 0
    largest_ring: int = _LARGEST_RING

    def refusal(self, mol: Any) -> str | None:
        """Why a sanitized molecule is none of these; None if it is."""
        if mol.GetNumHeavyAtoms() > self.max_atoms:
            return "too large"
        if "." in (require("rdkit.Chem", extra="molecules").MolToSmiles(mol)):
            return "several molecules"
        atoms = list(mol.GetAtoms())
        if any(atom.GetAtomicNum() not in self.elements for atom in atoms if atom.GetAtomicNum() != 1):
            return "element"
        if any(atom.GetNumRadicalElectrons() for atom in atoms):
            return "radical"
        charges = [atom.GetFormalCharge() for atom in atoms]
        if sum(charges) != self.charge or (self.charge == 0 and not all(_paired(a) for a in atoms)):
            return "charge"
        if any(len(ring) > self.largest_ring for ring in mol.GetRingInfo().AtomRings()):
            return "large ring"
        if _strained_bridge(mol):
            return "double bond at a bridgehead"
        found = next((name for name, smarts in self.forbidden.items() if mol.HasSubstructMatch(pattern(smarts))), None)
        return None if found is None else f"forbidden: {found}"


def chemistry(
    start: Sequence[Any],
    *,
    elements: Iterable[str] | None = None,
    max_atoms: int | None = None,
    forbidden: Mapping[str, str] | Iterable[str] | None = None,
) -> Chemistry:
    """The chemistry of a search that begins at ``start``.

    Parameters
    ----------
    start
        RDKit molecules. Nothing in :data:`UNSTABLE` is refused that one in a hundred of them has, nor a ring as large
        as theirs.
    elements
        Symbols; None: those of ``start``.
    max_atoms
        Heavy atoms; None: half as many again as the median of ``start``.
    forbidden
        SMARTS, or names and SMARTS, beside :data:`UNSTABLE`; these are refused whatever ``start`` has.

    Raises
    ------
    InputError
        An unknown element, a SMARTS that cannot be read, or a limit below 1.
    """
    table: Any = require("rdkit.Chem", extra="molecules").GetPeriodicTable()
    sizes = sorted(mol.GetNumHeavyAtoms() for mol in start)
    limit = -(-3 * sizes[len(sizes) // 2] // 2) if max_atoms is None else max_atoms
    if limit < 1:
        raise InputError(f"max_atoms={max_atoms}; expected 1 or more heavy atoms")
    if elements is None:
        numbers = frozenset(atom.GetAtomicNum() for mol in start for atom in mol.GetAtoms()) - {1}
    else:
        numbers = frozenset(_number(table, symbol) for symbol in elements) - {1}
    own = {} if forbidden is None else dict(forbidden) if isinstance(forbidden, Mapping) else {s: s for s in forbidden}
    for smarts in own.values():
        pattern(smarts)
    having = {name: sum(mol.HasSubstructMatch(pattern(s)) for mol in start) for name, s in UNSTABLE.items()}
    stable = {name: smarts for name, smarts in UNSTABLE.items() if having[name] < _USUAL * len(start)}
    rings = [len(ring) for mol in start for ring in mol.GetRingInfo().AtomRings()]
    charges = {sum(atom.GetFormalCharge() for atom in mol.GetAtoms()) for mol in start}
    charge = charges.pop() if len(charges) == 1 else 0
    return Chemistry(numbers, limit, {**own, **stable}, charge, max([_LARGEST_RING, *rings]))


def whole(mol: Any) -> tuple[Any, str] | None:
    """A sanitized copy with its atoms in the order of its canonical SMILES, and that; None where RDKit refuses it."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    with rdkit_log():
        try:
            made = chem.Mol(mol)
            chem.SanitizeMol(made)
            chem.AssignStereochemistry(made, cleanIt=True, force=True)
            again = chem.MolFromSmiles(chem.MolToSmiles(made))
        except (ValueError, RuntimeError):  # what sanitization and writing raise
            return None
        return None if again is None or not again.GetNumAtoms() else (again, chem.MolToSmiles(again))


@lru_cache(maxsize=512)
def pattern(smarts: str) -> Any:
    """A SMARTS, ready for searching.

    Raises
    ------
    InputError
        RDKit cannot read it.
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    with rdkit_log() as reason:
        made = chem.MolFromSmarts(smarts)
        why = reason()
    if made is None:
        raise InputError(f"found the SMARTS {smarts!r}, which RDKit does not read: {why or 'expected a pattern'}")
    return made


def _number(table: Any, symbol: str) -> int:
    with rdkit_log():
        try:
            return int(table.GetAtomicNumber(symbol))
        except (RuntimeError, ValueError, TypeError, OverflowError):
            raise InputError(f"elements has {symbol!r}; expected symbols such as 'C', 'N', 'Cl'") from None


def _paired(atom: Any) -> bool:
    charge = atom.GetFormalCharge()
    return charge == 0 or any(other.GetFormalCharge() * charge < 0 for other in atom.GetNeighbors())


def _strained_bridge(mol: Any) -> bool:
    """Bredt's rule: no flat atom where bridges meet."""
    heads: list[int] = []
    require("rdkit.Chem.rdMolDescriptors", extra="molecules").CalcNumBridgeheadAtoms(mol, heads)
    return any(b.GetBondTypeAsDouble() > 1 and b.IsInRing() for i in heads for b in mol.GetAtomWithIdx(i).GetBonds())
