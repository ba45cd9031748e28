"""What a network looks for in pictures of a class: its top channels in real pictures, cropped to what they saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sciexplain.concepts import ConceptGraph, Concepts, Window
from sciexplain.concepts import top as top_of
from sciexplain.domains.captions import number
from sciexplain.domains.concept_graph import draw_concept_graph
from sciexplain.domains.images.attempts import Picture
from sciexplain.domains.images.explain import Model, Pictures, prepare
from sciexplain.domains.images.heatmap import limit, overlay
from sciexplain.domains.images.panels import Panel, Row, draw
from sciexplain.domains.images.preprocess import Preprocess
from sciexplain.domains.images.prototypes import as_data, as_shown
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE = 240
"""Pixels of a panel's longer side, at least: small pictures get frames as fine as large ones."""
_MARGIN = 0.15
"""Around a window, as a share of its own size."""
_FRAME = (0.0, 0.0, 0.0)


def top_concepts(
    model: Model,
    pictures: Pictures,
    target: Any = None,
    layer: str = "",
    k: int = 5,
    *,
    preprocess: Preprocess | None = None,
    **options: Any,
) -> Concepts:
    """The channels of a layer that matter most for a class, in the pictures in which they matter most.

    Parameters
    ----------
    model, pictures, preprocess
        As in :func:`sciexplain.domains.images.explain`; files are read one by one, and twice.
    target, layer, k, **options
        As in :func:`sciexplain.concepts.top`.
    """
    return top_of(model, as_data(model, pictures, preprocess), target, layer, k, **options)


def concepts_figure(
    concepts: Concepts,
    *,
    preprocess: Preprocess | None = None,
    examples: int = 6,
    cmap: str = "relevance",
) -> Figure:
    """Two rows for each channel: pictures with the relevance that passes it, and the part that it saw, enlarged.

    Parameters
    ----------
    concepts
        Of a model that takes (N, C, H, W).
    preprocess
        How pictures became the network's input.
    examples
        How many pictures, at most.

    Raises
    ------
    InputError
        The inputs are no pictures.
    """
    rows = []
    for row, channel in enumerate(concepts.channels):
        shown, heatmaps = _shown(concepts, row, preprocess)
        shown = shown[:examples]
        scale = max(limit(h) for h in heatmaps[:examples])
        whole, parts = [], []
        for column, (picture, heatmap) in enumerate(zip(shown, heatmaps, strict=False)):
            window = framed(concepts.windows[row][column], picture.size)
            index, score = int(concepts.indices[row, column]), float(concepts.scores[row, column])
            over = overlay(picture, heatmap, cmap=cmap, scale=scale)
            whole.append(Panel(_with_frame(over, window), f"#{index}: {number(score)}"))
            parts.append(Panel(_enlarged(cropped(as_shown(picture), window))))
        share = f"{100 * float(concepts.share[row]):.0f} % of what speaks for the class"
        rows += [Row(f"channel {channel}: {share}", whole, scale), Row("what it saw", parts)]
    return draw([""] * max(len(row.panels) for row in rows), rows, cmap=cmap)


def concept_graph_figure(
    graph: ConceptGraph,
    *,
    concepts: Mapping[str, Concepts] | None = None,
    preprocess: Preprocess | None = None,
) -> Figure:
    """The graph with, for the channels of ``concepts`` by layer, the part of a picture that each saw.

    Parameters
    ----------
    graph
        Of :func:`sciexplain.concepts.graph`.
    concepts
        For layers of it, of the same class.
    """
    pictures: dict[tuple[str, int], NDArray[Any]] = {}
    for name, found in (concepts or {}).items():
        for row, channel in enumerate(found.channels):
            picture = _shown(found, row, preprocess)[0][0]
            pictures[name, channel] = _enlarged(cropped(as_shown(picture), framed(found.windows[row][0], picture.size)))
    return draw_concept_graph(graph, pictures=pictures)


def _shown(concepts: Concepts, row: int, preprocess: Preprocess | None) -> tuple[tuple[Picture, ...], Tensor]:
    """The pictures of a channel, and (m, H, W) its relevance on them."""
    inputs, heatmaps = concepts.inputs, concepts.heatmaps
    if not isinstance(inputs, Tensor) or not isinstance(heatmaps, Tensor) or inputs.ndim != 5:
        raise InputError("These concepts are not of pictures; expected those of a model that takes (N, C, H, W).")
    return prepare(lambda x: x, inputs[row], preprocess)[0], heatmaps[row].sum(1)


def framed(window: Window, size: tuple[int, int]) -> Window:
    """A window with a margin, as near to a square as the picture allows."""
    sides = [end - start for start, end in window]
    wanted = max(sides) * (1 + 2 * _MARGIN)
    found = []
    for (start, end), most in zip(window, size, strict=True):
        side = min(round(max(wanted, 1)), most)
        first = round((start + end - side) / 2)
        first = min(max(first, 0), most - side)
        found.append((first, first + side))
    return tuple(found)


def cropped(image: NDArray[Any], window: Window) -> NDArray[Any]:
    """(h, w, 3)."""
    (top, bottom), (left, right) = window
    return image[top:bottom, left:right]


def _factor(size: tuple[int, ...]) -> int:
    return max(1, round(_SIDE / max(size)))


def _enlarged(image: NDArray[Any]) -> NDArray[Any]:
    factor = _factor(image.shape[:2])
    return image.repeat(factor, 0).repeat(factor, 1)


def _with_frame(image: NDArray[Any], window: Window) -> NDArray[Any]:
    """A frame just inside the window."""
    factor = _factor(image.shape[:2])
    large = _enlarged(image).copy()
    (top, bottom), (left, right) = ((start * factor, end * factor) for start, end in window)
    width = max(1, max(large.shape[:2]) // 120)
    inside = np.zeros(large.shape[:2], dtype=bool)
    inside[top:bottom, left:right] = True
    inside[top + width : bottom - width, left + width : right - width] = False
    large[inside] = _FRAME
    return large
