"""Structural formulae with relevance: atoms and bonds coloured, walks as curves."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from sciexplain.domains.captions import number
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.paint import (
    BAR_HEIGHT,
    TEXT,
    colour_bar,
    fitted,
    paint,
    plain,
    quiet,
    symbol,
    walk_colour,
)
from sciexplain.domains.molecules.skeleton import skeleton
from sciexplain.domains.molecules.values import Bonds, Part, Walks, checked, full_colour
from sciexplain.errors import DataError, InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLE, _SMALL, _LINE = 11.0, 8.5, 1.35
_LISTED = 6
_MARGIN = 12.0


@dataclass(frozen=True)
class Drawing:
    """A picture of molecules: SVG in notebooks, PNG or a file on demand.

    Attributes
    ----------
    figure
        For matplotlib, one point per px.
    parts
        What is drawn.
    unit
        Of the relevance.
    """

    figure: Figure = field(repr=False)
    parts: tuple[Part, ...] = field(repr=False)
    unit: str = ""

    @cached_property
    def svg(self) -> str:
        """One ``<svg>`` element, ready for a file or a page; the same values give the same text."""
        text = self._written("svg", metadata={"Date": None, "Title": plain(self.title) or "relevance"}).decode()
        # Without the prolog it can stand inside HTML; matplotlib counts in points what is meant as px.
        return re.sub(r'((?:width|height)="[\d.]+)pt"', r'\1"', text[text.index("<svg") :], count=2)

    @property
    def title(self) -> str:
        """Of all molecules in it."""
        return ", ".join(filter(None, (part.title for part in self.parts)))

    def png(self, scale: float = 2.0) -> bytes:
        """PNG with ``scale`` times as many pixels as the size says."""
        if not 0 < scale <= 20:
            raise InputError(f"scale={scale}; expected above 0, at most 20")
        return self._written("png", dpi=72 * scale)

    def save(self, path: str | os.PathLike[str], *, scale: float = 3.0) -> Path:
        """Write ``.svg``, ``.pdf`` or ``.png`` (with ``scale`` times as many pixels as the size says).

        Raises
        ------
        InputError
            Another suffix.
        DataError
            The folder does not exist.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in (".svg", ".png", ".pdf"):
            raise InputError(f"{path.name}: expected .svg, .png or .pdf")
        if not path.parent.is_dir():
            raise DataError(f"{path}: the folder {path.parent} does not exist; make it first")
        if suffix == ".svg":
            path.write_text(self.svg, encoding="utf-8")
        elif suffix == ".png":
            path.write_bytes(self.png(scale))
        else:
            path.write_bytes(self._written("pdf", metadata={"CreationDate": None}))
        return path

    def _repr_svg_(self) -> str:
        return self.svg

    def _written(self, format: str, **options: Any) -> bytes:
        from matplotlib import rc_context

        buffer = io.BytesIO()
        fixed: Any = {"svg.hashsalt": "sciexplain", "svg.fonttype": "path", "savefig.bbox": None}
        with rc_context(fixed), quiet():
            self.figure.savefig(buffer, format=format, facecolor="white", **options)
        return buffer.getvalue()


def draw(
    molecule: Molecule,
    atoms: ArrayLike | None = None,
    bonds: Bonds | None = None,
    walks: Walks | None = None,
    *,
    unit: str = "",
    title: str = "",
    limit: float | None = None,
    size: tuple[int, int] = (480, 400),
    legend: bool = True,
    numbers: bool = False,
) -> Drawing:
    """Draw a molecule's structural formula, red where relevance is positive and blue where it is negative.

    Atoms are discs and bonds are bands, coloured on one scale that is symmetric about zero. A pair of atoms without a
    bond is a dashed arc, if it reaches a tenth of the scale. Walks are curves from a dot to an arrowhead, coloured
    by sign and as wide as they are relevant.

    Parameters
    ----------
    molecule
        With bonds, or with positions; these give a formula without double bonds, or a projection where atoms have
        more neighbours than a formula can show.
    atoms
        (n,) relevance; None colours atoms by what stays on them in ``bonds``.
    bonds
        Relevance of pairs (i, j); of pairs (i, i) only where ``atoms`` is None.
    walks
        Tuples of atoms and their relevance. The first of them are listed below, and their atoms are numbered.
    unit
        Of the relevance, for the colour bar.
    title
        Above the molecule.
    limit
        The number that gets the full colour; larger ones get it too. None: the largest.
    size
        Width and height in px.
    legend
        Whether to show the colour bar and to list walks.
    numbers
        Whether to number all atoms, from 0.

    Raises
    ------
    InputError
        Values that do not fit the molecule, a limit not above 0, or a size too small for what it must show.

    Examples
    --------
    >>> import numpy as np
    >>> from rdkit import Chem
    >>> mol = Chem.MolFromSmiles("CO")
    >>> drawing = draw(Molecule(np.array([6, 8]), "CO", mol), [0.5, -1.0], unit="eV")
    >>> drawing.svg[:4], drawing.png()[1:4]
    ('<svg', b'PNG')
    """
    part = checked(molecule, atoms, bonds, walks, title=title, numbers=numbers)
    limit = full_colour(limit, part.largest)
    width, height = size
    lines = fitted(title, width - 2 * _MARGIN, _TITLE, lines=2).split("\n") if title else []
    listed = part.walks[:_LISTED] if legend else []
    rows = len(listed) + (len(part.walks) > _LISTED) if listed else 0
    top = _MARGIN + len(lines) * _TITLE * _LINE
    foot = rows * _SMALL * 1.5 + (8 if rows else 0)
    foot += BAR_HEIGHT if legend and part.coloured else 0
    room = height - top - foot - _MARGIN
    if width < 80 or room < 60:
        raise InputError(f"size={size}; expected at least (80, {round(height - room) + 60}) for what is to be shown")
    page = blank(width, height)
    if lines:
        page.text(width / 2, _MARGIN * 0.8, "\n".join(lines), size=_TITLE, ha="center", va="top", **TEXT)
    shown = range(len(molecule)) if numbers else sorted({i for walk, _ in listed for i in walk})
    paper = skeleton(molecule, width, room, shown)
    unseen = paint(page, paper, part, limit, (0.0, top))
    y = top + room + (8 if rows else 0)
    y = _walk_list(page, part, listed, unit, y, width) if rows else y
    if legend and part.coloured:
        hidden = f"; {unseen} weak pairs not drawn" if unseen else ""
        colour_bar(page, (width / 2, y), min(200.0, width * 0.5), limit, unit, hidden)
    return Drawing(page.figure, (part,), unit)


def blank(width: float, height: float) -> Any:
    """Axes over a whole new figure, measured in px from its top left corner."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.set_axis_off()
    return axes


def _walk_list(
    page: Any, part: Part, listed: Sequence[tuple[tuple[int, ...], float]], unit: str, y: float, width: float
) -> float:
    """A line for each walk: its colour, its atoms, its relevance. Returns where the next thing can stand."""
    values = [number(value) if value < 0 else "+" + number(value) for _, value in listed]
    names = [" → ".join(f"{symbol(part.molecule, i)}{i}" for i in walk) for walk, _ in listed]
    for (_, value), text, name in zip(listed, values, names, strict=True):
        middle = y + _SMALL * 0.65
        line = fitted(f"{text} {unit}".strip() + f"   {name}", width - 2 * _MARGIN - 38, _SMALL, 1)
        page.plot([_MARGIN + 4, _MARGIN + 26], [middle] * 2, color=walk_colour(value), linewidth=2.5)
        page.text(_MARGIN + 34, middle, line, size=_SMALL, va="center_baseline", **TEXT)
        y += _SMALL * 1.5
    if len(part.walks) > len(listed):
        more = f"and {len(part.walks) - len(listed)} with less"
        page.text(_MARGIN + 34, y + _SMALL * 0.65, more, size=_SMALL, va="center_baseline", **TEXT)
        y += _SMALL * 1.5
    return y
