"""Figures of explanations: pictures by relevance, class against class, method against method."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from sciexplain.domains.captions import number
from sciexplain.domains.images.attempts import Picture
from sciexplain.domains.images.contrast import Contrast
from sciexplain.domains.images.explain import ImageExplanation, class_name
from sciexplain.domains.images.heatmap import grey, limit, overlay, render
from sciexplain.domains.images.panels import Panel, Row, draw
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(
    e: ImageExplanation,
    *,
    indices: Sequence[int] | None = None,
    cmap: str = "relevance",
    percentile: float = 100.0,
    title: str = "relevance",
) -> "Figure":
    """One row per picture: the picture, its relevance, and both in one; a colour bar for each row.

    Parameters
    ----------
    e
        Explanation of N pictures; they are drawn on their original pixels.
    indices
        Which pictures; all if None.
    cmap, percentile
        As in :func:`~sciexplain.domains.images.heatmap.render`.
    title
        Head of the middle column.
    """
    rows = []
    for i in _chosen(indices, len(e)):
        heatmap, picture = e.original(i), e.pictures[i]
        scale = limit(heatmap, percentile)
        panels = [
            Panel(_shown(picture)),
            Panel(render(heatmap, cmap, scale), _score(e.label(i), e, i)),
            Panel(overlay(picture, heatmap, cmap=cmap, scale=scale)),
        ]
        rows.append(Row(picture.name, panels, scale))
    return draw(["picture", title, "overlay"], rows, cmap=cmap)


def contrast_figure(
    c: Contrast,
    *,
    indices: Sequence[int] | None = None,
    cmap: str = "relevance",
    percentile: float = 100.0,
) -> "Figure":
    """One row per picture: what speaks for one class, for the other, and for one against the other.

    The three heatmaps of a row share one scale. Parameters as in :func:`figure`.
    """
    chosen = _chosen(indices, len(c))
    labels = c.for_a.labels
    names = [(class_name(c.a, i, labels), class_name(c.b, i, labels)) for i in chosen]
    rows = []
    for i, (first, second) in zip(chosen, names, strict=True):
        explanations = (c.for_a, c.for_b, c.against)
        heatmaps = [e.original(i) for e in explanations]
        scale = max(limit(heatmap, percentile) for heatmap in heatmaps)
        captions = [
            _score(what, e, i) for what, e in zip((first, second, f"{first} − {second}"), explanations, strict=True)
        ]
        panels = [Panel(_shown(c.for_a.pictures[i]))]
        panels += [Panel(render(h, cmap, scale), text) for h, text in zip(heatmaps, captions, strict=True)]
        rows.append(Row(c.for_a.pictures[i].name, panels, scale))
    if len(set(names)) == 1:
        first, second = names[0]
        titles = [f"speaks for {first}", f"speaks for {second}", f"{first} against {second}"]
    else:
        titles = ["speaks for the first class", "speaks for the second", "first against second"]
    return draw(["picture", *titles], rows, cmap=cmap)


def methods_figure(
    explanations: Mapping[str, ImageExplanation],
    *,
    indices: Sequence[int] | None = None,
    cmap: str = "relevance",
    percentile: float = 100.0,
) -> "Figure":
    """One row per picture, one column per method or composite; each panel's scale is written below it.

    Parameters
    ----------
    explanations
        ``{title: explanation}`` of the same pictures.
    indices, cmap, percentile
        As in :func:`figure`.

    Raises
    ------
    InputError
        No explanations, or explanations of different pictures.

    Examples
    --------
    >>> methods_figure({m: explain(net, pictures, method=m) for m in ("lrp", "gradient")})  # doctest: +SKIP
    """
    listed = list(explanations.values())
    names = [[picture.name for picture in e.pictures] for e in listed]
    if not listed or any(other != names[0] for other in names):
        raise InputError("explanations of different pictures, or none; expected {title: explanation} of the same ones")
    rows = []
    for i in _chosen(indices, len(listed[0])):
        panels = [Panel(_shown(listed[0].pictures[i]))]
        for e in listed:
            heatmap = e.original(i)
            scale = limit(heatmap, percentile)
            panels.append(Panel(render(heatmap, cmap, scale), f"± {number(scale)}" if heatmap.any() else "all zero"))
        rows.append(Row(names[0][i], panels))
    note = "relevance; ±max is written below each panel"
    return draw(["picture", *explanations], rows, cmap=cmap, note=note)


def _chosen(indices: Sequence[int] | None, count: int) -> list[int]:
    chosen = list(range(count)) if indices is None else [int(i) for i in indices]
    if wrong := [i for i in chosen if not 0 <= i < count]:
        raise InputError(f"indices {wrong} of {count} pictures; expected 0 to {count - 1}")
    return chosen


def _shown(picture: Picture) -> NDArray[Any]:
    """(H, W, 3): colour as it is, any other number of channels as grey."""
    if picture.array.shape[-1] == 3:
        return picture.array
    return grey(picture)[..., None].repeat(3, axis=-1)


def _score(of: str, e: ImageExplanation, i: int) -> str:
    return f"score{f' of {of}' if of else ''}: {number(float(e.score[i]))}"
