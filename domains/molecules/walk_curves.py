"""Walks over a molecule as smooth curves that stay apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.molecules.skeleton import Skeleton

_FIRST_LANE, _LANE = 0.10, 0.075
_LOOP = 0.24
_ROUND = 0.5
"""Length of a handle by that of the tangent: a third is the usual spline, a half makes circles of loops."""


def curves(walks: Sequence[tuple[int, ...]], paper: Skeleton) -> list[NDArray[np.float64]]:
    """One cubic Bézier spline for each walk, (3 k + 1, 2): end points and handles in turn.

    Each step passes on its own side of the bond, so that there and back are two curves; walks that share a step
    take lanes side by side; a step from an atom to itself is a loop into the widest gap between its bonds.
    """
    taken: Counter[tuple[int, int]] = Counter()
    return [_spline(_points(walk, paper, taken)) for walk in walks]


def _points(walk: tuple[int, ...], paper: Skeleton, taken: Counter[tuple[int, int]]) -> NDArray[np.float64]:
    length, places = paper.bond_length, paper.places
    points = [places[walk[0]]]
    for a, b in pairwise(walk):
        lane = taken[a, b]
        taken[a, b] += 1
        if a == b:
            towards = _gap(a, paper)
            size = _LOOP * length * (1 + 0.22 * min(lane, 4))
            aside = np.array([-towards[1], towards[0]])
            points += [places[a] + size * (x * towards + y * aside) for x, y in ((1, 1), (2, 0), (1, -1))]
        else:
            step = places[b] - places[a]
            aside = np.array([-step[1], step[0]]) / max(float(np.linalg.norm(step)), 1e-9)
            points.append((places[a] + places[b]) / 2 + aside * length * (_FIRST_LANE + _LANE * min(lane, 4)))
        points.append(places[b])
    return np.array(points)


def _gap(atom: int, paper: Skeleton) -> NDArray[np.float64]:
    """The unit vector into the widest gap between an atom's bonds; upwards where it has none."""
    others = [j if i == atom else i for i, j in paper.bonds if atom in (i, j)]
    if not others:
        return np.array([0.0, -1.0])
    apart = paper.places[others] - paper.places[atom]
    angles = np.sort(np.arctan2(apart[:, 1], apart[:, 0]))
    gaps = np.diff(np.append(angles, angles[0] + 2 * np.pi))
    widest = int(gaps.argmax())
    middle = angles[widest] + gaps[widest] / 2
    return np.array([np.cos(middle), np.sin(middle)])


def _spline(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """A spline like Catmull and Rom's through points, as cubic Bézier pieces."""
    if len(points) == 1:
        return points
    tangents = np.gradient(points, axis=0) * _ROUND
    tangents[[0, -1]] *= 0.5
    pieces = np.stack([points[:-1], points[:-1] + tangents[:-1], points[1:] - tangents[1:]], axis=1)
    return np.concatenate([pieces.reshape(-1, 2), points[-1:]])
