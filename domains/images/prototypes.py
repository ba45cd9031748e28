"""Pictures that stand for a class, and those of the class that they do not explain."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset

import sciexplain as sx
from sciexplain.domains.captions import number
from sciexplain.domains.images.attempts import Picture
from sciexplain.domains.images.explain import ImageExplanation, Model, Pictures, explain, prepare
from sciexplain.domains.images.heatmap import limit, overlay
from sciexplain.domains.images.listing import list_images
from sciexplain.domains.images.panels import Panel, Row, draw
from sciexplain.domains.images.preprocess import Preprocess
from sciexplain.errors import InputError
from sciexplain.limits import Limits
from sciexplain.limits import prototype_limits as limits_of
from sciexplain.prototypes import Prototypes
from sciexplain.prototypes import prototypes as prototypes_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def prototypes(
    model: Model,
    pictures: Pictures,
    target: Any = None,
    k: int = 5,
    *,
    preprocess: Preprocess | None = None,
    **options: Any,
) -> Prototypes:
    """Typical and diverse pictures of a class; indices are those of the pictures as given, or of a folder's files.

    Parameters
    ----------
    model, pictures, preprocess
        As in :func:`sciexplain.domains.images.explain`; files are read one by one.
    target, k, **options
        As in :func:`sciexplain.prototypes`.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    >>> len(prototypes(net, torch.rand(9, 1, 2, 2), 0, k=2, members="all"))
    2
    """
    return prototypes_of(model, as_data(model, pictures, preprocess), target, k, **options)


def prototype_limits(
    model: Model,
    pictures: Pictures,
    prototypes: Prototypes | Tensor,
    target: Any = None,
    *,
    preprocess: Preprocess | None = None,
    **options: Any,
) -> Limits:
    """Which pictures of a class its prototypes do not explain.

    Parameters
    ----------
    model, pictures, preprocess
        As in :func:`prototypes`; pictures of other classes belong to them.
    prototypes
        Found among these pictures, or network inputs (k, C, H, W), such as maximised ones.
    target, **options
        As in :func:`sciexplain.prototype_limits`.
    """
    return limits_of(model, as_data(model, pictures, preprocess), prototypes, target, **options)


def limits_figure(
    model: Model,
    pictures: Pictures,
    limits: Limits,
    *,
    preprocess: Preprocess | None = None,
    composite: sx.Composite | str | None = None,
    made: Tensor | None = None,
    columns: int = 6,
    cmap: str = "relevance",
) -> Figure:
    """Prototypes, members that they explain, and members that they do not, each picture over its relevance.

    Members that are explained are those nearest to a prototype; of the others, first those that stand for most of them,
    then the farthest.

    Parameters
    ----------
    model, pictures, preprocess
        As given to :func:`prototype_limits`.
    limits
        What that returned.
    composite, cmap
        Of the heatmaps.
    made
        (k, C, H, W): the prototypes, where they are no pictures of the data.
    columns
        Pictures of each kind.
    """
    threshold = number(limits.threshold)
    bands: list[tuple[str, list[int]]] = [
        (f"explained: distance up to {threshold}", list(limits.typical[:columns])),
        (f"not explained: distance above {threshold}", list(limits.missed[:columns])),
    ]
    if limits.prototypes is not None:
        bands.insert(0, ("prototypes", list(limits.prototypes[:columns])))
    target, rows = limits.view.target, []
    if made is not None:
        e = explain(model, made[:columns], target, preprocess=preprocess, composite=composite)
        rows += _band("prototypes", e, ["made"] * len(e), cmap)
    for name, indices in bands:
        if not indices:
            continue
        e = explain(model, chosen(pictures, indices), target, preprocess=preprocess, composite=composite)
        far = [""] * len(indices) if name == "prototypes" else [f": {number(limits.distance(i))}" for i in indices]
        rows += _band(name, e, [f"#{i}{d}" for i, d in zip(indices, far, strict=True)], cmap)
    wide = max(len(row.panels) for row in rows)
    return draw([""] * wide, rows, cmap=cmap)


def _band(name: str, e: ImageExplanation, captions: Sequence[str], cmap: str) -> list[Row]:
    """Pictures over their heatmaps, which share one scale."""
    heatmaps = [e.original(i) for i in range(len(e))]
    scale = max(limit(h) for h in heatmaps)
    shown = [Panel(as_shown(p), caption) for p, caption in zip(e.pictures, captions, strict=True)]
    over = [
        Panel(overlay(p, h, cmap=cmap, scale=scale), f"score {number(float(s))}")
        for p, h, s in zip(e.pictures, heatmaps, e.score, strict=True)
    ]
    return [Row(name, shown), Row("relevance", over, scale)]


def as_shown(picture: Picture) -> Any:
    """(H, W, 3)."""
    array = picture.array
    return array if array.shape[-1] == 3 else array.mean(-1, keepdims=True).repeat(3, axis=-1)


def as_data(model: Model, pictures: Pictures, preprocess: Preprocess | None) -> Any:
    """Network inputs: a tensor as it is, pictures as a data set that reads them when they are needed."""
    return pictures if isinstance(pictures, Tensor) else _Prepared(model, entries_of(pictures), preprocess)


def entries_of(pictures: Pictures) -> list[Any]:
    """One picture each, unread where they are files."""
    given = [pictures] if isinstance(pictures, Picture | str | PathLike | ndarray) else list(pictures)
    found: list[Any] = []
    for entry in given:
        found += list_images(entry) if isinstance(entry, str | PathLike) else [entry]
    if not found:
        raise InputError("There are no pictures; give at least one.")
    return found


def chosen(pictures: Pictures, indices: Sequence[int]) -> Any:
    """Pictures by their index."""
    if isinstance(pictures, Tensor):
        return pictures[list(indices)]
    entries = entries_of(pictures)
    return [entries[i] for i in indices]


class _Prepared(Dataset[Tensor]):
    def __init__(self, model: Model, entries: Sequence[Any], preprocess: Preprocess | None) -> None:
        self._model, self._entries, self._preprocess = model, entries, preprocess

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, i: int) -> Tensor:
        return prepare(self._model, [self._entries[i]], self._preprocess)[1][0]
