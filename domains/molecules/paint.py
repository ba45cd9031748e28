"""Relevance painted beneath and above a structural formula, and the scale beside it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.domains.captions import fit, number
from sciexplain.domains.colormap import relevance_colours
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.skeleton import Shape, Skeleton
from sciexplain.domains.molecules.values import Part
from sciexplain.domains.molecules.walk_curves import curves

BAR_HEIGHT = 40.0
TEXT: dict[str, Any] = {"color": "#222222", "parse_math": False, "linespacing": 1.15}

# Black lines stay readable (contrast of 5 and more) on the map up to here.
_PALE = 0.75
_DISC, _RIM, _BAND = 0.30, 0.44, 0.20
_RINGS = 8
_FAR = 0.1
"""Pairs without a bond are shown from this share of the scale on."""
_MOST_FAR = 24
_HINTED = 0.92
"""On a screen letters stand on whole pixels and need more room than their outlines say."""


def ground(values: NDArray[np.float64] | float, limit: float) -> NDArray[np.float64]:
    """sRGB in 0..1 for what lies beneath black lines: the map's paler three quarters."""
    table = relevance_colours()
    place = (np.clip(np.asarray(values) / limit, -1, 1) * _PALE + 1) / 2 * (len(table) - 1)
    return np.stack([np.interp(place, np.arange(len(table)), table[:, c]) for c in range(3)], axis=-1)


def walk_colour(value: float) -> tuple[float, float, float]:
    """Of a curve: its sign."""
    red, green, blue = relevance_colours()[-12 if value >= 0 else 11].tolist()
    return red, green, blue


def symbol(molecule: Molecule, atom: int) -> str:
    """Of the element; ``*`` where there is none."""
    chem: Any = require("rdkit.Chem", extra="molecules")
    return str(chem.GetPeriodicTable().GetElementSymbol(int(molecule.numbers[atom])))


@contextmanager
def quiet() -> Iterator[None]:
    """Let a name in a script that the font lacks show boxes, without a warning for each letter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def plain(text: str) -> str:
    """Control characters become spaces: no page can hold them."""
    return "".join(c if c.isprintable() else " " for c in text)


def fitted(text: str, width: float, size: float, lines: int) -> str:
    """A text for ``width`` px; what is too long loses its middle."""
    with quiet():
        return fit(plain(text), _HINTED * width / 72, size, lines)


def paint(page: Any, paper: Skeleton, part: Part, limit: float, at: tuple[float, float]) -> int:
    """Put a molecule on a page whose unit is px, its corner at ``at``; returns how many pairs it does not show."""
    from matplotlib.collections import EllipseCollection, LineCollection

    length, places = paper.bond_length, paper.places + at
    if paper.order is not None:
        _balls(page, paper, part, limit, places)
    near = [pair for pair in part.bonds if pair in paper.bonds]
    if near and paper.order is None:
        bands = LineCollection(
            [places[list(pair)] for pair in near],
            linewidths=_BAND * length,
            colors=ground(np.array([part.bonds[pair] for pair in near]), limit),
            capstyle="round",
            zorder=2 + (_RINGS - 0.5) / 100,  # above the rims, below the discs
        )
        page.add_collection(bands)
    if part.atoms is not None and paper.order is None:
        colours = ground(part.atoms, limit)
        # Weak over strong would hide the strong where discs meet.
        order = np.argsort(np.abs(part.atoms))
        for ring in range(_RINGS + 1):
            radius = _RIM + (_DISC - _RIM) * ring / _RINGS
            alpha = 1.0 if ring == _RINGS else 0.16
            discs = EllipseCollection(
                2 * radius * length,
                2 * radius * length,
                0,
                units="xy",
                offsets=places[order],
                offset_transform=page.transData,
                facecolors=colours[order],
                alpha=alpha,
                linewidths=0,
                zorder=2 + ring / 100,
            )
            page.add_collection(discs)
    far = sorted(((pair, value) for pair, value in part.bonds.items() if pair not in paper.bonds), key=_strength)
    shown = [item for item in far if abs(item[1]) >= _FAR * limit][-_MOST_FAR:]
    for pair, value in shown:
        _arc(page, places[list(pair)], value / limit, length)
    _shapes(page, [shape for shape in paper.shapes if not shape.text], at, 4)
    if part.walks:
        _walks(page, paper, part, at)
    _shapes(page, [shape for shape in paper.shapes if shape.text], at, 6, outlined=bool(part.walks))
    return len(far) - len(shown)


def colour_bar(page: Any, top: tuple[float, float], width: float, limit: float, unit: str, hidden: str = "") -> None:
    """A horizontal bar with its numbers and ``relevance`` below it, ``BAR_HEIGHT`` px in all."""
    from matplotlib.colors import ListedColormap

    x, y = top[0] - width / 2, top[1] + 6
    steps = np.linspace(-limit, limit, 2 * 96 + 1)
    page.pcolormesh(
        np.linspace(x, x + width, len(steps) + 1),
        [y, y + 7],
        steps[None],
        cmap=ListedColormap(ground(steps, limit)),
        edgecolors="face",
        linewidth=0.1,
    )
    for place, label in ((x, number(-limit)), (x + width / 2, "0"), (x + width, "+" + number(limit))):
        page.plot([place] * 2, [y + 7, y + 10], color="#555555", linewidth=0.7)
        page.text(place, y + 11, label, size=8, ha="center", va="top", **TEXT)
    name = f"relevance ({unit})" if unit else "relevance"
    name += hidden
    page.text(top[0], y + 22, fitted(name, 2 * width, 8, 1), size=8, ha="center", va="top", **TEXT)


def _strength(item: tuple[tuple[int, int], float]) -> float:
    return abs(item[1])


def _shapes(page: Any, shapes: list[Shape], at: tuple[float, float], zorder: float, outlined: bool = False) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    for shape in shapes:
        path = Path(shape.points + at, shape.codes)
        if outlined or shape.note:
            look = {"facecolor": "white", "edgecolor": "white", "linewidth": 2.2, "alpha": 0.85}
            page.add_patch(PathPatch(path, **look, joinstyle="round", snap=False, zorder=zorder - 0.1))
        page.add_patch(
            PathPatch(
                path,
                facecolor=shape.fill or "none",
                edgecolor=shape.stroke or "none",
                linewidth=shape.width,
                linestyle=(0, [d / shape.width for d in shape.dashes]) if shape.dashes and shape.width else "solid",
                capstyle="round",
                joinstyle="round",
                snap=False,  # or letters of few pixels lose their bars
                zorder=zorder,
            )
        )


def _balls(page: Any, paper: Skeleton, part: Part, limit: float, places: NDArray[np.float64]) -> None:
    """Balls and sticks from the farthest to the nearest; sticks only where they can be told apart."""
    from matplotlib.patches import Circle

    assert paper.order is not None
    length = paper.bond_length
    height = {int(atom): rank / len(paper.order) for rank, atom in enumerate(paper.order)}
    crowded = len(paper.bonds) > 2 * len(paper.order)
    radius = length * (0.45 if crowded else 0.30)
    colours = np.full((len(places), 3), 0.97) if part.atoms is None else ground(part.atoms, limit)
    ink = {"color": "#222222", "solid_capstyle": "butt"}
    for pair in sorted(paper.bonds):
        if crowded and pair not in part.bonds:
            continue
        ends = places[list(pair)]
        back = 2 + min(height[pair[0]], height[pair[1]])
        stick = ground(part.bonds.get(pair, 0.0), limit)
        page.plot(*ends.T, linewidth=0.20 * length + 1.4, zorder=back, **ink)
        page.plot(*ends.T, linewidth=0.20 * length, color=stick, solid_capstyle="butt", zorder=back + 1e-4)
    for i, place in enumerate(places):
        level = 2 + height[i] + 5e-4
        page.add_patch(Circle(place, radius, facecolor=colours[i], edgecolor="#222222", linewidth=0.8, zorder=level))
        text = f"{symbol(part.molecule, i)}{i}" if i in paper.numbered else symbol(part.molecule, i)
        size = min(10.0, 1.15 * radius / max(1.0, 0.55 * len(text)))
        page.text(*place, text, size=size, ha="center", va="center_baseline", zorder=level, clip_on=True, **TEXT)


def _arc(page: Any, ends: NDArray[np.float64], share: float, length: float) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    step = ends[1] - ends[0]
    middle = ends.mean(0) + 0.18 * np.array([-step[1], step[0]])
    page.add_patch(
        PathPatch(
            Path([ends[0], middle, ends[1]], [1, 3, 3]),
            facecolor="none",
            edgecolor=walk_colour(share),
            linewidth=0.5 + 0.06 * length * min(abs(share), 1.0),
            linestyle=(0, (2.5, 1.5)),
            alpha=0.35 + 0.5 * min(abs(share), 1.0),
            zorder=3,
        )
    )


def _walks(page: Any, paper: Skeleton, part: Part, at: tuple[float, float]) -> None:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    length = paper.bond_length
    most = abs(part.walks[0][1]) or 1.0
    lines = curves([walk for walk, _ in part.walks], paper)
    # The strongest last: on top.
    for rank, ((_, value), line) in reversed(list(enumerate(zip(part.walks, lines, strict=True)))):
        points = line + at
        share = abs(value) / most
        width = max(0.5, 0.10 * length * share)
        look = {"zorder": 5 - rank / (len(lines) + 1) / 2, "alpha": 0.45 + 0.5 * share}
        colour = walk_colour(value)
        if len(points) > 1:
            codes = [1] + [4] * (len(points) - 1)
            page.add_patch(
                PathPatch(
                    Path(points, codes), facecolor="none", edgecolor=colour, linewidth=width, capstyle="round", **look
                )
            )
            page.add_patch(Polygon(_arrowhead(points, width, length), closed=True, color=colour, linewidth=0, **look))
        page.plot(*points[0], "o", color=colour, markersize=width + 0.06 * length, markeredgewidth=0, **look)


def _arrowhead(points: NDArray[np.float64], width: float, length: float) -> NDArray[np.float64]:
    along = points[-1] - points[-2]
    along = along / max(float(np.linalg.norm(along)), 1e-9)
    aside = np.array([-along[1], along[0]])
    size = width + 0.10 * length
    return points[-1] + np.array([along * size, aside * size * 0.6, -aside * size * 0.6])
