"""One record of an SDF: the structure as a molfile, and what is said of it as properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.rdkit_log import quiet
from sciexplain.domains.molecules.skeleton import bonded, conformer, lay_out

_PER_LINE = 8
_NONE = "n/a"


def _structure(molecule: Molecule, v3000: bool) -> tuple[str, list[tuple[int, int]]]:
    """The molfile of a molecule and the atoms of its bonds, in their order; where it has no geometry, its formula's."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    mol = chem.Mol(molecule.mol) if molecule.mol is not None else bonded(molecule)
    if molecule.positions is not None:
        mol.RemoveAllConformers()
        mol.AddConformer(conformer(molecule.positions))
    elif not mol.GetNumConformers():
        with quiet:
            lay_out(mol)
    mol.SetProp("_Name", one_line(molecule.name))
    block = _block(mol, v3000)
    bonds = map(mol.GetBondWithIdx, range(mol.GetNumBonds()))
    return block, [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in bonds]


def _block(mol: Any, v3000: bool) -> str:
    """With all that RDKit can write of a molecule."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    with quiet:
        try:
            return str(chem.MolToMolBlock(mol, forceV3000=v3000))
        except Exception:  # of many kinds: an aromatic system without double bonds, groups that damaged files tell of
            chem.ClearMolSubstanceGroups(mol)
        try:
            return str(chem.MolToMolBlock(mol, kekulize=False, forceV3000=v3000))
        except Exception:  # text that is not UTF-8, such as that of a group, cut inside a letter
            return str(chem.MolToMolBlock(_bare(mol), kekulize=False, forceV3000=v3000))


def _bare(mol: Any) -> Any:
    """The atoms, bonds and places of a molecule alone."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    made = chem.RWMol()
    for atom in mol.GetAtoms():
        copy = chem.Atom(atom.GetAtomicNum())
        copy.SetFormalCharge(atom.GetFormalCharge())
        copy.SetIsotope(atom.GetIsotope())
        made.AddAtom(copy)
    for bond in mol.GetBonds():
        made.AddBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), bond.GetBondType())
    made.AddConformer(chem.Conformer(mol.GetConformer()))
    made.SetProp("_Name", mol.GetProp("_Name"))
    return made.GetMol()


def sdf_record(
    molecule: Molecule,
    atoms: NDArray[np.float64] | None,
    bonds: Mapping[tuple[int, int], float],
    score: float | None,
    *,
    unit: str = "",
    target: str = "",
    v3000: bool = False,
) -> str:
    """A record as :func:`~sciexplain.domains.molecules.files.write_sdf` writes it.

    Parameters
    ----------
    molecule
        With bonds, or with positions.
    atoms
        (n,) finite relevance.
    bonds
        Finite relevance of pairs (i, j) with i ≤ j < n.
    score
        The explained output.
    unit, target
        Of the relevance, and what is explained.
    v3000
        Whether to write V3000 also where V2000 would do (up to 999 atoms).

    Raises
    ------
    InputError
        Neither bonds nor positions.
    """
    block, ends = _structure(molecule, v3000)
    facts = {} if molecule.mol is None else _properties(molecule.mol)
    numbers = _words([*([] if atoms is None else atoms.tolist()), *bonds.values()])
    words = dict(zip(bonds, numbers[len(numbers) - len(bonds) :], strict=True))
    facts["atom.dprop.Relevance"] = _lines(numbers[: len(numbers) - len(bonds)])
    of_bonds = [words.get(pair if pair[0] < pair[1] else pair[::-1], _NONE) for pair in ends]
    if any(word is not _NONE for word in of_bonds):
        facts["bond.dprop.Relevance"] = _lines(of_bonds)
    facts["RelevanceUnit"], facts["Target"] = one_line(unit), one_line(target)
    facts["PairRelevance"] = "\n".join([f"{i} {j} {word}" for (i, j), word in words.items()])
    facts["Score"] = "" if score is None else repr(score)
    return block + "".join([f">  <{key}>\n{fact}\n\n" for key, fact in facts.items() if fact]) + "$$$$\n"


def one_line(text: str) -> str:
    """One line of a format whose records end at line breaks.

    Examples
    --------
    >>> one_line("a name\\n$$$$")
    'a name $$$$'
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())


def _words(values: Sequence[float]) -> list[str]:
    """Numbers exactly, with as few digits as that takes."""
    return list(map(repr, values))


def _lines(words: list[str]) -> str:
    """A list as RDKit reads it: apart by spaces, on lines that are not too long."""
    return "\n".join([" ".join(words[at : at + _PER_LINE]) for at in range(0, len(words), _PER_LINE)])


def _properties(mol: Any) -> dict[str, str]:
    """What RDKit knows of a molecule, as far as it can stand in a record.

    Blank lines would end a property, and the mark of a record's end the record.
    """
    found = {}
    for key in mol.GetPropNames():
        fact = mol.GetProp(key)
        blank = any(not line.strip() or line.startswith("$$$$") for line in fact.split("\n"))
        if not blank and not set(key) & set("<>\n\r"):
            found[key] = fact
    return found
