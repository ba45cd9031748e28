"""One molecule from what chemists call one: a SMILES, an RDKit molecule, ASE atoms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.domains.molecules.limits import LONGEST_SMILES, MOST_ATOMS, MOST_ATOMS_NAMED
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.rdkit_log import one_line, rdkit_log
from sciexplain.errors import DataError

CLOSEST = 0.1
"""Å; no two nuclei come this near."""

_HEAVIEST = 118
_DIGITS = 300
"""Of the longest whole number that a float may be."""
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf)", re.IGNORECASE)


def from_smiles(smiles: str, *, name: str = "", source: str = "", labels: Mapping[str, Any] | None = None) -> Molecule:
    """A molecule from SMILES: atoms in its order, hydrogens implicit unless in brackets of their own.

    Parameters
    ----------
    smiles
        SMILES or CXSMILES; what follows after white space is the name unless ``name`` is given.
    name, source, labels
        As in :class:`Molecule`.

    Raises
    ------
    DataError
        With RDKit's reason, or more than :data:`~sciexplain.domains.molecules.limits.LONGEST_SMILES` characters.

    Examples
    --------
    >>> from_smiles("OCC").numbers
    array([8, 6, 6])
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    text = smiles.strip()
    if not text:
        raise DataError("found nothing where the SMILES stands; expected one")
    first = text.split(None, 1)[0]
    if len(first) > LONGEST_SMILES:
        raise DataError(
            f"found {quoted(first)}, a SMILES of {len(first)} characters; expected at most {LONGEST_SMILES}"
        )
    with rdkit_log() as reason:
        try:
            mol = chem.MolFromSmiles(text)
            why = reason() if mol is None else ""
        except Exception as error:  # such as malformed CXSMILES, which has a family of exceptions of its own
            mol, why = None, one_line(str(error))
    if mol is None:
        raise DataError(f"found {quoted(text)}, which RDKit does not read: {why or 'not a valid SMILES'}")
    if not name and mol.HasProp("_Name"):
        name = mol.GetProp("_Name").strip()
    check_number(mol.GetNumAtoms())
    return _molecule(mol, name or first, source, labels)


def from_mol(mol: Any, *, name: str = "", source: str = "", labels: Mapping[str, Any] | None = None) -> Molecule:
    """A molecule from RDKit's, which is kept: its atoms in its order, hydrogens as they are.

    Positions are those of the first conformer if it is three-dimensional. The name is, unless given, RDKit's
    ``_Name``, or the SMILES, or the formula of a molecule so large that its SMILES would be no name. One that was never
    sanitized is, as a copy.

    Raises
    ------
    DataError
        No atoms or too many, impossible positions, or what RDKit cannot sanitize.
    """
    check_number(mol.GetNumAtoms())
    if mol.NeedsUpdatePropertyCache() or not _has_rings(mol):
        mol = sanitized(mol)
    return _molecule(mol, name or _name_of(mol), source, labels)


def _molecule(mol: Any, name: str, source: str, labels: Mapping[str, Any] | None) -> Molecule:
    """From one that is sanitized."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    positions = None
    if mol.GetNumConformers() and mol.GetConformer().Is3D():
        positions = np.asarray(mol.GetConformer().GetPositions(), np.float64)
        check_positions(positions)
    return Molecule(
        numbers=np.array([atom.GetAtomicNum() for atom in map(mol.GetAtomWithIdx, range(mol.GetNumAtoms()))], np.int64),
        name=name,
        mol=mol,
        positions=positions,
        charge=chem.GetFormalCharge(mol),
        source=source,
        labels=dict(labels) if labels else None,
    )


def from_atoms(atoms: Any, *, name: str = "", source: str = "") -> Molecule:
    """A molecule from ASE's atoms: positions, cell and what else they carry; bonds are not guessed.

    The charge is ``info["charge"]``, or the sum of the initial charges. Labels are the other entries of ``info``,
    the arrays per atom, and results that are stored with it (nothing is calculated). The name is, unless given,
    ``info["name"]``, or the formula.

    Raises
    ------
    DataError
        No atoms or too many, unknown elements, impossible positions, or a charge that is not a whole number.
    """
    check_number(len(atoms))
    if not 0 <= atoms.numbers.min() <= atoms.numbers.max() <= _HEAVIEST:
        wrong = next(number for number in atoms.numbers.tolist() if not 0 <= number <= _HEAVIEST)
        raise DataError(f"found the atomic number {wrong}; expected 0 to {_HEAVIEST}")
    positions = np.array(atoms.positions, np.float64)
    check_positions(positions)
    info = dict(atoms.info)
    charge = info.pop("charge", None)
    if charge is None:
        charge = atoms.get_initial_charges().sum()
    if not _is_whole(charge):
        raise DataError(f"found a total charge of {charge!r}; expected a whole number, in units of e")
    name = name or str(info.pop("name", "")) or atoms.get_chemical_formula()
    arrays = {key: np.array(array) for key, array in atoms.arrays.items() if key not in ("numbers", "positions")}
    results = getattr(atoms.calc, "results", None) or {}
    labels = {key: value(entry) for key, entry in {**info, **arrays, **results}.items()}
    return Molecule(
        numbers=np.array(atoms.numbers, np.int64),
        name=name,
        positions=positions,
        charge=round(float(charge)),
        source=source,
        cell=np.array(atoms.cell.array, np.float64) if atoms.pbc.any() else None,
        periodic=(bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2])),
        labels=labels or None,
    )


def sanitized(mol: Any) -> Any:
    """A copy of an RDKit molecule with valences, rings and aromaticity perceived.

    Raises
    ------
    DataError
        With RDKit's reason.
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    mol = chem.Mol(mol)
    with rdkit_log():
        try:
            chem.SanitizeMol(mol)
        except ValueError as error:  # MolSanitizeException
            raise DataError(f"found a molecule that RDKit cannot sanitize: {one_line(str(error))}") from error
    return mol


def check_number(atoms: int) -> None:
    """Refuse a molecule of no atoms, or of more than :data:`~sciexplain.domains.molecules.limits.MOST_ATOMS`.

    Raises
    ------
    DataError
    """
    if not atoms:
        raise DataError("found a molecule without atoms; expected at least one")
    if atoms > MOST_ATOMS:
        raise DataError(f"found a molecule of {atoms} atoms; expected at most {MOST_ATOMS}")


def check_positions(positions: NDArray[np.float64]) -> None:
    """Refuse positions, (n, 3) in Å, that no molecule has.

    Raises
    ------
    DataError
        Not finite, or two atoms nearer than :data:`CLOSEST`. Periodic images are not looked at.
    """
    finite = np.isfinite(positions).all(1)
    if not finite.all():
        atom = int(np.flatnonzero(~finite)[0])
        raise DataError(f"found atom {atom} at {positions[atom].tolist()}; expected finite positions, in Å")
    if pair := _too_near(positions):
        i, j = pair
        distance = float(np.linalg.norm(positions[i] - positions[j]))
        raise DataError(f"found atoms {i} and {j} at a distance of {distance:.3g} Å; expected {CLOSEST} Å or more")


def _too_near(positions: NDArray[np.float64]) -> tuple[int, int] | None:
    """Two atoms that are, if there are any."""
    first: dict[tuple[float, ...], int] = {}
    for i, place in enumerate(map(tuple, positions.tolist())):
        # A tree of many atoms at one place would be as slow as looking at all pairs.
        if (other := first.setdefault(place, i)) != i:
            return other, i
    if len(positions) < 2:
        return None
    tree: Any = require("scipy.spatial", extra="molecules").cKDTree(positions)
    distances, nearest = tree.query(positions, k=2, distance_upper_bound=CLOSEST)
    near = np.flatnonzero(np.isfinite(distances[:, 1]))
    return (int(near[0]), int(nearest[near[0], 1])) if len(near) else None


def value(entry: Any) -> Any:
    """What a cell or property says: a float for a number, None for nothing, otherwise as it stands.

    Numerals that a float would change stay text: ``"0012"`` and what has too many digits is an identifier.

    Examples
    --------
    >>> [value(x) for x in ("1e-3", " 7", "0012", "", "CCO", "12345678901234567890")]
    [0.001, 7.0, '0012', None, 'CCO', '12345678901234567890']
    """
    if isinstance(entry, str):
        text = entry.strip()
        if not _NUMBER.fullmatch(text):
            return text or None
        digits = text.lstrip("+-")
        if digits.isdigit() and (len(digits) > _DIGITS or int(text) != int(float(text))):
            return text
        return float(text)
    if isinstance(entry, np.ndarray) and entry.ndim:
        return entry
    if isinstance(entry, np.generic | np.ndarray):
        entry = entry.item()
    if isinstance(entry, int) and abs(entry) <= 2**53:
        return float(entry)
    return entry


def quoted(text: str, longest: int = 80) -> str:
    """The text in quotes, its middle left out if it is long. Backslashes, which SMILES have, stay single.

    Examples
    --------
    >>> quoted("C" * 500, longest=12)
    "'CCCCC…CCCCC'"
    """
    half = longest // 2 - 1
    short = text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"
    return f"'{short}'" if short.isprintable() else repr(short)


def brief(error: Exception, longest: int = 300) -> str:
    """What an error says, on one line, its middle left out if it is long.

    Examples
    --------
    >>> brief(ValueError("not\\na number"))
    'not a number'
    """
    text = " ".join(str(error).split())
    return text if len(text) <= longest else f"{text[: longest // 2]} … {text[-longest // 2 :]}"


def listed(words: Sequence[str], longest: int = 400) -> str:
    """The words with commas, the rest left out if they are many.

    Examples
    --------
    >>> listed(["smiles", "name", "value"], longest=17)
    'smiles, name, …'
    """
    text = ", ".join(" ".join(word.split()) for word in words[:longest])
    return text if len(text) <= longest else text[:longest].rpartition(", ")[0] + ", …"


def _name_of(mol: Any) -> str:
    chem: Any = require("rdkit.Chem", extra="molecules")
    if name := mol.GetProp("_Name").strip() if mol.HasProp("_Name") else "":
        return str(name)
    if mol.GetNumAtoms() <= MOST_ATOMS_NAMED:
        return str(chem.MolToSmiles(mol))
    return str(require("rdkit.Chem.rdMolDescriptors", extra="molecules").CalcMolFormula(mol))


def _has_rings(mol: Any) -> bool:
    """Whether rings were looked for; RDKit raises where they were not."""
    with rdkit_log():
        try:
            mol.GetRingInfo().NumRings()
        except RuntimeError:
            return False
    return True


def _is_whole(charge: Any) -> bool:
    try:
        return abs(float(charge) - round(float(charge))) < 1e-3
    except (TypeError, ValueError, OverflowError):
        return False
