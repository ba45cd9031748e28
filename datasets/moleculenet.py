"""Measured properties of MoleculeNet: solubility, hydration, lipophilicity, permeation, toxicity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sciexplain.datasets.fetch import Source, fetch
from sciexplain.datasets.kind import Kind
from sciexplain.datasets.left_out import Failures
from sciexplain.datasets.molecules import LabelledMolecules, columns_of, divide
from sciexplain.domains.molecules.read import read

_BUCKET = "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/"
_TOX21 = (
    *("NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma"),
    *("SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP", "SR-p53"),
)


@dataclass(frozen=True)
class _Table:
    source: Source
    name: str
    columns: tuple[str, ...]
    tasks: tuple[str, ...]
    unit: str
    kind: Kind
    split: Literal["random", "scaffold"]


def _source(local: str, url: str, sha256: str, md5: str | None = None) -> Source:
    """``md5`` is the published file's, where the local one is packed otherwise."""
    return Source(_BUCKET + url, None if md5 else sha256, f"molecules/moleculenet/{local}", sha256, md5)


_TABLES = {
    "ESOL": _Table(
        _source(
            "ESOL_delaney-processed.csv",
            "delaney-processed.csv",
            "8c06a76f0c6487d29ab0f903e6a7a7139f189ab3c1178f159c8be8964602f189",
        ),
        "Compound ID",
        ("measured log solubility in mols per litre",),
        ("log solubility",),
        "log10(mol/L)",
        "regression",
        "random",
    ),
    "FreeSolv": _Table(
        _source(
            "FreeSolv_SAMPL.csv",
            "SAMPL.csv",
            "ab5895d914ee87cb563bd7b9611e869527bba45bec6b014d34dc495a0f9dcb72",
        ),
        "iupac",
        ("expt",),
        ("hydration free energy",),
        "kcal/mol",
        "regression",
        "random",
    ),
    "Lipophilicity": _Table(
        _source(
            "Lipophilicity.csv",
            "Lipophilicity.csv",
            "aed41590cb30609d51d8e08ad3ff06495a76e80e211358801f596b10da69bacd",
        ),
        "CMPD_CHEMBLID",
        ("exp",),
        ("logD at pH 7.4",),
        "log10",
        "regression",
        "random",
    ),
    "BBBP": _Table(
        _source("BBBP.csv", "BBBP.csv", "d07a38487aeac5cee5508413e468043ef3097451d2a112701c2d60be9ec6b662"),
        "name",
        ("p_np",),
        ("crosses the blood-brain barrier",),
        "",
        "classification",
        "scaffold",
    ),
    "Tox21": _Table(
        _source(
            "tox21.csv.gz",
            "tox21.csv.gz",
            "b0712b58280c1c87660d6abc23e199389372979a9d85f850cb27cdec6aa7c2af",
            md5="2882d69e70bba0fec14995f26787cc25",
        ),
        "mol_id",
        _TOX21,
        _TOX21,
        "",
        "classification",
        "random",
    ),
}


def load_moleculenet(name: Literal["ESOL", "FreeSolv", "Lipophilicity", "BBBP", "Tox21"]) -> LabelledMolecules:
    """One of the sets of MoleculeNet; rows whose SMILES RDKit refuses are in ``failures``.

    The division is the one that MoleculeNet recommends (random, or by scaffold), but with the same molecule, where it
    was measured twice, in one part only.

    Raises
    ------
    DataError
        The file is not there and cannot be fetched, or is another one.

    References
    ----------
    Z. Wu et al., "MoleculeNet: a benchmark for molecular machine learning", Chem. Sci. 9, 513 (2018). ESOL: J. S.
    Delaney, J. Chem. Inf. Comput. Sci. 44, 1000 (2004). FreeSolv: D. L. Mobley and J. P. Guthrie, J. Comput.-Aided
    Mol. Des. 28, 711 (2014). Lipophilicity: ChEMBL. BBBP: I. F. Martins et al., J. Chem. Inf. Model. 52, 1686 (2012).
    """
    table = _TABLES[name]
    failures = Failures()
    path = fetch(table.source, name=name)
    rows = read(path, smiles="smiles", name=table.name, on_error=failures.add)
    molecules, targets = columns_of(rows, table.columns, failures)
    (train, valid, test), split = divide(molecules, table.split)
    units = (table.unit,) * len(table.tasks)
    return LabelledMolecules(
        name, molecules, targets, table.tasks, units, table.kind, train, valid, test, split, failures=tuple(failures)
    )
