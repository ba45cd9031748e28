"""Figures of what models take for the best pictures: priors side by side, and counterfactuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sciexplain.domains.captions import fit, number
from sciexplain.domains.images.attempts import Picture
from sciexplain.domains.images.heatmap import colours, grey, render
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sciexplain.domains.images.counterfactual import ImageCounterfactual
    from sciexplain.domains.images.maximize import ImageMaximization

_LABEL, _GAP, _MARGIN = 0.95, 0.06, 0.1
_HEAD, _FOOT = 0.2, 0.17
_BAR, _END = 0.07, 0.75
_SIZE, _SMALL = 8.0, 6.5
_WIDTH, _NARROWEST, _WIDEST = 7.2, 3.6, 1.5
MAX_PANELS = 400


def maximization_figure(found: Mapping[str, ImageMaximization], *, restarts: int = 1) -> Figure:
    """One column per target, one block of rows per prior; the objective and the class's probability below each.

    Parameters
    ----------
    found
        ``{title: result}`` for the same targets, such as ``{"ℓ2": simple, "autoencoder": learned}``.
    restarts
        Rows of each block: the best so many.

    Raises
    ------
    InputError
        Nothing to draw, results for different targets, or more pictures than can be looked at.
    """
    results = list(found.values())
    if not results or any(r.titles != results[0].titles for r in results):
        raise InputError("nothing, or results for different targets; expected {title: result} for the same ones")
    if restarts < 1:
        raise InputError(f"restarts={restarts}: expected 1 or more")
    rows: list[Row] = []
    for name, result in found.items():
        for restart in range(min(restarts, len(result.found[0]))):
            images = [_colour(pictures[restart]) for pictures in result.pictures]
            captions = [_caption(one, restart) for one in result.found]
            rows.append(Row(name if restart == 0 else "", images, captions, apart=restart == 0))
    classes = all(one.probabilities is not None for result in results for one in result.found)
    note = "below each: the logit and the probability of the class" if classes else "below each: what was maximised"
    return _draw(results[0].titles, rows, note)


def counterfactual_figure(found: ImageCounterfactual, *, indices: Sequence[int] | None = None) -> Figure:
    """One column per picture: it, what the prior makes of it, the counterfactual, and the difference.

    Raises
    ------
    InputError
        No such pictures, or more than can be looked at.
    """
    chosen = list(range(len(found))) if indices is None else [int(i) for i in indices]
    if not chosen or not all(0 <= i < len(found) for i in chosen):
        raise InputError(f"indices {chosen} of {len(found)} pictures; expected some of 0 to {len(found) - 1}")
    there = [bool(found.found.found[i]) for i in chosen]
    differences = [found.difference[i].nan_to_num() for i in chosen]
    scale = max([float(d.abs().max()) for d in differences] + [1e-6])
    rows = [Row("picture", [_pixels(found.before[i]) for i in chosen], [found.label(i) for i in chosen])]
    if found.reconstruction is not None:
        known = [_pixels(found.reconstruction[i]) for i in chosen]
        rows.append(Row("by the prior", known, [found.reconstructed_label(i) for i in chosen]))
    after = [found.label(i, after=True) if ok else "none found" for i, ok in zip(chosen, there, strict=True)]
    rows.append(Row("counterfactual", [_pixels(found.after[i].nan_to_num()) for i in chosen], after))
    changed = found.changed()
    counts = [f"{int(changed[i])} px" if ok else "" for i, ok in zip(chosen, there, strict=True)]
    rows.append(Row("difference", [render(d, scale=scale) for d in differences], counts))
    heads = [found.names[i] for i in chosen]
    note = "below: predictions; pixels that changed by more than 5 % of the way from black to white"
    return _draw(heads, rows, note, bar=scale)


@dataclass(frozen=True)
class Row:
    """Pictures (H, W, 3) side by side, the words before and below them."""

    label: str
    images: Sequence[NDArray[Any]]
    captions: Sequence[str]
    apart: bool = False


def _draw(heads: Sequence[str], rows: Sequence[Row], note: str, *, bar: float | None = None) -> Figure:
    """A grid of small panels as wide as a page; with ``bar``, the scale of differences at the end."""
    if len(rows) * len(heads) > MAX_PANELS:
        raise InputError(f"{len(rows) * len(heads)} pictures in one figure; expected {MAX_PANELS} at most")
    label = _LABEL if any(row.label for row in rows) else 0.0
    end = _END if bar is not None else 0.0
    side = min(_WIDEST, (_WIDTH - 2 * _MARGIN - label - end) / len(heads) - _GAP)
    tall = side * float(np.clip(max(i.shape[0] / i.shape[1] for row in rows for i in row.images), 0.35, 2.0))
    titles = [fit(title, side, _SIZE, lines=3) for title in heads]
    captions = _fitting([row.captions for row in rows], side)
    head = (max(text.count("\n") for text in titles) + 1) * _HEAD
    feet = [_FOOT if any(row) else _GAP for row in captions]
    gaps = [2 * _GAP if row.apart and i else 0.0 for i, row in enumerate(rows)]
    width = max(2 * _MARGIN + label + len(heads) * (side + _GAP) + end, _NARROWEST)
    height = 2 * _MARGIN + head + len(rows) * tall + sum(feet) + sum(gaps) + _HEAD
    page = _Page(width, height)
    left, top = _MARGIN + label, _MARGIN + head
    for column, text in enumerate(titles):
        page.text(left + column * (side + _GAP) + side / 2, top - 0.04, text, _SIZE, "bottom")
    for row, words, foot, gap in zip(rows, captions, feet, gaps, strict=True):
        top += gap
        lines = max(1, int(tall * 72 / (_SIZE * 1.3)))
        page.text(
            _MARGIN + label / 2 - 0.03, top + tall / 2, fit(row.label, label - 0.05, _SIZE, lines), _SIZE, "center"
        )
        for column, (image, text) in enumerate(zip(row.images, words, strict=True)):
            x = left + column * (side + _GAP)
            page.image(x, top, side, tall, image)
            page.text(x + side / 2, top + tall + 0.02, text, _SMALL, "top")
        if bar is not None and row is rows[-1]:
            page.bar(left + len(heads) * (side + _GAP), top, _BAR, tall, bar)
        top += tall + foot
    page.text(_MARGIN, top + 0.06, fit(note, width - 2 * _MARGIN, _SMALL, lines=1), _SMALL, "top", across="left")
    return page.figure


def _caption(one: Any, restart: int) -> str:
    value = f"{float(one.values[restart]):.3g}".replace("-", "−")
    return value if one.probabilities is None else f"{value}, {_percent(float(one.probabilities[restart]))}"


def _percent(share: float) -> str:
    """Never 100 % for what is less."""
    return f"{share:.0%}" if share in (0.0, 1.0) or 0.005 <= share < 0.995 else (">99%" if share > 0.5 else "<1%")


def _fitting(captions: Sequence[Sequence[str]], width: float) -> list[list[str]]:
    """All captions whole, or, where one has no room, all without what follows a comma."""
    whole = all(fit(text, width, _SMALL, lines=1) == text for row in captions for text in row)
    return [[text if whole else fit(text.split(",")[0], width, _SMALL, lines=1) for text in row] for row in captions]


def _colour(picture: Picture) -> NDArray[Any]:
    if picture.array.shape[-1] == 3:
        return picture.array
    return grey(picture)[..., None].repeat(3, axis=-1)


def _pixels(picture: Tensor) -> NDArray[Any]:
    return _colour(Picture("", None, picture.detach().clamp(0, 1).permute(1, 2, 0).float().cpu().numpy()))


class _Page:
    """A figure measured in inches from its top left corner."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), facecolor="white")
        FigureCanvasAgg(self.figure)

    def text(self, x: float, y: float, text: str, size: float, along: str, across: str = "center") -> None:
        if text:
            self.figure.text(
                x / self.width, 1 - y / self.height, text, size=size, ha=across, va=along, linespacing=1.1,
                parse_math=False,
            )  # fmt: skip

    def image(self, x: float, y: float, width: float, height: float, image: NDArray[Any]) -> None:
        axes = self._axes(x, y, width, height)
        axes.imshow(np.clip(image, 0, 1), aspect="equal", interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color="0.75", linewidth=0.5)

    def bar(self, x: float, y: float, width: float, height: float, scale: float) -> None:
        axes = self._axes(x, y, width, height)
        axes.imshow(colours("relevance")[:, None], aspect="auto", origin="lower", extent=(0, 1, -scale, scale))
        axes.set_xticks([])
        axes.set_yticks([-scale, scale], [f"{number(-scale)} darker", f"+{number(scale)} lighter"], size=_SMALL)
        axes.tick_params(axis="y", left=False, labelleft=False, labelright=True, length=0, pad=2)
        for text, along in zip(axes.get_yticklabels(), ("bottom", "top"), strict=True):
            text.set_verticalalignment(along)
        axes.spines[:].set(linewidth=0.5)

    def _axes(self, x: float, y: float, width: float, height: float) -> Any:
        place = (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(place)
