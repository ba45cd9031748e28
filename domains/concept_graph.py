"""A drawing of how concepts flow into each other: channels as boxes in rows of layers, relevance as bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sciexplain.concepts import ConceptGraph
from sciexplain.domains.colormap import relevance_colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BOX, _PICTURE, _GAP, _BETWEEN, _MARGIN = 1.05, 0.8, 0.3, 1.15, 0.25
_LEFT, _TEXT = 1.35, 8.0
_WIDEST = 12.0
"""Points of the strongest band."""


def draw_concept_graph(
    graph: ConceptGraph,
    *,
    pictures: Mapping[tuple[str, int], NDArray[Any]] | None = None,
    names: Mapping[tuple[str, int], str] | None = None,
    least: float = 0.03,
) -> Figure:
    """Draw layers from the output (top) to the input, with bands as wide as the relevance that flows between channels.

    Parameters
    ----------
    graph
        Of :func:`sciexplain.concepts.graph`.
    pictures
        For (layer, channel), an image (H, W, 3) in 0..1.
    names
        For (layer, channel), a word instead of the number.
    least
        Bands below this share of the strongest are left out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    pictures, names = pictures or {}, names or {}
    pictured = {name: any((name, c) in pictures for c in graph.channels[name]) for name in graph.layers}
    tall = [_PICTURE + 0.42 if pictured[name] else 0.42 for name in graph.layers]
    most = max(len(c) for c in graph.channels.values()) + 1
    width = max(_LEFT + most * _BOX + (most - 1) * _GAP + 2 * _MARGIN, 6.9)
    height = sum(tall) + (len(tall) - 1) * _BETWEEN + 2 * _MARGIN + 0.9
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    page = figure.add_axes((0, 0, 1, 1))
    page.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    page.set_axis_off()

    tops = [_MARGIN + sum(tall[:i]) + i * _BETWEEN for i in range(len(tall))]
    strongest = max(float(e[:-1, :-1].abs().max()) for e in graph.edges.values()) or 1.0
    colours = relevance_colours()

    def middle(layer: int, place: int) -> float:
        n = len(graph.channels[graph.layers[layer]]) + 1
        room = most * _BOX + (most - 1) * _GAP
        return _MARGIN + _LEFT + (room - n * _BOX - (n - 1) * _GAP) / 2 + place * (_BOX + _GAP) + _BOX / 2

    for layer, (upper, lower) in enumerate(zip(graph.layers, graph.layers[1:], strict=False)):
        flows = graph.edges[upper, lower][:-1, :-1]
        order = np.argsort(np.abs(flows.numpy()), axis=None, kind="stable")  # the strongest on top
        for i, j in zip(*np.unravel_index(order, flows.shape), strict=True):
            flow = float(flows[i, j])
            if abs(flow) < least * strongest:
                continue
            page.add_line(
                _band(
                    (middle(layer, int(i)), tops[layer] + tall[layer]),
                    (middle(layer + 1, int(j)), tops[layer + 1]),
                    _WIDEST * abs(flow) / strongest,
                    colours[-30 if flow > 0 else 30],
                )
            )
    for layer, name in enumerate(graph.layers):
        y, channels = tops[layer], graph.channels[name]
        page.text(_MARGIN, y + tall[layer] / 2, _fitted(name or "model"), size=_TEXT, va="center", weight="bold")
        for place in range(len(channels) + 1):
            x, relevance = middle(layer, place), float(graph.relevance[name][place])
            key = (name, channels[place]) if place < len(channels) else None
            image = None if key is None else pictures.get(key)
            _box(page, x, y, tall[layer], others=key is None)
            if image is not None:
                _picture(figure, image, x, y + 0.05, width, height)
            what = "all others" if key is None else names.get(key, f"channel {key[1]}")
            page.text(
                x, y + tall[layer] - 0.05, f"{_fitted(what)}\n{_signed(relevance)}", size=_TEXT - 0.5, ha="center",
                va="bottom", linespacing=1.2, parse_math=False,
            )  # fmt: skip
    y = height - _MARGIN - 0.55
    for place, (colour, text) in enumerate(
        ((colours[-30], "speaks for the target"), (colours[30], "speaks against it"))
    ):
        x = _MARGIN + _LEFT + place * 2.0
        page.add_line(Line2D([x, x + 0.35], [y, y], color=colour, linewidth=5, solid_capstyle="butt"))
        page.text(x + 0.45, y, text, size=_TEXT, va="center")
    page.text(
        _MARGIN + _LEFT, y + 0.18,
        f"Relevance, mean of {graph.count} members with a mean score of {_signed(graph.score)}. The widest band is "
        f"{_signed(strongest)};\nwhat flows from and to all others is not drawn.",
        size=_TEXT, va="top", linespacing=1.3,
    )  # fmt: skip
    return figure


def _band(start: tuple[float, float], end: tuple[float, float], width: float, colour: Any) -> Any:
    """A curve that leaves and arrives upright."""
    from matplotlib.lines import Line2D

    t = np.linspace(0, 1, 40)
    smooth = t * t * (3 - 2 * t)
    x = start[0] + (end[0] - start[0]) * smooth
    y = start[1] + (end[1] - start[1]) * t
    return Line2D(x, y, color=colour, linewidth=width, alpha=0.7, solid_capstyle="butt", zorder=1)


def _box(page: Any, x: float, y: float, tall: float, *, others: bool) -> None:
    from matplotlib.patches import Rectangle

    page.add_patch(
        Rectangle(
            (x - _BOX / 2, y), _BOX, tall, facecolor="0.96" if others else "white", edgecolor="0.4", linewidth=0.6,
            linestyle="--" if others else "-", zorder=2,
        )
    )  # fmt: skip


def _picture(figure: Any, image: NDArray[Any], x: float, y: float, width: float, height: float) -> None:
    axes = figure.add_axes(
        ((x - _PICTURE / 2) / width, 1 - (y + _PICTURE) / height, _PICTURE / width, _PICTURE / height), zorder=3
    )
    axes.imshow(np.clip(image, 0, 1), aspect="equal")
    axes.set_axis_off()


def _signed(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _fitted(text: str, most: int = 16) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most // 2 - 1) :]}"
