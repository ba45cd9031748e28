"""Pictures of a local chemical potential: its surface from several sides, or slices through a grid."""

from __future__ import annotations

from itertools import chain, combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._optional import require
from sciexplain.domains.molecules.isosurface import ISOVALUE
from sciexplain.domains.molecules.probe_points import NEAREST
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sciexplain.domains.molecules.probe import Potential

Array = NDArray[np.float64]

# Rows of views: what points right and up among the principal axes, and the sign of what points right.
_SIDES = ((("front", 0, 1, 1), ("back", 0, 1, -1)), (("top", 0, 2, 1), ("side", 1, 2, 1)))
_SLICES = ((("front", 0, 1, 1), ("side", 2, 1, -1)), (("top", 0, 2, 1),))
_INK = "0.12"
_GAP, _HEAD, _EDGE = 0.35, 0.26, 0.15  # inches
_RESOLUTION = 0.03  # of slices, in Å


def figure(potential: Potential, *, cmap: str = "viridis", percentile: float = 98.0) -> Figure:
    """Draw a potential; see :meth:`~sciexplain.domains.molecules.probe.Potential.figure`."""
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    if not 50 < percentile <= 100:
        raise InputError(f"percentile {percentile}; expected above 50 and up to 100")
    known = potential.values[np.isfinite(potential.values) & _outside(potential)]
    low, high = np.percentile(known, [100 - percentile, percentile])
    spread = max(high - low, 1e-6 * abs(high), 1e-12)
    scale = ScalarMappable(Normalize(high - spread, high), mpl.colormaps[cmap])
    centre, axes = _principal_axes(np.asarray(potential.molecule.positions))
    rows = _SIDES if potential.shape is None else _SLICES
    views = [[(name, axes[:, [right, up]] * [sign, 1]) for name, right, up, sign in row] for row in rows]
    boxes = [[_box(potential, (centre, view)) for _, view in row] for row in views]
    sheet, panels, bar = _sheet(boxes)
    for (name, view), box, panel in zip(chain(*views), chain(*boxes), panels, strict=True):
        panel.set(xlim=box[0], ylim=box[1], xticks=[], yticks=[], aspect="equal")
        frame = np.column_stack([view, np.cross(view[:, 0], view[:, 1])])
        if potential.shape is not None:
            _slice(panel, potential, centre, frame, box, scale)
        elif potential.faces is not None:
            _surface(panel, (potential.points - centre) @ frame, potential.faces, potential.values, scale)
        else:
            _points(panel, (potential.points - centre) @ frame, potential.values, scale)
        _skeleton(panel, potential, (np.asarray(potential.molecule.positions) - centre) @ frame)
        panel.set_title(name, fontsize=9, loc="left", pad=4, color=_INK)
        panel.spines[:].set_visible(False)
    _scale_bar(panels[0])
    below, above = known.min() < scale.norm.vmin, known.max() > scale.norm.vmax
    ends = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    colour_bar = sheet.colorbar(scale, cax=bar, extend=ends[bool(below), bool(above)])
    unit = f" ({potential.unit})" if potential.unit else ""
    colour_bar.set_label(f"energy of the probe {potential.probe}{unit}", fontsize=9, color=_INK)
    colour_bar.ax.tick_params(labelsize=8, color=_INK, labelcolor=_INK)
    colour_bar.ax.ticklabel_format(useOffset=False)
    colour_bar.outline.set_visible(False)
    return sheet


def _outside(potential: Potential) -> NDArray[np.bool_]:
    """Points of a grid beyond the usual surface: the steep energies within atoms would take all the colours."""
    if potential.shape is None:
        return np.ones(len(potential.points), dtype=bool)
    closeness = np.zeros(len(potential.points))
    for atom in np.asarray(potential.molecule.positions):
        closeness += 1 / np.maximum(((potential.points - atom) ** 2).sum(1), 1e-12)
    away = closeness < ISOVALUE
    return away if np.isfinite(potential.values[away]).any() else ~away


def _principal_axes(positions: Array) -> tuple[Array, Array]:
    """The middle, and a right-handed set of unit vectors as columns, along which the molecule is longest first."""
    centre = (positions.min(0) + positions.max(0)) / 2
    axes = np.linalg.svd(positions - positions.mean(0), full_matrices=True)[2].T
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), range(3)])
    axes[:, 2] = np.cross(axes[:, 0], axes[:, 1])
    return centre, axes


def _box(potential: Potential, view: tuple[Array, Array]) -> Array:
    """What a view has to show: (2, 2), from and to along right and up, in Å."""
    centre, axes = view
    if potential.shape is None:
        around = np.concatenate([potential.points, np.asarray(potential.molecule.positions)])
        flat = (around - centre) @ axes
        return np.stack([flat.min(0) - 0.2, flat.max(0) + 0.2], 1)
    atoms = np.asarray(potential.molecule.positions)
    corners = np.stack([potential.points.min(0), potential.points.max(0)])
    beyond = max(min((atoms.min(0) - corners[0]).min(), (corners[1] - atoms.max(0)).min()), 1.0)
    flat = (atoms - centre) @ axes
    return np.stack([flat.min(0) - 0.8 * beyond, flat.max(0) + 0.8 * beyond], 1)


def _sheet(boxes: list[list[Array]]) -> tuple[Figure, list[Axes], Axes]:
    """Panels of one scale, row by row, beside a colour bar."""
    from matplotlib.figure import Figure

    sizes = [[box[:, 1] - box[:, 0] for box in row] for row in boxes]
    columns = [max(row[k][0] for row in sizes if k < len(row)) for k in range(max(map(len, sizes)))]
    heights = [max(size[1] for size in row) for row in sizes]
    inch = min(0.55, 8.0 / sum(columns), 8.0 / sum(heights))  # for each Å
    width = sum(columns) * inch + _GAP * len(columns) + 2 * _EDGE + 1.0
    height = sum(heights) * inch + (_HEAD + _EDGE) * len(heights) + 2 * _EDGE
    sheet = Figure(figsize=(width, height), facecolor="white")
    panels, top = [], height - _EDGE
    for row, tall in zip(sizes, heights, strict=True):
        left = _EDGE
        for size, column in zip(row, columns, strict=False):
            x, y = left + (column - size[0]) * inch / 2, top - _HEAD - (tall + size[1]) * inch / 2
            panels.append(sheet.add_axes((x / width, y / height, size[0] * inch / width, size[1] * inch / height)))
            left += column * inch + _GAP
        top -= tall * inch + _HEAD + _EDGE
    tall = min(2.6, height - _HEAD - 3 * _EDGE)
    bar = sheet.add_axes(((width - 1.05) / width, (height - tall) / 2 / height, 0.14 / width, tall / height))
    return sheet, panels, bar


def _surface(panel: Axes, points: Array, faces: NDArray[np.int64], values: Array, scale: Any) -> None:
    """The triangles that face the viewer, from far to near; slightly darker where they turn away."""
    from matplotlib.collections import PolyCollection

    corners = points[faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for k in range(3):
        np.add.at(normals, faces[:, k], flat)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    vertices = np.column_stack([points, values, normals[:, 2]])[faces]
    for _ in range(2):
        vertices = _finer(vertices)
    seen = vertices[np.argsort(vertices[:, :, 2].mean(1))]
    (ax, ay), (bx, by) = (seen[:, k, :2].T - seen[:, 0, :2].T for k in (1, 2))
    seen = seen[ax * by - ay * bx > 0]
    colours = scale.to_rgba(np.ma.masked_invalid(seen[:, :, 3].mean(1)))
    colours[:, :3] *= 0.8 + 0.2 * np.clip(seen[:, :, 4].mean(1), 0, 1)[:, None]
    panel.add_collection(
        PolyCollection(seen[:, :, :2], facecolors=colours, edgecolors=colours, linewidths=0.4, rasterized=True)
    )


def _finer(triangles: Array) -> Array:
    """Each triangle (t, 3, …) as four, by the middles of its sides."""
    a, b, c = triangles.swapaxes(0, 1)
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    return np.concatenate([np.stack(part, 1) for part in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])


def _points(panel: Axes, points: Array, values: Array, scale: Any) -> None:
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(points[known, 2])]
    panel.scatter(
        points[order, 0], points[order, 1], c=values[order], s=16, cmap=scale.cmap, norm=scale.norm, linewidths=0
    )


def _slice(panel: Axes, potential: Potential, centre: Array, frame: Array, box: Array, scale: Any) -> None:
    """The plane through the middle, with lines of equal energy; grey where nothing was computed."""
    images = require("scipy.ndimage", extra="molecules")
    assert potential.shape is not None and potential.origin is not None and potential.steps is not None
    right, up = (np.arange(low, high + _RESOLUTION, _RESOLUTION) for low, high in box)
    plane = np.stack(np.meshgrid(right, up), -1) @ frame[:, :2].T + centre
    where = np.moveaxis((plane - potential.origin) @ np.linalg.inv(potential.steps), -1, 0)
    values = potential.values.reshape(potential.shape)
    nearest = images.distance_transform_edt(np.isnan(values), return_distances=False, return_indices=True)
    sampled = images.map_coordinates(values[tuple(nearest)], where, order=1, cval=np.nan)
    masked = np.zeros(sampled.shape, dtype=bool)
    for atom in np.asarray(potential.molecule.positions):
        masked |= ((plane - atom) ** 2).sum(-1) < NEAREST**2
    image = np.ma.masked_array(sampled, masked | np.isnan(sampled))
    extent = (right[0], right[-1], up[0], up[-1])
    panel.imshow(np.where(masked, 0.85, np.nan), origin="lower", extent=extent, cmap="gray", vmin=0, vmax=1)
    panel.imshow(image, origin="lower", extent=extent, cmap=scale.cmap, norm=scale.norm)
    levels = np.linspace(scale.norm.vmin, scale.norm.vmax, 11)[1:-1]
    panel.contour(right, up, image, levels=levels, colors="white", linewidths=0.5, alpha=0.6)


def _skeleton(panel: Axes, potential: Potential, atoms: Array) -> None:
    """Bonds and element symbols; of atoms one behind the other, the nearest is named."""
    from matplotlib.patheffects import withStroke

    data = require("ase.data", extra="molecules")
    numbers = potential.molecule.numbers
    radii = data.covalent_radii[numbers]
    for i, j in combinations(range(len(atoms)), 2):
        if np.linalg.norm(atoms[i] - atoms[j]) < 1.25 * (radii[i] + radii[j]):
            ends = atoms[[i, j], :2].T
            panel.plot(*ends, color=_INK, linewidth=1.6, path_effects=[withStroke(linewidth=3.2, foreground="white")])
    inches, _ = _inches(panel)
    room = 0.21 * np.ptp(panel.get_xlim()) / inches  # the width of a disc, in Å
    named: list[int] = []
    for i in np.argsort(-atoms[:, 2]):
        if all(np.linalg.norm(atoms[i, :2] - atoms[k, :2]) > room for k in named):
            named.append(i)
            disc = dict(boxstyle="circle,pad=0.15", facecolor="white", edgecolor=_INK, linewidth=0.8)
            symbol = data.chemical_symbols[numbers[i]]
            panel.text(
                atoms[i, 0],
                atoms[i, 1],
                symbol,
                fontsize=7,
                ha="center",
                va="center",
                color=_INK,
                bbox=disc,
                clip_on=False,
            )


def _inches(panel: Axes) -> Array:
    """Width and height."""
    sheet = panel.get_figure(root=True)
    assert sheet is not None
    return sheet.get_size_inches() * panel.get_position().size


def _scale_bar(panel: Axes) -> None:
    """2 Å, or 1 Å for the smallest, below the first panel."""
    left, right = panel.get_xlim()
    length, below = (2.0 if right - left > 4 else 1.0), panel.get_xaxis_transform()
    low = -0.08 / _inches(panel)[1]
    panel.plot(
        [left, left + length], [low, low], color=_INK, lw=2.2, clip_on=False, solid_capstyle="butt", transform=below
    )
    text = f"{length:.0f} Å"
    panel.annotate(
        text, (left + length, low), (4, 0), below, "offset points", va="center", fontsize=8, annotation_clip=False
    )
