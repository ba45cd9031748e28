"""Designed sequences as a picture: what they agree on, and the relevance, edits and known sites of the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sciexplain.domains.genomics.design.result import Design, Designs
from sciexplain.domains.genomics.drawing.lanes import shortened, text_width
from sciexplain.domains.genomics.drawing.logo import draw_logo
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.hits import Hit
from sciexplain.domains.genomics.motif import Motif
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_EDITED = "#fde9a9"
_SITE = "0.25"
_SMALL = 7.0
_LONGEST = 250
_INCHES_PER_LETTER, _NARROWEST, _WIDEST = 0.12, 7.0, 22.0
_ROW, _LOGO, _HEAD = 1.25, 0.95, 0.35


def draw_designs(
    groups: Designs | Mapping[str, Designs],
    explanations: SequenceExplanation | Mapping[str, SequenceExplanation] | None = None,
    *,
    sites: Sequence[Sequence[Hit]] | Mapping[str, Sequence[Sequence[Hit]]] | None = None,
    shared: Motif | Mapping[str, Motif] | None = None,
    rows: int = 3,
    start: int = 0,
    end: int | None = None,
) -> Figure:
    """Draw designs, or several groups one above the other, such as those with a simple and with a learned prior.

    For each group first what its designs have in common: the site that they share, in bits, or without one the share of
    letters at every position, where there are several designs from scratch. Then the best: letters as tall as their
    relevance, or all as tall where there is no explanation. Edited positions have a yellow ground, with the letter that
    stood there below; known sites are bars above.

    Parameters
    ----------
    groups
        Designs, or several by their titles; with the same keys:
    explanations
        Of each group's sequences, as :func:`genomics.explain` gives them for ``designs.sequences``.
    sites
        As :func:`known_sites` gives them.
    shared
        As :func:`shared_site` gives it; its name is told.
    rows
        Designs of each group.
    start, end
        Letters that are drawn, at most 250; None: to the last.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        More letters than can be read, or explanations and sites of another number of sequences.
    """
    named = {"": groups} if isinstance(groups, Designs) else dict(groups)
    if not named or rows < 1:
        raise InputError(f"{len(named)} groups, rows={rows}; expected at least one of each.")
    explained = _by_name(explanations, named)
    found, common = _by_name(sites, named), _by_name(shared, named)
    spans = {name: (start, group.sequences.length if end is None else end) for name, group in named.items()}
    for name, (first, last) in spans.items():
        if not 0 <= first < last <= named[name].sequences.length or last - first > _LONGEST:
            raise InputError(
                f"start={first}, end={last}; expected at most {_LONGEST} letters within the "
                f"{named[name].sequences.length} of the sequences."
            )
    lines = [(name, row) for name, group in named.items() for row in _lines(group, rows, name in common)]
    heights = [_LOGO if row is None else _ROW for _, row in lines]
    longest = max(last - first for first, last in spans.values())
    width = float(np.clip(_INCHES_PER_LETTER * longest + 1.5, _NARROWEST, _WIDEST))
    figure, axes = _figure(width, heights, len(named))
    titled: set[str] = set()
    for ax, (name, row) in zip(axes, lines, strict=True):
        group, (first, last) = named[name], spans[name]
        head = f"{name}\n" if name and name not in titled else ""
        titled.add(name)
        if row is None and name in common:
            _shared(ax, common[name], last - first)
            _title(ax, f"{head}{common[name].name}, in {common[name].count} designs", bold=bool(head))
            continue
        if row is None:
            draw_logo(group.frequencies[first:last], ax=ax, kind="probability", start=first, label="share")
            ax.set_yticks([0, 1])
            _title(ax, f"{head}letters of {len(group)} designs at each position", bold=bool(head))
            continue
        design = group[row]
        explanation = explained.get(name)
        _letters(ax, group, row, explanation, first, last)
        _edits(ax, design, first, last)
        _sites(ax, found[name][row] if name in found else (), first, last)
        _title(ax, head + _told(design), bold=bool(head))
    axes[-1].set_xlabel("position, from 0")
    return figure


def _lines(group: Designs, rows: int, shared: bool) -> list[int | None]:
    """None for what designs have in common, then the designs' places."""
    from_scratch = len(group) > 1 and all(design.before is None for design in group)
    return [*([None] if from_scratch or shared else []), *range(min(rows, len(group)))]


def _shared(ax: Axes, motif: Motif, letters: int) -> None:
    """A logo in bits, its letters as wide as those of the sequences."""
    draw_logo(motif.ppm, ax=ax, kind="information", count=motif.count or None)
    ax.set_xlim(-0.5, letters - 0.5)
    places = range(0, len(motif), 5)
    ax.set_xticks(places, [str(place) for place in places])
    ax.set_yticks([0, 1, 2])
    ax.spines["bottom"].set_bounds(-0.5, len(motif) - 0.5)
    ax.lines[-1].set_xdata([0, len(motif) / letters])  # the line at 0, in shares of the width


def _letters(
    ax: Axes, group: Designs, row: int, explanation: SequenceExplanation | None, first: int, last: int
) -> None:
    one_hot = group.sequences.one_hot[row].double().t().cpu().numpy()
    if explanation is None:
        draw_logo(one_hot[first:last], ax=ax, kind="probability", start=first, label="")
        ax.set_yticks([])
        return
    if len(explanation) != len(group):
        raise InputError(f"An explanation of {len(explanation)} sequences for {len(group)} designs; expected as many.")
    values = explanation.contributions[row].detach().double().t().cpu().numpy()
    draw_logo(values[first:last], ax=ax, start=first, label="relevance")


def _edits(ax: Axes, design: Design, first: int, last: int) -> None:
    shown = [edit for edit in design.edits if first <= edit.position < last]
    for edit in shown:
        place = edit.position - first
        ax.axvspan(place - 0.5, place + 0.5, facecolor=_EDITED, linewidth=0, zorder=0)
    if not shown:
        return
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.16 * (high - low), high)
    for edit in shown:
        ax.annotate(
            edit.before.lower(), (edit.position - first, 0), (0, 2), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center", va="bottom", fontsize=_SMALL, color="0.35",
        )  # fmt: skip


def _sites(ax: Axes, sites: Sequence[Hit], first: int, last: int) -> None:
    shown = [hit for hit in sites if first <= hit.start and hit.end <= last]
    if not shown:
        return
    low, high = ax.get_ylim()
    bar = high + 0.08 * (high - low)
    ax.set_ylim(low, high + 0.3 * (high - low))
    inches = 0.9 * ax.get_window_extent().width / ax.figure.dpi / (last - first)  # the layout may still take some
    for hit in shown:
        ax.plot([hit.start - first - 0.4, hit.end - first - 0.6], [bar, bar], color=_SITE, linewidth=2.0)
        room = (hit.end - hit.start) * inches - text_width(" (+)", _SMALL)
        name = shortened(hit.motif, room, _SMALL)
        ax.annotate(
            f"{name} ({hit.strand})", ((hit.start + hit.end - 1) / 2 - first, bar), (0, 2),
            textcoords="offset points", ha="center", va="bottom", fontsize=_SMALL, color=_SITE,
        )  # fmt: skip


def _told(design: Design) -> str:
    parts = [f"{design.name}: prediction {design.prediction:.3g}"]
    if design.before is not None:
        parts[0] += f", before {design.before:.3g}"
        parts.append(f"{len(design.edits)} edit{'' if len(design.edits) == 1 else 's'}")
    if design.gc is not None:
        parts.append(f"GC {design.gc:.0%}")
    if design.log_density is not None:
        parts.append(f"log-density {design.log_density / len(design.sequence):.3f} nats per letter")
    return " · ".join(parts)


def _title(ax: Axes, text: str, *, bold: bool) -> None:
    head, _, rest = text.partition("\n") if bold else ("", "", text)
    ax.set_title(rest, loc="left", fontsize=8.5, pad=3)
    if head:
        ax.annotate(
            head, (0, 1), (0, 17), xycoords="axes fraction", textcoords="offset points", fontsize=10,
            fontweight="bold", ha="left", va="bottom",
        )  # fmt: skip


def _figure(width: float, heights: Sequence[float], groups: int) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    total = sum(heights) + _HEAD * (len(heights) + groups)
    figure = Figure(figsize=(width, total), layout=ConstrainedLayoutEngine(h_pad=0.08), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    return figure, list(axes)


def _by_name(values: Any, named: Mapping[str, Designs]) -> dict[str, Any]:
    """By group; what is given for a single group is that one's."""
    if values is None:
        return {}
    found = dict(values) if isinstance(values, Mapping) else {next(iter(named)): values}
    if foreign := [name for name in found if name not in named]:
        raise InputError(f"{foreign[0]!r} is none of the groups {', '.join(map(repr, named))}.")
    return found
