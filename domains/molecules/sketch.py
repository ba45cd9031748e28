"""Small drawings of fragments and surroundings, for cells of tables."""

from __future__ import annotations

import base64
from typing import Any

from sciexplain._optional import require
from sciexplain.domains.molecules.rdkit_log import rdkit_log

_SIZE = (130, 64)
_BOND = 24
_MARKED = (1.0, 0.85, 0.45)


def sketch(text: str, *, smarts: bool = False) -> str:
    """A ``data:`` URL of an SVG that shows a SMILES, or a SMARTS with its first atom marked; empty where neither reads.

    Examples
    --------
    >>> sketch("*c1ccccc1")[:26], sketch("c1cc")
    ('data:image/svg+xml;base64,', '')
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    draw: Any = require("rdkit.Chem.Draw.rdMolDraw2D", extra="molecules")
    depictor: Any = require("rdkit.Chem.rdDepictor", extra="molecules")
    with rdkit_log():
        mol = chem.MolFromSmarts(text) if smarts else chem.MolFromSmiles(text, sanitize=False)
        if mol is None:
            return ""
        mol.UpdatePropertyCache(strict=False)
        chem.FastFindRings(mol)
        try:
            depictor.Compute2DCoords(mol)
            drawer = draw.MolDraw2DSVG(*_SIZE)
            options = drawer.drawOptions()
            options.useBWAtomPalette()
            options.clearBackground = False
            options.fixedBondLength = _BOND
            options.prepareMolsBeforeDrawing = False
            made = draw.PrepareMolForDrawing(_with_double_bonds(mol), kekulize=False, addChiralHs=False)
            marked = {"highlightAtoms": [0], "highlightAtomColors": {0: _MARKED}} if smarts else {}
            drawer.DrawMolecule(made, **marked)
            drawer.FinishDrawing()
        except (ValueError, RuntimeError):  # RDKit cannot draw every query
            return ""
    svg = drawer.GetDrawingText()
    return "data:image/svg+xml;base64," + base64.b64encode(svg[svg.index("<svg") :].encode()).decode()


def _with_double_bonds(mol: Any) -> Any:
    """Aromatic bonds as single and double ones, where that can be; part of a ring stays as it is."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    made = chem.Mol(mol)
    try:
        chem.Kekulize(made, clearAromaticFlags=True)
    except ValueError:
        return mol
    return made
