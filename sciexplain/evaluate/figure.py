"""Curves of flipping as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import InputError
from .curves import Flipping

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# Okabe and Ito 2008, told apart without red, green or blue cones; dashes tell them apart in grey.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3)))
_BASELINE = "#555555"


def draw_curves(
    curves: Mapping[str, Flipping],
    *,
    unit: str = "score",
    part: str = "pixels",
    baseline: str | None = "random",
    level: float = 0.95,
    title: str | None = None,
    axes: Axes | None = None,
) -> Figure | SubFigure:
    """Mean curves over samples with their bootstrap bands.

    Parameters
    ----------
    curves
        By name, in the order of the legend. All deletions or all insertions.
    unit
        Of the scores, for the axis: ``"logit"``, ``"class probability"``, ``"log mol/l"``.
    part
        What is taken away: ``"pixels"``, ``"atoms"``, ``"nucleotides"``.
    baseline
        Name of the curve that is drawn in grey behind the others.
    level
        Of the bands; they are left out for a single sample.
    axes
        Draw into these; None: a figure of its own.

    Returns
    -------
    matplotlib Figure
    """
    if not curves or len({c.mode for c in curves.values()}) > 1:
        raise InputError(
            f"{len(curves)} curves of modes {sorted({c.mode for c in curves.values()})}; expected some of one mode."
        )
    if len([n for n in curves if n != baseline]) > len(_COLOURS):
        raise InputError(f"{len(curves)} curves in one figure cannot be told apart; expected {len(_COLOURS)} at most.")
    if axes is None:
        from matplotlib.figure import Figure as NewFigure

        figure = NewFigure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
    styles = iter(zip(_COLOURS, _DASHES, strict=True))
    for name, found in curves.items():
        colour, dash = (_BASELINE, "-") if name == baseline else next(styles)
        at = (100 * found.fractions).numpy()
        axes.plot(at, found.mean.numpy(), color=colour, linestyle=dash, linewidth=1.8, label=name,
                  zorder=1 if name == baseline else 2)  # fmt: skip
        low, high = found.band(level=level)
        if len(found.scores) > 1:
            axes.fill_between(at, low.numpy(), high.numpy(), color=colour, alpha=0.15, linewidth=0, zorder=0)
    first = next(iter(curves.values()))
    verb = "removed" if first.mode == "deletion" else "inserted"
    counts = {len(c.scores) for c in curves.values()}
    samples = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    band = f", bands {level:.0%}" if min(counts) > 1 else ""
    axes.set_xlabel(f"{part} {verb} (%)")
    axes.set_ylabel(f"mean {unit}")
    axes.set_title(title or f"{samples} samples{band}", fontsize=9, loc="left")
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return axes.figure
