"""Molecules in three dimensions: one page that needs no network and no server."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexplain._optional import require
from sciexplain.domains.captions import number
from sciexplain.domains.colormap import relevance_colours
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.skeleton import bonded
from sciexplain.domains.molecules.values import Bonds, Part, checked, full_colour
from sciexplain.errors import InputError

_PLAIN = "#b9c0c7"
_FAR, _MOST_FAR = 0.1, 24


@dataclass(frozen=True)
class Volume:
    """Numbers on a grid in space.

    Attributes
    ----------
    values
        (nx, ny, nz).
    origin
        (3,) place of ``values[0, 0, 0]``, in Å.
    steps
        (3, 3): from one value to the next along each axis, in Å as rows; or (3,) along x, y and z.
    unit
        Of the values.
    """

    values: NDArray[np.float64]
    origin: NDArray[np.float64]
    steps: NDArray[np.float64]
    unit: str = ""

    def __post_init__(self) -> None:
        values, origin, steps = (np.asarray(part, dtype=np.float64) for part in (self.values, self.origin, self.steps))
        steps = np.diag(steps) if steps.shape == (3,) else steps
        if values.ndim != 3 or min(values.shape) < 2 or origin.shape != (3,) or steps.shape != (3, 3):
            raise InputError(
                f"a volume of values {values.shape}, origin {origin.shape}, steps {steps.shape}; "
                "expected (nx, ny, nz) of at least 2 each, (3,) and (3, 3) or (3,)"
            )
        if not (np.isfinite(values).all() and np.isfinite(origin).all() and np.isfinite(steps).all()):
            raise InputError("a volume with numbers that are not finite; expected finite values, origin and steps")
        for name, part in (("values", values), ("origin", origin), ("steps", steps)):
            object.__setattr__(self, name, part)


def view(
    molecule: Molecule,
    atoms: ArrayLike | None = None,
    bonds: Bonds | None = None,
    *,
    unit: str = "",
    title: str = "",
    limit: float | None = None,
    volume: Volume | None = None,
) -> str:
    """A page with the molecule as balls and sticks to turn and to point at, and a table of its atoms.

    Balls and sticks are red where relevance is positive and blue where it is negative. Everything is inside the page
    (3Dmol.js too, half a megabyte); its Content-Security-Policy lets it load nothing and run nothing else.

    Parameters
    ----------
    molecule
        With positions, or with an RDKit molecule that has a three-dimensional conformer.
    atoms
        (n,) relevance; None colours atoms by what stays on them in ``bonds``.
    bonds
        Relevance of pairs (i, j); pairs without a bond are dashed lines, if they reach a tenth of the scale.
    unit
        Of the relevance.
    title
        Above all; the molecule's name if empty.
    limit
        The number that gets the full colour; None: the largest.
    volume
        Shown as a surface of equal value at either sign.

    Raises
    ------
    InputError
        No geometry, or values that do not fit the molecule.

    References
    ----------
    Rego & Koes, *3Dmol.js: molecular visualization with WebGL*, Bioinformatics 31, 1322 (2015).

    Examples
    --------
    >>> import numpy as np
    >>> water = Molecule(np.array([8, 1, 1]), "water", positions=np.array([[0, 0, 0], [0, 0, 0.96], [0.93, 0, -0.24]]))
    >>> page = view(water, [-1.0, 0.5, 0.25], unit="eV")
    >>> page[:15], "<title>water</title>" in page
    ('<!doctype html>', True)
    """
    part = checked(molecule, atoms, bonds)
    limit = full_colour(limit, part.largest)
    title = title or molecule.name or "molecule"
    content = _content(part, limit, unit, volume)
    stops = ", ".join(_hex(colour) for colour in relevance_colours()[::16])
    style = _fill(_template("view3d.css"), {"colours": stops})
    library, program = _template("3Dmol-min.js"), _template("view3d.js")
    hashes = [_hash(text) for text in (library, program)]
    policy = (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src {_hash(style)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    rows = [_row(i, atom["symbol"], atom["relevance"]) for i, atom in enumerate(content["atoms"])]
    of_unit = f" ({unit})" if unit else ""
    return _fill(
        _template("view3d.html"),
        {
            "policy": policy,
            "title": escape(title),
            "style": style,
            "scaled": "" if part.coloured else "hidden",
            "low": number(-limit),
            "high": f"+{number(limit)}",
            "quantity": escape(f"relevance{of_unit}"),
            "column": escape(f"Relevance{of_unit}"),
            "rows": "\n".join(rows),
            "data": _json(content),
            "licence": escape(_template("3Dmol-LICENSE.txt")).replace("--", "- -"),
            "library": library,
            "program": program,
        },
    )


def _content(part: Part, limit: float, unit: str, volume: Volume | None) -> dict[str, Any]:
    """What the page's program reads."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    molecule = part.molecule
    positions = geometry(molecule)
    table = chem.GetPeriodicTable()
    mol = chem.Mol(molecule.mol) if molecule.mol is not None else bonded(molecule)
    with suppress(ValueError):  # what stays aromatic is drawn with single bonds
        chem.Kekulize(mol)
    relevance: list[float | None] = [None] * len(molecule) if part.atoms is None else part.atoms.tolist()
    atoms = [
        {
            "symbol": table.GetElementSymbol(z),
            "x": x,
            "y": y,
            "z": height,
            "relevance": value,
            "colour": _colour(value, limit),
            "radius": round(0.2 + 0.25 * table.GetRcovalent(z), 3),
        }
        for z, (x, y, height), value in zip(molecule.numbers.tolist(), positions.tolist(), relevance, strict=True)
    ]
    bonds, near = [], set()
    for bond in mol.GetBonds():
        i, j = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        near.add((i, j))
        order = int(bond.GetBondTypeAsDouble())
        bonds.append([i, j, order if order in (1, 2, 3) else 1, _colour(part.bonds.get((i, j)), limit)])
    far = [(pair, v) for pair, v in part.bonds.items() if pair not in near and abs(v) >= _FAR * limit]
    far = sorted(far, key=lambda item: -abs(item[1]))[:_MOST_FAR]
    pairs = [[i, j, _colour(np.sign(v), 1.0), round(0.02 + 0.06 * min(abs(v) / limit, 1), 4)] for (i, j), v in far]
    return {
        "unit": unit,
        "atoms": atoms,
        "bonds": bonds,
        "pairs": pairs,
        "volume": None if volume is None else _volume(volume),
    }


def geometry(molecule: Molecule) -> NDArray[np.float64]:
    """(n, 3) positions in Å, the molecule's own or those of its RDKit conformer.

    Raises
    ------
    InputError
        There are none.
    """
    if molecule.positions is not None:
        return np.asarray(molecule.positions, dtype=np.float64)
    if molecule.mol is not None and molecule.mol.GetNumConformers() and molecule.mol.GetConformer().Is3D():
        return np.asarray(molecule.mol.GetConformer().GetPositions(), dtype=np.float64)
    raise InputError(
        f"{molecule.name or 'molecule'!r} without a geometry; expected positions: read it from SDF or XYZ, or embed it "
        "with rdkit.Chem.AllChem.EmbedMolecule"
    )


def _volume(volume: Volume) -> dict[str, Any]:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = volume.steps.T, volume.origin
    colours = relevance_colours()
    return {
        "size": list(volume.values.shape),
        "matrix": matrix.ravel().tolist(),
        "values": base64.b64encode(volume.values.astype("<f4").tobytes()).decode(),
        "largest": float(np.abs(volume.values).max()) or 1.0,
        "unit": volume.unit,
        "negative": _hex(colours[0]),
        "positive": _hex(colours[-1]),
    }


def _row(index: int, symbol: str, relevance: float | None) -> str:
    value = "" if relevance is None else f"{relevance:+.4g}".replace("-", "−")
    return f'<tr data-index="{index}"><td>{index}</td><td>{escape(symbol)}</td><td>{value}</td></tr>'


def _colour(value: float | None, limit: float) -> str:
    if value is None:
        return _PLAIN
    table = relevance_colours()
    middle = len(table) // 2
    return _hex(table[middle + round(float(np.clip(value / limit, -1, 1)) * middle)])


def _hex(colour: NDArray[np.float64]) -> str:
    return "#" + "".join(f"{round(255 * float(np.clip(part, 0, 1))):02x}" for part in colour)


def _json(content: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(content, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    """A source of a Content-Security-Policy: exactly this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _template(name: str) -> str:
    return files("sciexplain.domains.molecules").joinpath("templates", name).read_text(encoding="utf-8")


def _fill(template: str, parts: dict[str, str]) -> str:
    # In one go: what is filled in is never looked through again.
    return re.sub(r"\{\{ (\w+) \}\}", lambda match: parts[match[1]], template)
