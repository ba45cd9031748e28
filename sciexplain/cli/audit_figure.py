"""The picture of an audit: all samples in the plane, and the most suspicious clusters with some of their members."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sciexplain.audit import Cluster, Spray
from sciexplain.cli.audit_subjects import AuditSubject, MoleculeSubject, PictureSubject, SequenceSubject
from sciexplain.domains.captions import fit, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 5
"""Clusters with a row of their own."""

_COLOURS = ("#b2182b", "#e08214", "#1b7837", "#2166ac", "#762a83")
_REST = "0.82"
_PLANE, _TEXT, _PANEL, _GAP, _MARGIN = 4.6, 3.0, 1.25, 0.1, 0.25
_SMALL = 1.02
_ROW = 1.8
_MEMBERS = 5
_STRIP = 7.0
_SIZE = 7.5
_STACK = 30


def audit_figure(found: Spray, subject: AuditSubject) -> Figure:
    """Left, where each sample lies among the others, by cluster; right, for each of the first five clusters what speaks
    against it, its mean relevance, and members next to the mean."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = found.clusters[:SHOWN]
    height = max(_PLANE + 0.6, len(shown) * _ROW) + 2 * _MARGIN
    width = _MARGIN * 2 + _PLANE + 0.3 + _TEXT + 0.1 + _STRIP
    page = _Page(Figure(figsize=(width, height), facecolor="white"), width, height)
    FigureCanvasAgg(page.figure)
    _plane(page, found)
    left = _MARGIN + _PLANE + 0.3
    for rank, one in enumerate(shown):
        top = _MARGIN + rank * _ROW
        title = f"{rank + 1}  class {one.target}, {len(one)} samples" + (": ALARM" if one.alarm else "")
        page.text(left, top, title, 10, colour=_COLOURS[rank], weight="bold")
        words = [f"suspicion {one.suspicion:.2f}; {one.where}", *one.reasons]
        page.text(left, top + 0.2, "\n".join(fit(line, _TEXT, _SIZE, lines=2) for line in words), _SIZE)
        paint = _PAINTERS[type(subject)]
        paint(page, subject, one, left + _TEXT + 0.1, top)
    return page.figure


def _plane(page: _Page, found: Spray) -> None:
    assert found.embedding is not None
    axes = page.axes(_MARGIN, _MARGIN, _PLANE, _PLANE)
    x, y = found.embedding.T
    size = float(np.clip(6000 / len(x), 2, 18))
    others = (found.cluster >= SHOWN) | (found.cluster < 0)
    axes.scatter(x[others], y[others], s=size, c=_REST, linewidths=0, rasterized=True)
    for rank in reversed(range(min(SHOWN, len(found)))):
        own = found.cluster == rank
        axes.scatter(x[own], y[own], s=size * 1.4, c=_COLOURS[rank], linewidths=0, rasterized=True)
    shown = range(min(SHOWN, len(found)))
    span = np.maximum(np.ptp(found.embedding, axis=0), 1e-6)
    places = np.stack([np.median(found.embedding[found.cluster == rank], 0) for rank in shown]) / span
    for rank, place in zip(shown, _pushed_apart(places) * span, strict=True):
        axes.annotate(
            str(rank + 1), place, size=10, weight="bold", color=_COLOURS[rank], ha="center", va="center",
            bbox={"boxstyle": "circle,pad=0.2", "fc": "white", "ec": _COLOURS[rank], "lw": 0.8},
        )  # fmt: skip
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="0.7", linewidth=0.6)
    count = len(found.clusters) - SHOWN
    rest = f"; grey: {count} other clusters" if count > 0 else ""
    note = f"{len(x)} samples, alike ones together (no unit){rest}"
    page.text(_MARGIN, _MARGIN + _PLANE + 0.06, note, 8, colour="0.3")
    top = _MARGIN + _PLANE + 0.75
    if page.height - top >= 1.6:
        _eigenvalues(page, found, top)


def _pushed_apart(places: NDArray[np.floating[Any]], least: float = 0.06) -> NDArray[np.floating[Any]]:
    """Places (K, 2) in a square of side 1, no two nearer than a label is wide."""
    places = places.copy()
    for _ in range(50):
        for i in range(len(places)):
            for j in range(i):
                way = places[i] - places[j]
                far = float(np.hypot(*way))
                if far < least:
                    way = way / far if far > 1e-9 else np.array([0.0, 1.0])
                    places[i] += way * (least - far) / 2
                    places[j] -= way * (least - far) / 2
    return places


def _eigenvalues(page: _Page, found: Spray, top: float) -> None:
    """Of the classes that have a row: where the widest gap is, the number of clusters is."""
    axes = page.axes(_MARGIN + 0.5, top, _PLANE - 0.5, min(1.8, page.height - top - _MARGIN - 0.4))
    shown = {one.target: _COLOURS[rank] for rank, one in reversed(list(enumerate(found.clusters[:SHOWN])))}
    for c, colour in sorted(shown.items()):
        if c in found.eigenvalues:
            values = found.eigenvalues[c]
            axes.plot(range(1, len(values) + 1), values, "o-", ms=3, lw=0.8, color=colour, label=f"class {c}")
    axes.tick_params(labelsize=7, length=2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("number", size=7, labelpad=1)
    axes.set_title("smallest eigenvalues of the Laplacian", size=8, color="0.3", loc="left", pad=4)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(fontsize=7, frameon=False, loc="upper left")


def _pictures(page: _Page, subject: PictureSubject, one: Cluster, left: float, top: float) -> None:
    from sciexplain.domains.images.heatmap import limit, overlay, render

    scale = limit(one.average)
    page.image(left, top + 0.2, _PANEL, render(one.average, scale=scale))
    page.text(left, top, f"mean of all, ±{number(scale)}", _SIZE, colour="0.3")
    members = one.members[:_MEMBERS].tolist()
    shown, heat = subject.display(members)
    page.text(left + _PANEL + _GAP, top, "members next to it, each on its own scale", _SIZE, colour="0.3")
    for k, (picture, own) in enumerate(zip(shown, heat, strict=True)):
        x = left + _PANEL + _GAP + k * (_SMALL + _GAP)
        page.image(x, top + 0.2, _SMALL, overlay(picture, own))
        page.text(x, top + 0.22 + _SMALL, fit(subject.ids[members[k]], _SMALL, 6, lines=1), 6, colour="0.3")


def _molecules(page: _Page, subject: MoleculeSubject, one: Cluster, left: float, top: float) -> None:
    from matplotlib.image import imread

    from sciexplain.domains.molecules.draw import draw
    from sciexplain.domains.molecules.values import full_colour

    names, mean = subject.table.names, one.average
    order = np.argsort(-np.abs(mean))[:6]
    axes = page.axes(left + 0.95, top + 0.2, 0.85, 1.15)
    from sciexplain.domains.images.heatmap import colours

    ends = colours("relevance")
    axes.barh(range(len(order)), mean[order], color=[ends[-1] if mean[i] > 0 else ends[0] for i in order], height=0.7)
    axes.set_yticks(range(len(order)), [fit(names[i], 0.9, 6.5, lines=1) for i in order], size=6.5)
    axes.invert_yaxis()
    axes.axvline(0, color="0.5", lw=0.5)
    axes.tick_params(axis="x", labelsize=6, length=2)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=3)
    axes.spines[["top", "right", "left"]].set_visible(False)
    page.text(left, top, "mean relevance by fragment", _SIZE, colour="0.3")
    members = one.members[:4].tolist()
    largest = full_colour(None, max(float(np.abs(subject.atoms[i]).max()) for i in members))
    page.text(left + 2.0, top, f"members next to it, ±{number(largest)}", _SIZE, colour="0.3")
    for k, i in enumerate(members):
        drawing = draw(subject.molecules[i], subject.atoms[i], limit=largest, legend=False, size=(240, 240))
        x = left + 2.0 + k * 1.3
        page.image(x, top + 0.15, 1.25, imread(io.BytesIO(drawing.png(2.0)))[..., :3], frame=False)
        page.text(x, top + 1.42, fit(subject.ids[i], 1.25, 6, lines=1), 6, colour="0.3")


def _sequences(page: _Page, subject: SequenceSubject, one: Cluster, left: float, top: float) -> None:
    from sciexplain.domains.images.heatmap import colours, limit, render

    ends, mean, length = colours("relevance"), one.average, len(one.average)
    axes = page.axes(left + 0.45, top + 0.2, _STRIP - 0.45, 0.6)
    axes.bar(np.arange(length) + 0.5, mean, width=1.0, color=[ends[-1] if v > 0 else ends[0] for v in mean])
    axes.axhline(0, color="0.5", lw=0.5)
    axes.set(xlim=(0, length), xticks=[])
    axes.tick_params(labelsize=6, length=2)
    axes.locator_params(axis="y", nbins=3)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    page.text(left, top, "mean relevance by position", _SIZE, colour="0.3")
    rows = subject.rows[one.members[:_STACK]]
    scale = limit(rows, 99)
    below = page.axes(left + 0.45, top + 0.86, _STRIP - 0.45, 0.55)
    below.imshow(render(rows, scale=scale), aspect="auto", interpolation="nearest", extent=(0, length, len(rows), 0))
    below.set_yticks([])
    below.tick_params(labelsize=6, length=2)
    below.spines[:].set(color="0.75", linewidth=0.5)
    note = f"{len(rows)} members next to it, ±{number(scale)}; position, 0-based"
    page.text(left + 0.45 + 1.6, top, note, _SIZE, colour="0.3")


_PAINTERS: dict[type[AuditSubject], Any] = {
    PictureSubject: _pictures, MoleculeSubject: _molecules, SequenceSubject: _sequences,
}  # fmt: skip


class _Page:
    """A figure measured in inches from its top left corner."""

    def __init__(self, figure: Any, width: float, height: float) -> None:
        self.figure, self.width, self.height = figure, width, height

    def axes(self, x: float, y: float, width: float, height: float) -> Any:
        bottom = self.height - y - height
        return self.figure.add_axes((x / self.width, bottom / self.height, width / self.width, height / self.height))

    def text(
        self, x: float, y: float, text: str, size: float, *, colour: str = "black", weight: str = "normal"
    ) -> None:
        self.figure.text(
            x / self.width, 1 - y / self.height, text, size=size, color=colour, weight=weight, va="top",
            linespacing=1.25, parse_math=False,
        )  # fmt: skip

    def image(self, x: float, y: float, side: float, image: Any, *, frame: bool = True) -> None:
        axes = self.axes(x, y, side, side)
        axes.imshow(np.clip(image, 0, 1), interpolation="nearest" if frame else None)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color="0.75", linewidth=0.5, visible=frame)
