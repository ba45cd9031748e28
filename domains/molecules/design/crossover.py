"""Two molecules cut at a bond and joined anew: the crossover of a graph-based genetic algorithm."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from sciexplain._optional import require

Cut = tuple[int, int, str, str]
"""Two bonded atoms, and for each its environment's label in BRICS; empty where BRICS would not cut."""


def crossed(a: Any, b: Any, rng: np.random.Generator) -> Any | None:
    """A part of ``a`` bonded to a part of ``b``; it is not sanitized.

    Both are cut at a single bond outside rings: half of the time, where that is possible, at bonds that BRICS cuts,
    so that the new bond too is one that BRICS knows; otherwise at any.

    Returns
    -------
    RDKit's molecule; None where one of them has no such bond, or no two parts fit.

    References
    ----------
    J. H. Jensen, Chem. Sci. 10, 3567 (2019). BRICS: J. Degen et al., ChemMedChem 3, 1503 (2008).

    Examples
    --------
    >>> from rdkit import Chem
    >>> ethanol, toluene = map(Chem.MolFromSmiles, ("CCO", "Cc1ccccc1"))
    >>> made = {Chem.MolToSmiles(crossed(ethanol, toluene, np.random.default_rng(i))) for i in range(40)}
    >>> sorted(made)
    ['CC', 'CC1=CC=CC=C1', 'CCC', 'CCC1=CC=CC=C1', 'CCO', 'CO', 'OC1=CC=CC=C1', 'OCC1=CC=CC=C1']
    """
    cuts_of_a, cuts_of_b = cuts(a), cuts(b)
    if rng.integers(2):
        pairs = [(p, q) for p in _both_ways(cuts_of_a) for q in _both_ways(cuts_of_b) if (p[2], q[2]) in _fitting()]
        if pairs:
            p, q = pairs[int(rng.integers(len(pairs)))]
            return joined(a, p[:2], b, q[:2])
    if not cuts_of_a or not cuts_of_b:
        return None
    p, q = (found[int(rng.integers(len(found)))] for found in (_both_ways(cuts_of_a), _both_ways(cuts_of_b)))
    return joined(a, p[:2], b, q[:2])


def cuts(mol: Any) -> list[Cut]:
    """All single bonds outside rings, but those within a nitro group and its like."""
    brics: Any = require("rdkit.Chem.BRICS", extra="molecules")
    labels = {}
    for (i, j), (one, other) in brics.FindBRICSBonds(mol):
        labels[i, j], labels[j, i] = (one, other), (other, one)
    found = []
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if bond.GetBondTypeAsDouble() == 1 and not bond.IsInRing() and not _inside_group(bond):
            found.append((i, j, *labels.get((i, j), ("", ""))))
    return found


def joined(a: Any, cut_of_a: tuple[int, int], b: Any, cut_of_b: tuple[int, int]) -> Any:
    """The parts of both with the first atom of each cut, bonded at these atoms."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    made = chem.RWMol()
    ends = []
    for mol, (i, j) in ((a, cut_of_a), (b, cut_of_b)):
        begin = made.GetNumAtoms()
        part = chem.RWMol(mol)
        chem.Kekulize(part, clearAromaticFlags=True)
        part.RemoveBond(i, j)
        made.InsertMol(part)
        ends.append((begin + i, begin + j))
    (i, gone), (j, other_gone) = ends
    made.AddBond(i, j, chem.BondType.SINGLE)
    lost = [atoms for atoms in chem.GetMolFrags(made) if gone in atoms or other_gone in atoms]
    made.BeginBatchEdit()
    for atom in {atom for atoms in lost for atom in atoms}:
        made.RemoveAtom(atom)
    made.CommitBatchEdit()
    return made


@lru_cache(maxsize=1)
def _fitting() -> frozenset[tuple[str, str]]:
    """Pairs of labels between which BRICS has a single bond."""
    brics: Any = require("rdkit.Chem.BRICS", extra="molecules")
    pairs = [(i, j) for group in brics.reactionDefs for i, j, order in group if order == "-"]
    return frozenset([*pairs, *((j, i) for i, j in pairs)])


def _both_ways(found: list[Cut]) -> list[Cut]:
    return [*found, *((j, i, other, one) for i, j, one, other in found)]


def _inside_group(bond: Any) -> bool:
    """Whether a bond is between two charged atoms, as in a nitro group."""
    return bool(bond.GetBeginAtom().GetFormalCharge() and bond.GetEndAtom().GetFormalCharge())
