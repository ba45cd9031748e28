"""Which atom is which: input order, canonical SMILES, and the molecule without or with its hydrogens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexplain._optional import require
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import bare_mol, mol_of
from sciexplain.domains.molecules.rdkit_log import rdkit_log
from sciexplain.errors import InputError

_INDEX = "_sciexplain_index"


def canonical_smiles(molecule: Molecule) -> str:
    """RDKit's canonical SMILES, hydrogens implicit wherever that says the same.

    Raises
    ------
    InputError
        No bonds.

    Examples
    --------
    >>> from sciexplain.domains.molecules.read import read_one
    >>> canonical_smiles(read_one("OCC"))
    'CCO'
    """
    return _canonical(molecule)[0]


def canonical_order(molecule: Molecule) -> NDArray[np.int64]:
    """For each atom of :func:`canonical_smiles`, in the order in which it is written, its index in the molecule.

    Raises
    ------
    InputError
        No bonds.

    Examples
    --------
    >>> from sciexplain.domains.molecules.read import read_one
    >>> canonical_order(read_one("OCC"))
    array([2, 1, 0])
    """
    return _canonical(molecule)[1]


def owners(molecule: Molecule) -> NDArray[np.int64]:
    """For each atom itself, (n,) int64, but for a hydrogen bonded to a heavy atom that atom.

    A hydrogen between several belongs to the first; one without (H₂, H⁺) to itself. Without bonds, those that the
    distances suggest are taken (RDKit's DetermineConnectivity).

    Raises
    ------
    InputError
        Neither bonds nor positions, or a periodic system without bonds.

    Examples
    --------
    >>> from sciexplain.domains.molecules.read import read_one
    >>> from sciexplain.domains.molecules.prepare import with_hydrogens
    >>> owners(with_hydrogens(read_one("CO")))
    array([0, 1, 0, 0, 0, 1])
    """
    result = np.arange(len(molecule), dtype=np.int64)
    if not (molecule.numbers == 1).any():
        return result
    mol = molecule.mol
    if mol is None:
        mol = bare_mol(molecule)
        require("rdkit.Chem.rdDetermineBonds", extra="molecules").DetermineConnectivity(mol)
    for i in np.flatnonzero(molecule.numbers == 1):
        heavy = [a.GetIdx() for a in mol.GetAtomWithIdx(int(i)).GetNeighbors() if a.GetAtomicNum() != 1]
        result[i] = min(heavy, default=i)
    return result


def heavy_atoms(molecule: Molecule) -> NDArray[np.int64]:
    """Indices of the atoms that stay when hydrogens are counted with their heavy neighbours, (m,) int64, ascending.

    These are all but hydrogens, and hydrogens without a heavy neighbour; see :func:`owners`.
    """
    return np.flatnonzero(owners(molecule) == np.arange(len(molecule)))


def onto_heavy(values: ArrayLike, molecule: Molecule) -> NDArray[Any]:
    """Values per atom with each hydrogen's added to its heavy neighbour's; their sum stays.

    Parameters
    ----------
    values
        (n,) or (n, …): per atom of the molecule.

    Returns
    -------
    NDArray
        (m,) or (m, …): in the order of :func:`heavy_atoms`.

    Raises
    ------
    InputError
        Not one value per atom; what :func:`owners` raises.

    Examples
    --------
    >>> from sciexplain.domains.molecules.read import read_one
    >>> from sciexplain.domains.molecules.prepare import with_hydrogens
    >>> onto_heavy([1, 2, 10, 10, 10, 20], with_hydrogens(read_one("CO")))
    array([31, 22])
    """
    array = np.asarray(values)
    if array.ndim == 0 or len(array) != len(molecule):
        raise InputError(f"Values of shape {array.shape} for {len(molecule)} atoms; expected one for each atom.")
    heavy, place = np.unique(owners(molecule), return_inverse=True)
    result = np.zeros((len(heavy), *array.shape[1:]), array.dtype)
    np.add.at(result, place, array)
    return result


def bonds_onto_heavy(bonds: Mapping[tuple[int, int], float], molecule: Molecule) -> dict[tuple[int, int], float]:
    """Values per bond or other pair of atoms, hydrogens counted as their heavy neighbours; their sum stays.

    Keys count as :func:`onto_heavy` does: ``(0, 1)`` are the first two of :func:`heavy_atoms`. The bond of an atom to
    its own hydrogen becomes ``(i, i)``. The direction of a pair stays.

    Raises
    ------
    InputError
        An index that is none of the molecule's; what :func:`owners` raises.

    Examples
    --------
    >>> from sciexplain.domains.molecules.read import read_one
    >>> from sciexplain.domains.molecules.prepare import with_hydrogens
    >>> bonds_onto_heavy({(0, 1): 1.0, (0, 2): 2.0, (3, 0): 3.0}, with_hydrogens(read_one("CO")))
    {(0, 1): 1.0, (0, 0): 5.0}
    """
    place = np.unique(owners(molecule), return_inverse=True)[1]
    result: dict[tuple[int, int], float] = {}
    for (i, j), value in bonds.items():
        if not (0 <= i < len(molecule) and 0 <= j < len(molecule)):
            raise InputError(f"A bond between atoms {i} and {j}; expected indices from 0 to {len(molecule) - 1}.")
        key = int(place[i]), int(place[j])
        result[key] = result.get(key, 0.0) + value
    return result


def hydrogens_added(molecule: Molecule) -> NDArray[np.int64]:
    """For each atom of ``with_hydrogens(molecule)`` the molecule's atom that it is, or that an added hydrogen is on.

    The molecule's own n atoms come first, so that the first n entries are 0 … n−1; where the molecule is without
    explicit hydrogens this is its map from explicit to implicit ones.

    Raises
    ------
    InputError
        No bonds.

    Examples
    --------
    >>> from sciexplain.domains.molecules.read import read_one
    >>> hydrogens_added(read_one("CO"))
    array([0, 1, 0, 0, 0, 1])
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    n = len(molecule)
    full = chem.AddHs(mol_of(molecule))
    added = [full.GetAtomWithIdx(i).GetNeighbors()[0].GetIdx() for i in range(n, full.GetNumAtoms())]
    return np.array([*range(n), *added], np.int64)


def without_hydrogens(molecule: Molecule) -> tuple[Any, NDArray[np.int64]]:
    """The RDKit molecule with hydrogens implicit wherever that says the same, and its atoms' indices in the molecule.

    Raises
    ------
    InputError
        No bonds.
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    mol = chem.Mol(mol_of(molecule))
    for atom in mol.GetAtoms():
        atom.SetIntProp(_INDEX, atom.GetIdx())
    with rdkit_log():  # It warns of hydrogens that it keeps.
        mol = chem.RemoveHs(mol)
    return mol, np.array([atom.GetIntProp(_INDEX) for atom in mol.GetAtoms()], np.int64)


def _canonical(molecule: Molecule) -> tuple[str, NDArray[np.int64]]:
    chem: Any = require("rdkit.Chem", extra="molecules")
    mol, indices = without_hydrogens(molecule)
    smiles = chem.MolToSmiles(mol)
    written = mol.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"]
    return smiles, indices[np.array(list(written), np.int64)]
