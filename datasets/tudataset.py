"""Mutagens as graphs, in the text files of the TUDataset collection: MUTAG and Mutagenicity."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.datasets.archives import read_members
from sciexplain.datasets.fetch import Source, fetch
from sciexplain.datasets.left_out import Failures
from sciexplain.datasets.molecules import LabelledMolecules, divide
from sciexplain.domains.molecules.convert import from_mol
from sciexplain.domains.molecules.rdkit_log import rdkit_log
from sciexplain.errors import DataError

_MUTAGENICITY = Source(
    "https://github.com/xiong-ping/sgnn_lrp_via_mp/archive/bbf3a0b30e275878adf51a17a5b79b0740d17328.tar.gz",
    None,
    "molecules/mutagenicity/Mutagenicity_with_edge_gt.tar.gz",
    "58f8f341be8b6a7f6a0b33703ee10a06eeea4dbc1974c8ef7b5b4ca191b1d057",
)
_MUTAG = Source(
    "https://www.chrsmrrs.com/graphkerneldatasets/MUTAG.zip",
    "c419bdc853c367d2d83da4973c45100954ae15e10f5ae2cddde6ca431f8207f6",
    "molecules/mutag/MUTAG.zip",
)
_ELEMENTS = {
    "Mutagenicity": (6, 8, 17, 1, 7, 9, 35, 16, 15, 53, 11, 19, 3, 20),
    "MUTAG": (6, 7, 8, 9, 53, 17, 35),
}
_BONDS = {"Mutagenicity": ("SINGLE", "DOUBLE", "TRIPLE"), "MUTAG": ("AROMATIC", "SINGLE", "DOUBLE", "TRIPLE")}
_CHARGES = {
    **{(7, 4): 1, (7, 2): -1, (8, 1): -1, (8, 3): 1, (16, 1): -1, (16, 3): 1, (15, 4): 1},
    **{(z, 0): -1 for z in (9, 17, 35, 53)},
    **{(z, 0): 1 for z in (3, 11, 19)},
    (20, 0): 2,
}
"""By element and sum of bond orders. The source leaves formal charges out; with all hydrogens there, they follow."""


def load_mutagenicity() -> LabelledMolecules:
    """4 337 molecules with all hydrogens: is it a mutagen? True bonds: those within NO2 and NH2 groups.

    Graphs of which no molecule can be made are in ``failures``.

    Raises
    ------
    DataError
        The file is not there and cannot be fetched, or is another one.

    References
    ----------
    J. Kazius, R. McGuire, R. Bursi, J. Med. Chem. 48, 312 (2005); C. Morris et al., "TUDataset" (2020). Marked bonds:
    D. Luo et al., "Parameterized explainer for graph neural network", NeurIPS 33 (2020).
    """
    return _load("Mutagenicity", fetch(_MUTAGENICITY, name="Mutagenicity"))


def load_mutag() -> LabelledMolecules:
    """188 nitroaromatic molecules without hydrogens: is it a mutagen for *Salmonella typhimurium*?

    Raises
    ------
    DataError
        The file is not there and cannot be fetched, or is another one.

    References
    ----------
    A. K. Debnath et al., J. Med. Chem. 34, 786 (1991); C. Morris et al., "TUDataset" (2020).
    """
    return _load("MUTAG", fetch(_MUTAG, name="MUTAG"))


def _load(name: str, path: Path) -> LabelledMolecules:
    table, has = _tables(name, path)
    nodes, graph_of, labels = table("node_labels"), table("graph_indicator"), table("graph_labels")
    edges, orders = table("A") - 1, table("edge_labels")
    marked = table("edge_gt") if has("edge_gt") else None
    failures, molecules, kept, bond_truth = Failures(), [], [], []
    first = np.searchsorted(graph_of, np.arange(1, len(labels) + 2))
    edges_first = np.searchsorted(graph_of[edges[:, 0]], np.arange(1, len(labels) + 2))
    for i in range(len(labels)):
        place, rows = f"{name}:{i + 1}", slice(edges_first[i], edges_first[i + 1])
        numbers = [_ELEMENTS[name][label] for label in nodes[first[i] : first[i + 1]]]
        bonds = {
            (int(a), int(b)): j
            for j, (a, b) in zip(range(rows.start, rows.stop), edges[rows] - first[i], strict=True)
            if a < b
        }
        try:
            mol = _mol(numbers, {pair: _BONDS[name][orders[j]] for pair, j in bonds.items()}, whole=1 in numbers)
            molecules.append(from_mol(mol, name=place, source=place))
        except DataError as error:
            failures.add(place, error)
            continue
        kept.append(i)
        if marked is not None:
            bond_truth.append(marked[list(bonds.values())].astype(np.float64))
    # Mutagenicity has 0 for mutagens, MUTAG has 1 for them and −1 for others.
    is_mutagen = labels == (0 if name == "Mutagenicity" else 1)
    (train, valid, test), split = divide(molecules, "random")
    return LabelledMolecules(
        name, molecules, is_mutagen[kept, None].astype(np.float64), ("mutagen",), ("",), "classification",
        train, valid, test, split, bond_truth=bond_truth if marked is not None else None, failures=tuple(failures),
    )  # fmt: skip


def _mol(numbers: list[int], bonds: dict[tuple[int, int], str], *, whole: bool) -> Any:
    """RDKit's molecule, its bonds in the order given; ``whole`` if all hydrogens are there."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    mol = chem.RWMol()
    for number in numbers:
        atom = chem.Atom(number)
        atom.SetNoImplicit(whole)
        mol.AddAtom(atom)
    for (a, b), order in bonds.items():
        mol.AddBond(a, b, getattr(chem.BondType, order))
        if order == "AROMATIC":
            mol.GetAtomWithIdx(a).SetIsAromatic(True)
            mol.GetAtomWithIdx(b).SetIsAromatic(True)
    for atom in mol.GetAtoms():
        valence = sum(bond.GetBondTypeAsDouble() for bond in atom.GetBonds())
        if whole:
            atom.SetFormalCharge(_CHARGES.get((atom.GetAtomicNum(), valence), 0))
    with rdkit_log():
        try:
            chem.SanitizeMol(mol)
        except ValueError as error:
            raise DataError(f"found a graph that is no molecule: {error}") from error
    return mol.GetMol()


def _tables(name: str, path: Path) -> tuple[Callable[[str], NDArray[np.int64]], Callable[[str], bool]]:
    """Reading a text file of the archive by the end of its name, and asking whether there is one."""
    contents = dict(read_members(path, lambda inside: f"/{name}_" in inside))

    def has(what: str) -> bool:
        return f"{name}_{what}.txt" in contents

    def table(what: str) -> NDArray[np.int64]:
        if not has(what):
            raise DataError(f"{path}: found no {name}_{what}.txt; expected the text files of TUDataset")
        try:
            return np.loadtxt(io.BytesIO(contents[f"{name}_{what}.txt"]), dtype=np.int64, delimiter=",")
        except ValueError as error:
            raise DataError(f"{path}: {name}_{what}.txt is no table of whole numbers: {error}") from error

    return table, has
