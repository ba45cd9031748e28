"""Molecules whose label is a rule that somebody wrote down, so that the true atoms are known: benzene, Crippen."""

from __future__ import annotations

import gzip
import json
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.datasets.crippen import crippen_contributions
from sciexplain.datasets.fetch import Source, fetch
from sciexplain.datasets.molecules import LabelledMolecules
from sciexplain.datasets.splits import hold_out
from sciexplain.domains.molecules.convert import from_smiles
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import read
from sciexplain.errors import DataError

_REPOSITORY = (
    "https://raw.githubusercontent.com/google-research/graph-attribution/75a76e6b8b2e357989b277670f02dd14804b83f4/data/"
)
_LOCAL = {
    "benzene": "4488b835a9d2fd1045138cdc83349243df6310a940b30818bbc896f1c9b41de5",
    "crippen": "6dd154d6e03aa325f258f806a40386bbf62f04558f94fc5db4599b96e05e54e1",
}


def load_benzene() -> LabelledMolecules:
    """12 000 molecules of ZINC: is there a benzene ring? Any of its rings, or some together, is a right explanation.

    Raises
    ------
    DataError
        The files are not there and cannot be fetched, or are others.

    References
    ----------
    B. Sanchez-Lengeling et al., "Evaluating attribution for graph neural networks", NeurIPS 33 (2020).
    """
    molecules, split = _molecules("benzene")
    chem: Any = require("rdkit.Chem", extra="molecules")
    pattern = chem.MolFromSmarts("c1ccccc1")
    alternatives = [_unions(molecule, molecule.mol.GetSubstructMatches(pattern)) for molecule in molecules]
    truth = [rows.max(0, initial=0.0) for rows in alternatives]
    targets = np.array([[float(len(rows) > 0)] for rows in alternatives])
    return LabelledMolecules(
        "benzene", molecules, targets, ("has a benzene ring",), ("",), "classification", *split, truth,
        alternatives=alternatives,
    )  # fmt: skip


def load_crippen() -> LabelledMolecules:
    """Crippen's logP of the molecules of ESOL, and what each atom contributes (hydrogens with their heavy atom).

    The source's column ``logp`` is not used: it holds ESOL's measured solubilities.

    Raises
    ------
    DataError
        The files are not there and cannot be fetched, or are others.

    References
    ----------
    As of :func:`load_benzene`.
    """
    molecules, split = _molecules("crippen")
    truth = [crippen_contributions(molecule) for molecule in molecules]
    targets = np.array([[terms.sum()] for terms in truth])
    return LabelledMolecules(
        "crippen", molecules, targets, ("Crippen logP",), ("log10",), "regression", *split, truth
    )  # fmt: skip


def _molecules(name: Literal["benzene", "crippen"]) -> tuple[list[Molecule], tuple[Any, Any, Any, str]]:
    """The molecules and the source's division; a tenth of its training part becomes the validation part."""
    source = Source(
        f"{_REPOSITORY}{name}/{name}_smiles.csv",
        None,
        f"molecules/graph_attribution/{name}.jsonl.gz",
        _LOCAL[name],
    )
    path = fetch(source, name=name)
    if path.suffix == ".gz":
        molecules, train, test = _of_lines(path)
    else:
        division = Source(f"{_REPOSITORY}{name}/{name}_traintest_indices.npz", None, source.local)
        molecules = list(read(path, smiles="smiles"))
        with np.load(fetch(division, name=name), allow_pickle=False) as indices:
            train, test = np.ravel(indices["train_index"]), np.ravel(indices["test_index"])
        if max(train.max(), test.max()) >= len(molecules):
            raise DataError(f"{name}: the division counts to {max(train.max(), test.max())} of {len(molecules)} rows")
    parts = (*hold_out(train, 0.1), np.sort(test))
    return molecules, (*parts, "given; a tenth of the training part, drawn with seed 0, for validation")


def _of_lines(path: Path) -> tuple[list[Molecule], NDArray[np.int64], NDArray[np.int64]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    molecules = [
        from_smiles(row["smiles"], name=row["id"], source=f"{path.name}:{number}") for number, row in enumerate(rows, 1)
    ]
    is_test = np.array([row["split"] == "test" for row in rows])
    return molecules, np.flatnonzero(~is_test), np.flatnonzero(is_test)


def _unions(molecule: Molecule, matches: tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
    """(2^rings − 1, n): every ring, and every union of some, as rows of 0 and 1."""
    rings = sorted({tuple(sorted(match)) for match in matches})
    rows = []
    for count in range(1, len(rings) + 1):
        for chosen in combinations(rings, count):
            row = np.zeros(len(molecule))
            row[sorted({atom for ring in chosen for atom in ring})] = 1
            rows.append(row)
    return np.array(rows, np.float64).reshape(len(rows), len(molecule))
