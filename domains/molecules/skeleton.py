"""Structural formulae as vector shapes: RDKit's drawing, taken apart so that relevance can lie beneath and above it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError

BOND = 42.0
"""Length of a drawn bond, in px, where the molecule is not too large for it."""

NOTE = (0.3, 0.3, 0.3)
"""Colour of atoms' numbers, so that nobody takes them for part of a formula."""

# RDKit writes tenths of its pixel; on a larger canvas those are fine enough.
_FINE = 20.0
_REACH = 1.25
_MOST_NEIGHBOURS = 4
_LONGEST = 2.5
_COORDGEN = 120
_LAID_OUT = 500
_DRAWN_BOND = 1.5
_CLEAR = 0.35
_NOTE = "#" + "".join(f"{int(255 * part):02X}" for part in NOTE)
_NUMBER = re.compile(r"[MLQCZ]|-?\d+\.?\d*")


@dataclass(frozen=True)
class Shape:
    """One path: (k, 2) points in px from the top left corner and their matplotlib codes."""

    points: NDArray[np.float64]
    codes: list[int]
    fill: str | None
    stroke: str | None
    width: float
    dashes: tuple[float, ...]
    text: bool
    note: bool


@dataclass(frozen=True)
class Skeleton:
    """A molecule on paper.

    Attributes
    ----------
    shapes
        Bonds first, letters after them.
    places
        (n, 2): atoms, in px from the top left corner.
    bonds
        Pairs (i, j) with i < j that have a bond.
    bond_length
        The usual one, in px.
    order
        (n,) atoms from the farthest to the nearest, for a projection of a geometry; None for a structural formula.
    numbered
        Atoms whose number is to be shown; a structural formula has them among its shapes.
    """

    shapes: list[Shape]
    places: NDArray[np.float64]
    bonds: frozenset[tuple[int, int]]
    bond_length: float
    order: NDArray[np.int64] | None = None
    numbered: frozenset[int] = frozenset()


def skeleton(
    molecule: Molecule, width: float, height: float, numbered: Collection[int] = (), bond: float = BOND
) -> Skeleton:
    """Draw a molecule in black on nothing, centred in ``width`` times ``height`` px.

    Bonds are ``bond`` px long, or shorter where the molecule would not fit; atoms in ``numbered`` bear their index.

    Raises
    ------
    InputError
        No atoms, or neither bonds nor positions.
    """
    draw2d: Any = require("rdkit.Chem.Draw.rdMolDraw2D", extra="molecules")
    mol = flat(molecule)
    bonds = _pairs(mol)
    degree = max(atom.GetDegree() for atom in mol.GetAtoms())
    crowded = molecule.mol is None and degree > _MOST_NEIGHBOURS
    if molecule.positions is not None and (crowded or _torn(mol.GetConformer().GetPositions()[:, :2], bonds)):
        return _projected(molecule, width, height, frozenset(numbered))
    for i in numbered:
        mol.GetAtomWithIdx(int(i)).SetProp("atomNote", str(i))
    drawer = draw2d.MolDraw2DSVG(round(width * _FINE), round(height * _FINE))
    options = drawer.drawOptions()
    options.useBWAtomPalette()
    options.clearBackground = False
    options.prepareMolsBeforeDrawing = False
    options.scaleBondWidth = False
    options.bondLineWidth = _FINE
    options.fixedBondLength = bond * _FINE
    options.fixedFontSize = -1
    options.baseFontSize = 0.55
    options.maxFontSize, options.minFontSize = round(16 * _FINE), 1
    options.setAtomNoteColour(NOTE)
    options.annotationFontScale = 0.55
    options.multipleBondOffset = 0.16
    options.flagCloseContactsDist = -1
    options.padding = min(0.16, 26 / min(width, height))
    drawer.DrawMolecule(mol)
    drawer.FinishDrawing()
    points = [drawer.GetDrawCoords(i) for i in range(mol.GetNumAtoms())]
    places = np.array([(p.x, p.y) for p in points]) / _FINE
    lengths = [float(np.linalg.norm(places[i] - places[j])) for i, j in bonds]
    length = float(np.median(lengths)) if lengths else BOND
    root = ElementTree.fromstring(drawer.GetDrawingText())
    line = float(np.clip(0.045 * length, 0.35, 1.5))
    shapes = [shape for element in root if (shape := _shape(element, line)) is not None]
    return Skeleton(sorted(shapes, key=lambda shape: shape.text), places, bonds, length)


def flat(molecule: Molecule) -> Any:
    """A copy as an RDKit molecule with two-dimensional coordinates, atoms in the molecule's order."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    draw2d: Any = require("rdkit.Chem.Draw.rdMolDraw2D", extra="molecules")
    if len(molecule) == 0:
        raise InputError(f"{molecule.name or 'molecule'!r} without atoms; expected at least one")
    mol = chem.Mol(molecule.mol) if molecule.mol is not None else bonded(molecule)
    for atom in mol.GetAtoms():
        atom.ClearProp("atomNote")
    mol.UpdatePropertyCache(strict=False)
    chem.GetSymmSSSR(mol)
    on_paper = mol.GetNumConformers() and not mol.GetConformer().Is3D() and mol.GetConformer().GetPositions().any()
    if not on_paper:
        lay_out(mol)
    try:
        return draw2d.PrepareMolForDrawing(mol, addChiralHs=False)
    except ValueError:  # RDKit cannot write every aromatic system with double bonds
        return draw2d.PrepareMolForDrawing(mol, kekulize=False, addChiralHs=False)


def lay_out(mol: Any) -> None:
    """Give an RDKit molecule two-dimensional coordinates, from the first way that puts no atom on another.

    A molecule of more than :data:`_LAID_OUT` atoms becomes a spiral: RDKit would take minutes.
    """
    depictor: Any = require("rdkit.Chem.rdDepictor", extra="molecules")
    coordgen: Any = require("rdkit.Chem.rdCoordGen", extra="molecules")
    if mol.GetNumAtoms() > _LAID_OUT:
        _set_places(mol, _spiral(mol.GetNumAtoms()))
        return
    ways: list[Callable[[Any], Any]] = [
        lambda mol: depictor.Compute2DCoords(mol, useRingTemplates=True),
        lambda mol: depictor.Compute2DCoords(mol, nFlipsPerSample=4, nSample=20, sampleSeed=1),
        coordgen.AddCoords,
    ]
    # RDKit's own ways put hydrogens of neighbours on top of each other.
    if mol.GetNumAtoms() <= _COORDGEN and mol.GetNumHeavyAtoms() < mol.GetNumAtoms():
        ways.reverse()
    if not mol.GetNumBonds():
        ways = ways[:1]
    best, shape = -1.0, None
    for way in ways:
        try:
            way(mol)
        except (IndexError, RuntimeError, ValueError):  # RDKit's sampled layout fails on some ring systems
            continue
        places = np.array(mol.GetConformer().GetPositions())
        if (room := _room(places)) > best:
            best, shape = room, places
            if room > _CLEAR:
                break
    if shape is not None and shape is not places:
        _set_places(mol, shape)
    depictor.StraightenDepiction(mol)
    _part(mol)


def _part(mol: Any) -> None:
    """Put molecules that meet, such as an ion on a bond of its partner, into a row, the largest first."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    parts = sorted(map(list, chem.GetMolFrags(mol)), key=len, reverse=True)
    if len(parts) < 2:
        return
    places = np.array(mol.GetConformer().GetPositions())
    boxes = [(places[part].min(0)[:2], places[part].max(0)[:2]) for part in parts]
    near = 0.7 * _DRAWN_BOND
    if not any(
        (low < other_high + near).all() and (other_low < high + near).all()
        for (low, high), (other_low, other_high) in combinations(boxes, 2)
    ):
        return
    middle = boxes[0][0][1] + boxes[0][1][1]
    edge = boxes[0][1][0]
    for part, (low, high) in zip(parts[1:], boxes[1:], strict=True):
        places[part, 0] += edge + _DRAWN_BOND - low[0]
        places[part, 1] += (middle - low[1] - high[1]) / 2
        edge += _DRAWN_BOND + high[0] - low[0]
    _set_places(mol, places)


def _room(places: NDArray[np.float64]) -> float:
    """The smallest distance of two atoms in units of a drawn bond."""
    if len(places) < 2:
        return 1.0
    x, y = places[:, 0], places[:, 1]
    apart = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    np.fill_diagonal(apart, np.inf)
    return float(np.sqrt(apart.min())) / _DRAWN_BOND


def _spiral(n: int) -> NDArray[np.float64]:
    """(n, 3) places of which neighbours are a bond apart, and others no less."""
    turn = np.sqrt(np.arange(n) + 1.0)
    angle = 2 * np.sqrt(np.pi) * turn
    return _DRAWN_BOND * np.stack([turn * np.cos(angle), turn * np.sin(angle), np.zeros(n)], 1)


def _set_places(mol: Any, places: NDArray[np.float64]) -> None:
    chem: Any = require("rdkit.Chem", extra="molecules")
    made = chem.Conformer(len(places))
    made.Set3D(False)
    made.SetPositions(np.ascontiguousarray(places, np.float64))
    mol.RemoveAllConformers()
    mol.AddConformer(made)


def bonded(molecule: Molecule) -> Any:
    """The RDKit molecule of atoms with nothing but positions: single bonds where atoms touch, no hydrogens added.

    Two atoms touch when they are closer than 1.25 times the sum of their covalent radii.

    Raises
    ------
    InputError
        No positions.
    """
    chem: Any = require("rdkit.Chem", extra="molecules")
    if molecule.positions is None:
        raise InputError(
            f"{molecule.name or 'molecule'!r} with neither bonds nor positions; expected one of them: "
            "read it from SMILES, SDF or XYZ"
        )
    table = chem.GetPeriodicTable()
    mol = chem.RWMol()
    for number in molecule.numbers.tolist():
        atom = chem.Atom(number)
        atom.SetNoImplicit(True)
        mol.AddAtom(atom)
    radii = np.array([table.GetRcovalent(number) for number in molecule.numbers.tolist()])
    apart = np.linalg.norm(molecule.positions[:, None] - molecule.positions[None], axis=-1)
    hydrogens = molecule.numbers == 1
    touch = apart < _REACH * (radii[:, None] + radii[None])
    # Hydrogens of one water are within reach of each other by this measure.
    touch &= ~(hydrogens[:, None] & hydrogens[None]) | (apart < 0.9)
    for i, j in np.argwhere(np.triu(touch, 1)).tolist():
        mol.AddBond(i, j, chem.BondType.SINGLE)
    mol.AddConformer(conformer(molecule.positions))
    return mol.GetMol()


def conformer(positions: NDArray[np.float64]) -> Any:
    """RDKit's form of (n, 3) positions in Å."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    made = chem.Conformer(len(positions))
    made.Set3D(True)
    made.SetPositions(np.ascontiguousarray(positions, np.float64))
    return made


def _projected(molecule: Molecule, width: float, height: float, numbered: frozenset[int]) -> Skeleton:
    """Look at the atoms nearly along the direction in which they extend least: cages and clusters have no formula."""
    positions = np.asarray(molecule.positions, dtype=np.float64)
    centred = positions - positions.mean(0)
    seen = centred @ np.linalg.svd(centred, full_matrices=True)[2].T @ _tilt().T
    bonds = _pairs(bonded(molecule))
    lengths = [float(np.linalg.norm(positions[i] - positions[j])) for i, j in bonds]
    length = float(np.median(lengths)) if lengths else 1.5
    extent = np.ptp(seen[:, :2], axis=0) + 1.2 * length
    scale = min(width / extent[0], height / extent[1], 1.5 * BOND / length)
    middle = (seen[:, :2].min(0) + seen[:, :2].max(0)) / 2
    places = (seen[:, :2] - middle) * scale + [width / 2, height / 2]
    return Skeleton([], places, bonds, length * scale, np.argsort(seen[:, 2], kind="stable"), numbered)


def _tilt() -> NDArray[np.float64]:
    """A turn that keeps symmetric atoms from hiding each other."""
    (a, b) = np.deg2rad([17.0, 11.0])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    return about_x @ about_y


def _pairs(mol: Any) -> frozenset[tuple[int, int]]:
    ends = [sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())) for bond in mol.GetBonds()]
    return frozenset((i, j) for i, j in ends)


def _torn(places: NDArray[np.float64], bonds: frozenset[tuple[int, int]]) -> bool:
    """Whether some bond is much longer than the usual one, as in a cage laid flat."""
    lengths = [float(np.linalg.norm(places[i] - places[j])) for i, j in bonds]
    return bool(lengths) and max(lengths) > _LONGEST * float(np.median(lengths))


def _shape(element: ElementTree.Element, line: float) -> Shape | None:
    tag = element.tag.rpartition("}")[2]
    style = {**element.attrib, **dict(part.split(":", 1) for part in element.get("style", "").split(";") if part)}
    if tag == "path":
        points, codes = _path(style["d"])
    elif tag in ("ellipse", "circle"):
        points, codes = _ellipse(style)
    else:
        return None
    fill, stroke = (None if style.get(key, "none") == "none" else style[key] for key in ("fill", "stroke"))
    width = float(style.get("stroke-width", "0").removesuffix("px")) / _FINE
    dashes = tuple(float(d) / _FINE for d in style.get("stroke-dasharray", "").replace(",", " ").split())
    text = tag == "path" and "stroke" not in style
    # Widths come in multiples of the plain bond's.
    return Shape(points / _FINE, codes, fill, stroke, width * line, dashes, text, text and fill == _NOTE)


def _path(d: str) -> tuple[NDArray[np.float64], list[int]]:
    tokens = _NUMBER.findall(d)
    points: list[tuple[float, float]] = []
    codes: list[int] = []
    at, command = 0, "M"
    sizes = {"M": ("1", 1), "L": ("2", 1), "Q": ("3", 2), "C": ("4", 3)}
    while at < len(tokens):
        if tokens[at].isalpha():
            command, at = tokens[at], at + 1
            if command == "Z":
                points.append(points[-1])
                codes.append(79)
                continue
        code, size = sizes[command]
        values = [float(token) for token in tokens[at : at + 2 * size]]
        points += zip(values[::2], values[1::2], strict=True)
        codes += [int(code)] * size
        at += 2 * size
    return np.array(points), codes


def _ellipse(style: dict[str, str]) -> tuple[NDArray[np.float64], list[int]]:
    angles = np.linspace(0, 2 * np.pi, 33)
    radii = float(style.get("rx", style.get("r", 0))), float(style.get("ry", style.get("r", 0)))
    centre = float(style["cx"]), float(style["cy"])
    return np.stack([np.cos(angles), np.sin(angles)], -1) * radii + centre, [1] + [2] * 32
