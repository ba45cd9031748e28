"""Molecules with labels that are counts, for which each atom's part is known: N minus O, and amides."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sciexplain.datasets.archives import unpack
from sciexplain.datasets.fetch import Source, fetch
from sciexplain.datasets.left_out import Failures
from sciexplain.datasets.molecules import LabelledMolecules
from sciexplain.datasets.splits import hold_out
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import read
from sciexplain.errors import DataError

_REPOSITORY = "https://raw.githubusercontent.com/ci-lab-cz/ibenchmark/master/Datasets/"
_SHA256 = {
    "N_minus_O_test_lbl.zip": "13c68200f5e95f8311db52a125a01c34af70a0741998595d48834d356046f79c",
    "N_minus_O_train_lbl.zip": "73441500888d6049beed9de034c3065bf7c50c2fc50ce1964c6e63feaf4cfcba",
    "amide_test_lbl.zip": "64d00e3d3f2effdb4f71e9bac87902b267582189a59a195520da7343c3a4cd35",
    "amide_train_lbl.zip": "124a120c61b02ef427efc20ba29f53b9bb2a98cac7b2ab57082247a3e81f6dc3",
}


def load_ibenchmark(name: Literal["N_minus_O", "amide"]) -> LabelledMolecules:
    """A set of the interpretability benchmark, molecules of ChEMBL.

    ``N_minus_O``: nitrogens minus oxygens; each nitrogen is worth +1, each oxygen −1. ``amide``: amide groups NC=O;
    every atom of one is marked with 1, though the label counts groups, so that ranks and not sums are comparable.

    Raises
    ------
    DataError
        The files are not there and cannot be fetched, or are others.

    References
    ----------
    M. Matveieva and P. Polishchuk, "Benchmarks for interpretation of QSAR models", J. Cheminform. 13, 41 (2021).
    """
    failures = Failures()
    parts = [_read(name, f"{name}_{part}_lbl.zip", failures) for part in ("train", "test")]
    molecules = [molecule for part in parts for molecule, _ in part]
    truth = [values for part in parts for _, values in part]
    labels = [molecule.labels or {} for molecule in molecules]
    train, valid = hold_out(np.arange(len(parts[0])), 0.1)
    return LabelledMolecules(
        name,
        molecules,
        np.array([[float(label["activity"])] for label in labels]),
        ({"N_minus_O": "nitrogens minus oxygens", "amide": "amide groups"}[name],),
        ("",),
        "regression",
        train,
        valid,
        np.arange(len(parts[0]), len(molecules)),
        "given; a tenth of the training part, drawn with seed 0, for validation",
        truth,
        failures=tuple(failures),
    )


def _read(name: str, file: str, failures: Failures) -> list[tuple[Molecule, NDArray[np.float64]]]:
    path = fetch(Source(_REPOSITORY + file, _SHA256[file], f"molecules/ibenchmark/{file}"), name=name)
    found = []
    with TemporaryDirectory() as folder:
        (sdf,) = unpack(path, (Path(file).with_suffix(".sdf").name,), Path(folder))
        for molecule in read(sdf, on_error=failures.add):
            text = str((molecule.labels or {})["lbls"])
            # Molecules without any amide have no marks.
            values = np.zeros(len(molecule)) if text == "NA" else np.array(text.split(","), np.float64)
            if len(values) != len(molecule):
                failures.add(
                    molecule.source, DataError(f"found {len(values)} values in lbls for {len(molecule)} atoms")
                )
            else:
                found.append((molecule, values))
    return found
