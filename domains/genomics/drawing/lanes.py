"""Rows for things that must not lie on each other."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from functools import lru_cache


def lanes(spans: Sequence[tuple[float, float]]) -> list[int]:
    """The row of each span (left, right), the first that is free; as few rows as can be.

    Spans may touch. Taking them from left to right needs no more rows than spans lie over each other somewhere.

    Examples
    --------
    >>> lanes([(0, 4), (2, 6), (4, 8), (7, 9)])
    [0, 1, 0, 1]
    """
    rows = [0] * len(spans)
    ends: list[tuple[float, int]] = []
    free: list[int] = []
    for i in sorted(range(len(spans)), key=lambda i: spans[i]):
        left, right = spans[i]
        while ends and ends[0][0] <= left:
            heapq.heappush(free, heapq.heappop(ends)[1])
        rows[i] = heapq.heappop(free) if free else len(ends)
        heapq.heappush(ends, (right, rows[i]))
    return rows


@lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Inches that a text takes in matplotlib's own font; letters that it lacks count as boxes."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)
    # On a screen letters stand on whole pixels and need a little more room.
    return float(width) * 1.06 / 72


def shortened(text: str, width: float, size: float) -> str:
    """A text for so many inches; what is too long loses its end.

    Examples
    --------
    >>> shortened("binding site", 0.5, 8.0)
    'bindin…'
    """
    if text_width(text, size) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text_width(text[:middle] + "…", size) <= width else (low, middle - 1)
    return text[:low].rstrip() + "…" if low else ""
