"""Rows of panels with captions and colour bars, placed by hand so that no text meets another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.captions import fit, number
from sciexplain.domains.images.heatmap import colours
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_ROWS = 64

_PANEL, _GAP, _LABEL, _BAR, _MARGIN = 1.7, 0.14, 1.5, 0.12, 0.15
_WIDEST, _LEAST = 8.5, 1.05
"""Inches of all panels of a row, as long as each has so much: a wide figure is shown small, with its words."""
_TICKS = 0.75
_TITLE_SIZE, _TEXT_SIZE = 9.0, 8.0
_LINE = 1.35
_TALLEST, _FLATTEST = 2.0, 0.35


@dataclass(frozen=True)
class Panel:
    """An image (H, W, 3) in 0..1 and the words under it."""

    image: NDArray[Any]
    caption: str = ""


@dataclass(frozen=True)
class Row:
    """Panels of one picture; ``scale`` is the number at the ends of its colour bar, None for no bar."""

    label: str
    panels: Sequence[Panel]
    scale: float | None = None


def draw(titles: Sequence[str], rows: Sequence[Row], *, cmap: str = "relevance", note: str = "") -> "Figure":
    """Draw a grid of panels.

    Parameters
    ----------
    titles
        One per column.
    rows
        One per picture.
    cmap
        Colour map of the bars.
    note
        A line below; where rows have no bar of their own, one without numbers stands beside it.

    Raises
    ------
    InputError
        No rows, or more than fit a figure that can be looked at.
    """
    if not 0 < len(rows) <= MAX_ROWS:
        raise InputError(f"{len(rows)} pictures in one figure; expected 1 to {MAX_ROWS}: choose them by indices=")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panel = min(_PANEL, max(_LEAST, _WIDEST / len(titles)))
    heads = [fit(title, panel, _TITLE_SIZE, lines=3) for title in titles]
    head = max(text.count("\n") + 1 for text in heads) * _TITLE_SIZE * _LINE / 72 + 0.06
    captioned = any(one.caption for row in rows for one in row.panels)
    foot = _TEXT_SIZE * _LINE / 72 + 0.04 if captioned else 0.0
    heights = [_height(row, panel) for row in rows]
    bars = any(row.scale is not None for row in rows)
    width = _MARGIN * 2 + _LABEL + len(titles) * (panel + _GAP) + (_BAR + _TICKS if bars else 0)
    height = _MARGIN * 2 + head + sum(heights) + len(rows) * (foot + _GAP) + (0.55 if note else 0)
    page = _Page(Figure(figsize=(width, height), facecolor="white"), width, height)
    FigureCanvasAgg(page.figure)

    left = _MARGIN + _LABEL + _GAP
    top = _MARGIN + head
    for column, text in enumerate(heads):
        page.text(left + column * (panel + _GAP) + panel / 2, top - 0.05, text, _TITLE_SIZE, "center", "bottom")
    if bars:
        bar_title = fit("relevance", _BAR + _TICKS, _TEXT_SIZE, lines=1)
        page.text(left + len(titles) * (panel + _GAP), top - 0.05, bar_title, _TEXT_SIZE, "left", "bottom")
    for row, tall in zip(rows, heights, strict=True):
        label = fit(row.label, _LABEL, _TEXT_SIZE, lines=max(1, int(tall * 72 / (_TEXT_SIZE * _LINE))))
        page.text(left - _GAP, top + tall / 2, label, _TEXT_SIZE, "right", "center")
        for column, one in enumerate(row.panels):
            x = left + column * (panel + _GAP)
            page.image(x, top, panel, tall, one.image)
            caption = fit(one.caption, panel, _TEXT_SIZE, lines=1)
            page.text(x + panel / 2, top + tall + 0.04, caption, _TEXT_SIZE, "center", "top")
        if row.scale is not None:
            page.bar(left + len(titles) * (panel + _GAP), top, _BAR, tall, row.scale, cmap)
        top += tall + foot + _GAP
    if note:
        page.legend(left, top + 0.05, cmap, fit(note, width - left - _PANEL - 2 * _GAP, _TEXT_SIZE, lines=3))
    return page.figure


def _height(row: Row, panel: float) -> float:
    """Inches: the tallest panel's, within limits that keep strips and columns on the page."""
    ratios = [one.image.shape[0] / one.image.shape[1] for one in row.panels]
    return panel * float(np.clip(max(ratios), _FLATTEST, _TALLEST))


@dataclass(frozen=True)
class _Page:
    """A figure measured in inches from its top left corner."""

    figure: Any
    width: float
    height: float

    def axes(self, x: float, y: float, width: float, height: float) -> Any:
        bottom = self.height - y - height
        return self.figure.add_axes((x / self.width, bottom / self.height, width / self.width, height / self.height))

    def text(self, x: float, y: float, text: str, size: float, across: str, along: str) -> None:
        if text:
            self.figure.text(
                x / self.width,
                1 - y / self.height,
                text,
                size=size,
                ha=across,
                va=along,
                linespacing=1.15,
                parse_math=False,
            )

    def image(self, x: float, y: float, width: float, height: float, image: NDArray[Any]) -> None:
        axes = self.axes(x, y, width, height)
        axes.imshow(np.clip(image, 0, 1), aspect="equal")
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(color="0.75", linewidth=0.5)

    def bar(self, x: float, y: float, width: float, height: float, scale: float, cmap: str) -> None:
        axes = self.axes(x, y, width, height)
        axes.imshow(colours(cmap)[:, None], aspect="auto", origin="lower", extent=(0, 1, -scale, scale))
        axes.set_xticks([])
        axes.set_yticks([-scale, 0, scale], [number(-scale), "0", number(scale)], size=_TEXT_SIZE)
        axes.tick_params(axis="y", left=False, labelleft=False, labelright=True, length=0, pad=3)
        # Inside the bar's height, clear of the head above and the row below.
        for label, along in zip(axes.get_yticklabels(), ("bottom", "center", "top"), strict=True):
            label.set_verticalalignment(along)
        axes.spines[:].set(linewidth=0.5)

    def legend(self, x: float, y: float, cmap: str, note: str) -> None:
        axes = self.axes(x, y, _PANEL, _BAR)
        axes.imshow(colours(cmap)[None], aspect="auto", extent=(-1, 1, 0, 1))
        axes.set_yticks([])
        axes.set_xticks([-1, 0, 1], ["−max", "0", "+max"], size=_TEXT_SIZE)
        axes.tick_params(axis="x", length=0, pad=3)
        axes.spines[:].set(linewidth=0.5)
        self.text(x + _PANEL + 2 * _GAP, y + _BAR / 2, note, _TEXT_SIZE, "left", "center")
