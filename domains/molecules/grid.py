"""Sheets of molecules with one colour bar."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from sciexplain.domains.molecules.draw import Drawing, blank
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.paint import BAR_HEIGHT, TEXT, colour_bar, fitted, paint
from sciexplain.domains.molecules.skeleton import skeleton
from sciexplain.domains.molecules.values import Bonds, Part, checked, full_colour
from sciexplain.errors import InputError

Item = Drawing | tuple[Molecule, ArrayLike | None, Bonds | None]

MAX_MOLECULES = 200

_MARGIN, _TITLE, _CAPTION, _LINE = 12.0, 12.0, 8.5, 1.35
_BOND = 30.0


def grid(
    items: Sequence[Item],
    columns: int = 4,
    *,
    captions: Sequence[str] | None = None,
    unit: str | None = None,
    title: str = "",
    limit: float | None = None,
    size: tuple[int, int] = (240, 200),
    numbers: bool = False,
) -> Drawing:
    """Draw molecules side by side, all on one scale of colours.

    Parameters
    ----------
    items
        Drawings, or (molecule, atoms, bonds) as for :func:`~sciexplain.domains.molecules.draw.draw`.
    columns
        At most so many in a row.
    captions
        One below each molecule; None takes the drawings' titles and the molecules' names.
    unit
        Of the relevance; None takes that of the drawings.
    title
        Above all.
    limit
        The number that gets the full colour; None: the largest of all.
    size
        Width and height of one molecule in px, without its caption.
    numbers
        Whether to number all atoms, from 0.

    Raises
    ------
    InputError
        No molecules, more than 200, drawings in different units, or another number of captions.
    """
    parts = [part for item in items for part in _parts(item, numbers)]
    if not 0 < len(parts) <= MAX_MOLECULES:
        raise InputError(f"{len(parts)} molecules on one sheet; expected 1 to {MAX_MOLECULES}")
    if columns < 1 or min(size) < 60:
        raise InputError(f"columns={columns}, size={size}; expected at least 1 column and 60 px each way")
    units = {item.unit for item in items if isinstance(item, Drawing)}
    if unit is None:
        if len(units) > 1:
            raise InputError(f"drawings in {sorted(units)}; expected one unit for one colour bar")
        unit = next(iter(units), "")
    if captions is not None and len(captions) != len(parts):
        raise InputError(f"{len(captions)} captions for {len(parts)} molecules; expected one for each")
    texts = [part.title or part.molecule.name for part in parts] if captions is None else list(captions)
    limit = full_colour(limit, [part.largest for part in parts if part.coloured])

    columns = min(columns, len(parts))
    rows = -(-len(parts) // columns)
    lines = [fitted(text, size[0] - 16, _CAPTION, 2) for text in texts]
    caption = (max(line.count("\n") + 1 for line in lines) * _LINE * _CAPTION + 8) if any(lines) else 0.0
    coloured = any(part.coloured for part in parts)
    width = columns * size[0] + 2 * _MARGIN
    head = fitted(title, width - 2 * _MARGIN, _TITLE, 2)
    top = _MARGIN + ((head.count("\n") + 1) * _TITLE * _LINE + 4 if head else 0)
    height = top + rows * (size[1] + caption) + (BAR_HEIGHT if coloured else 0) + _MARGIN
    page = blank(width, height)
    if head:
        page.text(width / 2, _MARGIN, head, size=_TITLE, ha="center", va="top", **TEXT)
    unseen = 0
    for place, (part, text) in enumerate(zip(parts, lines, strict=True)):
        x, y = _MARGIN + place % columns * size[0], top + place // columns * (size[1] + caption)
        shown = range(len(part.molecule)) if part.numbers else ()
        paper = skeleton(part.molecule, size[0], size[1], shown, _BOND)
        unseen += paint(page, paper, part, limit, (x, y))
        page.text(x + size[0] / 2, y + size[1] + 2, text, size=_CAPTION, ha="center", va="top", **TEXT)
    if coloured:
        hidden = f"; {unseen} weak pairs not drawn" if unseen else ""
        colour_bar(page, (width / 2, height - _MARGIN - BAR_HEIGHT), min(240.0, width * 0.6), limit, unit, hidden)
    return Drawing(page.figure, tuple(parts), unit)


def _parts(item: Item, numbers: bool) -> Sequence[Part]:
    if isinstance(item, Drawing):
        return item.parts
    molecule, atoms, bonds = item
    return [checked(molecule, atoms, bonds, numbers=numbers)]
