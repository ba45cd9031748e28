"""Subnetworks as pictures: genes as labels on their colour, no label upon another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.colormap import relevance_colours
from sciexplain.domains.genomics.expression.subnetwork import Subnetwork

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POINTS = 8.0
_PAD, _GAP = 0.05, 0.07
_HEIGHT = 0.2
"""Inches: within and between labels, and of a label."""


def draw_subnetwork(
    subnetwork: Subnetwork, path: PathName | None = None, *, limit: float | None = None, width: float = 10.0
) -> Figure:
    """Draw the genes as labels, red where they speak for the explained class and blue where against, with their links.

    Connected parts stand apart, the largest first; genes without links come last. Line width follows the weight.

    Parameters
    ----------
    subnetwork
        What to draw; up to a few hundred genes.
    path
        Write it too: ``.png``, ``.svg`` or ``.pdf``.
    limit
        The relevance that gets the full colour; None: the largest.
    width
        In inches, more where the largest part needs it; the height follows.

    Raises
    ------
    DataError
        The folder does not exist, or the file cannot be written.

    Examples
    --------
    >>> from sciexplain.domains.genomics.expression.gene_network import GeneNetwork
    >>> network = GeneNetwork.of([("CD79A", "CD79B"), ("CD79B", "CD19")])
    >>> values = np.array([2.0, 1.0, -1.0])
    >>> figure = draw_subnetwork(Subnetwork(network, values, values, "patient 7", 3.1))
    >>> len(figure.axes[0].texts)
    3
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.colors import ListedColormap, Normalize
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    sizes = np.array([[_text_width(gene) + 2 * _PAD, _HEIGHT] for gene in subnetwork.genes])
    places, width, height = _arranged(subnetwork, sizes, width)
    figure = Figure(figsize=(width, height + 1.0), facecolor="white")
    FigureCanvasAgg(figure)
    bottom = 0.15 / (height + 1.0)
    axes = figure.add_axes((0.0, bottom, 1.0, height / (height + 1.0)))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    network = subnetwork.network
    if len(network.edges):
        strength = network.weights / network.weights.max()
        axes.add_collection(
            LineCollection(list(places[network.edges]), linewidths=0.4 + 1.2 * strength, colors="0.62", zorder=1)
        )
    top = limit or float(np.abs(subnetwork.relevance).max()) or 1.0
    colours = ScalarMappable(Normalize(-top, top), ListedColormap(relevance_colours(), "relevance"))
    for gene, (x, y), (wide, high), relevance in zip(network.genes, places, sizes, subnetwork.relevance, strict=True):
        fill = colours.to_rgba(relevance)
        dark = np.dot(fill[:3], [0.2126, 0.7152, 0.0722]) < 0.5
        axes.add_patch(
            FancyBboxPatch(
                (x - wide / 2, y - high / 2), wide, high, boxstyle="round,pad=0,rounding_size=0.06", facecolor=fill,
                edgecolor="0.45", linewidth=0.5, zorder=2,
            )
        )  # fmt: skip
        ink = "white" if dark else "black"
        axes.text(x, y, gene, size=_POINTS, color=ink, ha="center", va="center_baseline", zorder=3)
    figure.text(
        0.2 / width, 1 - 0.2 / (height + 1), f"{subnetwork.patient}: {len(network)} most relevant genes, explained "
        f"output {subnetwork.score:.3g}", size=10, va="top",
    )  # fmt: skip
    bar = figure.add_axes((1 - 3.4 / width, 1 - 0.33 / (height + 1), 3.0 / width, 0.12 / (height + 1)))
    figure.colorbar(colours, cax=bar, orientation="horizontal").set_label("relevance", size=8)
    bar.tick_params(labelsize=7)
    if path is not None:
        written(path, lambda file: figure.savefig(file, dpi=150))
    return figure


def _text_width(text: str) -> float:
    """Inches."""
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), text, size=_POINTS).get_extents().width) / 72


def _arranged(
    subnetwork: Subnetwork, sizes: NDArray[np.float64], width: float
) -> tuple[NDArray[np.float64], float, float]:
    """Centres in inches, (k, 2), and the width and height that they take: connected parts in rows, from the top."""
    places = np.zeros((len(subnetwork), 2))
    x, y, tallest, margin, alone = _GAP, _GAP, 0.0, 0.16, False
    for part in subnetwork.network.components():
        members = list(part)
        own = _laid_out(subnetwork, members, sizes[members], width - 2 * _GAP)
        low, high = (own - sizes[members] / 2).min(0), (own + sizes[members] / 2).max(0)
        begins = len(members) == 1 and not alone
        alone = len(members) == 1
        if x > _GAP and (begins or x + high[0] - low[0] > width - _GAP):
            x, y, tallest = _GAP, y + tallest + (_GAP if len(members) == 1 else margin), 0.0
        places[members] = own - low + [x, y]
        x += high[0] - low[0] + (_GAP if len(members) == 1 else margin)
        tallest = max(tallest, high[1] - low[1])
    height = y + tallest + _GAP
    places[:, 1] = height - places[:, 1]
    return places, max(width, float((places + sizes / 2)[:, 0].max()) + _GAP), height


def _laid_out(
    subnetwork: Subnetwork, members: list[int], sizes: NDArray[np.float64], width: float
) -> NDArray[np.float64]:
    """Centres of a connected part's labels, by springs, then pushed off each other."""
    if len(members) == 1:
        return np.zeros((1, 2))
    if len(members) == 2:
        return np.array([[0.0, 0.0], [sizes[:, 0].mean() + 4 * _GAP, 0.0]])
    networkx: Any = require("networkx", extra="genomics")
    graph = subnetwork.to_networkx().subgraph([subnetwork.genes[i] for i in members])
    # Order decides how springs start; that of the genes is the same in every run.
    ordered = networkx.Graph()
    ordered.add_nodes_from(subnetwork.genes[i] for i in members)
    ordered.add_edges_from(graph.edges)
    found = networkx.spring_layout(ordered, seed=0, iterations=200, k=1.6 / np.sqrt(len(members)))
    spring = np.array([found[subnetwork.genes[i]] for i in members])
    span = np.ptp(spring, 0)
    spring = (spring - spring.min(0)) / np.where(span > 0, span, 1)
    area = float(((sizes + _GAP).prod(1)).sum()) * (3.0 if len(members) > 12 else 1.5)
    wide = min(width - float(sizes[:, 0].max()), max(float(sizes[:, 0].max()), np.sqrt(1.8 * area)))
    return _apart(spring * [wide, max(_HEIGHT * 2, area / wide)], sizes)


def _apart(places: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes moved until none lies upon another, each pair along the axis of its smaller overlap."""
    places = places.copy()
    reach = (sizes[:, None] + sizes[None]) / 2 + _GAP
    i, j = np.triu_indices(len(places), 1)
    for _ in range(500):
        gap = places[i] - places[j]
        overlap = reach[i, j] - np.abs(gap)
        hit = (overlap > 1e-6).all(1)
        if not hit.any():
            break
        a, b, depth = i[hit], j[hit], overlap[hit]
        axis = depth.argmin(1)
        side = np.where(gap[hit][np.arange(len(axis)), axis] >= 0, 0.5, -0.5)
        move = side * depth[np.arange(len(axis)), axis] * 1.01
        np.add.at(places, (a, axis), move)
        np.add.at(places, (b, axis), -move)
    return places
