"""Pictures of searches: pairs with what changed marked, two searches side by side, and how they went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sciexplain._optional import require
from sciexplain.domains.captions import number
from sciexplain.domains.molecules.design.counterfactuals import Counterfactual, Counterfactuals
from sciexplain.domains.molecules.design.result import Design, caption
from sciexplain.domains.molecules.draw import Drawing, blank
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.paint import TEXT, fitted, paint
from sciexplain.domains.molecules.read import read_one
from sciexplain.domains.molecules.skeleton import flat, skeleton
from sciexplain.domains.molecules.values import Part
from sciexplain.errors import InputError

GOES, COMES = "#f6b26b", "#8fd19e"
"""Colours of what is taken away and what is put in; none of the relevance's."""

_MARGIN, _TITLE, _HEAD, _CAPTION, _LINE = 12.0, 12.0, 10.0, 8.5, 1.35
_BOND = 30.0
_DISC, _BAND = 0.36, 0.26
_STRETCHED, _CLEAR = 1.25, 0.4
"""Bonds longer or shorter by more, and atoms nearer than this, in bonds: the common layout does not fit."""


@dataclass(frozen=True)
class _Cell:
    """A molecule with a caption below; some of its atoms and bonds are marked in a colour."""

    molecule: Molecule
    caption: str
    atoms: frozenset[int] = frozenset()
    bonds: tuple[tuple[int, ...], ...] = ()
    colour: str = GOES


def pairs(found: Counterfactuals, columns: int = 2, size: tuple[int, int] = (210, 180)) -> Drawing:
    """Each counterfactual beside the original, laid out alike: orange goes, green comes.

    Parameters
    ----------
    columns
        Pairs in a row.
    size
        Width and height of one molecule in px, without its caption.

    Raises
    ------
    InputError
        Nothing was found, or no columns.
    """
    if not found.found:
        raise InputError(f"no counterfactual among {found.asked} molecules; there is nothing to draw")
    if columns < 1:
        raise InputError(f"columns={columns}; expected 1 or more")
    original = read_one(found.smiles)
    original = replace(original, mol=_on_paper(flat(original), original.mol))
    unit = f" {found.unit}" if found.unit else ""
    cells = []
    for one in found.found:
        change = one.change
        gone = change.removed.union(i for i, _ in change.replaced)
        new = change.added.union(j for _, j in change.replaced)
        before = f"{number(found.prediction)}{unit}{_class(found.label)}"
        after = f"{number(one.prediction)}{unit}{_class(one.label)}, similarity {one.similarity:.2f}\n{change.text}"
        cells.append(_Cell(original, before, gone, tuple(pair for pair, _ in change.bonds if pair)))
        cells.append(_Cell(_beside(original, one), after, new, tuple(pair for _, pair in change.bonds if pair), COMES))
    columns = min(columns, len(found.found))
    return _sheet(
        [("", cells)], 2 * columns, size, f"{found.smiles}: what takes the model {found.question}", arrows=True
    )


def beside(
    designs: Sequence[Design],
    k: int = 6,
    columns: int = 6,
    *,
    alike: float = 0.6,
    title: str = "",
    size: tuple[int, int] = (200, 150),
) -> Drawing:
    """The best molecules of several searches, one below the other, such as without a prior and with one.

    Raises
    ------
    InputError
        No search has found anything.
    """
    sections = [
        (design.title, [_Cell(read_one(one.smiles), caption(one, design.unit)) for one in design.diverse(k, alike)])
        for design in designs
        if design.molecules
    ]
    if not sections:
        raise InputError("No search has found a molecule that keeps all rules; there is nothing to draw.")
    return _sheet(sections, columns, size, title)


def traces(designs: Sequence[Design], *, size: tuple[int, int] = (460, 300)) -> Drawing:
    """Best (line) and mean (dashes) of each generation, and the best of the start (dots)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(size[0] / 72, size[1] / 72), dpi=72, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for design, colour in zip(designs, ("#1b6ca8", "#c8553d", "#3f8f4f", "#7a5195"), strict=False):
        known = [(g.step, g.best, g.mean) for g in design.trace if g.best is not None and g.mean is not None]
        steps, best, mean = (list(values) for values in zip(*known, strict=True)) if known else ([], [], [])
        label = "valid" if design.prior is None else "valid and usual"
        axes.plot(steps, best, color=colour, linewidth=1.8, label=f"{label}: best")
        axes.plot(steps, mean, "--", color=colour, linewidth=1.1, label=f"{label}: mean")
        if design.start is not None:
            axes.axhline(design.start, color=colour, linestyle=":", linewidth=1.0, alpha=0.8)
    unit = next((f" ({design.unit})" for design in designs if design.unit), "")
    axes.set(xlabel="generation", ylabel=f"{next((d.task for d in designs if d.task), 'prediction')}{unit}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return Drawing(figure, ())


def _sheet(
    sections: Sequence[tuple[str, Sequence[_Cell]]],
    columns: int,
    size: tuple[int, int],
    title: str,
    *,
    arrows: bool = False,
) -> Drawing:
    columns = min(columns, max(len(cells) for _, cells in sections))
    width = columns * size[0] + 2 * _MARGIN
    texts = [[_lines(cell.caption, size[0] - 12) for cell in cells] for _, cells in sections]
    room = max(text.count("\n") + 1 for found in texts for text in found) * _CAPTION * _LINE + 10
    head = fitted(title, width - 2 * _MARGIN, _TITLE, 2) if title else ""
    top = _MARGIN + ((head.count("\n") + 1) * _TITLE * _LINE + 4 if head else 0)
    foot = 26.0 if arrows else 0.0
    tall = [-(-len(cells) // columns) * (size[1] + room) + (_HEAD * _LINE + 6) * bool(name) for name, cells in sections]
    page = blank(width, top + sum(tall) + foot + _MARGIN)
    if head:
        page.text(width / 2, _MARGIN, head, size=_TITLE, ha="center", va="top", **TEXT)
    parts = []
    for (name, cells), found, height in zip(sections, texts, tall, strict=True):
        y = top
        if name:
            line = fitted(name, width - 2 * _MARGIN, _HEAD, 1)
            page.text(_MARGIN, y, line, size=_HEAD, ha="left", va="top", weight="bold", **TEXT)
            y += _HEAD * _LINE + 6
        for place, (cell, text) in enumerate(zip(cells, found, strict=True)):
            x, corner = _MARGIN + place % columns * size[0], y + place // columns * (size[1] + room)
            parts.append(_put(page, cell, size, (x, corner)))
            page.text(x + size[0] / 2, corner + size[1] + 2, text, size=_CAPTION, ha="center", va="top", **TEXT)
            if arrows and place % 2 == 0:
                _arrow(page, (x + size[0], corner + size[1] / 2))
        top += height
    if arrows:
        _legend(page, width / 2, top + 12)
    return Drawing(page.figure, tuple(parts))


def _put(page: Any, cell: _Cell, size: tuple[int, int], at: tuple[float, float]) -> Part:
    from matplotlib.collections import EllipseCollection, LineCollection

    paper = skeleton(cell.molecule, size[0] - 16, size[1], (), _BOND)
    corner = (at[0] + 8, at[1])
    places, length = paper.places + corner, paper.bond_length
    inner = [pair for pair in paper.bonds if set(pair) <= cell.atoms] + list(cell.bonds)
    if inner:
        ends = [places[list(pair)] for pair in inner]
        page.add_collection(
            LineCollection(ends, linewidths=_BAND * 2 * length, colors=cell.colour, capstyle="round", zorder=2)
        )
    if cell.atoms:
        across = 2 * _DISC * length
        page.add_collection(
            EllipseCollection(
                across,
                across,
                0,
                units="xy",
                offsets=places[sorted(cell.atoms)],
                offset_transform=page.transData,
                facecolors=cell.colour,
                linewidths=0,
                zorder=2,
            )
        )
    part = Part(cell.molecule, None, {}, [], title=cell.molecule.name)
    paint(page, paper, part, 1.0, corner)
    return part


def _arrow(page: Any, at: tuple[float, float]) -> None:
    look = {"arrowstyle": "-|>", "color": "#555555", "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    page.annotate("", xy=(at[0] + 9, at[1]), xytext=(at[0] - 9, at[1]), arrowprops=look, zorder=8)


def _legend(page: Any, x: float, y: float) -> None:
    for place, colour, text in ((x - 70, GOES, "goes"), (x + 20, COMES, "comes")):
        page.plot([place], [y], "o", color=colour, markersize=9, markeredgewidth=0)
        page.text(place + 10, y, text, size=_CAPTION, va="center_baseline", **TEXT)


def _lines(text: str, width: float) -> str:
    """A caption whose lines are fitted one by one."""
    return "\n".join(fitted(line, width, _CAPTION, 1) for line in text.split("\n"))


def _class(label: int | None) -> str:
    return "" if label is None else f" (class {label})"


def _on_paper(drawn: Any, mol: Any) -> Any:
    """The molecule with the coordinates of its drawing."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    made = chem.Mol(mol)
    made.RemoveAllConformers()
    made.AddConformer(chem.Conformer(drawn.GetConformer()))
    return made


def _beside(original: Molecule, one: Counterfactual) -> Molecule:
    """A counterfactual whose common atoms lie as those of the original; as usual where they cannot."""
    depictor: Any = require("rdkit.Chem.rdDepictor", extra="molecules")
    chem: Any = require("rdkit.Chem", extra="molecules")
    molecule = read_one(one.smiles)
    if not all(pair and other for pair, other in one.change.bonds):
        return molecule  # a ring that opens or closes takes another shape
    made = chem.Mol(molecule.mol)
    try:
        depictor.GenerateDepictionMatching2DStructure(made, original.mol, atomMap=list(one.change.same))
    except (ValueError, RuntimeError):
        return molecule
    places = np.asarray(made.GetConformer().GetPositions())[:, :2]
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1) + 9 * np.eye(len(places))
    ends = np.array([(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in made.GetBonds()]).reshape(-1, 2)
    lengths = apart[ends[:, 0], ends[:, 1]]
    usual = float(np.median(lengths)) if len(lengths) else 1.5
    torn = len(lengths) and (lengths.max() > _STRETCHED * usual or lengths.min() * _STRETCHED < usual)
    return molecule if torn or apart.min() < _CLEAR * usual else replace(molecule, mol=made)
