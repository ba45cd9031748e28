"""The surface around a molecule on which its local chemical potential is shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sciexplain.errors import InputError

Points = NDArray[np.float64]

ISOVALUE = 3.8
"""Of ∑ᵢ |r − rᵢ|⁻², in Å⁻²."""


def isosurface(atoms: Points, *, spacing: float = 0.2, max_points: int = 200_000) -> tuple[Points, NDArray[np.int64]]:
    """Mesh the surface ∑ᵢ |r − rᵢ|⁻² = 3.8 Å⁻² around atoms, by surface nets.

    One point stands in every cell of a regular grid that the surface crosses, moved onto it by Newton's method; around
    every edge of the grid that it crosses, four of them make two triangles.

    Parameters
    ----------
    atoms
        (n, 3) in Å.
    spacing
        Of the grid, and so roughly of the points, in Å.
    max_points
        More are refused.

    Returns
    -------
    points, faces
        (m, 3) in Å, and (t, 3) indices into them, counter-clockwise from outside.

    Raises
    ------
    InputError
        Too many points.

    References
    ----------
    Schütt et al., Nature Communications 8, 13890 (2017): this surface. Gibson, Constrained elastic surface
    nets, MICCAI 1998.

    Examples
    --------
    >>> points, faces = isosurface(np.zeros((1, 3)), spacing=0.1)
    >>> bool(np.allclose((points**2).sum(1), 1 / ISOVALUE))
    True
    """
    # So far from all atoms, n of them cannot reach the isovalue.
    reach = np.sqrt(len(atoms) / ISOVALUE) + 2 * spacing
    low = atoms.min(0) - reach
    counts = np.ceil((atoms.max(0) + reach - low) / spacing).astype(int) + 1
    bounded(counts.prod() / 100, max_points, "take a wider spacing")  # as a surface has far fewer points
    axes = [low[k] + spacing * np.arange(counts[k]) for k in range(3)]
    field = np.zeros(counts)
    for atom in atoms:
        x, y, z = ((axis - at) ** 2 for axis, at in zip(axes, atom, strict=True))
        field += 1 / np.maximum(x[:, None, None] + y[:, None] + z, 1e-12)
    inside = field > ISOVALUE
    corners = np.lib.stride_tricks.sliding_window_view(inside, (2, 2, 2)).sum((3, 4, 5))
    crossed = (corners > 0) & (corners < 8)
    bounded(crossed.sum(), max_points, "take a wider spacing")
    places = np.full(crossed.shape, -1)
    places[crossed] = np.arange(crossed.sum())
    points = low + spacing * (np.argwhere(crossed) + 0.5)
    for _ in range(8):
        points = points + _to_isosurface(points, atoms)
    quads = []
    for axis in range(3):
        # An edge between inside and outside is shared by four cells, whose points make a square around it.
        order = np.roll(np.arange(3), -axis)
        along, around = inside.transpose(order), places.transpose(order)
        start, u, v = np.nonzero(along[:-1] != along[1:])
        square = np.stack([around[start, u - a, v - b] for a, b in ((1, 1), (0, 1), (0, 0), (1, 0))], -1)
        outwards = along[start, u, v]
        quads.append(np.where(outwards[:, None], square, square[:, ::-1]))
    squares = np.concatenate(quads)
    return points, np.concatenate([squares[:, [0, 1, 2]], squares[:, [0, 2, 3]]])


def _to_isosurface(points: Points, atoms: Points) -> Points:
    """A step of Newton's method on (∑ d⁻²)^(−1/2), which is nearly linear: the distance itself for one atom."""
    total, slope = np.zeros(len(points)), np.zeros_like(points)
    for atom in atoms:
        away = points - atom
        inverse = 1 / np.maximum((away**2).sum(-1), 1e-12)
        total += inverse
        slope -= 2 * inverse[:, None] ** 2 * away
    gradient = -0.5 * total[:, None] ** -1.5 * slope
    miss = total**-0.5 - ISOVALUE**-0.5
    return -miss[:, None] * gradient / np.maximum((gradient**2).sum(-1, keepdims=True), 1e-12)


def bounded(count: float, most: int, advice: str) -> None:
    """Refuse absurdly many points before they take memory."""
    if count > most:
        raise InputError(f"{count:,.0f} points are more than max_points={most:,}; {advice} or raise max_points")
