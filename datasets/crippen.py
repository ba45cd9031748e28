"""Crippen's logP: a sum over atoms, and so a label whose true explanation is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require

if TYPE_CHECKING:
    from sciexplain.domains.molecules.molecule import Molecule


def crippen_contributions(molecule: Molecule) -> NDArray[np.float64]:
    """What each atom contributes to Crippen's logP, (n,); the sum is RDKit's ``MolLogP``.

    Hydrogens count with types of their own. Those that are no atoms of the molecule are added, and their
    contributions given to the atom they are bound to. (RDKit's ``_CalcCrippenContribs`` of a molecule with implicit
    hydrogens leaves them out, so that its sum is another number.)

    References
    ----------
    S. A. Wildman and G. M. Crippen, J. Chem. Inf. Comput. Sci. 39, 868 (1999).

    Examples
    --------
    >>> from sciexplain.domains.molecules.convert import from_smiles
    >>> crippen_contributions(from_smiles("CCO")).round(4)
    array([ 0.5131,  0.0425, -0.557 ])
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    descriptors: Any = require("rdkit.Chem.rdMolDescriptors", extra="molecules")
    full = chem.AddHs(molecule.mol)
    terms = np.array([logp for logp, _ in descriptors._CalcCrippenContribs(full)], np.float64)
    # AddHs puts the new hydrogens, each with one neighbour, after the atoms that were there.
    folded = terms[: len(molecule)].copy()
    for i in range(len(molecule), len(terms)):
        folded[full.GetAtomWithIdx(i).GetNeighbors()[0].GetIdx()] += terms[i]
    return folded
