"""Samples with a page of their own: which, and what their pages draw."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain.report.columns import Columns
from sciexplain.report.content import Content
from sciexplain.report.payload import Data, script

_BYTES = 1 << 17
"""In a file: small, as a page of the gallery may need one for every sample it shows."""


def chosen(columns: Columns, most: int) -> NDArray[np.int64]:
    """Numbers of at most so many rows, ascending: those one looks at.

    Half are the first; then come up to a quarter whose prediction is wrong, up to a quarter of the highest scores, and
    the rest is spread over all rows.
    """
    count = len(columns)
    if count <= most:
        return columns.number
    taken = np.zeros(count, bool)
    taken[: most // 2] = True

    def take(places: NDArray[np.int64], room: int) -> None:
        taken[places[~taken[places]][: max(0, min(room, most - int(taken.sum())))]] = True

    take(np.flatnonzero(columns.wrong), most // 4)
    take(np.argsort(-np.nan_to_num(columns.score, nan=-np.inf), kind="stable"), most // 4)
    left = np.flatnonzero(~taken)
    room = most - int(taken.sum())
    taken[left[np.linspace(0, len(left) - 1, room).round().astype(int)]] = True
    return columns.number[taken]


def write_samples(
    data: Data, content: Content, numbers: Sequence[int], say: Callable[[str], object] = lambda text: None
) -> tuple[dict[str, Any], list[int]]:
    """Write ``samples/00000.js`` and so on, one file at a time in memory.

    Parameters
    ----------
    data
        Where to.
    content
        What draws them.
    numbers
        Of the samples, ascending.
    say
        Told how far it is.

    Returns
    -------
    index
        Their entry in ``report.js``.
    there
        Numbers of the samples that were written: the domain may have nothing to show of some.
    """
    starts: list[int] = []
    there: list[int] = []
    waiting: list[tuple[int, Mapping[str, Any]]] = []
    size = 0

    def flush() -> None:
        nonlocal waiting, size
        if waiting:
            starts.append(waiting[0][0])
            held = {"numbers": [number for number, _ in waiting], "samples": [sample for _, sample in waiting]}
            data.write(f"samples/{len(starts) - 1:05d}", held)
            there.extend(number for number, _ in waiting)
        waiting, size = [], 0

    say("drawing samples")
    for done, (number, sample) in enumerate(content.samples(numbers), start=1):
        extra = len(script("", sample))
        if size + extra > _BYTES:
            flush()
        waiting.append((int(number), sample))
        size += extra
        if done % 100 == 0:
            say(f"drawing samples, {done} of {len(numbers)}")
    flush()
    return {"count": len(there), "starts": starts}, there
