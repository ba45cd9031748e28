"""Random changes of a molecule's SELFIES: every string of symbols is a molecule (STONED, Nigam et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from sciexplain._optional import require
from sciexplain.domains.molecules.rdkit_log import rdkit_log

_BRANCHES = ("[Branch1]", "[=Branch1]", "[Branch2]", "[Ring1]", "[=Ring1]", "[Ring2]")


@lru_cache(maxsize=64)
def alphabet(elements: frozenset[int]) -> tuple[str, ...]:
    """Symbols of neutral atoms of some elements, and of branches and rings.

    Examples
    --------
    >>> alphabet(frozenset({6, 9}))
    ('[#C]', '[=C]', '[C]', '[F]', '[Branch1]', '[=Branch1]', '[Branch2]', '[Ring1]', '[=Ring1]', '[Ring2]')
    """
    selfies: Any = require("selfies", extra="molecules")
    table = require("rdkit.Chem", extra="molecules").GetPeriodicTable()
    symbols = {table.GetElementSymbol(z) for z in elements}
    atoms = sorted(s for s in selfies.get_semantic_robust_alphabet() if s.strip("[]").lstrip("=#") in symbols)
    return (*atoms, *_BRANCHES)


def changed(mol: Any, elements: Iterable[int], rng: np.random.Generator, changes: int = 1) -> Any | None:
    """A molecule whose SELFIES has some symbols replaced, put in or taken out.

    The SELFIES is written with the atoms in a random order, so that every part of the molecule is as easily changed.

    Parameters
    ----------
    mol
        Sanitized, hydrogens implicit.
    elements
        Atomic numbers of atoms that may be put in. SELFIES writes sizes of rings and branches with symbols of atoms,
        which a change may turn into atoms, of other elements too.
    changes
        Symbols.

    Returns
    -------
    RDKit's molecule; None where SELFIES has no symbols for ``mol``, or RDKit none for what came out.

    References
    ----------
    SELFIES: M. Krenn et al., Mach. Learn.: Sci. Technol. 1, 045024 (2020).
    STONED: A. Nigam, R. Pollice, M. Krenn, G. dos Passos Gomes, A. Aspuru-Guzik, Chem. Sci. 12, 7079 (2021).
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    selfies: Any = require("selfies", extra="molecules")
    order = rng.permutation(mol.GetNumAtoms()).tolist()
    written = chem.MolToSmiles(chem.RenumberAtoms(mol, order), canonical=False)
    try:
        symbols = list(selfies.split_selfies(selfies.encoder(written)))
    except selfies.EncoderError:
        return None
    letters = alphabet(frozenset(elements))
    for _ in range(changes):
        what = int(rng.integers(3)) if len(symbols) > 1 else 1
        at = int(rng.integers(len(symbols) + (what == 1)))
        new = [letters[int(rng.integers(len(letters)))]] if what < 2 else []
        symbols[at : at + (what != 1)] = new
    try:
        smiles = selfies.decoder("".join(symbols))
    except selfies.DecoderError:
        return None
    with rdkit_log():
        return chem.MolFromSmiles(smiles) if smiles else None
