"""A structural formula as paths and places, for a page that draws it and lays relevance beneath it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from sciexplain._optional import require
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.paint import symbol
from sciexplain.domains.molecules.skeleton import Shape, bonded, skeleton

UNIT = 20
"""Steps of a px in which paths and places are counted, so that they can be whole numbers."""

_SIZE = (440.0, 330.0)
_COMFORTABLE = 36
_LARGEST = 2.4
_COMMANDS = {1: ("M", 1), 2: ("L", 1), 3: ("Q", 2), 4: ("C", 3)}
_CLOSE = 79


def formula(molecule: Molecule) -> dict[str, Any]:
    """What a page needs to draw a molecule, as JSON values; lengths in twentieths of a px.

    Parameters
    ----------
    molecule
        With bonds, or with positions.

    Returns
    -------
    dict
        ``size``: width and height. ``length``: of a usual bond. ``places``: x and y of every atom, one after the
        other. ``paths``: ``[d, kind, width, dashes]`` in the order in which they are drawn; kinds are ``bond``
        (a line, dashed or not), ``wedge`` and ``letter``. ``order``: atoms from the
        farthest to the nearest where the formula is a projection of a geometry, which has no paths; or null.

    Raises
    ------
    InputError
        No atoms, or neither bonds nor positions.

    Examples
    --------
    >>> from sciexplain.domains.molecules.read import read_one
    >>> made = formula(read_one("CO"))
    >>> sorted(made), len(made["places"]), {kind for _, kind, *_ in made["paths"]} == {"bond", "letter"}
    (['length', 'order', 'paths', 'places', 'size'], 4, True)
    """
    heavy = int((molecule.numbers != 1).sum()) + int((molecule.numbers == 1).sum()) // 3
    scale = min(_LARGEST, max(1.0, (heavy / _COMFORTABLE) ** 0.5))
    width, height = (round(side * scale) for side in _SIZE)
    paper = skeleton(molecule, width, height)
    return {
        "size": [width * UNIT, height * UNIT],
        "length": round(paper.bond_length * UNIT),
        "places": np.rint(paper.places * UNIT).astype(int).ravel().tolist(),
        "paths": [_path(shape) for shape in paper.shapes],
        "order": None if paper.order is None else paper.order.tolist(),
    }


def connections(molecule: Molecule) -> list[tuple[int, int, str, int]]:
    """Bonds as (i, j, kind, order): i < j; kind as chemists say it; the number of lines that stand for it.

    For atoms with nothing but positions these are the pairs that touch, of the kind ``contact``.

    Examples
    --------
    >>> from sciexplain.domains.molecules.read import read_one
    >>> connections(read_one("CC#N"))
    [(0, 1, 'single', 1), (1, 2, 'triple', 3)]
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    known = molecule.mol is not None
    mol = chem.Mol(molecule.mol) if known else bonded(molecule)
    kinds = [str(bond.GetBondType()).lower() if known else "contact" for bond in mol.GetBonds()]
    with suppress(ValueError):  # what stays aromatic is drawn with single lines
        chem.Kekulize(mol)
    found = []
    for bond, kind in zip(mol.GetBonds(), kinds, strict=True):
        i, j = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        lines = int(bond.GetBondTypeAsDouble())
        found.append((i, j, kind, lines if lines in (1, 2, 3) else 1))
    return sorted(found)


def symbols(molecule: Molecule) -> list[str]:
    """Of the elements, in the order of the atoms."""
    return [symbol(molecule, i) for i in range(len(molecule))]


def _path(shape: Shape) -> list[Any]:
    kind = "letter" if shape.text else "bond" if shape.fill is None else "wedge"
    points = np.rint(shape.points * UNIT).astype(int).tolist()
    parts, at = [], 0
    while at < len(points):
        if shape.codes[at] == _CLOSE:
            parts.append("Z")
            at += 1
            continue
        letter, size = _COMMANDS[shape.codes[at]]
        parts.append(letter + " ".join(f"{x} {y}" for x, y in points[at : at + size]))
        at += size
    return ["".join(parts), kind, round(shape.width * UNIT), [round(dash * UNIT) for dash in shape.dashes]]
