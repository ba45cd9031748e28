"""How alike molecules are: Tanimoto coefficients of Morgan fingerprints."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require


def fingerprint(mol: Any) -> Any:
    """Morgan bits of radius 2 (ECFP4), 2048 of them.

    References
    ----------
    D. Rogers, M. Hahn, J. Chem. Inf. Model. 50, 742 (2010).
    """
    return _generator().GetFingerprint(mol)


def tanimoto(print_: Any, others: Sequence[Any]) -> NDArray[np.float64]:
    """(n,): common bits over all bits, with each of n others.

    Examples
    --------
    >>> from rdkit import Chem
    >>> phenol, toluene = (fingerprint(Chem.MolFromSmiles(s)) for s in ("Oc1ccccc1", "Cc1ccccc1"))
    >>> tanimoto(phenol, [phenol, toluene]).round(2).tolist()
    [1.0, 0.38]
    """
    structs: Any = require("rdkit.DataStructs", extra="molecules")
    return np.array(structs.BulkTanimotoSimilarity(print_, list(others)), np.float64)


@lru_cache(maxsize=1)
def _generator() -> Any:
    return require("rdkit.Chem.rdFingerprintGenerator", extra="molecules").GetMorganGenerator(radius=2, fpSize=2048)
