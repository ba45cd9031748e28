"""Groups of atoms that are attached to a molecule: the usual substituents, as SMILES with ``*``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from sciexplain._optional import require
from sciexplain.domains.molecules.rdkit_log import rdkit_log
from sciexplain.errors import InputError

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "nitro": "*[N+](=O)[O-]",
        "cyano": "*C#N",
        "trifluoromethyl": "*C(F)(F)F",
        "methoxy": "*OC",
        "ethyl": "*CC",
        "isopropyl": "*C(C)C",
        "tert-butyl": "*C(C)(C)C",
        "vinyl": "*C=C",
        "ethynyl": "*C#C",
        "hydroxymethyl": "*CO",
        "aminomethyl": "*CN",
        "formyl": "*C=O",
        "acetyl": "*C(C)=O",
        "carboxyl": "*C(=O)O",
        "methyl ester": "*C(=O)OC",
        "acetoxy": "*OC(C)=O",
        "carbamoyl": "*C(N)=O",
        "acetamido": "*NC(C)=O",
        "ureido": "*NC(N)=O",
        "amidino": "*C(=N)N",
        "dimethylamino": "*N(C)C",
        "methylthio": "*SC",
        "mesyl": "*S(C)(=O)=O",
        "sulfamoyl": "*S(N)(=O)=O",
        "sulfo": "*S(=O)(=O)O",
        "cyclopropyl": "*C1CC1",
        "cyclohexyl": "*C1CCCCC1",
        "phenyl": "*c1ccccc1",
        "2-pyridyl": "*c1ccccn1",
        "4-pyridyl": "*c1ccncc1",
        "2-thienyl": "*c1cccs1",
        "2-furyl": "*c1ccco1",
        "1-imidazolyl": "*n1ccnc1",
        "1-pyrrolidinyl": "*N1CCCC1",
        "1-piperidinyl": "*N1CCCCC1",
        "4-morpholinyl": "*N1CCOCC1",
        "1-piperazinyl": "*N1CCNCC1",
    }
)
"""Names and SMILES of groups; ``*`` is where they are attached."""


@lru_cache(maxsize=1024)
def parsed_group(group: str) -> tuple[Any, int]:
    """A group without its ``*``, with single and double bonds, and the index of the atom that was bonded to it.

    Raises
    ------
    InputError
        No SMILES with one ``*`` on a single bond.
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    with rdkit_log() as reason:
        mol = chem.MolFromSmiles(group) if isinstance(group, str) else None
        why = reason()
    stars = [] if mol is None else [atom for atom in mol.GetAtoms() if atom.GetAtomicNum() == 0]
    bonds = [bond for star in stars for bond in star.GetBonds()]
    if len(stars) != 1 or len(bonds) != 1 or bonds[0].GetBondType() != chem.BondType.SINGLE:
        raise InputError(
            f"found the group {group!r}{f' ({why})' if why else ''}; expected SMILES with one * on a single bond, "
            "where the group is attached, such as '*C#N'"
        )
    made = chem.RWMol(mol)
    chem.Kekulize(made, clearAromaticFlags=True)
    star = stars[0].GetIdx()
    at = bonds[0].GetOtherAtomIdx(star)
    made.RemoveAtom(star)
    return made.GetMol(), at - (at > star)


def elements_of(group: str) -> set[int]:
    """Atomic numbers of its heavy atoms."""
    return {atom.GetAtomicNum() for atom in parsed_group(group)[0].GetAtoms()} - {1}
